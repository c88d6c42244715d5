"""Reading: bytes of a file to a Picture, or one clear error."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from grainless.errors import PictureError, PictureTooLargeError
from grainless.picture import bitmap, depth, exif, inspection, libvips, tags
from grainless.picture.content import MOST_DPI, Metadata, Picture
from grainless.picture.formats import EXTENSIONS, FORMATS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

_LOADERS = {"png": "pngload", "jpeg": "jpegload", "tiff": "tiffload", "webp": "webpload", "avif": "heifload"}
_DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
_BANDS = {
    "b-w": {1, 2},
    "grey16": {1, 2},
    "srgb": {3, 4},
    "rgb": {3, 4},
    "rgb16": {3, 4},
    "scrgb": {3, 4},
    "cmyk": {4},
}
# What libvips answers, in pixels per millimetre, where a TIFF or a PNG tells no density.
_NO_DENSITY = (1.0, 2.834)


def read_picture(path: str | os.PathLike[str], *, max_megapixels: float = 500.0) -> Picture:
    """Read a picture file; its format is told by its bytes, not by its name.

    Pixels come upright, (height, width, 1 or 3), uint8, uint16 or float32, values as encoded, alpha
    straight. Raises PictureError when the file cannot be read, is no picture, is damaged, has several
    pages, is of a kind that is not read, or holds NaN; PictureTooLargeError when it has more than
    `max_megapixels` million pixels, which is checked before anything is decoded.
    """
    path = Path(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Opening a pipe would wait for ever.
            raise PictureError(f"{path} is a pipe or a device", expected="a picture file")
        with path.open("rb") as stream:
            return _read(stream, path, max_megapixels)
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist", remedy="Check the name") from error
    except IsADirectoryError as error:
        raise PictureError(f"{path} is a folder", expected="a picture file") from error
    except PermissionError as error:
        if path.is_dir():  # what Windows answers for a folder
            raise PictureError(f"{path} is a folder", expected="a picture file") from error
        raise PictureError(
            f"{path} may not be read", got="no permission", remedy="Change its access rights"
        ) from error
    except OSError as error:
        raise PictureError(f"{path} cannot be read", got=error.strerror or str(error)) from error
    except MemoryError as error:
        raise PictureError(
            f"{path} does not fit into memory", remedy="Close other programs or lower max_megapixels"
        ) from error


def _read(stream: BinaryIO, path: Path, max_megapixels: float) -> Picture:
    head = stream.read(inspection.HEAD_BYTES)
    if not head:
        raise PictureError(f"{path} is empty", remedy="Get the file from its source again")
    name = inspection.format_of(head, path)
    notes = []
    if EXTENSIONS.get(path.suffix.lower(), name) != name:
        notes.append(f"the name ends in {path.suffix}, the file is {FORMATS[name].title}")
    check_size = _size_check(path, max_megapixels)
    if name == "bmp":
        stream.seek(0)
        values, dpi, found = bitmap.read_bmp(stream, path, check_size)
        pixels, alpha = _parted(values)
        return Picture(pixels, alpha, Metadata(dpi=dpi), name, notes=(*notes, *found))
    findings = inspection.inspect(stream, name, path)
    image = _open(stream, path, name, findings)
    check_size(image.width, image.height)
    _check_kind(image, path, findings)
    notes += [*findings.notes, *_image_notes(image, findings)]
    return _decoded(_Source(stream, path, name, findings), image, notes)


def _size_check(path: Path, max_megapixels: float) -> Callable[[int, int], None]:
    def check(width: int, height: int) -> None:
        megapixels = width * height / 1e6
        if megapixels > max_megapixels:
            raise PictureTooLargeError(
                f"{path} is too large",
                got=f"{width} x {height} = {megapixels:,.1f} megapixels",
                expected=f"at most {max_megapixels:,g} megapixels",
                remedy="Raise max_megapixels if you trust the file and have the memory",
            )

    return check


def _open(stream: BinaryIO, path: Path, name: str, findings: inspection.Findings) -> Any:
    """Read a file's header; the pixels are decoded later, from top to bottom."""
    # "error" also covers files that are cut off, which are else decoded without a word.
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error", "revalidate": True}
    with libvips.decoding(path) as vips:
        if findings.associated_at is None:
            return vips.Operation.call(_LOADERS[name], libvips.file_name(path), **options)
        # libvips divides by alpha and cuts the fraction off, so that multiplying does not lead back.
        # Told that the alpha is straight, it hands the values over as they are.
        stream.seek(0)
        data = bytearray(stream.read())
        struct.pack_into(findings.order + "H", data, findings.associated_at, 2)
        return vips.Operation.call("tiffload_buffer", bytes(data), **options)


def _field(image: Any, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _check_kind(image: Any, path: Path, findings: inspection.Findings) -> None:
    pages = _field(image, "n-pages") or 1
    if pages > findings.pages:
        raise PictureError(
            f"{path} has {pages} pages or frames",
            expected="a single picture",
            remedy="Save the page you want as a file of its own first",
        )
    if image.format not in _DTYPES or image.bands not in _BANDS.get(image.interpretation, ()):
        raise PictureError(
            f"{path} is a picture of a kind that is not read",
            got=f"{image.bands} channels of {image.format} meant as {image.interpretation}",
            expected="gray or RGB with or without alpha, of 8 or 16 bits or 32-bit float",
            remedy="Convert it to PNG or TIFF first",
        )


def _image_notes(image: Any, findings: inspection.Findings) -> list[str]:
    notes = []
    bits = _field(image, "bits-per-sample")
    if _field(image, "palette"):
        notes.append("palette colours became RGB")
    elif image.format == "uchar" and bits in {1, 2, 4} and image.bands < 3:
        notes.append(f"{bits}-bit values became 8-bit gray")
    if findings.has_icc and image.get_typeof("icc-profile-data") == 0:
        notes.append("the colour profile does not fit the kind of picture and is dropped")
    if image.get_typeof("iptc-data") or image.get_typeof("photoshop-data"):
        notes.append("IPTC and Photoshop data are not carried over")
    return notes


@dataclass(frozen=True)
class _Source:
    """The file that is read and what is known of it."""

    stream: BinaryIO
    path: Path
    name: str
    findings: inspection.Findings


def _decoded(source: _Source, image: Any, notes: list[str]) -> Picture:
    path, associated = source.path, source.findings.associated_at is not None
    with libvips.decoding(path):
        if image.interpretation == "cmyk":
            image = _from_cmyk(image)
            notes.append("CMYK was converted to sRGB")
        values = _values(image)
    # libheif turns the pixels itself while loading and leaves the EXIF as it was.
    orientation = _field(image, "orientation") or 1 if source.name != "avif" else 1
    values = upright(values, orientation)
    if orientation != 1:
        notes.append("turned upright")
    if source.name == "avif" and values.dtype == np.uint16:
        depth.expand_bits(values, _field(image, "bits-per-sample") or 16)
    if not depth.all_finite(values):
        raise PictureError(
            f"{path} holds values that are no numbers (NaN or infinity)", remedy="Repair the file first"
        )
    pixels, alpha = _parted(values)
    if associated and alpha is not None:
        pixels = depth.unmultiplied(pixels, alpha)
    metadata = _metadata(source, image, turned=orientation >= 5, notes=notes)
    return Picture(pixels, alpha, metadata, source.name, associated and alpha is not None, tuple(notes))


def _from_cmyk(image: Any) -> Any:
    bits = 16 if image.format == "ushort" else 8
    return image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=bits)


def _values(image: Any) -> NDArray[Any]:
    # The array stands on libvips' own memory: nothing is copied.
    values = np.frombuffer(image.write_to_memory(), _DTYPES[image.format])
    return values.reshape(image.height, image.width, image.bands)


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror (height, width, bands) as an EXIF orientation from 1 to 8 asks for."""
    if orientation >= 5:
        values = values.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        values = values[::-1]
    if orientation in {2, 3, 6, 7}:
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _parted(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    if values.shape[2] in {2, 4}:
        return values[..., :-1], values[..., -1]
    return values, None


def _metadata(source: _Source, image: Any, *, turned: bool, notes: list[str]) -> Metadata:
    block = _field(image, "exif-data")
    if source.name == "tiff":
        block = _exif_of_tiff(source.stream)
    tidy = exif.tidy_exif(block, turned=turned)
    if block and tidy.exif is None:
        notes.append("the EXIF block is damaged and is dropped")
    dpi = tidy.dpi
    if source.name not in {"webp", "avif"} and image.xres not in _NO_DENSITY:
        dpi = (image.xres * 25.4, image.yres * 25.4)
    if dpi is not None and not all(0 < value < MOST_DPI for value in dpi):
        dpi = None
    if dpi is not None and turned:
        dpi = dpi[::-1]
    return Metadata(
        icc=_field(image, "icc-profile-data"),
        exif=tidy.exif,
        xmp=exif.tidy_xmp(_field(image, "xmp-data")),
        dpi=dpi,
    )


def _exif_of_tiff(stream: BinaryIO) -> bytes | None:
    try:
        return exif.exif_of_tiff(stream)
    except tags.BrokenTagsError:
        # Not None, so that the loss is told.
        return b"damaged"
