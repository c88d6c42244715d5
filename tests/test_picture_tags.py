from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grainless.picture import tags
from grainless.picture.tags import BrokenTagsError, Layout, Value
from picture_files import exif_block

NUMBERS = st.dictionaries(
    st.integers(1, 60000).filter(lambda tag: tag not in tags.POINTERS),
    st.lists(st.integers(0, 65535), min_size=1, max_size=5),
    max_size=8,
)
LAYOUTS = [Layout("<"), Layout(">"), Layout("<", big=True), Layout(">", big=True)]


def head(layout: Layout) -> bytes:
    mark = b"II" if layout.order == "<" else b"MM"
    if layout.big:
        return mark + struct.pack(layout.order + "HHHQ", 43, 8, 0, 16)
    return mark + struct.pack(layout.order + "HL", 42, 8)


def encoded(layout: Layout, values: dict[int, Value]) -> io.BytesIO:
    start = head(layout)
    return io.BytesIO(start + tags.encode_directory(layout, values, at=len(start)))


def shorts(layout: Layout, numbers: list[int]) -> Value:
    return Value(3, len(numbers), struct.pack(f"{layout.order}{len(numbers)}H", *numbers))


@given(NUMBERS, NUMBERS, st.sampled_from(LAYOUTS))
def test_what_is_encoded_is_read_back(outer, inner, layout):
    values = {tag: shorts(layout, numbers) for tag, numbers in outer.items()}
    values[tags.EXIF] = Value(4, 1, children={tag: shorts(layout, n) for tag, n in inner.items()})
    stream = encoded(layout, values)
    found_layout, first = tags.read_layout(stream)
    assert found_layout == layout
    directory = tags.read_directory(stream, layout, first)
    for tag, numbers in outer.items():
        assert tags.integers(stream, layout, directory.entries[tag]) == tuple(numbers)
    copied = tags.copy_values(stream, layout, directory)
    assert {tag: value.raw for tag, value in copied[tags.EXIF].children.items()} == {
        tag: shorts(layout, numbers).raw for tag, numbers in inner.items()
    }


@given(NUMBERS)
def test_swapping_is_the_other_byte_order(numbers):
    little, big = Layout("<"), Layout(">")
    values = {tag: shorts(little, n) for tag, n in numbers.items()}
    assert tags.swapped(values) == {tag: shorts(big, n) for tag, n in numbers.items()}
    assert tags.swapped(tags.swapped(values)) == values


def test_agrees_with_pillow_after_a_change_of_byte_order():
    source = io.BytesIO(exif_block())
    layout, first = tags.read_layout(source)
    values = tags.copy_values(source, layout, tags.read_directory(source, layout, first))
    other = Layout(">" if layout.order == "<" else "<")
    exif = Image.Exif()
    exif.load(encoded(other, tags.swapped(values)).getvalue())
    assert exif[0x010F] == "Maker"
    assert exif[0x011A] == 300
    assert exif.get_ifd(0x8769)[0x829A] == pytest.approx(1 / 250)
    assert exif.get_ifd(0x8825)[2] == (50.0, 30.0, 0.5)


@pytest.mark.parametrize("data", [b"", b"I", b"text that is no structure", b"II*\0", b"II\x2b\0\x08"])
def test_other_bytes_are_refused(data):
    with pytest.raises(BrokenTagsError):
        list(tags.directories(io.BytesIO(data)))


def test_circles_are_refused():
    data = bytearray(encoded(Layout("<"), {1: shorts(Layout("<"), [1])}).getvalue())
    struct.pack_into("<L", data, 8 + 2 + 12, 8)
    with pytest.raises(BrokenTagsError, match="circle"):
        list(tags.directories(io.BytesIO(data)))


def test_huge_claims_are_refused_without_taking_memory():
    layout = Layout("<", big=True)
    entry = struct.pack("<HHQQ", 1, 1, 2**50, 64)
    stream = io.BytesIO(head(layout) + struct.pack("<Q", 1) + entry + bytes(8))
    (_, directory) = next(tags.directories(stream))
    with pytest.raises(BrokenTagsError, match="too many bytes"):
        tags.raw_value(stream, directory.entries[1])
    stream = io.BytesIO(head(layout)[:8] + struct.pack("<Q", 2**63))
    with pytest.raises(BrokenTagsError, match="far outside"):
        list(tags.directories(stream))
    stream = io.BytesIO(head(layout) + struct.pack("<Q", 2**40))
    with pytest.raises(BrokenTagsError, match="too many tags"):
        list(tags.directories(stream))


@given(st.data())
def test_damaged_blocks_end_in_one_kind_of_error(data):
    block = bytearray(exif_block(thumbnail=b"small picture"))
    for _ in range(data.draw(st.integers(1, 8))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    stream = io.BytesIO(bytes(block[: data.draw(st.integers(0, len(block)))]))
    try:
        for layout, directory in tags.directories(stream):
            tags.copy_values(stream, layout, directory)
    except BrokenTagsError:
        pass
