"""Results that are written box by box, in any order, and encoded when all of them are there.

The boxes go into an uncompressed BigTIFF without a name, which libvips reads from top to bottom while it
encodes: so every format is written as `write_picture` does it, byte by byte the same.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainless.picture import libvips, tags
from grainless.picture.content import Described
from grainless.picture.formats import format_for, losses
from grainless.picture.writing import check_output, encode, file_form, keeps_associated, whole_file
from grainless.planes import Channels, FilePlane, ScratchFile
from grainless.tiling import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grainless.picture.formats import Format

_LAYOUT = tags.Layout("<" if sys.byteorder == "little" else ">", big=True)
_HEAD = 16
_STRIP_ROWS = 8
_ENCODER = 40 * 2**20
"""Bytes that an encoder takes for itself, and per row of values that it goes on with: both were measured."""
_ENCODER_ROWS = 1200
_WHOLE_BYTES = {"webp": 15, "avif": 17, "bmp": 3}
"""Bytes per byte of the values, that encoders take which hold the whole picture; measured with RGB of 8 bits."""


class ResultFile:
    """A result on the disk, as large as the disk allows, and what it will be written as."""

    def __init__(self, picture: Described, size: tuple[int, int], path: Path, *, quality: int = 95) -> None:
        """Take the picture that it is the result of, its own height and width, and the name it will get.

        Raises PictureError where such a picture cannot be written under that name, and OSError.
        """
        check_output(path, size, quality)
        self._metadata = picture.metadata
        self._path = path
        self._quality = quality
        self._row = row = format_for(path)
        self._losses = losses(picture, path)
        self.associated = keeps_associated(picture, row)
        one = np.zeros((1, 1, picture.pixels.shape[2]), picture.pixels.dtype)
        form, alpha = self._form(one, None if picture.alpha is None else one[..., 0])
        self.channels, self.dtype = form.shape[2], form.dtype
        self._bands = self.channels + (alpha is not None)
        self.size = size
        self._file = ScratchFile(path.parent)
        shape = (*size, self._bands)
        self._at = _write_head(self._file, shape, self.dtype, alpha=alpha is not None)
        self._plane = FilePlane(self._file, shape, self.dtype, at=self._at)
        self._source: Any = None

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        height, width = self.size
        return height * width * self._bands * self.dtype.itemsize

    def write(self, box: Box, pixels: NDArray[Any], alpha: NDArray[Any] | None) -> None:
        """Put values `(h, w, channels)` and their alpha `(h, w, 1)` at a box of the result."""
        values, cover = self._form(pixels, None if alpha is None else alpha[..., 0])
        self._plane.write(box, values if cover is None else np.dstack([values, cover]))

    def save(self) -> tuple[str, ...]:
        """Write the file, whole or not at all; return what was lost. Raises PictureError."""
        with whole_file(self._path) as unfinished:
            lost = encode(self, self._metadata, unfinished, row=self._row, quality=self._quality)
        return (*self._losses, *lost)

    def pixels(self) -> NDArray[Any]:
        """Return all values but the alpha's, in memory."""
        return Channels(self._plane, slice(0, self.channels)).read(Box(0, 0, *self.size))

    def image(self, vips: Any) -> Any:
        """Return all values as an image of libvips that is read once, from top to bottom."""
        self._source = libvips.source(self._file.read, self._at + self.nbytes)
        options = {"access": "sequential", "unlimited": True}
        image = vips.Operation.call("tiffload_source", self._source, **options).copy()
        # What libvips tells of the scratch file must not go into the result.
        for name in ("n-pages", "bits-per-sample", "orientation", "resolution-unit"):
            image.remove(name)
        return image

    def _form(
        self, pixels: NDArray[Any], alpha: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        return file_form(pixels, alpha, self._row, associated=self.associated)


def encoding_bytes(row: Format, facts_nbytes: int, row_bytes: int) -> int:
    """Return the bytes of memory that writing a format takes, about, of values that are on the disk."""
    whole = int(_WHOLE_BYTES.get(row.name, 0) * facts_nbytes)
    return _ENCODER + _ENCODER_ROWS * row_bytes + whole


def _write_head(
    file: ScratchFile, shape: tuple[int, int, int], dtype: np.dtype[Any], *, alpha: bool
) -> int:
    """Write the head of an uncompressed BigTIFF of these values; return where they begin."""
    height, width, bands = shape
    row = width * bands * dtype.itemsize
    tops = np.arange(0, height, _STRIP_ROWS)
    sizes = np.minimum(height - tops, _STRIP_ROWS) * row

    def directory(at: int) -> bytes:
        values = {
            256: _value(4, [width]),
            257: _value(4, [height]),
            258: _value(3, [dtype.itemsize * 8] * bands),
            259: _value(3, [1]),
            262: _value(3, [2 if bands >= 3 else 1]),
            273: _value(16, (at + tops * row).tolist()),
            277: _value(3, [bands]),
            278: _value(4, [_STRIP_ROWS]),
            279: _value(16, sizes.tolist()),
            339: _value(3, [3 if dtype.kind == "f" else 1] * bands),
        }
        if alpha:
            values[338] = _value(3, [2])
        return tags.encode_directory(_LAYOUT, values, at=_HEAD)

    mark = b"II" if _LAYOUT.order == "<" else b"MM"
    file.write(0, mark + struct.pack(_LAYOUT.order + "HHHQ", 43, 8, 0, _HEAD))
    at = _HEAD + len(directory(0))
    file.write(_HEAD, directory(at))
    return at


def _value(kind: int, numbers: list[int]) -> tags.Value:
    codes = {3: "H", 4: "L", 16: "Q"}
    raw = struct.pack(f"{_LAYOUT.order}{len(numbers)}{codes[kind]}", *numbers)
    return tags.Value(kind, len(numbers), raw)
