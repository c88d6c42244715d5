"""The one door to libvips: loaded at first use, with its cache off and its errors put into words."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from grainless.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LONGEST_REASON = 160
_THREADS = 2


@functools.cache
def vips() -> Any:
    """Return the pyvips module; raise PictureError when it or its library cannot be loaded."""
    try:
        import pyvips
    except (ImportError, OSError) as error:
        raise PictureError(
            "the picture library libvips cannot be loaded",
            got=_short(str(error)),
            remedy='Install it with: pip install "pyvips[binary]"',
        ) from error
    # Else a file that was overwritten is answered with its old pixels.
    pyvips.cache_set_max(0)
    # Decoders and encoders go from row to row: more threads take memory and save no time.
    pyvips.concurrency_set(min(pyvips.concurrency_get(), _THREADS))
    return pyvips


def file_name(path: Path) -> bytes:
    """Return a name as the bytes that libvips wants.

    Loaders and savers are called by their own names and not through `new_from_file`, which takes what
    stands in square brackets at the end of a name for options.
    """
    return os.fsencode(path)


ReadAt = Callable[[int, int], bytes]
"""Gives up to so many bytes, the second argument, from a place on, the first; raises OSError."""


def source(read_at: ReadAt, size: int, *, patch: tuple[int, bytes] | None = None) -> Any:
    """Return what libvips reads `size` bytes from; it must be kept until the pixels are decoded.

    `patch` is bytes that stand for those at an offset. Unlike a name this is never mapped into memory, where
    all of a file that was read counts as the memory of this process.
    """
    reader = _Reader(read_at, size, patch)
    made = vips().SourceCustom()
    made.on_read(reader.read)
    made.on_seek(reader.seek)
    return made


def file_source(stream: BinaryIO, *, patch: tuple[int, bytes] | None = None) -> Any:
    """Return what libvips reads a file from that is open, and must stay so; as in `source`."""

    def read_at(at: int, size: int) -> bytes:
        stream.seek(at)
        return stream.read(size)

    return source(read_at, stream.seek(0, os.SEEK_END), patch=patch)


class _Reader:
    """Bytes as libvips sees them: with a place of its own, so that others may read from the same file."""

    def __init__(self, read_at: ReadAt, size: int, patch: tuple[int, bytes] | None) -> None:
        self._read_at = read_at
        self._size = size
        self._patch = patch
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes; what cannot be read is the end of the file, as libvips can take no error."""
        try:
            data = self._read_at(self._at, size)
        except (OSError, ValueError):
            return b""
        if self._patch is not None:
            data = _patched(data, self._at, *self._patch)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        """Move, as `BinaryIO.seek` does, and return the place."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at


def _patched(data: bytes, at: int, place: int, patch: bytes) -> bytes:
    """Return the `data` that stands at `at` with the `patch` at `place` over it."""
    first, last = max(at, place), min(at + len(data), place + len(patch))
    if first >= last:
        return data
    return data[: first - at] + patch[first - place : last - place] + data[last - at :]


@contextlib.contextmanager
def failing_as(make: Callable[[str], Exception]) -> Iterator[Any]:
    """Hand out pyvips and turn its errors into what `make` makes of their reason.

    Raises MemoryError where the memory is not enough, and OSError where the disk is full.
    """
    module = vips()
    # Decoders leave warnings of files that were read well; they would stand before the reason of this one.
    module.vips_lib.vips_error_clear()
    try:
        yield module
    except module.Error as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        full = os.strerror(errno.ENOSPC)
        if full in str(error):
            raise OSError(errno.ENOSPC, full) from error
        raise make(reason(error)) from error
    except UnicodeDecodeError as error:
        # libvips may quote bytes of a damaged file or of a name; then pyvips fails on its own message.
        module.vips_lib.vips_error_clear()
        raise make("libvips gives no readable reason") from error


def decoding(path: Path) -> contextlib.AbstractContextManager[Any]:
    """Hand out pyvips and turn its errors into one PictureError about the file at `path`."""
    return failing_as(
        lambda why: PictureError(
            f"{path} cannot be decoded",
            got=why,
            remedy="The file is damaged or cut off: get it from its source again",
        )
    )


def reason(error: Exception) -> str:
    """Return the telling line of a libvips error without the name of the operation and the file's bytes."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("unable to ", "VipsForeign"))]
    return _short(lines[0] if lines else str(error).strip() or type(error).__name__)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
