"""Folders of noisy pictures and their clean ones, with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doctor_pictures import save, scene, spoilt
from grainless.doctor.findings import Finding
from grainless.doctor.pairs import PairCheck, find_sides
from grainless.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pairs in which nothing is wrong; noisy ones are PNG, clean ones JPEG and PNG."""
    root = tmp_path / "data"
    for seed in range(6):
        suffix = "jpg" if seed % 2 else "png"
        options = {"quality": 95} if suffix == "jpg" else {}
        save(root / "clean" / "a" / f"{seed}.{suffix}", scene(seed, width=256), **options)
        save(root / "noisy" / "a" / f"{seed}.png", spoilt(scene(seed, width=256), "gaussian:20"))
    return root


def checked(root: Path, *, quick: bool = False, pairs: tuple[str, str] | None = None) -> list[Finding]:
    sides = find_sides(root, pairs)
    assert sides is not None
    check = PairCheck(sides, min_side=96, quick=quick)
    check.run(lambda: None)
    return check.findings


def told(root: Path, *, quick: bool = False) -> list[tuple[str, str, str | None]]:
    return [(finding.file, finding.kind, finding.other) for finding in checked(root, quick=quick)]


def test_nothing_is_said_of_good_pairs_and_each_file_is_a_step(folder: Path) -> None:
    sides = find_sides(folder, None)
    assert sides is not None
    check = PairCheck(sides, min_side=96, quick=False)
    steps: list[int] = []
    check.run(lambda: steps.append(1))
    assert check.findings == []
    assert check.pictures == len(steps) == 12
    assert [kept.name for kept in check.kept_clean] == [
        f"clean/a/{n}.{'jpg' if n % 2 else 'png'}" for n in range(6)
    ]


def test_pictures_without_a_partner(folder: Path) -> None:
    (folder / "noisy" / "a" / "3.png").unlink()
    save(folder / "noisy" / "b.png", scene(9, width=256))
    save(folder / "noisy" / "a" / "2.bmp", scene(2, width=256))
    assert sorted(told(folder)) == [
        ("clean/a/3.jpg", "pair-name", None),
        ("noisy/a/2.bmp", "pair-equal", "clean/a/2.png"),
        ("noisy/a/2.png", "pair-name", "noisy/a/2.bmp"),
        ("noisy/b.png", "pair-name", None),
    ]


@pytest.mark.parametrize("quick", [False, True])
def test_pairs_of_two_sizes_and_of_one_picture(folder: Path, quick: bool) -> None:
    save(folder / "noisy" / "a" / "0.png", spoilt(scene(0, width=256), "gaussian:20")[:, :200])
    save(folder / "noisy" / "a" / "1.png", spoilt(scene(1, width=256, channels=1), "gaussian:20"))
    save(folder / "noisy" / "a" / "2.png", scene(2, width=256))
    found = {finding.file: finding for finding in checked(folder, quick=quick)}
    assert {file: finding.kind for file, finding in found.items()} == {
        "noisy/a/0.png": "pair-size",
        "noisy/a/1.png": "pair-size",
        "noisy/a/2.png": "pair-equal",
    }
    assert "200x160 pixels in 3 channels" in found["noisy/a/0.png"].found
    assert "1 channel, clean/a/1.jpg has 256x160 pixels in 3" in found["noisy/a/1.png"].found


def test_a_shifted_pair(folder: Path) -> None:
    large = scene(4, width=256, height=170)
    save(folder / "clean" / "a" / "4.png", large[3:163, :250])
    save(folder / "noisy" / "a" / "4.png", spoilt(large[1:161, 1:251], "gaussian:20"))
    (finding,) = checked(folder)
    assert (finding.kind, finding.file) == ("pair-shifted", "noisy/a/4.png")
    assert finding.found == "moved 2 pixels down and 1 pixel to the left against clean/a/4.png"


def test_a_pair_of_two_scenes(folder: Path) -> None:
    save(folder / "noisy" / "a" / "4.png", spoilt(scene(30, width=256), "gaussian:20"))
    assert told(folder) == [("noisy/a/4.png", "pair-scene", "clean/a/4.png")]
    assert told(folder, quick=True) == []


@pytest.mark.parametrize("noise", ["gaussian:8", "salt-pepper:0.05"])
def test_one_swapped_pair_is_not_called_noisy_too(folder: Path, noise: str) -> None:
    save(folder / "noisy" / "a" / "4.png", scene(4, width=256))
    save(folder / "clean" / "a" / "4.png", spoilt(scene(4, width=256), noise))
    assert told(folder) == [("clean/a/4.png", "pair-swapped", "noisy/a/4.png")]


def test_swapped_folders_are_said_once(folder: Path) -> None:
    (finding,) = checked(folder, pairs=("clean", "noisy"))
    assert (finding.file, finding.kind, finding.other) == ("noisy", "pair-swapped", "clean")
    assert finding.found == "in 6 of 6 pairs the clean picture is the noisier one"


def test_noisy_pictures_are_not_named_where_the_folders_are_swapped(folder: Path) -> None:
    save(folder / "noisy" / "a" / "5.png", spoilt(scene(5, width=256), "gaussian:20+jpeg:30"))
    assert told(folder) == []
    findings = checked(folder, pairs=("clean", "noisy"))
    assert [finding.kind for finding in findings if finding.kind != "jpeg"] == ["pair-swapped"]


@pytest.mark.parametrize("noise", ["jpeg:10", "jpeg:40"])
def test_jpeg_as_noise_is_not_called_swapped(folder: Path, noise: str) -> None:
    for seed in range(6):
        suffix = "jpg" if seed % 2 else "png"
        clean = spoilt(scene(seed, width=256), "gaussian:1.5")
        save(folder / "clean" / "a" / f"{seed}.{suffix}", clean, **({"quality": 98} if seed % 2 else {}))
        save(folder / "noisy" / "a" / f"{seed}.png", spoilt(clean, noise))
    assert told(folder) == []


def test_a_noisy_clean_picture_and_unreadable_files(folder: Path) -> None:
    save(folder / "clean" / "a" / "0.png", spoilt(scene(0, width=256), "gaussian:10", seed=5))
    (folder / "noisy" / "a" / "1.png").write_bytes(b"\x89PNG")
    (folder / "clean" / "a" / "2.png").write_bytes(b"")
    save(folder / "noisy" / "a" / "3.png", np.full((160, 256, 3), 40, np.uint8))
    assert sorted(told(folder)) == [
        ("clean/a/0.png", "noisy", None),
        ("clean/a/2.png", "unreadable", None),
        ("noisy/a/1.png", "unreadable", None),
        ("noisy/a/3.png", "blank", None),
    ]


def test_sides_are_found_below_the_path_or_anywhere(folder: Path, tmp_path: Path) -> None:
    assert find_sides(tmp_path, None) is None
    named = find_sides(tmp_path, ("data/noisy", "data/clean"))
    assert named is not None
    assert (named.noisy.name, named.clean.prefix) == ("data/noisy", "data/clean/")
    (tmp_path / "else").mkdir()
    away = find_sides(tmp_path / "else", (folder / "noisy", folder / "clean"))
    assert away is not None
    assert away.noisy.name == str(folder / "noisy")


def test_pairs_of_one_folder_are_told_by_their_names(tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / f"{seed}_mean.png", scene(seed, width=256))
        save(tmp_path / f"{seed}_real.png", spoilt(scene(seed, width=256), "gaussian:20"))
    (tmp_path / "2_mean.png").unlink()
    found = checked(tmp_path, pairs=("*_real.png", "*_mean.png"))
    assert [(finding.file, finding.kind, finding.found) for finding in found] == [
        ("2_real.png", "pair-name", "nothing in *_mean.png has its name")
    ]


def test_sides_must_be_apart_and_hold_pictures(folder: Path) -> None:
    for pair in (("noisy", "noisy"), ("noisy", "noisy/a"), (".", "clean")):
        with pytest.raises(DataError, match="Noisy and clean pictures overlap"):
            find_sides(folder, pair)
    with pytest.raises(DataError, match="does not exist"):
        checked(folder, pairs=("noisy", "gone"))
