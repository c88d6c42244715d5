"""Folders of noisy pictures and their clean ones, with one fault each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doctor_pictures import save, scene, spoilt
from grainless.doctor.findings import Finding
from grainless.doctor.pairs import PairCheck, check_apart, noisier, pair_folders
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
    folders = pair_folders(root, pairs)
    assert folders is not None
    check = PairCheck(folders, min_side=96, quick=quick)
    check.run(lambda: None)
    return check.findings


def told(root: Path, *, quick: bool = False) -> list[tuple[str, str, str | None]]:
    return [(finding.file, finding.kind, finding.other) for finding in checked(root, quick=quick)]


def test_nothing_is_said_of_good_pairs_and_each_file_is_a_step(folder: Path) -> None:
    folders = pair_folders(folder, None)
    assert folders is not None
    check = PairCheck(folders, min_side=96, quick=False)
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


def test_noise_is_compared_with_noise() -> None:
    clean, weak, strong = scene(0), spoilt(scene(0), "gaussian:4"), spoilt(scene(0), "gaussian:12")
    assert noisier(weak, strong) == ""
    assert noisier(clean, weak) == ""
    assert noisier(strong, spoilt(scene(0), "gaussian:11")) == ""
    assert noisier(strong, weak).startswith("noise of 1")
    assert "black or white" in noisier(spoilt(clean, "salt-pepper:0.02"), clean)
    assert noisier(strong, spoilt(clean, "salt-pepper:0.5")) == ""


def test_folders_are_found_below_the_path_or_anywhere(folder: Path, tmp_path: Path) -> None:
    assert pair_folders(tmp_path, None) is None
    named = pair_folders(tmp_path, ("data/noisy", "data/clean"))
    assert named is not None
    assert (named.noisy_label, named.clean_label) == ("data/noisy", "data/clean")
    (tmp_path / "else").mkdir()
    away = pair_folders(tmp_path / "else", (folder / "noisy", folder / "clean"))
    assert away is not None
    assert away.noisy_label == str(folder / "noisy")


def test_folders_must_be_apart_and_hold_pictures(folder: Path) -> None:
    for pair in (("noisy", "noisy"), ("noisy", "noisy/a"), (".", "clean")):
        with pytest.raises(DataError, match="noisy and clean pictures overlap"):
            pair_folders(folder, pair)
    with pytest.raises(DataError, match="does not exist"):
        checked(folder, pairs=("noisy", "gone"))
    with pytest.raises(DataError, match="these overlap"):
        check_apart(folder, folder / "noisy", "these overlap")
