"""What is done to each file: three steps that may run in three threads, or together on another machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any, Protocol

from grainless.batch.journal import Settings
from grainless.batch.outcomes import Tick
from grainless.batch.plans import Job
from grainless.errors import GrainlessError, PictureError


class Work(Protocol):
    """The unit of work; it can be pickled. Each step raises what is wrong with its file.

    `read` and `write` run beside `compute`, each in one thread. What `read` gives need not be pixels.
    """

    def settings(self) -> Settings:
        """Return what decides the bytes of a result, besides its source; raises what stops all files."""

    def read(self, job: Job) -> Any:
        """Return what `job.source` holds."""

    def size(self, value: Any) -> tuple[int, int]:
        """Return how many pixels, and how many bytes in memory, a value of `read` or `compute` is."""

    def compute(self, value: Any, job: Job, tick: Tick) -> Any:
        """Return what is to be written."""

    def write(self, value: Any, job: Job) -> Sequence[str]:
        """Write `job.target` whole or not at all, with its folder; return what the user should know."""


class DiskFullError(PictureError):
    """Raised when there is no room for the next result: that is no fault of its file."""


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether a full disk is behind an error; libvips hands on only the system's words."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    full = {errno.ENOSPC, errno.EDQUOT}
    return error is not None and (error.errno in full or os.strerror(errno.ENOSPC) in str(error))


def in_words(error: Exception, job: Job) -> Exception:
    """Return the system's own refusals as errors that name the file, and all others as they are.

    A full disk becomes a DiskFullError, however it was met.
    """
    if is_disk_full(error) and not isinstance(error, DiskFullError):
        return DiskFullError(
            f"The disk of {job.target.parent} is full", remedy="Make room; the same command then goes on"
        )
    if isinstance(error, MemoryError):
        return PictureError(f"{job.source} does not fit into memory", remedy="Close other programs")
    if isinstance(error, OSError) and not isinstance(error, GrainlessError):
        return PictureError(f"{job.source}: {error.strerror or error}", got=error.filename)
    return error


def reason(error: Exception) -> str:
    """Say in one line why a file failed; an unexpected error keeps its type for the report of a fault."""
    text = " ".join(str(error).split())
    return text if isinstance(error, GrainlessError) else f"unexpected {type(error).__name__}: {text}"
