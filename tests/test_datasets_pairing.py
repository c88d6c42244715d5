"""Which noisy picture belongs to which clean one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.datasets import check_apart, list_side, match_pairs
from grainless.errors import DataError


def touch(folder: Path, *names: str) -> Path:
    """Make files of these names; what they hold is not looked at."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    names = ("a/0.png", "a/1.png", "b/0.png", "c.0.png")
    return touch(tmp_path / "noisy", *names), touch(tmp_path / "clean", *names)


def test_folders_pair_by_path_without_the_suffix(sides: tuple[Path, Path]) -> None:
    (sides[0] / "a/0.png").rename(sides[0] / "a/0.JPG")
    pairs = match_pairs(*sides)
    assert [pair.name for pair in pairs] == ["a/0", "a/1", "b/0", "c.0"]
    assert (pairs[0].noisy, pairs[0].clean) == (sides[0] / "a/0.JPG", sides[1] / "a/0.png")


def test_names_with_a_star_pair_by_what_it_stands_for(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}_{kind}.JPG" for name in ("x", "d/x", "a_b") for kind in ("real", "mean")))
    touch(tmp_path, "thumbs/other.png")
    pairs = match_pairs(tmp_path / "*_real.JPG", tmp_path / "*_mean.JPG")
    assert [pair.name for pair in pairs] == ["a_b", "d/x", "x"]
    assert pairs[1].noisy == tmp_path / "d/x_real.JPG"
    assert pairs[1].clean == tmp_path / "d/x_mean.JPG"


def test_a_star_and_a_folder_may_be_mixed(tmp_path: Path) -> None:
    touch(tmp_path / "shots", "1_iso6400.jpg", "2_iso6400.jpg", "1_iso100.jpg")
    touch(tmp_path / "clean", "1.png", "2.png")
    pairs = match_pairs(tmp_path / "shots" / "*_iso6400.jpg", tmp_path / "clean")
    assert [pair.clean.name for pair in pairs] == ["1.png", "2.png"]


@given(st.text("ab?[]!_", min_size=1, max_size=6))
def test_nothing_but_the_star_has_a_meaning(tmp_path_factory: pytest.TempPathFactory, ending: str) -> None:
    folder = touch(tmp_path_factory.mktemp("star"), f"1{ending}.png", "1zz.png", "1a.jpg")
    assert list_side(folder / f"*{ending}.png") == {"1": [f"1{ending}.png"]}


def test_accents_pair_however_they_are_spelled(tmp_path: Path) -> None:
    composed, taken_apart = "caf\u00e9", "cafe\u0301"
    for folder, name in (("noisy", composed), ("clean", taken_apart)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.png").touch()
    [pair] = match_pairs(tmp_path / "noisy", tmp_path / "clean")
    assert (pair.name, pair.clean.name) == (composed, f"{taken_apart}.png")


def test_names_with_two_stars_and_names_of_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "1_real.png")
    with pytest.raises(DataError, match=r"have one star; got \*_\*\.png"):
        list_side(tmp_path / "*_*.png")
    with pytest.raises(DataError, match=r"No picture in .* is called \*_Real\.png; .*large and small"):
        list_side(tmp_path / "*_Real.png")


def test_pictures_without_counterpart_are_named(sides: tuple[Path, Path]) -> None:
    touch(sides[0], "x/only.png")
    touch(sides[1], *(f"{number:02}.png" for number in range(13)))
    with pytest.raises(DataError, match="do not pair up") as caught:
        match_pairs(*sides)
    text = str(caught.value)
    assert f"1 only in {sides[0]} (x/only.png) and 13 only in {sides[1]} (00.png, 01.png, " in text
    assert "09.png and 3 more)" in text
    assert "10.png" not in text
    assert "Add the pictures that are missing, or remove these" in text


def test_only_the_lacking_side_is_named(sides: tuple[Path, Path]) -> None:
    (sides[1] / "b/0.png").unlink()
    with pytest.raises(DataError, match=r"got 1 only in .*noisy \(b/0.png\); expected the same names"):
        match_pairs(*sides)


def test_two_files_of_one_name(sides: tuple[Path, Path]) -> None:
    touch(sides[1], "a/0.jpg")
    with pytest.raises(
        DataError, match=r"Two pictures in .*clean have the name a/0; got a/0.jpg and a/0.png.* Keep one"
    ):
        match_pairs(*sides)


@pytest.mark.parametrize(
    "inside", ["same", "clean in noisy", "noisy in clean", "one star", "a star in its folder"]
)
def test_sides_that_overlap_are_refused(sides: tuple[Path, Path], inside: str) -> None:
    noisy, clean = {
        "same": (sides[0], sides[0].parent / "clean" / ".." / "noisy"),
        "clean in noisy": (sides[0], sides[0] / "a"),
        "noisy in clean": (sides[0] / "a", sides[0]),
        "one star": (sides[0] / "*.png", sides[0] / "*.png"),
        "a star in its folder": (sides[0] / "*.png", sides[0]),
    }[inside]
    with pytest.raises(DataError, match="Noisy and clean pictures overlap"):
        match_pairs(noisy, clean)


def test_the_problem_is_said_in_the_words_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="these overlap; got"):
        check_apart(tmp_path, tmp_path / "noisy", "these overlap")
    check_apart(tmp_path / "noisy", tmp_path / "clean", "these overlap")
