"""Writing pictures that lie on the disk: with the bytes that `write_picture` would write of them in memory.

libvips encodes from top to bottom what it takes for an uncompressed BigTIFF. That file is nowhere: its bytes
are made of the values when they are asked for.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainless.picture import libvips, tags
from grainless.picture.formats import check_output, format_for, losses
from grainless.picture.writing import encode, file_form, keeps_associated, whole_file
from grainless.tiling import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grainless.picture.formats import Format
    from grainless.picture.stored import StoredPicture

_LAYOUT = tags.Layout("<" if sys.byteorder == "little" else ">", big=True)
_HEAD = 16
_STRIP_ROWS = 8
_BLOCK_BYTES = 2**20
_ENCODER = 40 * 2**20
"""Bytes that an encoder takes for itself, and per row of values that it goes on with: both were measured."""
_ENCODER_ROWS = 1600
_WHOLE_BYTES = {"webp": 15, "avif": 17, "bmp": 3}
"""Bytes per byte of values that encoders take which hold the whole picture; measured with 8-bit RGB."""


def write_stored(
    picture: StoredPicture, path: str | os.PathLike[str], *, quality: int = 95
) -> tuple[str, ...]:
    """Write a picture that lies on the disk; all else is as in `write_picture`."""
    path = Path(path)
    row = format_for(path)
    check_output(path, picture.pixels.shape, quality=quality)
    lost = losses(picture, path)
    with whole_file(path) as unfinished:
        content = _Values(picture, row)
        return (*lost, *encode(content, picture.metadata, unfinished, row=row, quality=quality))


def encoding_bytes(row: Format, nbytes: int, row_bytes: int) -> int:
    """Return the bytes of memory that writing a format takes, about, of values that are on the disk.

    `nbytes` are those of all values, `row_bytes` those of one row.
    """
    whole = int(_WHOLE_BYTES.get(row.name, 0) * nbytes)
    return _ENCODER + _ENCODER_ROWS * row_bytes + whole


class _Values:
    """Values on the disk as they stand in a file of some format."""

    def __init__(self, picture: StoredPicture, row: Format) -> None:
        self._picture = picture
        self._row = row
        self.associated = keeps_associated(picture, row)
        self._height, self._width = picture.pixels.shape[:2]
        one, alpha = self._form(Box(0, 0, 1, 1))
        self.channels, self.dtype = one.shape[2], one.dtype
        self._bands = self.channels + (alpha is not None)
        self.nbytes = self._height * self._width * self._bands * self.dtype.itemsize
        self._source: Any = None

    def pixels(self) -> NDArray[Any]:
        return self._form(Box(0, 0, self._height, self._width))[0]

    def image(self, vips: Any) -> Any:
        file = _Tiff(self._rows, (self._height, self._width, self._bands), self.dtype, self.channels)
        # Kept here, as the image does not keep it.
        self._source = libvips.source(file.read, file.size)
        options = {"access": "sequential", "unlimited": True}
        return vips.Operation.call("tiffload_source", self._source, **options)

    def _form(self, box: Box) -> tuple[NDArray[Any], NDArray[Any] | None]:
        alpha = None if self._picture.alpha is None else self._picture.alpha.read(box)[..., 0]
        return file_form(self._picture.pixels.read(box), alpha, self._row, associated=self.associated)

    def _rows(self, top: int, bottom: int) -> bytes:
        values, alpha = self._form(Box(top, 0, bottom, self._width))
        return (values if alpha is None else np.dstack([values, alpha])).tobytes()


class _Tiff:
    """The bytes of an uncompressed BigTIFF of values that are made block by block."""

    def __init__(
        self,
        rows: Callable[[int, int], bytes],
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        channels: int,
    ) -> None:
        """Take what makes the bytes of rows, from one on to before another, and what they are bytes of."""
        self._rows = rows
        self._height = shape[0]
        self._row = shape[1] * shape[2] * dtype.itemsize
        self._head = _head_of(shape, dtype, alpha=channels < shape[2])
        self._block_rows = max(_STRIP_ROWS, _BLOCK_BYTES // self._row // _STRIP_ROWS * _STRIP_ROWS)
        self._block = (-1, b"")

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._head) + self._height * self._row

    def read(self, at: int, size: int) -> bytes:
        """Return up to `size` bytes from `at` on: fewer at the end of the file alone."""
        parts = []
        while size > 0 and at < self.size:
            part = self._head[at : at + size] or self._values(at - len(self._head), size)
            parts.append(part)
            at, size = at + len(part), size - len(part)
        return b"".join(parts)

    def _values(self, at: int, size: int) -> bytes:
        number, inside = divmod(at, self._block_rows * self._row)
        if self._block[0] != number:
            top = number * self._block_rows
            self._block = number, self._rows(top, min(top + self._block_rows, self._height))
        return self._block[1][inside : inside + size]


def _head_of(shape: tuple[int, int, int], dtype: np.dtype[Any], *, alpha: bool) -> bytes:
    """Return the head of an uncompressed BigTIFF, behind which its values begin."""
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
    begin = mark + struct.pack(_LAYOUT.order + "HHHQ", 43, 8, 0, _HEAD)
    return begin + directory(_HEAD + len(directory(0)))


def _value(kind: int, numbers: list[int]) -> tags.Value:
    codes = {3: "H", 4: "L", 16: "Q"}
    raw = struct.pack(f"{_LAYOUT.order}{len(numbers)}{codes[kind]}", *numbers)
    return tags.Value(kind, len(numbers), raw)
