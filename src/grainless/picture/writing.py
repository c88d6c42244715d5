"""Writing: a Picture to a file that is either whole or not there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from grainless.atomic import unfinished_file
from grainless.errors import PictureError
from grainless.picture import bitmap, depth, exif, libvips, tags
from grainless.picture.formats import Format, check_output, format_for, losses, stores_icc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from grainless.picture.content import Described, Metadata, Picture

VIPS_FORMATS = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
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
    check_output(path, picture.pixels.shape, quality=quality)
    if not all(depth.all_finite(part) for part in (picture.pixels, picture.alpha) if part is not None):
        raise PictureError(f"{path}: the picture holds NaN or infinity", remedy="Nothing was written")
    lost = losses(picture, path)
    with whole_file(path) as unfinished:
        values = file_form(picture.pixels, picture.alpha, row, associated=picture.associated_alpha)
        content = _Arrays(*values, associated=keeps_associated(picture, row))
        return (*lost, *encode(content, picture.metadata, unfinished, row=row, quality=quality))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the temporary name under which a file is to be written, which then gets its own in one step.

    Turns the system's refusals into errors in words, and leaves nothing where there is any error.
    """
    if not path.parent.is_dir():
        raise PictureError(
            f"{path} cannot be written", got="its folder does not exist", remedy="Create it first"
        )
    try:
        # In the same folder, so that the last step is a change of name and not a copy.
        with unfinished_file(path.parent) as unfinished:
            yield unfinished
            _settle(unfinished)
            unfinished.replace(path)
    except OSError as error:
        raise PictureError(
            f"{path} cannot be written",
            # Encoders name the temporary file.
            got=error.strerror or str(error).rpartition(".part: ")[2],
            remedy="Check free space and access rights of its folder",
        ) from error
    except MemoryError as error:
        raise PictureError(
            f"{path} cannot be written", got="not enough memory", remedy="Close other programs"
        ) from error


class Content(Protocol):
    """Values as they stand in a file."""

    channels: int
    """1 or 3."""
    dtype: np.dtype[Any]
    nbytes: int
    """Of all values, those of the alpha too."""
    associated: bool
    """Whether the colours are multiplied by the alpha."""

    def image(self, vips: Any) -> Any:
        """Return the values as an image of libvips, that of a last channel being the alpha's."""

    def pixels(self) -> NDArray[Any]:
        """Return all values but the alpha's."""


class _Arrays:
    """Values in memory."""

    def __init__(self, pixels: NDArray[Any], alpha: NDArray[Any] | None, *, associated: bool) -> None:
        self._pixels, self._alpha = pixels, alpha
        self.channels = pixels.shape[2]
        self.dtype = pixels.dtype
        self.nbytes = pixels.nbytes + (0 if alpha is None else alpha.nbytes)
        self.associated = associated

    def pixels(self) -> NDArray[Any]:
        return self._pixels

    def image(self, vips: Any) -> Any:
        image = _image_of(vips, self._pixels)
        return image if self._alpha is None else image.bandjoin(_image_of(vips, self._alpha[..., None]))


def _image_of(vips: Any, values: NDArray[Any]) -> Any:
    values = np.ascontiguousarray(values)
    height, width, bands = values.shape
    return vips.Image.new_from_memory(values, width, height, bands, VIPS_FORMATS[values.dtype.name])


def keeps_associated(picture: Described, row: Format) -> bool:
    """Return whether a picture's colours go into a file of this format multiplied by its alpha."""
    return row.name == "tiff" and picture.associated_alpha and picture.alpha is not None


def file_form(
    pixels: NDArray[Any], alpha: NDArray[Any] | None, row: Format, *, associated: bool
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return values (height, width, channels) and alpha (height, width) as they stand in a file.

    They may be those of any part of a picture: each pixel is for itself.
    """
    if not row.alpha:
        alpha = None
    if not (row.floating and pixels.dtype == np.float32):
        pixels = depth.reduced(pixels, row.bits)
        alpha = None if alpha is None else depth.reduced(alpha, row.bits)
    if row.name == "tiff" and associated and alpha is not None:
        pixels = depth.multiplied(pixels, alpha)
    return pixels, alpha


def _settle(path: Path) -> None:
    """Have the bytes on the disk before the name points to them."""
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def encode(content: Content, metadata: Metadata, path: Path, *, row: Format, quality: int) -> tuple[str, ...]:
    """Write a file under its temporary name; return the losses that only show while writing.

    Raises OSError.
    """
    if row.name == "bmp":
        bitmap.write_bmp(metadata, content.pixels(), path)
        return ()
    options = _options(row, content, quality)
    lost: tuple[str, ...] = ()
    try:
        _save(metadata, content, path, row, **options)
    except OSError as error:
        # A block that libexif cannot put in order must not cost the picture.
        if metadata.exif is None or not str(error).startswith("exif: "):
            raise
        _save(dataclasses.replace(metadata, exif=None), content, path, row, **options)
        lost = (_EXIF_LOST,)
    if row.name == "tiff":
        lost = _finish_tiff(metadata, path, associated=content.associated)
    return lost


def _save(metadata: Metadata, content: Content, path: Path, row: Format, **options: Any) -> None:
    with libvips.failing_as(OSError) as vips:
        dpi = metadata.dpi or _USUAL_DPI
        gray, deep = content.channels == 1, content.dtype == np.uint16
        meaning = ("grey16" if deep else "b-w") if gray else ("rgb16" if deep else "srgb")
        image = content.image(vips).copy(interpretation=meaning, xres=dpi[0] / 25.4, yres=dpi[1] / 25.4)
        keep = _attach(vips, image, metadata, row)
        vips.Operation.call(_SAVERS[row.name], image, libvips.file_name(path), keep=keep, **options)


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


def _options(row: Format, content: Content, quality: int) -> dict[str, Any]:
    if row.name == "jpeg":
        # Optimal coding tables would save some percent, but hold the whole picture in memory twice more.
        return {"Q": quality, "subsample_mode": "off"}
    if row.name == "tiff":
        predictor = "float" if content.dtype == np.float32 else "horizontal"
        big = content.nbytes > _BIG_TIFF_BYTES
        return {"compression": "deflate", "predictor": predictor, "bigtiff": big}
    if row.name == "webp":
        # Without `exact` the colours under alpha 0 are changed.
        return {"lossless": True, "exact": True, "effort": 1}
    if row.name == "avif":
        bits = 8 if content.dtype == np.uint8 else row.bits
        return {"lossless": True, "compression": "av1", "bitdepth": bits, "effort": 1}
    return {}


def _finish_tiff(metadata: Metadata, path: Path, *, associated: bool) -> tuple[str, ...]:
    """Add to a TIFF what libvips leaves out: EXIF, and that the colours are multiplied by alpha."""
    if associated:
        with path.open("r+b") as stream:
            layout, directory = next(tags.directories(stream))
            stream.seek(directory.entries[338].position)
            stream.write((1).to_bytes(2, "little" if layout.order == "<" else "big"))
    try:
        if metadata.exif is not None:
            exif.add_exif_to_tiff(path, metadata.exif)
    except tags.BrokenTagsError:
        return (_EXIF_LOST,)
    return ()
