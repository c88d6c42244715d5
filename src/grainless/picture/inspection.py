"""What the bytes of a file tell before anything is decoded: its true format, and reasons to refuse it."""

from __future__ import annotations

import codecs
import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from grainless.errors import PictureError
from grainless.picture import tags
from grainless.picture.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD_BYTES = 64
_ACCEPTED = ", ".join(row.title for row in FORMATS.values())
_ONE_PAGE = "Save the page you want as a file of its own first"
_CONVERT = "Convert it to PNG or TIFF first"

_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (8, b"WEBP", "webp"),
)
_FOREIGN = (
    (0, b"GIF8", "a GIF picture"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"FUJIFILM", "a camera's raw file"),
    (0, b"IIRO", "a camera's raw file"),
    (0, b"IIU\0", "a camera's raw file"),
)
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True)
class Findings:
    """What the reader has to know of a file beside its pixels."""

    notes: tuple[str, ...] = ()
    associated_at: int | None = None
    """Where a TIFF states that its colours are multiplied by alpha; None where they are not."""
    order: str = "<"
    """Byte order of the TIFF, as in struct."""
    pages: int = 1
    """Pages that the decoder may count because they were looked at here."""
    has_icc: bool = False
    """Whether a PNG holds a colour profile, also one that the decoder drops."""
    whole: str | None = None
    """In words, why the decoder has to hold the whole picture; None where it goes from top to bottom."""
    rows: int = 0
    """Rows that a TIFF's decoder has to hold at once, those of a tile or of a compressed strip."""


def format_of(head: bytes, path: Path) -> str:
    """Return the format that the first bytes of a file tell; raise PictureError when it is none of ours."""
    for at, mark, name in _SIGNATURES:
        if head[at : at + len(mark)] == mark:
            return name
    if head[4:8] == b"ftyp":
        return _heif_brand(head, path)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    for at, mark, kind in _FOREIGN:
        if head[at : at + len(mark)] == mark:
            raise PictureError(
                f"{path} is {kind}, which is not read", expected=f"one of {_ACCEPTED}", remedy=_CONVERT
            )
    what = "it holds text" if _is_text(head) else "its first bytes are those of no known format"
    raise PictureError(
        f"{path} is not a picture: {what}",
        expected=f"one of {_ACCEPTED}",
        remedy="Check whether the file was renamed or is damaged",
    )


def _is_text(head: bytes) -> bool:
    try:
        # Not the plain decoder: the last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(character.isprintable() or character in "\t\r\n" for character in text)


def _heif_brand(head: bytes, path: Path) -> str:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, size - 3, 4))]
    if brands[0] == b"avis":
        raise PictureError(f"{path} is an animated AVIF", expected="a still picture", remedy=_ONE_PAGE)
    if b"avif" in brands:
        return "avif"
    kind = "a HEIC picture" if {b"heic", b"heix", b"mif1", b"msf1", b"hevc"} & set(brands) else "a video"
    raise PictureError(
        f"{path} is {kind}, which is not read", expected=f"one of {_ACCEPTED}", remedy=_CONVERT
    )


def inspect(stream: BinaryIO, name: str, path: Path) -> Findings:
    """Look into a file of format `name`; raise PictureError when it is of a kind that is refused."""
    inspectors: dict[str, Callable[[BinaryIO, Path], Findings]] = {
        "png": _inspect_png,
        "jpeg": _inspect_jpeg,
        "tiff": inspect_tiff,
    }
    if name not in inspectors:
        return Findings()
    try:
        return inspectors[name](stream, path)
    except tags.BrokenTagsError as error:
        raise PictureError(
            f"{path} is damaged: {error}", remedy="Get the file from its source again"
        ) from error


_PNG_INTERLACE = 28
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def _inspect_png(stream: BinaryIO, path: Path) -> Findings:
    stream.seek(8)
    chunks = set()
    while len(head := stream.read(8)) == 8 and head[4:] not in {b"IDAT", b"IEND"}:
        chunks.add(head[4:])
        stream.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    if b"acTL" in chunks:
        raise PictureError(f"{path} is an animated PNG", expected="a still picture", remedy=_ONE_PAGE)
    notes = ("the transparent colour became an alpha channel",) if b"tRNS" in chunks else ()
    stream.seek(_PNG_INTERLACE)
    whole = "an interlaced PNG" if stream.read(1) == b"\1" else None
    return Findings(notes=notes, has_icc=b"iCCP" in chunks, whole=whole)


def _jpeg_segments(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    stream.seek(2)
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF and head[1] != 0xDA:
        length = int.from_bytes(head[2:], "big") - 2
        if length < 0:
            return
        yield head[1], stream.read(length)


def _inspect_jpeg(stream: BinaryIO, path: Path) -> Findings:
    notes: tuple[str, ...] = ()
    whole = None
    for marker, payload in _jpeg_segments(stream):
        if marker == 0xE2 and payload.startswith(b"MPF\0") and not notes:
            notes = _inspect_pictures_of_jpeg(payload[4:], path)
        if marker in _JPEG_PROGRESSIVE:
            whole = "a progressive JPEG"
    return Findings(notes, whole=whole)


def _inspect_pictures_of_jpeg(index: bytes, path: Path) -> tuple[str, ...]:
    # CIPA DC-007: entries of 16 bytes, of which the first four hold the kind of picture.
    stream = io.BytesIO(index)
    layout, first = tags.read_layout(stream)
    table = tags.read_directory(stream, layout, first).entries.get(0xB002)
    raw = tags.raw_value(stream, table) if table else b""
    raw = raw[: len(raw) // 16 * 16]
    kinds = [attribute & 0xFFFFFF for (attribute,) in struct.iter_unpack(layout.order + "L12x", raw)]
    if any(kind >> 16 == 2 for kind in kinds):
        raise PictureError(
            f"{path} holds {len(kinds)} pictures of equal rank (stereo or panorama)",
            expected="one picture",
            remedy=_ONE_PAGE,
        )
    if len(kinds) > 1:
        return ("a preview or gain map inside the file is left out",)
    return ()


_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _EXTRA_SAMPLES = 262, 258, 339, 338
_COMPRESSION, _ROWS_PER_STRIP, _TILE_HEIGHT, _HEIGHT, _PLANES = 259, 278, 323, 257, 284
_NEW_SUBFILE, _OLD_SUBFILE, _DNG_VERSION = 254, 255, 50706
_COLOUR_MODES = {8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32844: "LogL", 32845: "LogLuv"}
_RAW_MODES = frozenset({32803, 34892})


def inspect_tiff(stream: BinaryIO, path: Path) -> Findings:
    """Read the tags of a TIFF; raise PictureError when its first page is not the one picture in it."""
    walk = tags.directories(stream)
    layout, first = next(walk, (None, None))
    if layout is None or first is None:
        raise tags.BrokenTagsError("the TIFF has no page")
    facts = _TiffFacts(stream, layout, first)
    if facts.is_reduced(first) or _DNG_VERSION in first.entries or facts.number(_PHOTOMETRIC) in _RAW_MODES:
        raise PictureError(
            f"{path} is a camera's raw file, which is not read",
            expected=f"one of {_ACCEPTED}",
            remedy="Develop it with a raw converter first",
        )
    _refuse_values(facts, path)
    rest = [facts.is_reduced(directory) for _, directory in walk]
    if not all(rest):
        raise PictureError(
            f"{path} has {1 + rest.count(False)} pages", expected="a single picture", remedy=_ONE_PAGE
        )
    notes = list(_tiff_notes(facts))
    if rest or 330 in first.entries:
        notes.append("the reduced copies inside the file are left out")
    extra = first.entries.get(_EXTRA_SAMPLES)
    associated = extra.position if extra and facts.numbers(_EXTRA_SAMPLES)[:1] == (1,) else None
    return Findings(tuple(notes), associated, layout.order, pages=1 + len(rest), rows=_rows_held(facts))


class _TiffFacts:
    """The numbers of a TIFF's first directory, with the defaults of the standard."""

    def __init__(self, stream: BinaryIO, layout: tags.Layout, first: tags.Directory) -> None:
        self._stream, self._layout, self._first = stream, layout, first

    def numbers(self, tag: int) -> tuple[int, ...]:
        return tags.integers(self._stream, self._layout, self._first.entries.get(tag))

    def number(self, tag: int, default: int = 0) -> int:
        return (self.numbers(tag) or (default,))[0]

    def is_reduced(self, directory: tags.Directory) -> bool:
        new = tags.integers(self._stream, self._layout, directory.entries.get(_NEW_SUBFILE))
        old = tags.integers(self._stream, self._layout, directory.entries.get(_OLD_SUBFILE))
        return bool(new and new[0] & 1) or old[:1] == (2,)


def _rows_held(facts: _TiffFacts) -> int:
    tile = facts.number(_TILE_HEIGHT)
    if tile:
        return tile
    compressed = facts.number(_COMPRESSION, 1) != 1
    height = facts.number(_HEIGHT)
    return min(facts.number(_ROWS_PER_STRIP, height), height) if compressed else 0


def _refuse_values(facts: _TiffFacts, path: Path) -> None:
    bits, kind, mode = facts.number(_BITS, 1), facts.number(_SAMPLE_FORMAT, 1), facts.number(_PHOTOMETRIC)
    names = {2: "signed whole numbers", 5: "complex whole numbers", 6: "complex numbers"}
    found = None
    if mode in _COLOUR_MODES:
        found = f"{_COLOUR_MODES[mode]} colour"
    elif kind in names:
        found = names[kind]
    elif (kind == 3 and bits not in {16, 32}) or (kind != 3 and bits not in {1, 2, 4, 8, 16}):
        found = f"{bits}-bit {'float' if kind == 3 else 'whole'} numbers"
    if facts.number(_PLANES, 1) == 2 and facts.number(_TILE_HEIGHT):
        raise PictureError(
            f"{path} has a tile of its own for each channel, which is not read",
            expected="strips, or tiles that hold all channels",
            remedy=_CONVERT,
        )
    if found:
        raise PictureError(
            f"{path} holds values of a kind that is not read",
            got=found,
            expected="gray or RGB of 8 or 16 bits or 32-bit float",
            remedy=_CONVERT,
        )


def _tiff_notes(facts: _TiffFacts) -> Iterator[str]:
    if facts.number(_PHOTOMETRIC) == 0:
        yield "gray that counts from white was turned to count from black"
    if facts.number(_PHOTOMETRIC) == 3:
        yield "palette colours became RGB"
    if facts.number(_SAMPLE_FORMAT, 1) == 3 and facts.number(_BITS, 1) == 16:
        yield "16-bit float became 32-bit float"
    if facts.numbers(_EXTRA_SAMPLES)[:1] == (0,):
        yield "a further channel of unstated meaning is handed on as alpha"
