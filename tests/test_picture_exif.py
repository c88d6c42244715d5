from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grainless.picture import exif, tags
from picture_files import XMP, exif_block, exif_facts, saved, tiff_file, tiff_tags, values

THUMBNAIL = b"\xff\xd8\xff old picture, still noisy \xff\xd9"


def loaded(block: bytes) -> Image.Exif:
    result = Image.Exif()
    result.load(block)
    return result


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_becomes_1_and_nothing_else_moves(orientation):
    block = exif_block(orientation=orientation)
    tidy = exif.tidy_exif(b"Exif\0\0" + block)
    assert loaded(tidy.exif)[0x0112] == 1
    assert tidy.exif == exif_block(orientation=1)
    assert tidy.dpi == pytest.approx((300, 300))


@pytest.mark.parametrize("behind", [b"", b"something behind the thumbnail"])
def test_thumbnail_is_gone_not_only_hidden(behind):
    block = exif_block(thumbnail=THUMBNAIL)
    assert len(list(tags.directories(io.BytesIO(block)))) == 2
    tidy = exif.tidy_exif(block + behind)
    assert b"old picture" not in tidy.exif
    assert len(list(tags.directories(io.BytesIO(tidy.exif)))) == 1
    assert exif_facts(tidy.exif) == exif_facts(block)
    assert tidy.exif.endswith(behind)


def test_width_and_height_change_places_when_the_pixels_are_turned():
    inner = loaded(exif.tidy_exif(exif_block(), turned=True).exif).get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (30, 40)
    inner = loaded(exif.tidy_exif(exif_block()).exif).get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (40, 30)


def test_no_block_and_damaged_blocks():
    for block in (None, b"", b"Exif\0\0", b"Exif\0\0 rubbish", exif_block()[:9]):
        assert exif.tidy_exif(block).exif is None


@given(st.data())
def test_any_damage_gives_a_block_or_none(data):
    block = bytearray(exif_block(orientation=6, thumbnail=THUMBNAIL))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    tidy = exif.tidy_exif(bytes(block), turned=True)
    assert tidy.exif is None or exif.tidy_exif(tidy.exif).exif == tidy.exif


@pytest.mark.parametrize("turned", [False, True])
def test_a_tag_that_points_far_outside_takes_no_memory(turned):
    for tag in (274, 0xA002, 0xA003):
        block = bytearray(exif_block(orientation=6))
        (at,) = (found for kind in (3, 4) if (found := block.find(struct.pack("<HHL", tag, kind, 1))) > 0)
        struct.pack_into(
            "<LL", block, at + 4, 3, 0x7FFFFFF0
        )  # three values, which lie two gigabytes further on
        tracemalloc.start()
        tidy = exif.tidy_exif(bytes(block), turned=turned).exif
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000
        assert tidy is None or len(tidy) == len(block)


def test_a_thumbnail_said_to_lie_on_the_header():
    block = bytearray(exif_block(thumbnail=THUMBNAIL))
    at = block.index(struct.pack("<HHL", 513, 4, 1))
    struct.pack_into("<L", block, at + 8, 0)
    assert exif.tidy_exif(bytes(block)).exif is None


def test_density_in_centimetres():
    block = bytearray(exif_block(dpi=100.0))
    stream = io.BytesIO(bytes(block))
    layout, first = tags.read_layout(stream)
    unit = tags.read_directory(stream, layout, first).entries[296]
    struct.pack_into("<H", block, unit.position, 3)
    assert exif.tidy_exif(bytes(block)).dpi == pytest.approx((254, 254))
    changed = exif.with_density(bytes(block), (600.0, 300.0))
    assert exif.tidy_exif(changed).dpi == pytest.approx((600, 300))
    assert exif_facts(changed) == exif_facts(bytes(block))


def test_density_is_not_added_where_there_is_none():
    block = exif_block(dpi=None)
    assert exif.tidy_exif(block).dpi is None
    assert exif.with_density(block, (300.0, 300.0)) == block
    assert exif.with_density(b"rubbish", (300.0, 300.0)) == b"rubbish"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'<x tiff:Orientation="6"/>', b'<x tiff:Orientation="1"/>'),
        (b"<x tiff:Orientation='8'/>", b"<x tiff:Orientation='1'/>"),
        (b"<tiff:Orientation>3</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"a<xmp:Thumbnails><rdf:Alt>\nAAAA\n</rdf:Alt></xmp:Thumbnails>b", b"ab"),
        (b'a<xap:Thumbnails rdf:parseType="x">1</xap:Thumbnails>b<xmp:Thumbnails/>c', b"abc"),
        (XMP, XMP),
        (None, None),
        (b"", None),
    ],
)
def test_xmp_is_set_upright_without_thumbnails(before, after):
    assert exif.tidy_xmp(before) == after


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_goes_into_a_tiff_and_comes_out_again(tmp_path, order):
    pixels = values("uint8", 3)
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels), pixels.tobytes())
    block = exif_block()
    if order == ">":
        big = Image.Exif()
        big.load(block)
        big.endian = ">"
        block = big.tobytes().removeprefix(b"Exif\0\0")
        assert block.startswith(b"MM")
    exif.add_exif_to_tiff(path, block)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        found = image.getexif()
        assert found[0x010F] == "Maker"
        assert found.get_ifd(0x8769)[0x927C] == b"a maker's note\0\1\2"
        assert found.get_ifd(0x8825)[2] == (50.0, 30.0, 0.5)
    with path.open("rb") as stream:
        assert exif_facts(exif.exif_of_tiff(stream)) == exif_facts(block)


def test_tags_of_a_tiff_itself_win_over_the_block(tmp_path):
    path = saved(tmp_path / "a.tif", values("uint8", 3), "TIFF", tiffinfo={271: "Scanner"})
    exif.add_exif_to_tiff(path, exif_block())
    with Image.open(path) as image:
        assert image.getexif()[271] == "Scanner"


def test_plain_tiff_has_no_exif(tmp_path):
    pixels = values("uint8", 1)
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels), pixels.tobytes())
    with path.open("rb") as stream:
        assert exif.exif_of_tiff(stream) is None


def test_a_damaged_block_leaves_the_tiff_as_it_was(tmp_path):
    path = saved(tmp_path / "a.tif", values("uint8", 3), "TIFF")
    before = path.read_bytes()
    with pytest.raises(tags.BrokenTagsError):
        exif.add_exif_to_tiff(path, b"II*\0\xff\xff\0\0")
    assert path.read_bytes() == before
