"""Folders of pictures and how they are split."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_runs
from grainless.datasets import PictureRequirement, decode_8bit, find_pictures, split_names
from grainless.datasets.store import fingerprint_files
from grainless.errors import DataError
from grainless.picture import Metadata, Picture, write_picture

NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=60, unique=True)


@pytest.fixture
def folder(tmp_path):
    return tiny_runs.pictures(tmp_path / "pictures", count=4)


def test_find_pictures_is_recursive_sorted_and_skips_other_files(folder):
    (folder / "notes.txt").write_text("x")
    (folder / "a" / "deep").mkdir()
    (folder / "a" / "deep" / "X.PNG").write_bytes(b"")
    (folder / "folder.png").mkdir()
    assert find_pictures(folder) == ["a/0.png", "a/2.png", "a/deep/X.PNG", "b/1.png", "b/3.png"]


def test_hidden_files_are_no_pictures(folder):
    (folder / "a" / "._0.png").write_bytes(b"x")
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "0.png").write_bytes(b"x")
    assert find_pictures(folder) == ["a/0.png", "a/2.png", "b/1.png", "b/3.png"]


def test_find_pictures_needs_a_folder_with_pictures(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        find_pictures(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no picture"):
        find_pictures(tmp_path)


@settings(deadline=None, max_examples=40)
@given(names=NAMES, share=st.floats(0.01, 0.9), data=st.data())
def test_splits_never_overlap_and_do_not_depend_on_order(names, share, data):
    try:
        training, validation = split_names(names, share=share)
    except DataError:
        return  # all of them fell into the validation share
    assert set(training) | set(validation) == set(names)
    assert not set(training) & set(validation)
    assert training
    assert validation
    shuffled = data.draw(st.permutations(names))
    again = split_names(shuffled, share=share)
    assert (set(again[0]), again[1]) == (set(training), validation)


@settings(deadline=None, max_examples=40)
@given(names=NAMES, extra=st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_split_does_not_depend_on_other_files(names, extra):
    try:
        before, after = split_names(names, share=0.5), split_names([*names, extra], share=0.5)
    except DataError:
        return
    # Where nothing falls into the share one picture is taken all the same: that one may change.
    if len(before[1]) > 1:
        assert set(before[1]) - {extra} == set(after[1]) - {extra}


def test_share_is_about_what_is_asked_for():
    _, validation = split_names([f"{number}.png" for number in range(4000)], share=0.05)
    assert 150 < len(validation) < 250


def test_listed_names_are_the_validation_set():
    names = ["a", "b", "c", "d"]
    assert split_names(names, listed=["c", "gone", "a"]) == (["b", "d"], ["a", "c"])
    assert split_names(names, listed=["gone"]) == split_names(names)


@pytest.mark.parametrize(("names", "listed"), [(["a"], []), (["a", "b"], ["a", "b"])])
def test_split_leaves_something_to_train_on(names, listed):
    with pytest.raises(DataError, match="No picture is left for training"):
        split_names(names, listed=listed)


def test_decode_8bit_gives_pixels_or_the_reason(folder):
    pixels, fault = decode_8bit(folder / "a/0.png", PictureRequirement(channels=3))
    assert (pixels.tolist(), fault) == (tiny_runs.pixels_for("a/0.png").tolist(), "")
    pixels, fault = decode_8bit(folder / "a/0.png", PictureRequirement(min_side=41))
    assert (pixels, fault) == (None, "too small: 48x40 pixels, each side must be at least 41")


@pytest.mark.parametrize(("white", "fault"), [(1.0, ""), (2.5, ""), (255.0, "float values up to 255")])
def test_floats_whose_white_is_not_1_are_not_clipped_away(tmp_path, white, fault):
    pixels = np.linspace(0, white, 300, dtype=np.float32).reshape(10, 10, 3)
    write_picture(Picture(pixels, None, Metadata(), "tiff"), tmp_path / "a.tif")
    found, said = decode_8bit(tmp_path / "a.tif", PictureRequirement())
    assert (found is None) == bool(fault)
    assert said.startswith(fault)
    assert bool(said) == bool(fault)


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_names_that_are_no_text_are_names(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.png")).touch()
    (tmp_path / "a.png").touch()
    names = find_pictures(tmp_path)
    assert len(names) == 2
    training, validation = split_names(names, share=0.5)
    assert sorted([*training, *validation]) == names
    fingerprint_files(tmp_path, names, PictureRequirement())


def test_nothing_cannot_be_split():
    with pytest.raises(DataError, match=r"No picture is left for training.*fewer apart for the test"):
        split_names([])
