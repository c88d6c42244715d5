"""What a benchmark ran on, and how much memory a process took."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = ("numpy", "onnxruntime", "openvino", "scipy", "scikit-image")


@dataclass(frozen=True)
class Machine:
    """A machine in words, without its name."""

    system: str
    processor: str
    cores: int
    """That this process may use."""
    python: str
    packages: dict[str, str]
    """Versions of what does the work."""


def describe_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=usable_cores(),
        python=platform.python_version(),
        packages=_versions(),
    )


def usable_cores() -> int:
    """Return how many cores this process may use, which in a container are often fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def load_average() -> float | None:
    """Return how many processes wanted to run in the last minute; None where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
