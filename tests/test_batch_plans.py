"""Which file goes where, and what is refused before anything runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_files import fill
from grainless.batch import plan
from grainless.errors import GrainlessError, InputError, OutputExistsError, PictureError


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
