"""Noisy/clean pairs in two folders."""

from __future__ import annotations

import os

import numpy as np
import pytest

import tiny_runs
from grainless.datasets import PictureRequirement, PixelStore, pairs, store_pairs
from grainless.errors import DataError
from grainless.picture import Metadata, Picture, write_picture

ANY = PictureRequirement()


def add(part, name, **form):
    """Write a picture that only `part` and `name` tell from the others."""
    tiny_runs.write_pixels(part / name, tiny_runs.pixels_for(f"{part.name}/{name}", **form))


@pytest.fixture
def folders(tmp_path):
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    for name in ("a/0.png", "a/1.png", "b/0.png", "c.0.png"):
        add(noisy, name)
        add(clean, name)
    return noisy, clean


@pytest.fixture
def run(folders, tmp_path):
    def store(**options):
        return store_pairs(*folders, tmp_path / "store", **({"requirement": ANY} | options))

    return store


def test_both_stores_have_the_same_names_and_order(run, tmp_path):
    calls = []
    noisy, clean = run(progress=lambda *call: calls.append(call))
    assert noisy.names == clean.names == ["a/0", "a/1", "b/0", "c.0"]
    assert noisy.shapes == clean.shapes == [(40, 48, 3)] * 4
    for number, name in enumerate(noisy.names):
        np.testing.assert_array_equal(noisy[number], tiny_runs.pixels_for(f"noisy/{name}.png"))
        np.testing.assert_array_equal(clean[number], tiny_runs.pixels_for(f"clean/{name}.png"))
    assert calls == [(number, 4) for number in range(1, 5)]
    assert PixelStore(tmp_path / "store" / "noisy").names == noisy.names
    assert PixelStore(tmp_path / "store" / "clean").names == clean.names


def test_suffixes_may_differ(folders, run):
    pixels = tiny_runs.pixels_for("jpeg")
    (folders[0] / "a/0.png").unlink()
    jpeg = Picture(pixels=pixels, alpha=None, metadata=Metadata(), format="jpeg")
    write_picture(jpeg, folders[0] / "a/0.JPG")
    noisy, clean = run()
    assert noisy.names == clean.names == ["a/0", "a/1", "b/0", "c.0"]
    assert np.abs(noisy[0].astype(int) - pixels).mean() < 4


def test_limit_takes_even_steps(run):
    noisy, clean = run(limit=2)
    assert noisy.names == clean.names == ["a/0", "b/0"]


def test_pairs_of_different_form_are_listed_with_both_sizes(folders, run, tmp_path):
    add(folders[0], "a/0.png", width=50)
    add(folders[1], "b/0.png", channels=1)
    with pytest.raises(DataError, match="2 pairs are not of one size and channel count") as caught:
        run()
    text = str(caught.value)
    noisy, clean = folders
    assert f"{noisy}/a/0.png has 50x40 pixels in 3 channels, {clean}/a/0.png has 48x40 pixels" in text
    assert (
        f"{noisy}/b/0.png has 48x40 pixels in 3 channels, {clean}/b/0.png has 48x40 pixels in 1 channel)"
        in text
    )
    assert "a/1" not in text
    assert not list((tmp_path / "store").rglob("index.json"))


def test_ten_unequal_pairs_are_listed(folders, run):
    for number in range(12):
        add(folders[0], f"{number:02}.png", height=4, width=4)
        add(folders[1], f"{number:02}.png", height=4, width=5)
    with pytest.raises(DataError, match=r"12 pairs are not.*09\.png has 5x4 pixels .* and 2 more\)"):
        run()


def test_unfit_pictures_are_skipped_on_both_sides(folders, run):
    (folders[0] / "a/0.png").write_text("no picture")
    add(folders[1], "a/1.png", channels=1)
    add(folders[0], "b/0.png", height=20)
    noisy, clean = run(requirement=PictureRequirement(min_side=32, channels=3))
    assert noisy.names == clean.names == ["c.0"]
    assert noisy.skipped == clean.skipped
    reasons = {skipped.name: skipped.reason for skipped in noisy.skipped}
    assert reasons.keys() == {"a/0", "a/1", "b/0"}
    assert reasons["a/0"].startswith("the noisy picture: ")
    assert reasons["a/1"] == "the clean picture: 1 channel(s), this recipe needs 3"
    assert "too small: 48x20" in reasons["b/0"]


def test_none_left_is_an_error(run):
    with pytest.raises(
        DataError, match=r"None of the 4 pairs can be used \(a/0: the noisy picture: too small"
    ):
        run(requirement=PictureRequirement(min_side=100))


def count_decoded(monkeypatch):
    """The paths that are decoded from now on."""
    paths = []
    original = pairs.decode_8bit
    monkeypatch.setattr(
        pairs, "decode_8bit", lambda path, requirement: paths.append(path) or original(path, requirement)
    )
    return paths


def test_stores_are_taken_up_again(run, monkeypatch):
    first = run()
    paths = count_decoded(monkeypatch)
    again = run()
    assert paths == []
    np.testing.assert_array_equal(first[1][3], again[1][3])


@pytest.mark.parametrize(
    "change",
    [
        lambda folders, store: (
            add(folders[0], "a/0.png", height=40, width=48) or touch(folders[0] / "a/0.png")
        ),
        lambda folders, store: touch(folders[1] / "c.0.png"),
        lambda folders, store: (store / "clean" / "index.json").unlink(),
        lambda folders, store: (store / "noisy" / "pixels.u8").write_bytes(b"cut off"),
    ],
    ids=["noisy changed", "clean changed", "killed between the two", "cut off"],
)
def test_stores_are_made_anew_after_a_change(folders, run, tmp_path, monkeypatch, change):
    run()
    change(folders, tmp_path / "store")
    paths = count_decoded(monkeypatch)
    noisy, clean = run()
    assert len(paths) == 8
    assert noisy.names == clean.names
    np.testing.assert_array_equal(clean[0], tiny_runs.pixels_for("clean/a/0.png"))


def touch(path):

    os.utime(path, ns=(1, 1))


def test_a_folder_that_is_missing(folders, tmp_path):
    with pytest.raises(DataError, match=r"does not exist; got .*gone"):
        store_pairs(folders[0], tmp_path / "gone", tmp_path / "store", requirement=ANY)


def test_no_room_for_the_stores(run, tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be stored; got .*Free some disk"):
        run()
