"""Whole folders: one with a fault of each kind, a clean one, and the decoded pictures of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doctor_pictures import clean_folder, save, scene, spoilt
from grainless.datasets import PictureRequirement, PixelStore, store_pairs, store_pixels
from grainless.doctor import KINDS, Report, check_folder, check_store
from grainless.doctor.findings import part_of_name
from grainless.errors import DataError, InputError


def told(report: Report) -> set[tuple[str, str]]:
    return {(finding.file, finding.kind) for finding in report.findings}


PLANTED = {
    ("cut.jpg", "unreadable"),
    ("text.png", "unreadable"),
    ("white.png", "blank"),
    ("white.png", "odd-channels"),
    ("small.png", "too-small"),
    ("small.png", "odd-size"),
    ("grainy.png", "noisy"),
    ("specks.png", "impulses"),
    ("low.jpg", "jpeg"),
    ("gray3.png", "gray-in-colour"),
    ("gray1.png", "odd-channels"),
    ("wide.png", "odd-size"),
    ("twin.bmp", "duplicate"),
    ("mirror.png", "near-duplicate"),
    ("train/seen.png", "leak"),
    ("train/again.png", "leak"),
    ("known.png", "leak"),
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Thirty good pictures, and one with each fault that a single folder can have."""
    root = clean_folder(tmp_path / "planted", count=30)
    save(root / "cut.jpg", scene(40))
    (root / "cut.jpg").write_bytes((root / "cut.jpg").read_bytes()[:-900])
    (root / "text.png").write_text("no picture")
    save(root / "white.png", np.full((160, 208, 1), 255, np.uint8))
    save(root / "small.png", scene(42, height=60, width=60))
    save(root / "grainy.png", spoilt(scene(43), "gaussian:12"))
    save(root / "specks.png", spoilt(scene(44), "salt-pepper:0.02"))
    save(root / "low.jpg", scene(45), quality=40)
    save(root / "gray3.png", scene(46, channels=1).repeat(3, axis=2))
    save(root / "gray1.png", scene(47, channels=1))
    save(root / "wide.png", scene(48, width=260))
    save(root / "twin.bmp", scene(3))
    save(root / "mirror.png", spoilt(scene(4)[:, ::-1], "jpeg:80"))
    save(root / "test" / "seen.png", scene(49))
    save(root / "train" / "seen.png", scene(49))
    save(root / "train" / "again.png", spoilt(scene(49), "jpeg:85"))
    save(root / "known.png", scene(70))
    clean_folder(tmp_path / "benchmark", count=3, first=69)
    return root


def test_each_planted_fault_is_found_and_nothing_else(planted: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = check_folder(
        planted, against=[tmp_path / "benchmark"], progress=lambda *step: steps.append(step)
    )
    assert told(report) == PLANTED
    assert report.pictures == 46
    assert report.path == str(planted)
    others = {finding.file: finding.other for finding in report.findings if finding.other}
    assert others == {
        "twin.bmp": "03.png",
        "mirror.png": "04.png",
        "train/seen.png": "test/seen.png",
        "train/again.png": "test/seen.png",
        "known.png": str(tmp_path / "benchmark" / "70.png"),
    }
    assert {kind for _, kind in PLANTED} == {
        kind for kind in KINDS if not kind.startswith("pair") and kind != "texture"
    }
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert {total for _, total in steps} == {46 + 3 + 46}
    assert steps[-1] == (95, 95)


def test_quick_finds_what_decoding_shows(planted: Path, tmp_path: Path) -> None:
    report = check_folder(planted, against=[tmp_path / "benchmark"], quick=True)
    seen_later = {"noisy", "impulses", "jpeg", "near-duplicate"}
    assert told(report) == {
        entry for entry in PLANTED if entry[1] not in seen_later and entry[0] != "train/again.png"
    }


def test_a_clean_folder_gives_nothing(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "clean", count=24)
    clean_folder(root / "deep", count=4, first=30)
    steps: list[tuple[int, int]] = []
    report = check_folder(str(root), progress=lambda *step: steps.append(step))
    assert report.findings == ()
    assert report.pictures == 28
    assert steps[-1] == (56, 56)
    assert check_folder(root, quick=True).findings == ()


def test_the_shortest_side_is_chosen(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "clean", count=2)
    assert told(check_folder(root, min_side=160, quick=True)) == set()
    kinds = {kind for _, kind in told(check_folder(root, min_side=161, quick=True))}
    assert kinds == {"too-small"}


def test_an_unreadable_picture_of_another_folder_is_named_by_its_path(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "clean", count=2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes(b"")
    report = check_folder(root, against=[tmp_path / "other"])
    assert told(report) == {(str(tmp_path / "other" / "a.png"), "unreadable")}
    assert report.pictures == 2


def pairs_in(folder: Path, *, count: int = 4) -> Path:
    for seed in range(count):
        save(folder / "clean" / f"{seed}.png", scene(seed))
        save(folder / "noisy" / f"{seed}.png", spoilt(scene(seed), "gaussian:20"))
    return folder


def test_pairs_are_found_by_the_names_of_the_folders(tmp_path: Path) -> None:
    root = pairs_in(tmp_path / "pairs")
    save(root / "elsewhere.png", spoilt(scene(9), "gaussian:50"))
    steps: list[tuple[int, int]] = []
    report = check_folder(root, progress=lambda *step: steps.append(step))
    assert report.findings == ()
    assert report.pictures == 8
    # Eight files, then four pairs that are compared.
    assert steps[-1] == (12, 12)
    named = check_folder(root, pairs=("noisy", "clean"))
    assert named == report
    swapped = check_folder(root, pairs=("clean", "noisy"))
    assert told(swapped) == {("noisy", "pair-swapped")}


@pytest.mark.parametrize("quick", [False, True])
def test_pairs_of_two_parts_must_not_share_a_clean_picture(tmp_path: Path, quick: bool) -> None:
    for seed, part in enumerate(("train", "test")):
        save(tmp_path / "clean" / part / "a.png", scene(2))
        save(tmp_path / "noisy" / part / "a.png", spoilt(scene(2), "gaussian:20", seed=seed))
    assert told(check_folder(tmp_path, quick=quick)) == {("clean/train/a.png", "leak")}


@pytest.mark.parametrize("quick", [False, True])
def test_several_noisy_pictures_may_share_a_clean_one_but_not_with_a_test_set(
    tmp_path: Path, quick: bool
) -> None:
    root = pairs_in(tmp_path / "pairs")
    save(root / "clean" / "more.png", scene(2))
    save(root / "noisy" / "more.png", spoilt(scene(2), "gaussian:20", seed=8))
    assert told(check_folder(root, quick=quick)) == set()
    save(root / "clean" / "same.png", scene(3))
    save(root / "noisy" / "same.png", spoilt(scene(3), "gaussian:20"))
    assert told(check_folder(root, quick=quick)) == {("clean/same.png", "duplicate")}
    test = clean_folder(tmp_path / "test", count=2)
    report = check_folder(root, against=[test], quick=quick)
    leaks = {("clean/0.png", "leak"), ("clean/1.png", "leak")}
    assert told(report) == {("clean/same.png", "duplicate")} | leaks


def test_arguments_that_cannot_be_used(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "clean", count=2)
    with pytest.raises(DataError, match="does not exist"):
        check_folder(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        check_folder(tmp_path / "empty")
    with pytest.raises(DataError, match="holds no picture"):
        check_folder(root, against=[tmp_path / "empty"])
    for other in (root, tmp_path):
        with pytest.raises(DataError, match="against a part of itself"):
            check_folder(root, against=[other])
    with pytest.raises(InputError, match="shortest side is not valid; got 0"):
        check_folder(root, min_side=0)
    with pytest.raises(InputError, match="Pairs have two sides; got 1"):
        check_folder(root, pairs=["noisy"])


def test_the_part_of_a_picture_is_its_first_folder() -> None:
    assert part_of_name("Train/a/b.png") == part_of_name("training/c.png") == "train"
    assert part_of_name("val/a.png") == part_of_name("validation/a.png") == "validation"
    assert part_of_name("test/a.png") == "test"
    assert part_of_name("a/test/b.png") == part_of_name("test") == part_of_name("test.png") == ""


@pytest.fixture
def store(planted: Path, tmp_path: Path) -> PixelStore:
    return store_pixels(planted, tmp_path / "store", requirement=PictureRequirement(min_side=96))


def test_the_store_of_a_run_is_checked_without_decoding(store: PixelStore) -> None:
    report = check_store(store, name="planted")
    assert told(report) == {
        ("white.png", "blank"),
        ("white.png", "odd-channels"),
        ("gray3.png", "gray-in-colour"),
        ("gray1.png", "odd-channels"),
        ("wide.png", "odd-size"),
        ("twin.bmp", "duplicate"),
        ("train/seen.png", "duplicate"),
    }
    assert (report.path, report.pictures) == ("planted", len(store))
    assert check_store(store).path == str(store.folder)


def test_parts_of_a_run_must_share_nothing(store: PixelStore) -> None:
    place = {name: number for number, name in enumerate(store.names)}
    training = [number for name, number in place.items() if name != "03.png"]
    report = check_store(store, parts={"training": training, "validation": [place["03.png"]]})
    assert ("twin.bmp", "leak") in told(report)
    assert ("train/seen.png", "duplicate") in told(report)


def test_pairs_of_a_run_may_share_a_clean_picture(tmp_path: Path) -> None:
    root = pairs_in(tmp_path / "pairs")
    for name, seed in (("more", 5), ("same", 1)):
        save(root / "clean" / f"{name}.png", scene(2))
        save(root / "noisy" / f"{name}.png", spoilt(scene(2), "gaussian:20", seed=seed))
    noisy, clean = store_pairs(
        root / "noisy", root / "clean", tmp_path / "store", requirement=PictureRequirement()
    )
    assert told(check_store(clean, noisy=noisy)) == {("same", "duplicate")}
    assert told(check_store(clean)) == {("more", "duplicate"), ("same", "duplicate")}
