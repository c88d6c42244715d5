"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

TEMPORARY = ".grainless-"
"""How the names of files begin that are being written; they end in `.part`."""


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name in the same folder, then give it the name `path` in one step.

    Missing folders are made, and what stood at `path` is replaced; pipes and devices are written into. Raises
    OSError, and then leaves nothing.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp keeps the file to its owner; this one is as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove from a folder what killed writers left half-written; call it only where none is at work."""
    for file in folder.glob(f"{TEMPORARY}*.part"):
        # One that may not be removed is no reason to stop.
        with contextlib.suppress(OSError):
            file.unlink()
