"""What a run over many files says on the terminal and in a log."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from batch_files import Copying, fill
from grainless.batch import BatchReport, Job, Step, plan
from grainless.cli import batches
from grainless.cli.batches import Shown, run_files

JOB = Job(Path("in/a.png"), Path("out/a.png"), "a.png")


def terminal(monkeypatch: pytest.MonkeyPatch, *, real: bool) -> io.StringIO:
    said = io.StringIO()
    console = Console(file=said, force_terminal=real, width=120, soft_wrap=True, color_system=None)
    monkeypatch.setattr(batches, "stderr", lambda: console)
    return said


def test_a_terminal_shows_files_speed_and_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = terminal(monkeypatch, real=True)
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    run_files(planned, Copying(), shown=Shown("copied"), options=batches.RunOptions())
    assert "/2 " in said.getvalue()
    assert "MP/s" in said.getvalue()
    assert "a.png: copied a.png" in said.getvalue()
    assert f"copied 2 of 2 files into {tmp_path / 'out'} in " in said.getvalue()


def test_a_log_gets_a_line_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: SimpleNamespace
) -> None:
    said = terminal(monkeypatch, real=False)
    with batches._progress(batches.stderr(), BatchReport(began=100)) as watch:
        for position, seconds in ((1, 130), (2, 159.9), (10, 160), (20, 219), (40, 7660), (0, 7720)):
            now.seconds = seconds
            watch(Step(position, 100, JOB, "working", rate=2.04))
    assert said.getvalue().splitlines() == [
        "10 of 100 files, 2.0 MP/s, 0:09 h left",
        "40 of 100 files, 2.0 MP/s, 3:09 h left",
        "0 of 100 files, 2.0 MP/s",
    ]


def test_notes_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = terminal(monkeypatch, real=False)
    report = BatchReport(notes=["the disk is small"])
    with batches._progress(batches.stderr(), report) as watch:
        watch(Step(0, 2, JOB, "working"))
        watch(Step(1, 2, JOB, "done", ("alpha: dropped",)))
    assert said.getvalue().splitlines() == ["the disk is small", "a.png: alpha: dropped"]
