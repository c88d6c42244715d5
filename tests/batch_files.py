"""Files that are no pictures, and work that only copies them, for tests of runs over many files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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


_HOLD = """
import sys, time
from pathlib import Path
from grainless.batch import Job
from grainless.batch.journal import Mark, open_journal
out, source = map(Path, sys.argv[1:])
with open_journal(out) as journal:
    job = Job(source / "a.png", out / "a.png", "a.png")
    journal.expect([(job, Mark.of(job.source))], {"style": "plain"})
    journal.settle(job)
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_journal(out: Path, source: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold the journal of a folder, with a.png of another folder done; it is killed."""
    command = [sys.executable, "-c", _HOLD, str(out), str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


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
