"""Files that are no pictures, and work that only copies them, for tests of runs over many files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grainless.atomic import replace_file
from grainless.batch import Job, Tick
from grainless.errors import PictureError


def fill(folder: Path, *names: str) -> Path:
    """Make files whose content is their name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def nothing(*_: object) -> None:
    """Take anything and do nothing."""


@dataclass
class Copying:
    """Copies bytes; a source with "bad" in it cannot be read. The hooks are called with each job."""

    style: str = "plain"
    on_read: Callable[[Job], Any] = nothing
    on_compute: Callable[[Job], Any] = nothing
    on_write: Callable[[Job], Any] = nothing
    nbytes: int = 10
    computed: list[str] = field(default_factory=list)

    def settings(self) -> dict[str, object]:
        return {"style": self.style}

    def size(self, value: bytes) -> tuple[int, int]:
        return 2_000_000, self.nbytes

    def read(self, job: Job) -> bytes:
        self.on_read(job)
        data = job.source.read_bytes()
        if b"bad" in data:
            raise PictureError(f"{job.source} is broken")
        return data

    def compute(self, value: bytes, job: Job, tick: Tick) -> bytes:
        self.computed.append(job.name)
        self.on_compute(job)
        tick(0.5)
        return value

    def write(self, value: bytes, job: Job) -> Sequence[str]:
        self.on_write(job)
        replace_file(job.target, value)
        return (f"copied {job.name}",)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but for the journal's own."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent != folder / ".grainless"
    }


def touch_later(path: Path, data: bytes) -> None:
    """Change a file, and make sure that its time of change tells it."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before, before + 1_000_000))
