"""Plans and runs over many files, with actions that only copy bytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless.batch import Job, Step, Tick, plan, run
from grainless.errors import GrainlessError, InputError, OutputExistsError, PictureError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def copy(job: Job, tick: Tick) -> Sequence[str]:
    tick(0.5)
    if b"bad" in job.source.read_bytes():
        raise PictureError(f"{job.source} is broken")
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.target.write_bytes(job.source.read_bytes())
    return (f"copied {job.name}",)


def targets(inputs: Sequence[Path], out: Path, *, recursive: bool = True) -> list[str]:
    return sorted(
        job.target.relative_to(out.parent).as_posix() for job in plan(inputs, out, recursive=recursive).jobs
    )


def test_one_file_goes_to_a_picture_name_or_into_a_folder(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    assert targets([tmp_path / "a.png"], tmp_path / "b.tif") == ["b.tif"]
    assert targets([tmp_path / "a.png"], tmp_path / "out") == ["out/a.png"]
    (tmp_path / "folder.png").mkdir()
    assert targets([tmp_path / "a.png"], tmp_path / "folder.png") == ["folder.png/a.png"]
    assert plan([tmp_path / "a.png"], tmp_path / "out").single


def test_one_folder_keeps_its_tree_and_counts_what_is_no_picture(tmp_path: Path) -> None:
    source = fill(
        tmp_path / "in", "a.png", "b/c.JPG", "b/d/e.tiff", "notes.txt", ".hidden.png", ".cache/f.png"
    )
    found = plan([source], tmp_path / "out")
    assert [job.name for job in found.jobs] == ["a.png", "b/c.JPG", "b/d/e.tiff"]
    assert targets([source], tmp_path / "out") == ["out/a.png", "out/b/c.JPG", "out/b/d/e.tiff"]
    assert found.ignored == 2
    assert not found.single
    assert targets([source], tmp_path / "out", recursive=False) == ["out/a.png"]


def test_several_inputs_keep_folders_under_their_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "roll/a.png", "other/a.png", "a.png")
    inputs = [tmp_path / "roll", tmp_path / "other", tmp_path / "a.png"]
    assert targets(inputs, tmp_path / "out") == ["out/a.png", "out/other/a.png", "out/roll/a.png"]
    monkeypatch.chdir(tmp_path / "roll")
    assert targets([Path(), tmp_path / "a.png"], tmp_path / "out") == ["out/a.png", "out/roll/a.png"]


def test_results_inside_the_input_folder_are_not_taken_as_input(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png", "clean/a.png", "sub/clean/b.png")
    assert [job.name for job in plan([source], source / "clean").jobs] == ["a.png", "sub/clean/b.png"]


@pytest.mark.parametrize(
    ("inputs", "out", "error", "words"),
    [
        (["missing.png"], "out", InputError, "missing.png does not exist"),
        (["a.png", "missing"], "out", InputError, "missing does not exist"),
        (
            ["text"],
            "out",
            InputError,
            "no pictures in .*text; got 1 other file; expected files ending in .png",
        ),
        (["a.png"], "out.gif", PictureError, "out.gif has an unknown ending.*create it first"),
        (["a.png"], "a.png", OutputExistsError, "would replace the input"),
        (["a.png"], ".", OutputExistsError, "would replace the input"),
        (["roll"], "roll", OutputExistsError, "would replace the input"),
        (["roll"], "a.png", InputError, "a.png is a file; expected a folder"),
        (["roll"], "new.png", InputError, "new.png is the name of one picture, but the input is a folder"),
        (["a.png", "b.png"], "new.png", InputError, "but there are several inputs"),
        (["a.png", "roll/a.png"], "out", InputError, "would both be written to"),
        (["a.png", "copy/A.PNG"], "out", InputError, "would both be written to"),
        (["a.png", "a.png"], "out", InputError, "would both be written to"),
        ([], "out", InputError, "no input was named"),
    ],
)
def test_what_could_lose_a_picture_is_refused_before_anything_runs(
    tmp_path: Path, inputs: list[str], out: str, error: type[GrainlessError], words: str
) -> None:
    fill(tmp_path, "a.png", "b.png", "roll/a.png", "roll/c.png", "text/notes.txt", "copy/A.PNG")
    with pytest.raises(error, match=words):
        plan([tmp_path / name for name in inputs], tmp_path / out)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows links only to some users")
def test_linked_folders_are_not_followed(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png")
    (source / "loop").symlink_to(source, target_is_directory=True)
    assert [job.name for job in plan([source], tmp_path / "out").jobs] == ["a.png"]


def test_an_output_that_is_an_input_by_another_path_is_refused(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    os.link(source / "a.png", tmp_path / "out" / "a.png")
    with pytest.raises(OutputExistsError, match="also not with --overwrite"):
        plan([source], tmp_path / "out")


def test_folders_that_cannot_be_listed_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path / "in", "a.png", "locked/b.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = plan([source], tmp_path / "out")
    assert [job.name for job in found.jobs] == ["a.png"]
    report = run(found, copy)
    assert [(failure.name, failure.reason) for failure in report.failed] == [
        (str(source / "locked"), "Permission denied")
    ]
    assert report.exit_code == 1


def test_a_bad_file_costs_only_itself(tmp_path: Path) -> None:
    names = [f"{number:03}.png" for number in range(20)]
    source = fill(tmp_path / "in", *names, "bad-1.png", "sub/bad-2.png")
    report = run(plan([source], tmp_path / "out"), copy)
    assert [job.name for job in report.done] == names
    assert [Path(failure.name).name for failure in report.failed] == ["bad-1.png", "bad-2.png"]
    assert "is broken" in report.failed[0].reason
    assert report.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == names


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(28, "No space left on device", "out/a.png"), "No space left on device; got out/a.png"),
        (MemoryError(), "a.png does not fit into memory"),
        (RuntimeError("a fault\nof ours"), "unexpected RuntimeError: a fault of ours"),
    ],
)
def test_any_error_of_a_file_is_collected_in_one_line(tmp_path: Path, fault: Exception, words: str) -> None:
    def fail(job: Job, tick: Tick) -> Sequence[str]:
        if job.name == "a.png":
            raise fault
        return copy(job, tick)

    report = run(plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out"), fail)
    assert [job.name for job in report.done] == ["b.png"]
    assert words in report.failed[0].reason


def test_a_single_file_raises_its_own_error(tmp_path: Path) -> None:
    fill(tmp_path, "bad.png", "good.png")
    with pytest.raises(PictureError, match="is broken"):
        run(plan([tmp_path / "bad.png"], tmp_path / "out"), copy)
    single = plan([tmp_path / "good.png"], tmp_path / "out")
    run(single, copy)
    with pytest.raises(OutputExistsError, match="exists already"):
        run(single, copy)
    (tmp_path / "out" / "good.png").write_bytes(b"old")
    assert run(single, copy, overwrite=True).exit_code == 0
    assert (tmp_path / "out" / "good.png").read_bytes() == b"good.png"


def test_a_second_run_does_only_what_is_left(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png", "b.png")
    fill(tmp_path / "out", "a.png")
    (tmp_path / "out" / "a.png").write_bytes(b"kept")
    report = run(plan([source], tmp_path / "out"), copy)
    assert ([job.name for job in report.skipped], [job.name for job in report.done]) == (["a.png"], ["b.png"])
    assert report.exit_code == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == b"kept"


def test_steps_rise_and_end_at_the_total(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png", "b.png", "bad.png", "c.png")
    fill(tmp_path / "out", "b.png")
    steps: list[Step] = []
    run(plan([source], tmp_path / "out"), copy, on_step=steps.append)
    positions = [step.position for step in steps]
    assert positions == sorted(positions)
    assert (positions[0], positions[-1], steps[-1].total) == (0.0, 4, 4)
    ends = [(step.job.name, step.outcome) for step in steps if step.outcome != "working"]
    assert ends == [("a.png", "done"), ("b.png", "skipped"), ("bad.png", "failed"), ("c.png", "done")]
    assert next(step for step in steps if step.outcome == "done").messages == ("copied a.png",)


def test_an_interrupt_goes_through(tmp_path: Path) -> None:
    def stop(job: Job, tick: Tick) -> Sequence[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out"), stop)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own rules for names")
@settings(max_examples=30)
@given(names=st.lists(st.from_regex(r"[a-cA-C]{1,2}(/[a-c]{1,2}){0,2}", fullmatch=True), max_size=12))
def test_every_picture_of_a_tree_has_one_output_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    fill(root / "in", "first.png", *(f"{name}.png" for name in names))
    jobs = plan([root / "in"], root / "out").jobs
    assert len({job.target for job in jobs}) == len(jobs) == len({*names, "first"})
    for job in jobs:
        assert job.target.relative_to(root / "out") == job.source.relative_to(root / "in")


@pytest.mark.skipif(os.name != "posix", reason="links need a right of their own elsewhere")
def test_a_link_to_itself_is_no_stop(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png")
    (source / "loop").symlink_to("loop")
    (tmp_path / "out").symlink_to("out")
    assert [job.name for job in plan([source], tmp_path / "out").jobs] == ["a.png"]
