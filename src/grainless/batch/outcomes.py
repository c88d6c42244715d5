"""What becomes of files: one of them, the progress of a run, and all in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from grainless.batch.plans import Failure, Job, Plan

Outcome = Literal["working", "done", "skipped", "failed"]


@dataclass(frozen=True)
class Finished:
    """One file that was tried in this run."""

    job: Job
    messages: tuple[str, ...] = ()
    """What the user should know of it."""
    error: Exception | None = None
    """Why it failed; None if its result is written."""
    pixels: int = 0


@dataclass(frozen=True)
class Step:
    """Progress of a run: `position` of `total` files, with a fraction for the files at work."""

    position: float
    total: int
    job: Job
    outcome: Outcome
    messages: tuple[str, ...] = ()
    """What the work had to say about the file, or why it failed."""
    rate: float = 0.0
    """Megapixels per second of the run so far."""


Watcher = Callable[[Step], None]
"""Called while a file is at work, and at its end; always by the thread that called `run`."""
Tick = Callable[[float], None]
"""Called by the work with the finished share of its file, 0 to 1."""


class Watch(Protocol):
    """Who is told what an executor does, in the thread that called it."""

    def working(self, job: Job, share: float) -> None:
        """Take the finished share, 0 to 1, of the file at work; may raise KeyboardInterrupt."""

    def record(self, finished: Finished) -> None:
        """Note what became of a file; each is recorded once."""

    def tell(self, finished: Finished) -> None:
        """Show a file that was recorded, and raise its error if it is the only one."""


@dataclass
class BatchReport:
    """What became of each file of a run."""

    done: list[Job] = field(default_factory=list)
    kept: list[Job] = field(default_factory=list)
    """Done by an earlier run with the same settings."""
    skipped: list[Job] = field(default_factory=list)
    """Something else stands where their results would go."""
    failed: list[Failure] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)
    """Failed in an earlier run, and not tried again."""
    stopped: str | None = None
    """Why the run ended before its last file; None if it did not."""
    notes: list[str] = field(default_factory=list)
    """What is to be known before the first file is begun."""
    megapixels: float = 0.0
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """1 if anything failed or was not come to, else 0; an output that stood already is no failure."""
        return 1 if self.failed or self.failed_before or self.stopped else 0

    @property
    def rate(self) -> float:
        """Megapixels per second so far."""
        passed = self.seconds or time.monotonic() - self.began
        return self.megapixels / passed if passed > 0 else 0.0

    def as_json(self, planned: Plan, *, settings: Mapping[str, object]) -> dict[str, object]:
        """Return the summary for other programs."""
        return {
            "version": 1,
            "out": str(planned.out),
            "settings": dict(settings),
            "files": len(planned.jobs),
            "ignored": planned.ignored,
            "done": len(self.done),
            "done_before": len(self.kept),
            "skipped": [job.name for job in self.skipped],
            "failed": [{"path": item.name, "reason": item.reason} for item in self.failed],
            "failed_before": [{"path": item.name, "reason": item.reason} for item in self.failed_before],
            "stopped": self.stopped,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            "megapixels": round(self.megapixels, 3),
            "megapixels_per_second": round(self.rate, 3),
        }
