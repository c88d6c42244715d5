"""Writing: a Picture to a file that is either whole or not there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainless.errors import PictureError
from grainless.picture import bitmap, depth, exif, libvips, tags
from grainless.picture.formats import Format, format_for, losses, stores_icc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grainless.picture.content import Metadata, Picture

_FORMATS = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
_SAVERS = {"png": "pngsave", "jpeg": "jpegsave", "tiff": "tiffsave", "webp": "webpsave", "avif": "heifsave"}
# Readers take 72 for granted where a file does not tell; libvips would write 25.4.
_USUAL_DPI = (72.0, 72.0)
_BIG_TIFF_BYTES = 3_500_000_000
_EXIF_LOST = "EXIF: dropped, the block is damaged"


def write_picture(picture: Picture, path: str | os.PathLike[str], *, quality: int = 95) -> tuple[str, ...]:
    """Write a picture in the format that the name's ending tells and return what was lost, in words.

    `quality` from 1 to 100 is JPEG's; all other formats are written without loss of values. The file
    appears whole or not at all; one that stands there is replaced. Raises PictureError when the name,
    the size or the values do not fit, or the file cannot be written.
    """
    path = Path(path)
    row = format_for(path)
    _check(picture, path, row, quality)
    lost = losses(picture, path)
    # In the same folder, so that the last step is a change of name and not a copy.
    unfinished = path.with_name(f".grainless-{secrets.token_hex(6)}.part")
    try:
        lost += _encode(picture, unfinished, row, quality)
        _settle(unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise PictureError(
            f"{path} cannot be written",
            got=error.strerror or str(error).removeprefix(f"{unfinished}: "),
            remedy="Check free space and access rights of its folder",
        ) from error
    except MemoryError as error:
        raise PictureError(
            f"{path} cannot be written", got="not enough memory", remedy="Close other programs"
        ) from error
    finally:
        # Where nothing can be written, nothing can be deleted either; that must not hide the reason.
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return lost


def _check(picture: Picture, path: Path, row: Format, quality: int) -> None:
    if not 1 <= quality <= 100:
        raise PictureError("the quality is out of range", got=quality, expected="1 to 100")
    if path.is_dir():
        raise PictureError(f"{path} is a folder", expected="a file name")
    if not path.parent.is_dir():
        raise PictureError(
            f"{path} cannot be written", got="its folder does not exist", remedy="Create it first"
        )
    height, width = picture.pixels.shape[:2]
    if row.longest_side is not None and max(height, width) > row.longest_side:
        raise PictureError(
            f"{path}: the picture is too large for {row.title}",
            got=f"{width} x {height} pixels",
            expected=f"at most {row.longest_side} each way",
            remedy="Choose a name ending in .png or .tif",
        )
    if not all(depth.all_finite(part) for part in (picture.pixels, picture.alpha) if part is not None):
        raise PictureError(f"{path}: the picture holds NaN or infinity", remedy="Nothing was written")


def _settle(path: Path) -> None:
    """Have the bytes on the disk before the name points to them."""
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def _encode(picture: Picture, path: Path, row: Format, quality: int) -> tuple[str, ...]:
    """Write the file under its temporary name; return the losses that only show while writing."""
    pixels, alpha = picture.pixels, picture.alpha if row.alpha else None
    if not (row.floating and pixels.dtype == np.float32):
        pixels = depth.reduced(pixels, row.bits)
        alpha = None if alpha is None else depth.reduced(alpha, row.bits)
    if row.name == "bmp":
        bitmap.write_bmp(picture, pixels, path)
        return ()
    associated = row.name == "tiff" and picture.associated_alpha and alpha is not None
    if associated and alpha is not None:
        pixels = depth.multiplied(pixels, alpha)
    options = _options(row, pixels, quality)
    lost: tuple[str, ...] = ()
    try:
        _save(picture.metadata, (pixels, alpha), path, row, **options)
    except OSError as error:
        # A block that libexif cannot put in order must not cost the picture.
        if picture.metadata.exif is None or not str(error).startswith("exif: "):
            raise
        without = dataclasses.replace(picture.metadata, exif=None)
        _save(without, (pixels, alpha), path, row, **options)
        lost = (_EXIF_LOST,)
    if row.name == "tiff":
        lost = _finish_tiff(picture, path, associated=associated)
    return lost


def _save(
    metadata: Metadata,
    values: tuple[NDArray[Any], NDArray[Any] | None],
    path: Path,
    row: Format,
    **options: Any,
) -> None:
    with libvips.failing_as(OSError) as vips:
        image = _image(vips, *values, metadata.dpi or _USUAL_DPI)
        keep = _attach(vips, image, metadata, row)
        vips.Operation.call(_SAVERS[row.name], image, libvips.file_name(path), keep=keep, **options)


def _image(vips: Any, pixels: NDArray[Any], alpha: NDArray[Any] | None, dpi: tuple[float, float]) -> Any:
    def of(values: NDArray[Any]) -> Any:
        values = np.ascontiguousarray(values)
        height, width, bands = values.shape
        kind = _FORMATS[values.dtype.name]
        return vips.Image.new_from_memory(values, width, height, bands, kind)

    image = of(pixels)
    if alpha is not None:
        image = image.bandjoin(of(alpha[..., None]))
    gray, deep = pixels.shape[2] == 1, pixels.dtype == np.uint16
    meaning = ("grey16" if deep else "b-w") if gray else ("rgb16" if deep else "srgb")
    return image.copy(interpretation=meaning, xres=dpi[0] / 25.4, yres=dpi[1] / 25.4)


def _attach(vips: Any, image: Any, metadata: Metadata, row: Format) -> str:
    """Put the metadata on an image; return which kinds of it the saver is to keep."""
    keep = ["other"]
    if metadata.icc is not None and stores_icc(row, metadata.icc, 1 if image.bands < 3 else 3):
        image.set_type(vips.GValue.blob_type, "icc-profile-data", metadata.icc)
        keep.append("icc")
    if metadata.xmp is not None:
        image.set_type(vips.GValue.blob_type, "xmp-data", metadata.xmp)
        keep.append("xmp")
    if row.name != "tiff" and metadata.exif is not None:
        block = exif.with_density(metadata.exif, metadata.dpi) if metadata.dpi else metadata.exif
        image.set_type(vips.GValue.blob_type, "exif-data", b"Exif\0\0" + block)
        keep.append("exif")
    elif row.name in {"jpeg", "webp", "avif"} and metadata.dpi is not None:
        # These three take the density from an EXIF block, which libvips makes where there is none.
        keep.append("exif")
    return "|".join(keep)


def _options(row: Format, pixels: NDArray[Any], quality: int) -> dict[str, Any]:
    if row.name == "jpeg":
        # Optimal coding tables would save some percent, but hold the whole picture in memory twice more.
        return {"Q": quality, "subsample_mode": "off"}
    if row.name == "tiff":
        predictor = "float" if pixels.dtype == np.float32 else "horizontal"
        big = pixels.nbytes > _BIG_TIFF_BYTES
        return {"compression": "deflate", "predictor": predictor, "bigtiff": big}
    if row.name == "webp":
        # Without `exact` the colours under alpha 0 are changed.
        return {"lossless": True, "exact": True, "effort": 1}
    if row.name == "avif":
        bits = 8 if pixels.dtype == np.uint8 else row.bits
        return {"lossless": True, "compression": "av1", "bitdepth": bits, "effort": 1}
    return {}


def _finish_tiff(picture: Picture, path: Path, *, associated: bool) -> tuple[str, ...]:
    """Add to a TIFF what libvips leaves out: EXIF, and that the colours are multiplied by alpha."""
    if associated:
        with path.open("r+b") as stream:
            layout, directory = next(tags.directories(stream))
            stream.seek(directory.entries[338].position)
            stream.write((1).to_bytes(2, "little" if layout.order == "<" else "big"))
    try:
        if picture.metadata.exif is not None:
            exif.add_exif_to_tiff(path, picture.metadata.exif)
    except tags.BrokenTagsError:
        return (_EXIF_LOST,)
    return ()
