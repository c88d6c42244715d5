"""Pictures that lie in a file of plain values while they are worked on, as large as the disk allows.

A decoder goes through the file once, from top to bottom, and its values go straight to the disk; whatever
compression, tiles or strips the file has, any box of it can then be read at once. All values are those that
`read_picture` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainless.errors import PictureError
from grainless.picture import depth, libvips
from grainless.picture.content import Metadata, Picture
from grainless.picture.reading import (
    DTYPES,
    Header,
    check_finite,
    in_rgb,
    metadata_of,
    opened,
    orientation_of,
    read_header,
    read_picture,
    upright,
)
from grainless.planes import ArrayPlane, Channels, FilePlane, NewPlane, Plane, ScratchFile, on_disk, strips
from grainless.tiling import Box

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

_DECODER = 40 * 2**20
"""Bytes that a decoder takes for itself, and per row of values that it goes on with: both were measured."""
_DECODER_ROWS = 1600
_HELD_ROWS = 3
"""So often a decoder of TIFF has the rows of a tile or of a strip in memory."""
_WHOLE_BYTES = {"png": 1.1, "jpeg": 2.2, "webp": 4.7, "avif": 9.5, "bmp": 4.0}
"""Bytes per byte of values that decoders take which hold the whole picture; measured with 8-bit RGB."""


@dataclass(frozen=True)
class PictureFacts:
    """What the head of a picture file tells."""

    format: str
    height: int
    """Of the upright picture."""
    width: int
    channels: int
    """Those of the alpha too."""
    dtype: np.dtype[Any]
    whole: str | None
    """In words, why it has to be decoded as a whole; None where it can be decoded from top to bottom."""
    decoding: int
    """Bytes of memory that decoding takes, about, when the values go to the disk."""

    @property
    def colours(self) -> int:
        """Channels without the alpha, 1 or 3."""
        return 1 if self.channels < 3 else 3

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return self.height * self.width * self.channels * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class StoredPicture:
    """A picture whose values are on the disk, as long as it lives; else like `Picture`."""

    pixels: Plane
    """`(height, width, channels)`."""
    alpha: Plane | None
    """`(height, width, 1)`."""
    metadata: Metadata
    format: str
    associated_alpha: bool
    notes: tuple[str, ...]
    new: NewPlane
    """Makes further planes on the same disk."""

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        height, width, channels = self.pixels.shape
        return height * width * (channels + (self.alpha is not None)) * self.pixels.dtype.itemsize

    def boxes(self, rows: list[range], columns: list[range]) -> Picture:
        """Return a picture in memory that is put together of boxes at all these rows and columns."""

        def read(plane: Plane) -> NDArray[Any]:
            bands = [
                [plane.read(Box(row.start, column.start, row.stop, column.stop)) for column in columns]
                for row in rows
            ]
            return np.concatenate([np.concatenate(band, axis=1) for band in bands])

        alpha = None if self.alpha is None else read(self.alpha)[..., 0]
        return Picture(
            read(self.pixels), alpha, self.metadata, self.format, self.associated_alpha, self.notes
        )


AnyPicture = Picture | StoredPicture
"""A picture, wherever its values are."""


def look_at(path: str | os.PathLike[str], *, max_megapixels: float = np.inf) -> PictureFacts:
    """Return what the head of a file tells; raises PictureError as `read_picture` does."""
    path = Path(path)
    with opened(path) as stream:
        return _facts(read_header(stream, path, max_megapixels))


def _facts(header: Header) -> PictureFacts:
    image, whole = header.image, header.findings.whole
    if header.name in {"webp", "avif"}:
        whole = "a WebP" if header.name == "webp" else "an AVIF"
    width, height = header.size
    channels = 3
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if image is not None:
        channels, dtype = image.bands, np.dtype(DTYPES[image.format])
        if image.interpretation == "cmyk":
            channels = 3
        if orientation_of(header) >= 5:
            width, height = height, width
    row = header.size[0] * channels * dtype.itemsize
    decoding = _DECODER + _DECODER_ROWS * row + _HELD_ROWS * header.findings.rows * row
    if whole is not None:
        decoding += int(_WHOLE_BYTES[header.name] * row * header.size[1])
    return PictureFacts(header.name, height, width, channels, dtype, whole, decoding)


def store_picture(path: str | os.PathLike[str], folder: Path) -> StoredPicture:
    """Decode a file into a scratch file in `folder`; the values are those of `read_picture`.

    Raises PictureError as that does, whatever the size, and where the disk is full.
    """
    path = Path(path)
    new = on_disk(folder)
    with opened(path) as stream:
        header = read_header(stream, path, np.inf)
        if header.name not in {"bmp", "avif"}:
            return _stored(header, folder, new)
    # These two need more than values in their order.
    return _moved(read_picture(path, max_megapixels=np.inf), new)


def _stored(header: Header, folder: Path, new: NewPlane) -> StoredPicture:
    path, file = header.path, ScratchFile(folder)
    with libvips.decoding(path) as vips:
        image = in_rgb(header)
        target = vips.Target.new_to_descriptor(file.descriptor)
        vips.Operation.call("rawsave_target", image, target)
    plane = FilePlane(file, (image.height, image.width, image.bands), np.dtype(DTYPES[image.format]))
    if file.size != image.height * image.width * image.bands * plane.dtype.itemsize:
        raise PictureError(f"{path} cannot be decoded", got="too few values", remedy="The file is damaged")
    associated = header.findings.associated_at is not None and image.bands in {2, 4}
    _finish(plane, path, associated=associated)
    values = _upright(plane, orientation_of(header))
    pixels, alpha = _parted(values)
    metadata = metadata_of(header, image)
    return StoredPicture(pixels, alpha, metadata, header.name, associated, tuple(header.notes), new)


def _finish(plane: FilePlane, path: Path, *, associated: bool) -> None:
    """Refuse values that are no numbers, and divide colours by alpha, in place."""
    if plane.dtype.kind == "u" and not associated:
        return
    for strip in strips(plane):
        values = plane.read(strip)
        check_finite(values, path)
        if associated:
            colours, alpha = values[..., :-1], values[..., -1]
            plane.write(strip, np.dstack([depth.unmultiplied(colours, alpha), alpha]))


def _parted(values: Plane) -> tuple[Plane, Plane | None]:
    if values.shape[2] in {2, 4}:
        return Channels(values, slice(None, -1)), Channels(values, slice(-1, None))
    return values, None


def _moved(picture: Picture, new: NewPlane) -> StoredPicture:
    """Move a picture in memory to the disk."""

    def move(values: NDArray[Any]) -> Plane:
        source = ArrayPlane(values)
        height, width, channels = values.shape
        plane = new((height, width, channels), values.dtype)
        for strip in strips(source):
            plane.write(strip, source.read(strip))
        return plane

    alpha = None if picture.alpha is None else move(picture.alpha[..., None])
    return StoredPicture(
        move(picture.pixels),
        alpha,
        picture.metadata,
        picture.format,
        picture.associated_alpha,
        picture.notes,
        new,
    )


def _upright(plane: Plane, orientation: int) -> Plane:
    return plane if orientation == 1 else _Turned(plane, orientation)


class _Turned:
    """A plane as an EXIF orientation from 2 to 8 asks for."""

    def __init__(self, stored: Plane, orientation: int) -> None:
        self._stored = stored
        self._orientation = orientation
        height, width, channels = stored.shape
        self.shape = (width, height, channels) if orientation >= 5 else (height, width, channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._stored.dtype

    def read(self, box: Box) -> NDArray[Any]:
        height, width = self.shape[:2]
        top, bottom, left, right = box.top, box.bottom, box.left, box.right
        if self._orientation in {3, 4, 7, 8}:
            top, bottom = height - bottom, height - top
        if self._orientation in {2, 3, 6, 7}:
            left, right = width - right, width - left
        if self._orientation >= 5:
            top, left, bottom, right = left, top, right, bottom
        return upright(self._stored.read(Box(top, left, bottom, right)), self._orientation)
