"""Runs: which of the planned files are to be done, and all of them done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from grainless.atomic import remove_unfinished
from grainless.batch.journal import Entry, Journal, Mark, Settings, journal_file, open_journal, read_journal
from grainless.batch.outcomes import BatchReport, Finished, Outcome, Step, Watch, Watcher
from grainless.batch.pipeline import Pipeline, free_bytes
from grainless.batch.plans import Failure, Job, Plan
from grainless.batch.work import DiskFullError, Work, reason
from grainless.errors import OutputExistsError

Choice = Literal["new", "changed", "again", "done", "failed", "exists"]
"""What is done with a file, and why.

new: not done yet; changed: its source is another one since; again: asked for, or its result is not there or
not marked. Left as they are: done, failed (both by an earlier run), exists (something else stands there).
"""
TO_DO: frozenset[Choice] = frozenset({"new", "changed", "again"})


class Executor(Protocol):
    """What does files, on this machine or on others."""

    def run(self, jobs: Sequence[Job], watch: Watch) -> None:
        """Do all files, tell `watch` of each, and come back when all are recorded."""


@dataclass(frozen=True)
class RunOptions:
    """How a run treats what is there already, and where it works."""

    overwrite: bool = False
    """Do all files again, whatever stands there; never an input."""
    retry_failed: bool = False
    """Also try again what failed in an earlier run."""
    journal: bool = True
    """Keep a journal in the folder of the results; never for a single file."""
    executor: Executor | None = None
    """None: on this machine."""


def run(
    planned: Plan,
    work: Work,
    *,
    options: RunOptions | None = None,
    on_step: Watcher | None = None,
    report: BatchReport | None = None,
) -> BatchReport:
    """Do each file that is not done yet, and collect what became of it.

    With a journal the same call after a stop of any kind goes on where that was. A result that is not the
    journal's is left alone unless `options.overwrite`. Any error of a file is collected and the others go
    on; a full disk ends the run. For a single file the error is raised. A `report` that is handed in is
    filled while the run goes on, so it holds what was done when a run is interrupted.

    Raises OutputExistsError where results with other settings would be mixed with these, or where another
    command is at work in the folder; InputError for a journal that cannot be used; for a single file also
    whatever its work raises.
    """
    options = options or RunOptions()
    report = report or BatchReport()
    report.failed.extend(planned.unreadable)
    settings = work.settings()
    held: AbstractContextManager[Journal | None] = nullcontext()
    if options.journal and planned.jobs and not planned.single:
        held = open_journal(planned.out)
    with held as journal:
        if journal is None:
            for job in planned.jobs:
                remove_unfinished(job.target.parent)
        else:
            journal.remove_unfinished(planned.jobs)
            if options.overwrite:
                journal.begin_overwriting(planned.jobs, settings)
        entries = journal.entries() if journal is not None else {}
        choices = _choose(planned, entries, settings, options=options)
        marks = {job: mark for job, (choice, mark) in choices.items() if choice in TO_DO}
        if journal is not None:
            journal.expect(marks.items(), settings)
        ledger = _Ledger(planned, report, journal, on_step, total=len(marks))
        ledger.begin(choices, entries)
        _execute(options.executor or Pipeline(work), tuple(marks), ledger)
        if journal is not None:
            # A worker that died has left its file half-written.
            journal.remove_unfinished(marks)
            if not report.stopped:
                journal.end_overwriting()
    return report


def preview(planned: Plan, work: Work, *, options: RunOptions | None = None) -> dict[Job, Choice]:
    """Return what `run` would do with each file, also while one is at work there; nothing is made or changed.

    Raises what `run` raises, but for a command that is at work.
    """
    options = options or RunOptions()
    settings = work.settings()
    entries: Mapping[Path, Entry] = {}
    if not planned.single and journal_file(planned.out).exists():
        with read_journal(planned.out) as journal:
            if not options.overwrite or journal.is_overwriting(planned.jobs, settings):
                entries = journal.entries()
    choices = _choose(planned, entries, settings, options=options)
    return {job: choice for job, (choice, _) in choices.items()}


def _execute(executor: Executor, jobs: Sequence[Job], ledger: _Ledger) -> None:
    """Do all files, or as many as the disk has room for."""
    report = ledger.report
    report.began = time.monotonic()
    try:
        executor.run(jobs, ledger)
    except DiskFullError as error:
        if ledger.planned.single:
            raise
        report.stopped = str(error)
    finally:
        report.seconds = time.monotonic() - report.began


def _choose(
    planned: Plan, entries: Mapping[Path, Entry], settings: Settings, *, options: RunOptions
) -> dict[Job, tuple[Choice, Mark]]:
    """Decide for each file whether it is to be done, with the present mark of its source.

    Raises OutputExistsError for a single file whose result stands already, and where results with other
    settings stand among the files.
    """
    choices: dict[Job, tuple[Choice, Mark]] = {}
    for job in planned.jobs:
        mark = Mark.of(job.source)
        entry = entries.get(job.target)
        if entry is None:
            choice = _without_entry(planned, job, options)
        else:
            _refuse_mixture(planned, job, entry, settings)
            choice = _with_entry(job, entry, mark, options)
        choices[job] = choice, mark
    return choices


def _without_entry(planned: Plan, job: Job, options: RunOptions) -> Choice:
    """Decide about a file that no run has come to."""
    standing = next((path for path in job.results if _is_there(path)), None)
    if standing is None:
        return "new"
    if options.overwrite:
        return "again"
    if planned.single:
        raise OutputExistsError(f"{standing} exists already", remedy="Add --overwrite to replace it")
    return "exists"


def _with_entry(job: Job, entry: Entry, mark: Mark, options: RunOptions) -> Choice:
    """Decide about a file that the journal knows."""
    stands = job.target.exists()
    if entry.mark != mark:
        # Changed in its place, it is done again; another picture that wants the same name is not.
        same = entry.source == job.source.absolute() or not stands or entry.state != "done"
        return "changed" if same or options.overwrite else "exists"
    if entry.state == "failed":
        return "again" if options.retry_failed or options.overwrite else "failed"
    if entry.state == "done":
        return "done" if all(map(_is_there, job.results)) else "again"
    return "again" if stands else "new"


def _is_there(path: Path) -> bool:
    """Tell whether something stands at a path; nothing does where no file could have that name."""
    try:
        return path.exists()
    except OSError:
        return False


def _refuse_mixture(planned: Plan, job: Job, entry: Entry, settings: Settings) -> None:
    if entry.state != "done" or entry.settings == settings or not job.target.exists():
        return
    names = [
        name for name in {**entry.settings, **settings} if entry.settings.get(name) != settings.get(name)
    ]
    raise OutputExistsError(
        f"{planned.out} holds results of a run with other settings, for example {job.target.name}",
        got=", ".join(f"{name} {settings.get(name)}" for name in names),
        expected=", ".join(f"{name} {entry.settings.get(name)}" for name in names),
        remedy="Repeat the earlier settings, name another output, or add --overwrite to do all files again",
    )


def _silent(step: Step) -> None:
    """Take a step that nobody watches."""


@dataclass
class _Ledger:
    """Keeps the books of a run: report, journal and progress."""

    planned: Plan
    report: BatchReport
    journal: Journal | None
    on_step: Watcher | None
    total: int
    finished: int = field(default=0, init=False)
    position: float = field(default=0.0, init=False)

    def begin(self, choices: Mapping[Job, tuple[Choice, Mark]], entries: Mapping[Path, Entry]) -> None:
        """Note what is not to be done, and say so if the disk may be too small for what is."""
        needed = 0
        for job, (choice, mark) in choices.items():
            if choice == "done":
                self.report.kept.append(job)
            elif choice == "failed":
                self.report.failed_before.append(Failure(str(job.source), entries[job.target].reason))
            elif choice == "exists":
                self.report.skipped.append(job)
                self._say(Step(0, self.total, job, "skipped"))
            else:
                needed += mark.size
        free = free_bytes(self.planned.out)
        if needed > free:
            self.report.notes.append(
                f"the sources have {needed / 1e9:,.1f} GB and the disk of {self.planned.out} has"
                f" {free / 1e9:,.1f} GB left: the run may have to stop before its end"
            )

    def working(self, job: Job, share: float) -> None:
        """Show how far the run is."""
        # A file that waits for its encoding has been counted whole: the bar never goes back.
        self.position = min(max(self.position, self.finished + share), self.total)
        self._say(Step(self.position, self.total, job, "working", rate=self.report.rate))

    def record(self, finished: Finished) -> None:
        """Put down what became of a file."""
        job, error = finished.job, finished.error
        words = None if error is None else reason(error)
        self.finished += 1
        if words is None:
            self.report.done.append(job)
            self.report.megapixels += finished.pixels / 1e6
        else:
            self.report.failed.append(Failure(str(job.source), words))
        # Last: the report has to tell of a file also where the journal cannot be written any more.
        if self.journal is None:
            return
        if getattr(error, "lasting", True):
            self.journal.settle(job, reason=words)
        elif not any(map(_is_there, job.results)):
            # Only a limit of this run has refused it: with another one it is new. Old results stay expected.
            self.journal.forget(job)

    def tell(self, finished: Finished) -> None:
        """Show what became of a file; raise the error of a single one."""
        if finished.error is not None and self.planned.single:
            raise finished.error
        self.position = max(self.position, float(self.finished))
        outcome: Outcome = "done" if finished.error is None else "failed"
        messages = finished.messages if finished.error is None else (reason(finished.error),)
        self._say(Step(self.position, self.total, finished.job, outcome, messages, rate=self.report.rate))

    def _say(self, step: Step) -> None:
        (self.on_step or _silent)(step)
