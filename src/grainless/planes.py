"""Pixels that are read and written box by box, in memory or in a scratch file on the disk.

A picture in memory is one array; a larger one lies in a file that has no name and is gone with its last user,
however that ends. What works on planes holds a few boxes at a time, and gives the same for both.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import TEMPORARY
from grainless.tiling import Box, mirrored

_STRIP_BYTES = 4 * 2**20
_MOST_AT_ONCE = 2**30
"""Some systems refuse to read or write more than 2 GB in one call."""


class Plane(Protocol):
    """A grid `(height, width, channels)` of values that can be read box by box."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the values in `box`, which lies in the plane; perhaps a view, so never to be changed."""


class WritablePlane(Plane, Protocol):
    """A plane that can be filled."""

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Put `values` `(box.height, box.width, channels)` at `box`."""


NewPlane = Callable[[tuple[int, int, int], np.dtype[Any]], WritablePlane]
"""Makes a plane of that shape and dtype."""


class ArrayPlane:
    """An array as a plane; reading gives views of it."""

    def __init__(self, values: NDArray[Any]) -> None:
        """Take the array `(height, width, ...)`, which is not copied."""
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return self.values.dtype

    def read(self, box: Box) -> NDArray[Any]:
        """Return a view of the values in `box`."""
        return self.values[box.top : box.bottom, box.left : box.right]

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Put `values` into the array."""
        self.values[box.top : box.bottom, box.left : box.right] = values


def new_array(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> ArrayPlane:
    """Return a plane in memory, its values not set."""
    return ArrayPlane(np.empty(shape, dtype))


class ScratchFile:
    """A file without a name, in a folder of one's choice; several threads may use it."""

    def __init__(self, folder: Path) -> None:
        """Make the file; raises OSError where that cannot be."""
        # On systems where a file must have a name it gets one that is known to be left from a killed run.
        with tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY, suffix=".part", buffering=0) as file:
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self.descriptor).st_size

    def read(self, at: int, size: int) -> bytes:
        """Return up to `size` bytes from `at` on: fewer at the end of the file alone."""
        parts = []
        while size:
            part = self._read_some(at, min(size, _MOST_AT_ONCE))
            if not part:
                break
            parts.append(part)
            at, size = at + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, at: int, data: NDArray[Any] | bytes | memoryview) -> None:
        """Put bytes, or the values of an array in their order, at `at`; raises OSError on a full disk."""
        if isinstance(data, np.ndarray):
            data = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
        view = memoryview(data)
        while view:
            done = self._write_some(at, view[:_MOST_AT_ONCE])
            at, view = at + done, view[done:]

    def _read_some(self, at: int, size: int) -> bytes:
        if sys.platform != "win32":
            return os.pread(self.descriptor, size, at)
        with self._lock:
            os.lseek(self.descriptor, at, os.SEEK_SET)
            return os.read(self.descriptor, size)

    def _write_some(self, at: int, view: memoryview) -> int:
        if sys.platform != "win32":
            return os.pwrite(self.descriptor, view, at)
        with self._lock:
            os.lseek(self.descriptor, at, os.SEEK_SET)
            return os.write(self.descriptor, view)


class FilePlane:
    """Values in a scratch file, row by row, as an array in memory has them."""

    def __init__(
        self, file: ScratchFile, shape: tuple[int, int, int], dtype: np.dtype[Any], *, at: int = 0
    ) -> None:
        """Take the file and where in it the values begin; nothing is read or written yet."""
        self.file = file
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._at = at
        self._pixel = shape[2] * self.dtype.itemsize
        self._row = shape[1] * self._pixel

    def read(self, box: Box) -> NDArray[Any]:
        """Return the values in `box`, a copy."""
        shape = (box.height, box.width, self.shape[2])
        if box.width == self.shape[1]:
            whole = self.file.read(self._place(box.top, 0), box.height * self._row)
            return np.frombuffer(whole, self.dtype).reshape(shape)
        values = np.empty(shape, self.dtype)
        for row in range(box.height):
            part = self.file.read(self._place(box.top + row, box.left), box.width * self._pixel)
            values[row] = np.frombuffer(part, self.dtype).reshape(shape[1:])
        return values

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Put `values`, which have the plane's dtype, at `box`."""
        if box.width == self.shape[1]:
            self.file.write(self._place(box.top, 0), values)
            return
        for row in range(box.height):
            self.file.write(self._place(box.top + row, box.left), values[row])

    def _place(self, row: int, column: int) -> int:
        return self._at + row * self._row + column * self._pixel


class Channels:
    """Some of the channels of a plane, to be read."""

    def __init__(self, plane: Plane, channels: slice) -> None:
        """Take the plane and which of its channels are meant."""
        self._plane = plane
        self._channels = channels
        count = len(range(*channels.indices(plane.shape[2])))
        self.shape = (*plane.shape[:2], count)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the plane."""
        return self._plane.dtype

    def read(self, box: Box) -> NDArray[Any]:
        """Return these channels of the values in `box`."""
        return self._plane.read(box)[..., self._channels]


class Part:
    """A box of a plane as a plane of its own, to be read."""

    def __init__(self, plane: Plane, box: Box) -> None:
        """Take the plane and the box in it."""
        self._plane = plane
        self._box = box
        self.shape = (box.height, box.width, *plane.shape[2:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the plane."""
        return self._plane.dtype

    def read(self, box: Box) -> NDArray[Any]:
        """Return the values in `box`, which counts from the corner of this part."""
        return self._plane.read(box.moved(Box(-self._box.top, -self._box.left, 0, 0)))


def on_disk(folder: Path) -> NewPlane:
    """Return what makes planes in scratch files in a folder."""

    def new(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> FilePlane:
        return FilePlane(ScratchFile(folder), shape, dtype)

    return new


def strips(plane: Plane, *, multiple: int = 2, itemsize: int | None = None) -> Iterator[Box]:
    """Cut a plane into boxes of its full width and some MB, from top to bottom.

    They have a multiple of so many rows, but for the last. `itemsize` is the bytes of each value where more
    are made of them than they have.
    """
    height, width, *rest = plane.shape
    row = width * int(np.prod(rest)) * (itemsize or plane.dtype.itemsize)
    rows = max(1, _STRIP_BYTES // row // multiple) * multiple
    for top in range(0, height, rows):
        yield Box(top, 0, min(top + rows, height), width)


def cut(plane: Plane, window: Box) -> NDArray[Any]:
    """Return the `window` of a plane, mirrored where it ends beyond the plane.

    The border pixel itself is not repeated; an axis that is too short to be mirrored repeats its last
    pixel. What lies beyond depends on the whole plane alone, never on the window.
    """
    height, width = plane.shape[:2]
    if window.bottom <= height and window.right <= width:
        return plane.read(window)
    rows = mirrored(window.top, window.bottom, height)
    return pick(plane, rows, mirrored(window.left, window.right, width))


def pick(plane: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Return the values at `rows` and `columns`, in any order, of a plane; reads the box around them."""
    box = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    return plane.read(box)[rows - box.top][:, columns - box.left]
