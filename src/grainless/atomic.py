"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".grainless-"
"""How the names of files begin that are being written; they end in `.part`."""


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
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}.part"
    try:
        # Not tempfile: it keeps its files to their owner, and this one is as readable as any other new file.
        with temporary.open("xb") as stream:
            shutil.copyfileobj(source, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove from a folder what killed writers left half-written; call it only where none is at work."""
    for file in folder.glob(f"{TEMPORARY}*.part"):
        # One that may not be removed is no reason to stop.
        with contextlib.suppress(OSError):
            file.unlink()
