"""EXIF blocks and XMP packets: set upright, without the thumbnail of the old picture, in and out of TIFF."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from grainless.picture import tags

if TYPE_CHECKING:
    from pathlib import Path

_ORIENTATION, _WIDTH, _HEIGHT = 274, 0xA002, 0xA003
_THUMBNAIL_AT, _THUMBNAIL_SIZE = 513, 514
_DENSITY_X, _DENSITY_Y, _DENSITY_UNIT = 282, 283, 296
_MARK = b"Exif\0\0"
# Tags of a TIFF's own directory that describe the picture and not the way it is stored.
_DESCRIPTIVE = frozenset({270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)}) | {
    tags.EXIF,
    tags.GPS,
}
_XMP_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails\b[^>]*?(/>|>.*?</\1:Thumbnails\s*>)", re.DOTALL)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*)[2-8]")


@dataclass(frozen=True)
class TidyExif:
    """An EXIF block that fits upright pixels."""

    exif: bytes | None
    """The block; None where there was none or it was too damaged to be read."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch across and down of the pixels as stored."""


def tidy_exif(block: bytes | None, *, turned: bool = False) -> TidyExif:
    """Set the orientation of an EXIF block to 1 and blank its thumbnail, everything else in its place.

    `turned` tells that the pixels were turned by 90 degrees, so width and height change places.
    Maker notes refer to offsets inside the block: therefore nothing in it is moved.
    """
    if not block:
        return TidyExif(None)
    while block.startswith(_MARK):
        block = block[len(_MARK) :]
    try:
        tidy, dpi = _tidied(block, turned=turned)
        # In a damaged block the thumbnail or a tag may lie upon the structure itself: then another look at
        # what came out finds something else.
        again, _ = _tidied(tidy, turned=False)
    except tags.BrokenTagsError:
        return TidyExif(None)
    return TidyExif(tidy, dpi) if again == tidy else TidyExif(None)


def _tidied(block: bytes, *, turned: bool) -> tuple[bytes, tuple[float, float] | None]:
    """Return a block set upright, without its thumbnail, and its density; raise BrokenTagsError."""
    stream = io.BytesIO(block)
    layout, first = tags.read_layout(stream)
    directory = tags.read_directory(stream, layout, first)
    dpi = _density(stream, layout, directory)
    _blank_thumbnail(stream, layout, directory)
    _set_upright(stream, layout, directory, turned=turned)
    return stream.getvalue(), dpi


def _density(stream: BinaryIO, layout: tags.Layout, directory: tags.Directory) -> tuple[float, float] | None:
    across = tags.rational(stream, layout, directory.entries.get(_DENSITY_X))
    down = tags.rational(stream, layout, directory.entries.get(_DENSITY_Y))
    unit = tags.integers(stream, layout, directory.entries.get(_DENSITY_UNIT)) or (2,)
    if not across or not down or unit[0] not in {2, 3}:
        return None
    scale = 1.0 if unit[0] == 2 else 2.54
    return across * scale, down * scale


def _blank_thumbnail(stream: io.BytesIO, layout: tags.Layout, directory: tags.Directory) -> None:
    if not directory.following:
        return
    second = tags.read_directory(stream, layout, directory.following)
    at = tags.integers(stream, layout, second.entries.get(_THUMBNAIL_AT))
    size = tags.integers(stream, layout, second.entries.get(_THUMBNAIL_SIZE))
    end = len(stream.getvalue())
    if at and size and at[0] < end:
        if at[0] + size[0] >= end:
            stream.truncate(at[0])
        else:
            stream.seek(at[0])
            stream.write(b"\0" * size[0])
    tags.overwrite(stream, directory.link, b"\0" * layout.room)


def _set_upright(stream: BinaryIO, layout: tags.Layout, directory: tags.Directory, *, turned: bool) -> None:
    orientation = directory.entries.get(_ORIENTATION)
    if orientation is not None and (orientation.kind, orientation.count) == (3, 1):
        tags.overwrite(stream, orientation.position, struct.pack(layout.order + "H", 1))
    pointer = tags.integers(stream, layout, directory.entries.get(tags.EXIF))
    if not turned or not pointer:
        return
    entries = tags.read_directory(stream, layout, pointer[0]).entries
    forms = {(entries[tag].kind, entries[tag].count) for tag in (_WIDTH, _HEIGHT) if tag in entries}
    # Others are damaged: writing them would fall upon what lies behind.
    if {_WIDTH, _HEIGHT} <= set(entries) and len(forms) == 1 and forms <= {(3, 1), (4, 1)}:
        width, height = (tags.raw_value(stream, entries[tag]) for tag in (_WIDTH, _HEIGHT))
        for tag, raw in ((_WIDTH, height), (_HEIGHT, width)):
            tags.overwrite(stream, entries[tag].position, raw)


def with_density(block: bytes, dpi: tuple[float, float]) -> bytes:
    """Make an EXIF block that states a density state `dpi` (in pixels per inch); others stay as they are."""
    stream = io.BytesIO(block)
    try:
        layout, first = tags.read_layout(stream)
        directory = tags.read_directory(stream, layout, first)
        if _density(stream, layout, directory) is None:
            return block
        for tag, value in ((_DENSITY_X, dpi[0]), (_DENSITY_Y, dpi[1])):
            raw = struct.pack(layout.order + "LL", round(value * 1000), 1000)
            tags.overwrite(stream, directory.entries[tag].position, raw)
        unit = directory.entries.get(_DENSITY_UNIT)
        if unit is not None and (unit.kind, unit.count) == (3, 1):
            tags.overwrite(stream, unit.position, struct.pack(layout.order + "H", 2))
    except tags.BrokenTagsError:
        return block
    return stream.getvalue()


def tidy_xmp(packet: bytes | None) -> bytes | None:
    """Set the orientation in an XMP packet to 1 and cut out thumbnails; None stays None."""
    if not packet:
        return None
    return _XMP_ORIENTATION.sub(rb"\g<1>1", _XMP_THUMBNAILS.sub(b"", packet))


def exif_of_tiff(stream: BinaryIO) -> bytes | None:
    """Gather the descriptive tags of a TIFF file into an EXIF block; None where there are none.

    Raises BrokenTagsError where the tags are damaged.
    """
    layout, first = tags.read_layout(stream)
    directory = tags.read_directory(stream, layout, first)
    described = {tag: entry for tag, entry in directory.entries.items() if tag in _DESCRIPTIVE}
    if not described:
        return None
    values = tags.copy_values(stream, layout, tags.Directory(described, 0, 0))
    small = tags.Layout(layout.order)
    mark = b"II" if layout.order == "<" else b"MM"
    return mark + struct.pack(layout.order + "HL", 42, 8) + tags.encode_directory(small, values, at=8)


def add_exif_to_tiff(path: Path, block: bytes) -> None:
    """Add the tags of an EXIF block to the TIFF file at `path`; tags that it has already stay.

    A new directory goes to the end of the file and the header is turned to it; pixels are not moved.
    Raises BrokenTagsError where either is damaged, and leaves the file as it was.
    """
    source = io.BytesIO(block)
    exif_layout, exif_first = tags.read_layout(source)
    found = tags.copy_values(source, exif_layout, tags.read_directory(source, exif_layout, exif_first))
    with path.open("r+b") as stream:
        layout, first = tags.read_layout(stream)
        present = tags.read_directory(stream, layout, first).entries
        values = found if layout.order == exif_layout.order else tags.swapped(found)
        added = {tag: v for tag, v in values.items() if tag in _DESCRIPTIVE and tag not in present}
        end = stream.seek(0, io.SEEK_END)
        start = end + end % 2
        stream.write(b"\0" * (start - end) + tags.encode_directory(layout, added, at=start, placed=present))
        stream.seek(8 if layout.big else 4)
        stream.write(struct.pack(layout.offset, start))
