"""Runs over many files with work that only copies bytes: what is done, what is left, what is reported."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_files import Copying, contents, fill, held_journal, touch_later
from grainless.batch import BatchReport, Job, Plan, RunOptions, Step, plan, run
from grainless.batch.journal import open_journal
from grainless.batch.runs import preview
from grainless.errors import (
    GrainlessError,
    InputError,
    MemoryLimitError,
    OutputExistsError,
    PictureError,
    PictureTooLargeError,
)

LOOSE = RunOptions(journal=False)


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_folders_that_cannot_be_listed_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path / "in", "a.png", "locked/b.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = plan([source], tmp_path / "out")
    monkeypatch.undo()
    assert names(list(found.jobs)) == ["a.png"]
    report = run(found, Copying())
    assert [(failure.name, failure.reason) for failure in report.failed] == [
        (str(source / "locked"), "Permission denied")
    ]
    assert report.exit_code == 1


def test_a_bad_file_costs_only_itself(tmp_path: Path) -> None:
    good = [f"{number:03}.png" for number in range(20)]
    source = fill(tmp_path / "in", *good, "bad-1.png", "sub/bad-2.png")
    report = run(plan([source], tmp_path / "out"), Copying())
    assert names(report.done) == good
    assert [Path(failure.name).name for failure in report.failed] == ["bad-1.png", "bad-2.png"]
    assert "is broken" in report.failed[0].reason
    assert report.exit_code == 1
    assert list(contents(tmp_path / "out")) == good


@pytest.mark.parametrize("step", ["on_read", "on_compute", "on_write"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(5, "Input/output error", "out/a.png"), "Input/output error; got out/a.png"),
        (MemoryError(), "a.png does not fit into memory"),
        (RuntimeError("a fault\nof ours"), "unexpected RuntimeError: a fault of ours"),
    ],
)
def test_any_error_in_any_step_of_a_file_is_collected_in_one_line(
    tmp_path: Path, step: str, fault: Exception, words: str
) -> None:
    def fail(job: Job) -> None:
        if job.name == "a.png":
            raise fault

    report = run(plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out"), Copying(**{step: fail}))
    assert names(report.done) == ["b.png"]
    assert words in report.failed[0].reason


@pytest.mark.parametrize("step", ["on_read", "on_compute", "on_write"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_disk_that_fills_in_any_step_is_no_fault_of_the_file(
    tmp_path: Path, step: str, wrapped: bool
) -> None:
    def fail(job: Job) -> None:
        if job.name == "b.png":
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if wrapped:
                raise PictureError("out/b.png cannot be written") from full
            raise full

    planned = plan([fill(tmp_path / "in", "a.png", "b.png", "c.png")], tmp_path / "out")
    report = run(planned, Copying(**{step: fail}))
    assert report.failed == []
    assert "out is full. Make room; the same command then goes on" in str(report.stopped)
    again = run(planned, Copying())
    assert (again.failed_before, again.exit_code) == ([], 0)
    assert list(contents(tmp_path / "out")) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("refused", [PictureTooLargeError("too large"), MemoryLimitError("too small")])
def test_what_only_a_limit_has_refused_is_tried_again_with_another(
    tmp_path: Path, refused: GrainlessError
) -> None:
    def fail(job: Job) -> None:
        if job.name == "a.png":
            raise refused

    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    report = run(planned, Copying(on_read=fail))
    assert ([Path(item.name).name for item in report.failed], report.exit_code) == (["a.png"], 1)
    again = run(planned, Copying())
    assert (names(again.done), again.failed_before, again.exit_code) == (["a.png"], [], 0)


def test_what_was_put_where_a_limit_has_refused_is_left_alone(tmp_path: Path) -> None:
    def fail(_: Job) -> None:
        raise PictureTooLargeError("too large")

    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    run(planned, Copying(on_read=fail))
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    again = run(planned, Copying())
    assert names(again.skipped) == ["a.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"


def test_an_old_result_of_a_file_that_a_limit_refuses_is_made_anew_later(tmp_path: Path) -> None:
    def fail(_: Job) -> None:
        raise PictureTooLargeError("too large")

    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    run(planned, Copying())
    touch_later(tmp_path / "in" / "a.png", b"changed")
    run(planned, Copying(on_read=fail))
    assert names(run(planned, Copying()).done) == ["a.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"changed"


def test_a_single_file_raises_its_own_error_and_has_no_journal(tmp_path: Path) -> None:
    fill(tmp_path, "bad.png", "good.png")
    with pytest.raises(PictureError, match="is broken"):
        run(plan([tmp_path / "bad.png"], tmp_path / "out"), Copying())
    single = plan([tmp_path / "good.png"], tmp_path / "out")
    run(single, Copying())
    with pytest.raises(OutputExistsError, match="exists already"):
        run(single, Copying())
    (tmp_path / "out" / "good.png").write_bytes(b"old")
    assert run(single, Copying(), options=RunOptions(overwrite=True)).exit_code == 0
    assert (tmp_path / "out" / "good.png").read_bytes() == b"good.png"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


@pytest.mark.parametrize("options", [RunOptions(), LOOSE])
def test_what_stood_there_before_stays_unless_told(tmp_path: Path, options: RunOptions) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    fill(tmp_path / "out", "a.png")
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    for _ in range(2):
        report = run(planned, Copying(), options=options)
        assert "a.png" in names(report.skipped)
        assert report.exit_code == 0
        assert contents(tmp_path / "out") == {"a.png": b"mine", "b.png": b"b.png"}
    run(planned, Copying(), options=RunOptions(overwrite=True, journal=options.journal))
    assert contents(tmp_path / "out") == {"a.png": b"a.png", "b.png": b"b.png"}
    assert (tmp_path / "out" / ".grainless").exists() == options.journal


def test_a_second_run_does_only_what_is_new_changed_or_gone(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "b.png", "c.png", "d.png"), tmp_path / "out"
    run(plan([source], out), Copying())
    again = Copying()
    assert names(run(plan([source], out), again).kept) == ["a.png", "b.png", "c.png", "d.png"]
    assert again.computed == []
    touch_later(source / "b.png", b"other")
    (out / "c.png").unlink()
    fill(source, "e.png")
    planned = plan([source], out)
    assert list(preview(planned, Copying()).values()) == ["done", "changed", "again", "done", "new"]
    report = run(planned, again)
    assert again.computed == names(report.done) == ["b.png", "c.png", "e.png"]
    assert contents(out)["b.png"] == b"other"


def with_notes(source: Path, out: Path) -> Plan:
    return plan([source], out, beside=(".txt",))


def test_a_result_stands_if_all_its_files_do(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"

    def note(job: Job) -> None:
        fill(out, f"{job.target.name}.txt")

    run(with_notes(source, out), Copying(on_write=note))
    assert names(run(with_notes(source, out), Copying()).kept) == ["a.png", "b.png"]
    (out / "a.png.txt").unlink()
    assert list(preview(with_notes(source, out), Copying()).values()) == ["again", "done"]
    assert names(run(with_notes(source, out), Copying(on_write=note)).done) == ["a.png"]
    assert sorted(contents(out)) == ["a.png", "a.png.txt", "b.png", "b.png.txt"]
    # Another picture that wants the same name gets nothing, also where a file beside the result is gone.
    other = fill(tmp_path / "other", "a.png")
    touch_later(other / "a.png", b"another picture")
    (out / "a.png.txt").unlink()
    assert names(run(with_notes(other, out), Copying()).skipped) == ["a.png"]


def test_a_name_that_is_too_long_for_a_file_beside_it_costs_only_that_file(tmp_path: Path) -> None:
    long = "n" * 250 + ".png"
    source, out = fill(tmp_path / "in", "a.png", long), tmp_path / "out"
    report = run(with_notes(source, out), Copying(on_write=lambda job: job.results[1].touch()))
    assert (names(report.done), len(report.failed)) == (["a.png"], 1)
    assert "name too long" in report.failed[0].reason


def test_what_stands_beside_a_result_stays_unless_told(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    fill(out, "a.png.txt")
    report = run(with_notes(source, out), Copying())
    assert (names(report.skipped), names(report.done)) == (["a.png"], ["b.png"])
    assert sorted(contents(out)) == ["a.png.txt", "b.png"]
    single = plan([source / "a.png"], out, beside=(".txt",))
    with pytest.raises(OutputExistsError, match=r"a\.png\.txt exists already\. Add --overwrite"):
        run(single, Copying())
    assert len(run(single, Copying(), options=RunOptions(overwrite=True)).done) == 1


def test_a_folder_that_was_moved_is_still_known(tmp_path: Path) -> None:
    run(plan([fill(tmp_path / "in", "a.png")], tmp_path / "out"), Copying())
    shutil.move(tmp_path / "in", tmp_path / "elsewhere")
    shutil.move(tmp_path / "out", tmp_path / "results")
    assert names(run(plan([tmp_path / "elsewhere"], tmp_path / "results"), Copying()).kept) == ["a.png"]


def test_another_picture_of_the_same_name_does_not_replace_a_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(plan([fill(tmp_path / "roll1", "a.png")], out), Copying())
    other = fill(tmp_path / "roll2", "a.png", "b.png")
    touch_later(other / "a.png", b"another picture")
    report = run(plan([other], out), Copying())
    assert (names(report.skipped), names(report.done)) == (["a.png"], ["b.png"])
    assert contents(out) == {"a.png": b"a.png", "b.png": b"b.png"}


def test_failed_files_are_reported_and_tried_again_when_told_or_repaired(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "bad-1.png", "bad-2.png"), tmp_path / "out"
    assert len(run(plan([source], out), Copying()).failed) == 2
    report = run(plan([source], out), again := Copying())
    assert (again.computed, report.failed, report.exit_code) == ([], [], 1)
    assert [Path(failure.name).name for failure in report.failed_before] == ["bad-1.png", "bad-2.png"]
    assert "is broken" in report.failed_before[0].reason
    touch_later(source / "bad-1.png", b"repaired")
    report = run(plan([source], out), Copying())
    assert (names(report.done), len(report.failed_before)) == (["bad-1.png"], 1)
    report = run(plan([source], out), Copying(), options=RunOptions(retry_failed=True))
    assert (len(report.failed), report.failed_before) == (1, [])


def test_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "bad.png"), tmp_path / "out"
    run(plan([source], out), Copying())
    before = contents(out)
    for look in (run, preview):
        with pytest.raises(
            OutputExistsError,
            match=r"other settings, for example a\.png; got style bold; expected style plain",
        ):
            look(plan([source], out), Copying("bold"))
    assert contents(out) == before
    # Nothing of this folder's stands there: what failed before, and another folder.
    assert len(run(plan([fill(tmp_path / "new", "n.png")], out), Copying("bold")).done) == 1
    report = run(plan([source], out), Copying("bold"), options=RunOptions(overwrite=True))
    assert (len(report.done), len(report.failed)) == (1, 1)
    assert names(run(plan([source], out), Copying("bold")).kept) == ["a.png"]


def test_an_overwriting_run_goes_on_where_it_was_stopped_and_later_begins_anew(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", *(f"{number}.png" for number in range(6))), tmp_path / "out"
    planned, overwrite = plan([source], out), RunOptions(overwrite=True)
    run(planned, Copying())

    def stop(job: Job) -> None:
        if job.name == "3.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planned, Copying(on_compute=stop), options=overwrite)
    assert list(preview(planned, Copying(), options=overwrite).values()) == ["done"] * 3 + ["again"] * 3
    assert names(run(planned, Copying(), options=overwrite).done) == ["3.png", "4.png", "5.png"]
    assert list(preview(planned, Copying(), options=overwrite).values()) == ["again"] * 6
    assert len(run(planned, Copying(), options=overwrite).done) == 6


def test_a_preview_makes_nothing(tmp_path: Path) -> None:
    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    assert list(preview(planned, Copying()).values()) == ["new"]
    assert not (tmp_path / "out").exists()


def test_a_preview_beside_a_running_command_tells_how_far_that_is(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    fill(out, "a.png")
    with held_journal(out, source):
        planned = plan([source], out)
        assert list(preview(planned, Copying()).values()) == ["done", "new"]
        overwrite = RunOptions(overwrite=True)
        assert list(preview(planned, Copying(), options=overwrite).values()) == ["again", "new"]


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "sub/b.png"), tmp_path / "out"
    fill(out, ".grainless-12ab.part", "sub/.grainless-34cd.part", "mine.part")
    run(plan([source], out), Copying())
    assert sorted(contents(out)) == ["a.png", "mine.part", "sub/b.png"]
    # The source of a half-written file may be gone by the next run.
    with open_journal(out) as journal:
        lost = Job(source / "x/c.png", out / "x/c.png", "x/c.png")
        journal.expect([(lost, next(iter(journal.entries().values())).mark)], {})
    fill(out, "x/.grainless-56ef.part")
    run(plan([source], out), Copying())
    assert sorted(contents(out)) == ["a.png", "mine.part", "sub/b.png"]


def test_a_full_disk_stops_the_run_and_no_file_is_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png", "c.png")], tmp_path / "out")
    free = [10**9, 10**9, 5 * 2**20]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=free.pop(0) if len(free) > 1 else free[0])
    )
    report = run(planned, Copying())
    assert names(report.done) == ["a.png"]
    assert report.failed == []
    assert "is full; got 5 MB free; expected room for 0 MB and 16 MB to spare" in str(report.stopped)
    assert report.exit_code == 1
    free[:] = [1]
    assert "the run may have to stop before its end" in run(planned, Copying()).notes[0]
    monkeypatch.undo()
    report = run(planned, Copying())
    assert (names(report.kept), names(report.done), report.exit_code) == (["a.png"], ["b.png", "c.png"], 0)


def test_a_second_command_on_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grainless.batch.journal._SECONDS_TO_WAIT", 0.1)
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    refused = []

    def try_another(job: Job) -> None:
        with pytest.raises(
            OutputExistsError, match=r"Another command is at work in .*out\. Wait for its end"
        ):
            run(planned, Copying())
        refused.append(job.name)

    run(planned, Copying(on_compute=try_another))
    assert refused == ["a.png", "b.png"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.png", "in/b.png", "file")
    with pytest.raises(InputError, match=r"out cannot be used: Not a directory\. Name another output"):
        run(plan([tmp_path / "in"], tmp_path / "file" / "out"), Copying())


def test_steps_rise_and_end_at_the_total(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png", "b.png", "bad.png", "c.png")
    fill(tmp_path / "out", "b.png")
    steps: list[Step] = []
    report = run(plan([source], tmp_path / "out"), Copying(), on_step=steps.append)
    positions = [step.position for step in steps]
    assert positions == sorted(positions)
    assert (positions[0], positions[-1], steps[-1].total) == (0.0, 3, 3)
    ends = [(step.job.name, step.outcome) for step in steps if step.outcome != "working"]
    assert sorted(ends) == [("a.png", "done"), ("b.png", "skipped"), ("bad.png", "failed"), ("c.png", "done")]
    assert next(step for step in steps if step.outcome == "done").messages == ("copied a.png",)
    assert report.megapixels == 4
    assert report.rate == pytest.approx(4 / report.seconds)
    assert steps[-1].rate > 0


def test_the_summary_for_programs_has_every_file(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "b.png", "bad.png", "c.txt"), tmp_path / "out"
    fill(out, "b.png")
    planned = plan([source], out)
    summary = run(planned, Copying()).as_json(planned, settings={"style": "plain"})
    assert json.loads(json.dumps(summary)) == summary
    assert {name: summary[name] for name in ("version", "files", "done", "done_before", "ignored")} == {
        "version": 1, "files": 3, "done": 1, "done_before": 0, "ignored": 1,
    }  # fmt: skip
    assert (summary["skipped"], summary["stopped"]) == (["b.png"], None)
    assert summary["failed"] == [
        {"path": str(source / "bad.png"), "reason": f"{source / 'bad.png'} is broken."}
    ]


def test_an_interrupt_goes_through_and_what_was_done_is_kept(tmp_path: Path) -> None:
    def stop(job: Job) -> None:
        if job.name == "b.png":
            raise KeyboardInterrupt

    planned = plan([fill(tmp_path / "in", "a.png", "b.png", "c.png")], tmp_path / "out")
    report = BatchReport()
    with pytest.raises(KeyboardInterrupt):
        run(planned, Copying(on_compute=stop), report=report)
    assert names(report.done) == ["a.png"]
    assert names(run(planned, Copying()).kept) == ["a.png"]
