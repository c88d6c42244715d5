"""Runs over many files on the terminal: progress, what is to be said of each file, and the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from grainless.batch import BatchReport, Plan, RunOptions, Step, Watcher, Work, run
from grainless.batch.journal import Settings
from grainless.batch.runs import TO_DO, Choice, preview
from grainless.batch.work import reason
from grainless.cli.console import held_interrupt, stderr
from grainless.errors import GrainlessError

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 60.0
"""Of progress where there is no terminal to draw a bar on, as in the log of a cluster's job."""
_CHOICES: dict[Choice, str] = {
    "new": "to do",
    "changed": "to do, the source has changed",
    "again": "to do again",
    "done": "done already",
    "failed": "failed earlier, --retry-failed tries it again",
    "exists": "exists, skipped",
}


@dataclass(frozen=True)
class Shown:
    """What a command says in the end."""

    verb: str
    """What was done to each file."""
    as_json: bool = False
    """Print the summary as JSON to stdout, besides the one for people on stderr."""


def run_files(planned: Plan, work: Work, *, shown: Shown, options: RunOptions) -> None:
    """Run a plan with a progress bar and exit by its outcome."""
    console = stderr()
    report = BatchReport()
    settings: Settings = {}
    try:
        # Now: when an error has ended the run, a model or a mask may be gone.
        settings = work.settings()
        with _progress(console, report) as watch:
            run(planned, work, options=options, on_step=watch, report=report)
    except KeyboardInterrupt:
        finished = len(report.done) + len(report.kept) + len(report.skipped) + len(report.failed)
        _say_failures(console, report)
        console.print(f"stopped after {finished} of {len(planned.jobs)} files; nothing is half-written")
        raise
    except Exception as error:
        begun = report.done or len(report.failed) > len(planned.unreadable)
        if begun and not planned.single:
            if isinstance(error, GrainlessError):
                # 2 would say that nothing was begun.
                error.exit_code = 1
            _conclude(planned, settings, report=report, shown=shown, error=error)
        raise
    _conclude(planned, settings, report=report, shown=shown)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _conclude(
    planned: Plan, settings: Settings, *, report: BatchReport, shown: Shown, error: Exception | None = None
) -> None:
    """Say what became of all files, for people and for programs; an `error` that ended the run follows."""
    console = stderr()
    _say_failures(console, report)
    console.print(_summary(planned, report, shown.verb))
    if error is not None:
        # Not in the summary for people, who read it in the next line.
        report.stopped = reason(error)
    if shown.as_json:
        typer.echo(json.dumps(report.as_json(planned, settings=settings), indent=2))


def show_preview(planned: Plan, work: Work, *, shown: Shown, options: RunOptions) -> None:
    """Say what a run would do with each file, and do nothing."""
    choices = preview(planned, work, options=options)
    for job, choice in choices.items():
        stderr().print(f"{job.name}: {_CHOICES[choice]}: {job.target}")
    to_do = [job for job, choice in choices.items() if choice in TO_DO]
    size = sum(job.source.stat().st_size for job in to_do if job.source.exists())
    stderr().print(f"dry run: {len(to_do)} of {len(choices)} files to do, {size / 1e6:,.1f} MB to read")
    if shown.as_json:
        files = [
            {"path": str(job.source), "target": str(job.target), "choice": choice}
            for job, choice in choices.items()
        ]
        typer.echo(json.dumps({"version": 1, "dry_run": True, "files": files}, indent=2))


@contextmanager
def _progress(console: Console, report: BatchReport) -> Iterator[Watcher]:
    """Show files, megapixels per second and the time left; give what shows a step and minds Ctrl-C."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} MP/s"),
        TimeRemainingColumn(),
    )
    log = _Log(console, report)
    with (
        held_interrupt() as check,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=None, rate=0.0)

        def watch(step: Step) -> None:
            check()
            progress.update(
                task, description=step.job.name, completed=step.position, total=step.total, rate=step.rate
            )
            log.add(step)

        yield watch


class _Log:
    """Prints what is to be said of the files, a line each, above the bar if there is one."""

    def __init__(self, console: Console, report: BatchReport) -> None:
        self._console = console
        self._report = report
        self._notes = 0
        self._progress = time.monotonic()

    def add(self, step: Step) -> None:
        """Print what a step has to say."""
        for note in self._report.notes[self._notes :]:
            self._console.print(note)
        self._notes = len(self._report.notes)
        if step.outcome == "skipped":
            standing = next((path for path in step.job.results if path.exists()), step.job.target)
            self._console.print(f"{step.job.name}: {standing} exists, skipped")
        if step.outcome == "done":
            for message in step.messages:
                self._console.print(f"{step.job.name}: {message}")
        now = time.monotonic()
        if not self._console.is_terminal and now - self._progress >= _SECONDS_BETWEEN_LINES:
            self._progress = now
            line = f"{int(step.position)} of {step.total} files"
            # Not before the first file is through.
            line += f", {step.rate:.1f} MP/s" if step.rate else ""
            if step.position:
                left = (step.total - step.position) / step.position * (now - self._report.began)
                line += f", {_clock(left)} left"
            self._console.print(line)


def _clock(seconds: float) -> str:
    """Return a time as hours and minutes, or as seconds if it is short."""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes else f"{seconds:.0f} s"


def _say_failures(console: Console, report: BatchReport) -> None:
    """List what failed, one file a line."""
    for label, failures in (("failed", report.failed), ("failed earlier", report.failed_before)):
        for failure in failures:
            named = failure.name in failure.reason
            console.print(f"{label}: {failure.reason if named else f'{failure.name}: {failure.reason}'}")


def _summary(planned: Plan, report: BatchReport, verb: str) -> str:
    """Say what became of the files, and where they are."""
    if planned.single:
        return f"{verb} {planned.jobs[0].name}: {planned.jobs[0].target}"
    parts = [f"{verb} {len(report.done)} of {len(planned.jobs)} files into {planned.out}"]
    if report.done:
        digits = 1 if report.rate >= 1 else 2
        parts[0] += f" in {report.seconds:.1f} s, {report.rate:.{digits}f} megapixels per second"
    if report.kept:
        parts.append(f"{len(report.kept)} were done already")
    if report.skipped:
        parts.append(f"{len(report.skipped)} skipped, their outputs exist (--overwrite replaces them)")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    if report.failed_before:
        parts.append(f"{len(report.failed_before)} failed earlier (--retry-failed tries them again)")
    if planned.ignored:
        parts.append(f"{planned.ignored} left out, hidden or no pictures by their names")
    if report.stopped:
        parts.append(f"stopped: {report.stopped}")
    return "; ".join(parts)
