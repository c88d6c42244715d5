"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".grainless-"
"""How the names of files begin that are being written; they end in `.part`."""
_OLD = 86400
"""Seconds."""


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name in the same folder, then give it the name `path` in one step.

    Missing folders are made, and what stood at `path` is replaced; pipes and devices are written into. Raises
    OSError, and then leaves nothing.
    """
    _replace(path, io.BytesIO(data))


def copy_file(source: Path, path: Path) -> None:
    """Copy a file of any size to `path`, as `replace_file` writes one. Raises OSError."""
    with source.open("rb") as stream:
        _replace(path, stream)


def _replace(path: Path, source: BinaryIO) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as device:
            shutil.copyfileobj(source, device)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_file(path.parent) as temporary:
        with temporary.open("wb") as stream:
            shutil.copyfileobj(source, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)


@contextlib.contextmanager
def unfinished_file(folder: Path) -> Iterator[Path]:
    """Make an empty file under a temporary name, to be written and renamed; else it is gone at the end.

    Where the system can do so it is locked meanwhile, so that no other command takes it for left behind.
    Raises OSError.
    """
    handle, path = _make(folder)
    if sys.platform == "win32":
        # Open files cannot be renamed there.
        os.close(handle)
    try:
        yield path
    finally:
        if sys.platform != "win32":
            os.close(handle)
        # Where nothing can be written, nothing can be deleted either; that must not hide the reason.
        with contextlib.suppress(OSError):
            path.unlink()


def _make(folder: Path) -> tuple[int, Path]:
    while True:
        path = folder / f"{TEMPORARY}{secrets.token_hex(6)}.part"
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        # Another command may have removed it between the two steps.
        if _lock(handle) is not False and os.fstat(handle).st_nlink:
            return handle, path
        os.close(handle)


if sys.platform == "win32":

    def _lock(handle: int) -> bool | None:
        """Tell that nobody knows; what is open cannot be removed there."""
        return None

    def _remove(file: Path) -> None:
        file.unlink()

else:
    import fcntl

    def _lock(handle: int) -> bool | None:
        """Lock a file until it is closed; tell whether that went, None where the disk knows no locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True

    def _remove(file: Path) -> None:
        # To be written: some network disks lock nothing else.
        handle = os.open(file, os.O_RDWR)
        try:
            locked = _lock(handle)
            if locked or (locked is None and time.time() - os.fstat(handle).st_mtime > _OLD):
                file.unlink()
        finally:
            os.close(handle)


def remove_unfinished(folder: Path) -> None:
    """Remove from a folder what killed writers left half-written; what another one still writes stays.

    Where the disk knows no locks, what was not written to for a day counts as left behind.
    """
    for file in folder.glob(f"{TEMPORARY}*.part"):
        # One that may not be removed is no reason to stop.
        with contextlib.suppress(OSError):
            _remove(file)
