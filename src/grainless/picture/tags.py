"""The directories of tags that TIFF files, EXIF blocks and multi-picture JPEGs share.

Values stay raw bytes in the byte order of their source: what is not understood is copied as it is.
Structure: TIFF 6.0 (Adobe, 1992), section 2; the 64-bit variant is BigTIFF.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Bytes of one value by its kind (BYTE, ASCII, SHORT, LONG, RATIONAL, ..., IFD8).
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
# What has to be turned round when the byte order changes: a rational is two numbers of four bytes.
_SWAPS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_MOST_DIRECTORIES = 100_000
_LONGEST_VALUE = 64 * 2**20

EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
POINTERS = frozenset({EXIF, GPS, INTEROPERABILITY})


class BrokenTagsError(ValueError):
    """Raised when bytes are not a well-formed structure of tags."""


@dataclass(frozen=True)
class Layout:
    """Byte order and field widths of a structure."""

    order: str
    """`<` or `>`, as in struct."""
    big: bool = False
    """BigTIFF: offsets of eight bytes."""

    @property
    def offset(self) -> str:
        """Code of one offset."""
        return self.order + ("Q" if self.big else "L")

    @property
    def room(self) -> int:
        """Bytes that fit into an entry itself."""
        return 8 if self.big else 4


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    tag: int
    kind: int
    count: int
    field: bytes
    """The raw field: the value itself where it fits, else its offset."""
    position: int
    """Where the value's bytes start in the stream."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return _SIZES.get(self.kind, 1) * self.count


@dataclass(frozen=True)
class Directory:
    """The entries of one directory by tag, and the link to the next directory."""

    entries: Mapping[int, Entry]
    following: int
    """Offset of the next directory; 0 at the end."""
    link: int
    """Where `following` is stored."""


@dataclass(frozen=True)
class Value:
    """A tag's value cut loose from its stream; `children` in place of `raw` for a nested directory."""

    kind: int
    count: int
    raw: bytes = b""
    children: Mapping[int, Value] | None = None


def _take(stream: BinaryIO, code: str) -> tuple[int, ...]:
    size = struct.calcsize(code)
    data = stream.read(size)
    if len(data) < size:
        raise BrokenTagsError("the tags are cut off")
    return struct.unpack(code, data)


def _seek(stream: BinaryIO, offset: int) -> None:
    if offset >= 2**62:
        raise BrokenTagsError("the tags point far outside the file")
    stream.seek(offset)


def read_layout(stream: BinaryIO) -> tuple[Layout, int]:
    """Return the layout and the offset of the first directory; raise BrokenTagsError for other bytes."""
    stream.seek(0)
    order = {b"II": "<", b"MM": ">"}.get(stream.read(2))
    if order is None:
        raise BrokenTagsError("no TIFF structure")
    (magic,) = _take(stream, order + "H")
    if magic == 42:
        return Layout(order), _take(stream, order + "L")[0]
    if magic == 43:
        return Layout(order, big=True), _take(stream, order + "HHQ")[2]
    raise BrokenTagsError("no TIFF structure")


def read_directory(stream: BinaryIO, layout: Layout, offset: int) -> Directory:
    """Read the directory at `offset`; values are left where they are."""
    _seek(stream, offset)
    (number,) = _take(stream, layout.order + ("Q" if layout.big else "H"))
    if number > 65535:
        raise BrokenTagsError("a directory claims too many tags")
    entries: dict[int, Entry] = {}
    for _ in range(number):
        tag, kind = _take(stream, layout.order + "HH")
        (count,) = _take(stream, layout.offset)
        place = stream.tell()
        field = stream.read(layout.room)
        if len(field) < layout.room:
            raise BrokenTagsError("the tags are cut off")
        inside = _SIZES.get(kind, 1) * count <= layout.room
        position = place if inside else struct.unpack(layout.offset, field)[0]
        entries[tag] = Entry(tag, kind, count, field, position)
    link = stream.tell()
    tail = stream.read(layout.room)
    # Some writers leave out the link behind the last directory.
    following = struct.unpack(layout.offset, tail)[0] if len(tail) == layout.room else 0
    return Directory(entries, following, link)


def directories(stream: BinaryIO) -> Iterator[tuple[Layout, Directory]]:
    """Walk the chain of directories; raise BrokenTagsError where it is damaged or runs in a circle."""
    layout, offset = read_layout(stream)
    seen: set[int] = set()
    while offset:
        if offset in seen or len(seen) > _MOST_DIRECTORIES:
            raise BrokenTagsError("the directories run in a circle")
        seen.add(offset)
        directory = read_directory(stream, layout, offset)
        yield layout, directory
        offset = directory.following


def raw_value(stream: BinaryIO, entry: Entry) -> bytes:
    """Return the bytes of a value; raise BrokenTagsError where they end too early."""
    if entry.size > _LONGEST_VALUE:
        raise BrokenTagsError("a tag claims too many bytes")
    _seek(stream, entry.position)
    data = stream.read(entry.size)
    if len(data) < entry.size:
        raise BrokenTagsError("the tags are cut off")
    return data


def overwrite(stream: BinaryIO, position: int, raw: bytes) -> None:
    """Put bytes in the place of others; raise BrokenTagsError where none are, which writing would make."""
    end = stream.seek(0, io.SEEK_END)
    if position + len(raw) > end:
        raise BrokenTagsError("a tag points outside the tags")
    stream.seek(position)
    stream.write(raw)


def integers(stream: BinaryIO, layout: Layout, entry: Entry | None) -> tuple[int, ...]:
    """Return the whole numbers of an entry; empty where there is none or it holds something else."""
    if entry is None or entry.kind not in _INTEGERS:
        return ()
    return struct.unpack(f"{layout.order}{entry.count}{_INTEGERS[entry.kind]}", raw_value(stream, entry))


def rational(stream: BinaryIO, layout: Layout, entry: Entry | None) -> float | None:
    """Return the first fraction of an entry; None where there is none."""
    if entry is None or entry.kind != 5 or entry.count < 1:
        return None
    _seek(stream, entry.position)
    above, below = _take(stream, layout.order + "LL")
    return above / below if below else None


def copy_values(stream: BinaryIO, layout: Layout, directory: Directory, depth: int = 0) -> dict[int, Value]:
    """Cut the values of a directory loose, with the directories it points to; damaged ones are left out."""
    values: dict[int, Value] = {}
    for tag, entry in directory.entries.items():
        with contextlib.suppress(BrokenTagsError):
            values[tag] = _copy_value(stream, layout, entry, depth)
    return values


def _copy_value(stream: BinaryIO, layout: Layout, entry: Entry, depth: int) -> Value:
    if entry.tag not in POINTERS:
        return Value(entry.kind, entry.count, raw_value(stream, entry))
    pointer = integers(stream, layout, entry)
    if not pointer or depth > 2:
        raise BrokenTagsError("a directory inside a directory cannot be found")
    below = read_directory(stream, layout, pointer[0])
    return Value(4, 1, children=copy_values(stream, layout, below, depth + 1))


def swapped(values: Mapping[int, Value]) -> dict[int, Value]:
    """Turn all numbers to the other byte order; text and opaque blocks stay."""
    result: dict[int, Value] = {}
    for tag, value in values.items():
        step = _SWAPS.get(value.kind, 1)
        raw = b"".join(value.raw[i : i + step][::-1] for i in range(0, len(value.raw), step))
        children = None if value.children is None else swapped(value.children)
        result[tag] = Value(value.kind, value.count, value.raw if step == 1 else raw, children)
    return result


def encode_directory(
    layout: Layout, values: Mapping[int, Value], *, at: int, placed: Mapping[int, Entry] | None = None
) -> bytes:
    """Return the bytes of a directory for offset `at`, its values and nested directories behind it.

    `placed` are entries whose values lie in the same file already. The link to a next directory is 0.
    """
    placed = placed or {}
    number = len(values) + len(placed)
    head = struct.pack(layout.order + ("Q" if layout.big else "H"), number)
    heap_at = at + len(head) + number * (12 + (8 if layout.big else 0)) + layout.room
    rows, heap = [], b""
    for tag in sorted({*values, *placed}):
        if tag in placed:
            entry = placed[tag]
            kind, count, field = entry.kind, entry.count, entry.field
        else:
            value = values[tag]
            kind, count, raw = value.kind, value.count, value.raw
            heap += b"\0" * (len(heap) % 2)
            place = heap_at + len(heap)
            if value.children is not None:
                heap += encode_directory(layout, value.children, at=place)
                kind, count, raw = 16 if layout.big else 4, 1, struct.pack(layout.offset, place)
            elif len(raw) > layout.room:
                heap += raw
                raw = struct.pack(layout.offset, place)
            field = raw.ljust(layout.room, b"\0")
        rows.append(struct.pack(layout.order + "HH", tag, kind) + struct.pack(layout.offset, count) + field)
    return head + b"".join(rows) + b"\0" * layout.room + heap
