"""Reading: bytes of a file to a Picture, or one clear error."""

from __future__ import annotations

import contextlib
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
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LOADERS = {"png": "pngload", "jpeg": "jpegload", "tiff": "tiffload", "webp": "webpload", "avif": "heifload"}
DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32}
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
    with opened(path) as stream:
        header = read_header(stream, path, max_megapixels)
        if header.image is None:
            return _read_bmp(header)
        return _decoded(header)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a picture file, and turn the system's refusals into errors in words."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # Opening a pipe would wait for ever.
            raise PictureError(f"{path} is a pipe or a device", expected="a picture file")
        with path.open("rb") as stream:
            yield stream
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


@dataclass(frozen=True)
class Header:
    """A file whose pixels are not decoded yet, and what is known of it."""

    stream: BinaryIO
    path: Path
    name: str
    """Of the format."""
    findings: inspection.Findings
    image: Any
    """Of libvips; None for a BMP."""
    notes: list[str]
    size: tuple[int, int]
    """Width and height as stored."""
    source: Any = None
    """What libvips reads from, which has to live as long as the image."""


def read_header(stream: BinaryIO, path: Path, max_megapixels: float) -> Header:
    """Look into a file; raise PictureError where it is none that is read, or too large."""
    head = stream.read(inspection.HEAD_BYTES)
    if not head:
        raise PictureError(f"{path} is empty", remedy="Get the file from its source again")
    name = inspection.format_of(head, path)
    notes = []
    if EXTENSIONS.get(path.suffix.lower(), name) != name:
        notes.append(f"the name ends in {path.suffix}, the file is {FORMATS[name].title}")
    if name == "bmp":
        size = bitmap.bmp_size(stream, path)
        _check_size(path, size, max_megapixels)
        return Header(stream, path, name, inspection.Findings(whole="a BMP"), None, notes, size)
    findings = inspection.inspect(stream, name, path)
    image, source = _open(stream, path, name, findings)
    size = image.width, image.height
    _check_size(path, size, max_megapixels)
    _check_kind(image, path, findings)
    notes += [*findings.notes, *_image_notes(image, findings, name)]
    return Header(stream, path, name, findings, image, notes, size, source)


def _check_size(path: Path, size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise PictureTooLargeError(
            f"{path} is too large",
            got=f"{width} x {height} = {megapixels:,.1f} megapixels",
            expected=f"at most {max_megapixels:,g} megapixels",
            remedy="Raise max_megapixels if you trust the file and have the memory",
        )


def _read_bmp(header: Header) -> Picture:
    values, dpi, found = bitmap.read_bmp(header.stream, header.path)
    pixels, alpha = _parted(values)
    return Picture(pixels, alpha, Metadata(dpi=dpi), header.name, notes=(*header.notes, *found))


def _open(stream: BinaryIO, path: Path, name: str, findings: inspection.Findings) -> tuple[Any, Any]:
    """Read a file's header and return its image and its source; the pixels are decoded later, downwards."""
    # "error" also covers files that are cut off, which are else decoded without a word.
    options: dict[str, Any] = {"access": "sequential", "fail_on": "error", "revalidate": True}
    if name == "tiff":
        # Else files with large strips are refused: libtiff takes their buffers for an attack.
        options["unlimited"] = True
    with libvips.decoding(path) as vips:
        if findings.associated_at is None and name != "jpeg":
            return vips.Operation.call(_LOADERS[name], libvips.file_name(path), **options), None
        # By name libvips maps a whole JPEG into memory. A TIFF's colours it divides by alpha and cuts the
        # fraction off, so that multiplying does not lead back: told that the alpha is straight, it hands the
        # values over as they are.
        straight = struct.pack(findings.order + "H", 2)
        patch = None if findings.associated_at is None else (findings.associated_at, straight)
        source = libvips.file_source(stream, patch=patch)
        return vips.Operation.call(f"{_LOADERS[name]}_source", source, **options), source


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
    if image.format not in DTYPES or image.bands not in _BANDS.get(image.interpretation, ()):
        raise PictureError(
            f"{path} is a picture of a kind that is not read",
            got=f"{image.bands} channels of {image.format} meant as {image.interpretation}",
            expected="gray or RGB with or without alpha, of 8 or 16 bits or 32-bit float",
            remedy="Convert it to PNG or TIFF first",
        )


def _image_notes(image: Any, findings: inspection.Findings, name: str) -> list[str]:
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
    if image.interpretation == "cmyk":
        notes.append("CMYK was converted to sRGB")
    if name != "avif" and (_field(image, "orientation") or 1) != 1:
        notes.append("turned upright")
    return notes


def _decoded(header: Header) -> Picture:
    path, name = header.path, header.name
    with libvips.decoding(path):
        image = in_rgb(header)
        values = _values(image)
    values = upright(values, orientation_of(header))
    if name == "avif" and values.dtype == np.uint16:
        depth.expand_bits(values, _field(image, "bits-per-sample") or 16)
    check_finite(values, path)
    pixels, alpha = _parted(values)
    associated = header.findings.associated_at is not None and alpha is not None
    if associated and alpha is not None:
        pixels = depth.unmultiplied(pixels, alpha)
    metadata = metadata_of(header, image)
    return Picture(pixels, alpha, metadata, name, associated, tuple(header.notes))


def orientation_of(header: Header) -> int:
    """Return how the stored pixels are turned, 1 to 8 as in EXIF."""
    # libheif turns the pixels itself while loading and leaves the EXIF as it was.
    return _field(header.image, "orientation") or 1 if header.name != "avif" else 1


def check_finite(values: NDArray[Any], path: Path) -> None:
    """Raise PictureError for NaN and infinity."""
    if not depth.all_finite(values):
        raise PictureError(
            f"{path} holds values that are no numbers (NaN or infinity)", remedy="Repair the file first"
        )


def in_rgb(header: Header) -> Any:
    """Return the image of a header, its inks turned into sRGB."""
    return _from_cmyk(header.image) if header.image.interpretation == "cmyk" else header.image


def _from_cmyk(image: Any) -> Any:
    bits = 16 if image.format == "ushort" else 8
    return image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=bits)


def _values(image: Any) -> NDArray[Any]:
    # The array stands on libvips' own memory: nothing is copied.
    values = np.frombuffer(image.write_to_memory(), DTYPES[image.format])
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


def metadata_of(header: Header, image: Any) -> Metadata:
    """Return what goes with a picture; what is damaged is noted in the header."""
    name, turned = header.name, orientation_of(header) >= 5
    block = _exif_of_tiff(header.stream) if name == "tiff" else _field(image, "exif-data")
    tidy = exif.tidy_exif(block, turned=turned)
    if block and tidy.exif is None:
        header.notes.append("the EXIF block is damaged and is dropped")
    dpi = tidy.dpi
    if name not in {"webp", "avif"} and image.xres not in _NO_DENSITY:
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
