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


# Files beside the results, and files that are only read

BESIDE = (".removed.png",)
LINKS = pytest.mark.skipif(os.name != "posix", reason="links need a right of their own elsewhere")


def test_all_files_of_a_result_are_known(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.png", "in/b.png")
    one = plan([tmp_path / "in" / "a.png"], tmp_path / "c.jpg", beside=BESIDE).jobs[0]
    assert one.results == (tmp_path / "c.jpg", tmp_path / "c.jpg.removed.png")
    many = plan([tmp_path / "in"], tmp_path / "out", beside=BESIDE).jobs
    assert [path.name for job in many for path in job.results] == [
        "a.png", "a.png.removed.png", "b.png", "b.png.removed.png",
    ]  # fmt: skip
    assert plan([tmp_path / "in"], tmp_path / "out").jobs[0].results == (tmp_path / "out" / "a.png",)


@LINKS
@pytest.mark.parametrize(
    ("inputs", "out", "words"),
    [
        (["a.png"], "mask.png", r"mask\.png would replace .*mask\.png, which is read"),
        (["a.png"], "link.png", r"link\.png would replace .*mask\.png, which is read"),
        (["a.png"], "hard.png", r"hard\.png would replace .*mask\.png, which is read"),
        (["in"], "masks", r"masks.mask\.png would replace .*which is read\. .* also not with --overwrite"),
        (["x.png"], "a.png", r"a\.png\.removed\.png would replace .*a\.png\.removed\.png, which is read"),
    ],
)
def test_what_is_only_read_is_not_replaced_either(
    tmp_path: Path, inputs: list[str], out: str, words: str
) -> None:
    fill(tmp_path, "a.png", "x.png", "mask.png", "in/mask.png", "in/b.png", "a.png.removed.png")
    (tmp_path / "masks").mkdir()
    os.link(tmp_path / "mask.png", tmp_path / "masks" / "mask.png")
    os.link(tmp_path / "mask.png", tmp_path / "hard.png")
    (tmp_path / "link.png").symlink_to("mask.png")
    read = [tmp_path / name for name in ("mask.png", "a.png.removed.png", "gone.png")]
    places = {"beside": BESIDE, "protected": read}
    with pytest.raises(OutputExistsError, match=words):
        plan([tmp_path / name for name in inputs], tmp_path / out, **places)


@LINKS
def test_files_beside_results_replace_no_input_and_no_other_result(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.png", "in/a.jpg", "b.png.removed.png", "in/sub/b.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    inputs = [tmp_path / "in" / "a.png", tmp_path / "b.png.removed.png"]
    plan(inputs, tmp_path / "out", beside=BESIDE)
    with pytest.raises(OutputExistsError, match=r"b\.png\.removed\.png would replace the input"):
        plan([tmp_path / "in" / "sub" / "b.png", tmp_path / "b.png.removed.png"], tmp_path, beside=BESIDE)
    fill(tmp_path, "in/a.png.removed.png")
    for source in (tmp_path / "in", tmp_path / "link"):
        plan([source], tmp_path / "out")
        with pytest.raises(OutputExistsError, match=r"a\.png\.removed\.png would be written twice"):
            plan([source], tmp_path / "out", beside=BESIDE)


@LINKS
def test_results_that_a_linked_folder_brings_together_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "in/x/a.png", "in/y/a.png", "out/x/b.png")
    (tmp_path / "out" / "y").symlink_to("x")
    with pytest.raises(OutputExistsError, match=r"y.a\.png would be written twice"):
        plan([tmp_path / "in"], tmp_path / "out")


def test_results_that_are_one_file_by_links_are_written_apart(tmp_path: Path) -> None:
    # As programs make them that look for equal files.
    fill(tmp_path, "in/a.png", "in/b.png", "out/a.png")
    os.link(tmp_path / "out" / "a.png", tmp_path / "out" / "b.png")
    assert len(plan([tmp_path / "in"], tmp_path / "out").jobs) == 2


@LINKS
def test_a_link_to_nowhere_costs_only_itself(tmp_path: Path) -> None:
    source = fill(tmp_path / "in", "a.png")
    (source / "b.png").symlink_to("gone.png")
    fill(tmp_path / "out", "b.png")
    assert [job.name for job in plan([source], tmp_path / "out").jobs] == ["a.png", "b.png"]
