"""How much memory this process holds, how much there is, and sizes in words."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from grainless.errors import InputError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees the limits it runs under (cgroup v2)."""


def peak_memory() -> int | None:
    """Return the most memory, in bytes, that this process held at any time; None where it cannot be told.

    Linux and macOS only.
    """
    # Not getrusage: on Linux that begins with what the parent held when it started this process.
    peak = _kilobytes(_STATUS, "VmHWM")
    if peak is not None:
        return peak
    if sys.platform != "darwin":
        return None
    import resource  # noqa: PLC0415  # Windows has no such module

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, unlike elsewhere


def held_memory() -> int | None:
    """Return the memory, in bytes, that this process holds; None where it cannot be told. Linux only."""
    return _kilobytes(_STATUS, "VmRSS")


def free_memory() -> int | None:
    """Return how many bytes of memory may still be used; None where it cannot be told.

    In a container these are the ones that it may have, if they are fewer.
    """
    free = _kilobytes(_MEMINFO, "MemAvailable")
    if free is None:
        try:
            # Half of all: macOS does not tell what is free, which is most often more than that.
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        except (AttributeError, OSError, ValueError):
            return None
    limit, used = _number(_GROUP / "memory.max"), _number(_GROUP / "memory.current")
    if limit is None or used is None:
        return free
    return min(free, max(limit - used, 0))


def give_back() -> None:
    """Give the system back what was freed but is kept for later, where the C library (glibc) can do so.

    Else what one step has used is added to what the next one does.
    """
    if sys.platform != "linux":
        return
    trim = _trimmer()
    if trim is not None:
        trim(0)


@functools.cache
def _trimmer() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `800MB`, `1.5 GB` or `1GiB` means; raise InputError for others."""
    found = _SIZE.fullmatch(text.strip())
    if found is not None:
        number, unit, binary = found[1], found[2].lower(), found[3]
        units = _BINARY_UNITS if binary else _UNITS
        if unit in units and float(number) > 0:
            return int(float(number) * units[unit])
    raise InputError(
        "The size is not valid", got=repr(text), expected="a number and a unit, as 800MB, 1.5GB or 1GiB"
    )


def megabytes(count: float) -> str:
    """Return a count of bytes in words, rounded up to whole megabytes."""
    return f"{-(-count // 10**6):,.0f} MB"


def _kilobytes(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # `max` stands there where there is no limit.
        return None
