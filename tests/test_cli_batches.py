"""What a run over many files says on the terminal and in a log."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from batch_files import Copying, fill
from grainless.batch import BatchReport, Job, RunOptions, Step, Watch, plan
from grainless.batch.cluster import _Here, perform_there
from grainless.batch.journal import Journal
from grainless.cli import app, batches
from grainless.cli.batches import Shown, run_files
from grainless.errors import InputError, PictureError
from tiny_models import blur_model

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


class Lost:
    """Does all files but the last, as a cluster that is then lost."""

    def __init__(self, work: Copying, error: Exception, *, after: int) -> None:
        self.work, self.error, self.after = work, error, after

    def run(self, jobs: Sequence[Job], watch: Watch) -> None:
        for job in jobs[: self.after]:
            watch.record(perform_there(self.work, job, _Here(job.source)))
        raise self.error


@pytest.mark.parametrize("error", [InputError("The cluster was lost"), RuntimeError("The cluster was lost")])
def test_what_was_done_before_an_error_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    said = terminal(monkeypatch, real=False)
    source = fill(tmp_path / "in", "a.png", "bad.png", "c.png", "d.png")
    planned, work = plan([source], tmp_path / "out"), Copying()
    options = RunOptions(executor=Lost(work, error, after=3))
    with pytest.raises(type(error), match="The cluster was lost"):
        run_files(planned, work, shown=Shown("copied", as_json=True), options=options)
    first, second = said.getvalue().splitlines()
    assert first == f"failed: {source / 'bad.png'} is broken."
    assert second.startswith(f"copied 2 of 4 files into {tmp_path / 'out'} in ")
    assert second.endswith("; 1 failed")
    summary = json.loads(capsys.readouterr().out)
    assert (summary["done"], len(summary["failed"])) == (2, 1)
    assert "The cluster was lost" in summary["stopped"]


def test_the_error_is_told_also_where_the_model_is_gone_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Copying) -> dict[str, Any]:
        raise InputError("The model is gone")

    class Gone(Lost):
        def run(self, jobs: Sequence[Job], watch: Watch) -> None:
            try:
                super().run(jobs, watch)
            finally:
                monkeypatch.setattr(Copying, "settings", refuse)

    terminal(monkeypatch, real=False)
    planned, work = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out"), Copying()
    options = RunOptions(executor=Gone(work, InputError("The cluster was lost"), after=1))
    with pytest.raises(InputError, match="The cluster was lost") as caught:
        run_files(planned, work, shown=Shown("copied", as_json=True), options=options)
    assert caught.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["done"] == 1


def test_an_error_before_the_first_file_is_all_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = terminal(monkeypatch, real=False)
    planned, work = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out"), Copying()
    options = RunOptions(executor=Lost(work, InputError("There is no cluster"), after=0))
    with pytest.raises(InputError, match="There is no cluster") as caught:
        run_files(planned, work, shown=Shown("copied", as_json=True), options=options)
    assert (said.getvalue(), capsys.readouterr().out, caught.value.exit_code) == ("", "", 2)
    single = plan([fill(tmp_path / "one", "bad.png") / "bad.png"], tmp_path / "out")
    with pytest.raises(PictureError, match="is broken") as broken:
        run_files(single, work, shown=Shown("copied", as_json=True), options=RunOptions())
    assert (said.getvalue(), capsys.readouterr().out, broken.value.exit_code) == ("", "", 2)


def test_a_journal_that_is_full_ends_a_command_with_its_summary_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(tmp_path / "in", "a.png", "b.png", "c.png")
    model = blur_model(tmp_path / "blur.onnx")
    settle = Journal.settle
    left = [2]

    def filling(self: Journal, job: Job, *, reason: str | None = None) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise InputError("The journal cannot be written: database or disk is full")
        settle(self, job, reason=reason)

    monkeypatch.setattr(Journal, "settle", filling)
    arguments = ["denoise", str(source), "-o", str(tmp_path / "out"), "--model", str(model), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    *failures, summary, error = result.stderr.splitlines()
    assert [line.split(":")[0] for line in failures] == ["failed"] * 3
    assert summary == f"wrote 0 of 3 files into {tmp_path / 'out'}; 3 failed"
    assert error == "grainless: error: The journal cannot be written: database or disk is full."
    assert len(json.loads(result.stdout)["failed"]) == 3
