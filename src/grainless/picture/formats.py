"""The matrix of picture formats: what each file format keeps and what it loses.

The table in docs/formats.md, the losses told to the user and the writer all come from `FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from grainless.errors import PictureError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from grainless.picture.content import Described

_LONGEST_EXIF = 65_533 - 6
_LONGEST_JPEG_XMP = 65_533 - 29
_LONGEST_BMP = 2**32 - 1 - 14 - 40 - 4 * 256
"""Bytes of its rows: the head counts all bytes of the file in 32 bits, and begins with up to 256 colours."""


@dataclass(frozen=True)
class Format:
    """One row of the matrix."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    bits: int
    """Most bits a whole number can have."""
    floating: bool
    """Whether 32-bit float values can be stored."""
    gray: bool
    """Whether one channel stays one; else gray is stored as three equal channels."""
    alpha: bool
    exact: bool
    """Whether the values come back exactly."""
    icc: bool
    exif: bool
    xmp: bool
    dpi: bool
    longest_side: int | None = None
    """Most pixels of height or width; None where the format sets no limit that matters."""


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format("png", "PNG", (".png",), 16, False, True, True, True, True, True, True, True),
            Format(
                "jpeg",
                "JPEG",
                (".jpg", ".jpeg"),
                8,
                False,
                True,
                False,
                False,
                True,
                True,
                True,
                True,
                65_500,
            ),
            Format("tiff", "TIFF", (".tif", ".tiff"), 16, True, True, True, True, True, True, True, True),
            Format("webp", "WebP", (".webp",), 8, False, False, True, True, True, True, True, True, 16_383),
            Format("avif", "AVIF", (".avif",), 12, False, False, True, True, True, True, True, True, 16_384),
            Format("bmp", "BMP", (".bmp",), 8, False, True, False, True, False, False, False, True),
        )
    }
)
EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {suffix: row.name for row in FORMATS.values() for suffix in row.suffixes}
)


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file's name ends like a picture's; the file itself is not looked at."""
    return Path(path).suffix.lower() in EXTENSIONS


def format_for(path: str | os.PathLike[str]) -> Format:
    """Return the format that a name asks for; raise PictureError when its ending is none of ours."""
    suffix = Path(path).suffix.lower()
    if suffix not in EXTENSIONS:
        raise PictureError(
            f"{path}: the name does not tell a picture format",
            got=f"ending {suffix!r}",
            expected=", ".join(EXTENSIONS),
            remedy="Choose a name with one of these endings",
        )
    return FORMATS[EXTENSIONS[suffix]]


def check_output(path: str | os.PathLike[str], shape: tuple[int, ...], *, quality: int = 95) -> None:
    """Raise PictureError where no picture of such a size can be written under a name, as its writer would.

    `shape` is (height, width) or (height, width, channels), three channels if not told. Nothing is made, and
    the folder need not be there yet: this is for the time before anything is decoded.
    """
    row = format_for(path)
    if not 1 <= quality <= 100:
        raise PictureError("the quality is out of range", got=quality, expected="1 to 100")
    if Path(path).is_dir():
        raise PictureError(f"{path} is a folder", expected="a file name")
    height, width, channels = (*shape, 3)[:3]
    longest = row.longest_side
    if row.name == "bmp" and -(-width * channels // 4) * 4 * height > _LONGEST_BMP:
        expected = "at most 4 GB of values"
    elif longest is not None and max(height, width) > longest:
        expected = f"at most {longest} each way"
    else:
        return
    raise PictureError(
        f"{path}: the picture is too large for {row.title}",
        got=f"{width} x {height} pixels",
        expected=expected,
        remedy="Choose a name ending in .png or .tif",
    )


def stores_icc(row: Format, icc: bytes, channels: int) -> bool:
    """Tell whether a profile can go into a file: it has to be for gray or for RGB as the file is."""
    in_file = channels if row.gray else 3
    return row.icc and icc[16:20] == (b"GRAY" if in_file == 1 else b"RGB ")


def losses(picture: Described, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return in words what writing `picture` under this name would lose, each beginning with the property.

    Raises PictureError when the name's ending is none of ours.
    """
    row = format_for(path)
    return (*_pixel_losses(picture, row), *_metadata_losses(picture, row))


def _pixel_losses(picture: Described, row: Format) -> list[str]:
    dtype = picture.pixels.dtype
    lost = []
    if dtype == np.float32 and not row.floating:
        lost.append(f"depth: 32-bit float is rounded to {row.bits} bits and clipped to 0..1 ({row.title})")
    if dtype == np.uint16 and row.bits < 16:
        lost.append(f"depth: 16 bits are rounded to {row.bits} ({row.title})")
    if picture.pixels.shape[2] == 1 and not row.gray:
        lost.append(f"gray: stored as three equal channels ({row.title})")
    if picture.alpha is not None and not row.alpha:
        lost.append(f"alpha: dropped, the colours stay as they are ({row.title} has none)")
    # A JPEG that stays a JPEG surprises nobody.
    if not row.exact and picture.format != row.name:
        lost.append(f"values: {row.title} compresses with small errors")
    return lost


def _metadata_losses(picture: Described, row: Format) -> list[str]:
    metadata = picture.metadata
    lost = []
    if metadata.icc is not None and not stores_icc(row, metadata.icc, picture.pixels.shape[2]):
        why = "not for this kind of picture" if row.icc else f"{row.title} has none"
        lost.append(f"ICC: the colour profile is dropped ({why})")
    if metadata.exif is not None and not row.exif:
        lost.append(f"EXIF: dropped ({row.title} has none)")
    elif metadata.exif is not None and len(metadata.exif) > _LONGEST_EXIF and row.name != "tiff":
        lost.append("EXIF: entries beyond 64 KB are dropped")
    if metadata.xmp is not None and not row.xmp:
        lost.append(f"XMP: dropped ({row.title} has none)")
    elif metadata.xmp is not None and len(metadata.xmp) > _LONGEST_JPEG_XMP and row.name == "jpeg":
        lost.append("XMP: dropped (JPEG holds at most 64 KB)")
    if metadata.dpi is not None and not row.dpi:
        lost.append(f"DPI: dropped ({row.title} has none)")
    return lost


def formats_table() -> str:
    """Return the matrix as a Markdown table, as it stands in docs/formats.md."""
    head = ["Format", "Endings", "Values", "8 bits", "16 bits", "32-bit float", "Gray", "Alpha"]
    head += ["ICC", "EXIF", "XMP", "DPI", "Longest side"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in FORMATS.values()]
    return "\n".join(lines) + "\n"


def _cells(row: Format) -> tuple[str, ...]:
    def kept(yes: bool) -> str:
        return "kept" if yes else "lost"

    return (
        row.title,
        " ".join(f"`{suffix}`" for suffix in row.suffixes),
        "exact" if row.exact else "small errors",
        "kept",
        "kept" if row.bits == 16 else f"to {row.bits} bits",
        "kept" if row.floating else f"to {row.bits} bits",
        "kept" if row.gray else "as RGB",
        kept(row.alpha),
        kept(row.icc),
        kept(row.exif),
        kept(row.xmp),
        kept(row.dpi),
        f"{row.longest_side:,}" if row.longest_side else "-",
    )
