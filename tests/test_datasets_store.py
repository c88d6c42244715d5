"""The store of decoded pixels."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

import tiny_runs
from grainless.datasets import PictureRequirement, PixelStore, store, store_pixels
from grainless.errors import DataError
from grainless.picture import Metadata, Picture, write_picture

ANY = PictureRequirement()


@pytest.fixture
def folder(tmp_path):
    return tiny_runs.pictures(tmp_path / "pictures", count=4)


def test_store_round_trip(folder, tmp_path):
    tiny_runs.write_pixels(folder / "gray.png", tiny_runs.pixels_for("gray", 9, 31, 1))
    calls = []
    store = store_pixels(folder, tmp_path / "s", requirement=ANY, progress=lambda *call: calls.append(call))
    assert calls == [(number, 5) for number in range(1, 6)]
    assert store.names == ["a/0.png", "a/2.png", "b/1.png", "b/3.png", "gray.png"]
    assert len(store) == 5
    for number, name in enumerate(store.names[:4]):
        np.testing.assert_array_equal(store[number], tiny_runs.pixels_for(name))
    np.testing.assert_array_equal(store[4], tiny_runs.pixels_for("gray", 9, 31, 1))
    assert store.skipped == []
    with pytest.raises(ValueError, match="read-only"):
        store[0][0, 0, 0] = 1
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy[4], store[4])


def test_16_bit_pictures_are_rounded(tmp_path):
    deep = np.array([[0, 128, 129, 65535] * 2] * 8, np.uint16)[..., None]
    (tmp_path / "p").mkdir()
    picture = Picture(pixels=deep, alpha=None, metadata=Metadata(), format="png")
    write_picture(picture, tmp_path / "p" / "deep.png")
    store = store_pixels(tmp_path / "p", tmp_path / "s", requirement=ANY)
    assert store[0][0, :4, 0].tolist() == [0, 0, 1, 255]


def test_unfit_pictures_are_skipped_with_their_reason(folder, tmp_path):
    (folder / "broken.png").write_bytes((folder / "a/0.png").read_bytes()[:300])
    (folder / "text.png").write_text("hello")
    tiny_runs.write_pixels(folder / "small.png", tiny_runs.pixels_for("s", 50, 20))
    tiny_runs.write_pixels(folder / "gray.png", tiny_runs.pixels_for("g", channels=1))
    requirement = PictureRequirement(min_side=32, channels=3)
    store = store_pixels(folder, tmp_path / "s", requirement=requirement)
    assert len(store) == 4
    reasons = {skipped.name: skipped.reason for skipped in store.skipped}
    assert reasons.keys() == {"broken.png", "text.png", "small.png", "gray.png"}
    assert reasons["small.png"] == "too small: 20x50 pixels, each side must be at least 32"
    assert reasons["gray.png"] == "1 channel(s), this recipe needs 3"
    assert "text.png" in reasons["text.png"]
    assert PixelStore(tmp_path / "s").skipped == store.skipped


def test_none_left_is_an_error(folder, tmp_path):
    with pytest.raises(DataError, match=r"None of the 4 pictures .*\(a/0\.png: too small: 48x40"):
        store_pixels(folder, tmp_path / "s", requirement=PictureRequirement(min_side=100))


def decoded(monkeypatch):
    """The names that are decoded from now on."""
    names = []
    original = store.decode_8bit
    monkeypatch.setattr(
        store,
        "decode_8bit",
        lambda path, requirement: names.append(path.name) or original(path, requirement),
    )
    return names


def test_store_is_taken_up_again(folder, tmp_path, monkeypatch):
    first = store_pixels(folder, tmp_path / "s", requirement=ANY)
    names = decoded(monkeypatch)
    again = store_pixels(folder, tmp_path / "s", requirement=ANY)
    assert names == []
    np.testing.assert_array_equal(first[3], again[3])


def change_file(folder, store):
    tiny_runs.write_pixels(folder / "a/0.png", tiny_runs.pixels_for("new"))
    os.utime(folder / "a/0.png", ns=(1, 1))


def add_file(folder, store):
    tiny_runs.write_pixels(folder / "a/9.png", tiny_runs.pixels_for("a/9.png"))


def cut_off_pixels(folder, store):
    with (store / "pixels.u8").open("r+b") as file:
        file.truncate(100)


def damage_index(folder, store):
    (store / "index.json").write_text("{")


@pytest.mark.parametrize("change", [change_file, add_file, cut_off_pixels, damage_index])
def test_store_is_made_anew_after_a_change(folder, tmp_path, monkeypatch, change):
    store_pixels(folder, tmp_path / "s", requirement=ANY)
    change(folder, tmp_path / "s")
    names = decoded(monkeypatch)
    made = store_pixels(folder, tmp_path / "s", requirement=ANY)
    assert len(names) == len(made) >= 4
    expected = tiny_runs.pixels_for("new" if change is change_file else "a/0.png")
    np.testing.assert_array_equal(made[0], expected)


def test_store_is_made_anew_for_another_requirement(folder, tmp_path, monkeypatch):
    store_pixels(folder, tmp_path / "s", requirement=ANY)
    names = decoded(monkeypatch)
    store_pixels(folder, tmp_path / "s", requirement=PictureRequirement(min_side=20))
    assert len(names) == 4


def test_limit_takes_even_steps(folder, tmp_path):
    assert store_pixels(folder, tmp_path / "s", requirement=ANY, limit=2).names == ["a/0.png", "b/1.png"]
    assert len(store_pixels(folder, tmp_path / "s", requirement=ANY, limit=99)) == 4


def test_a_store_that_is_no_store(tmp_path):
    with pytest.raises(DataError, match="does not hold the decoded pictures"):
        PixelStore(tmp_path)


def test_a_store_that_is_cut_off(folder, tmp_path):
    store_pixels(folder, tmp_path / "s", requirement=ANY)
    cut_off_pixels(folder, tmp_path / "s")
    with pytest.raises(DataError, match="is cut off; got 100 bytes; expected 23040"):
        PixelStore(tmp_path / "s")


def test_full_disk(folder, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError("No space left on device")

    monkeypatch.setattr(store, "replace_file", full)
    with pytest.raises(DataError, match="cannot be stored; got No space left"):
        store_pixels(folder, tmp_path / "s", requirement=ANY)
    assert not (tmp_path / "s" / "index.json").exists()


def test_index_is_plain_json(folder, tmp_path):
    store_pixels(folder, tmp_path / "s", requirement=ANY)
    index = json.loads((tmp_path / "s" / "index.json").read_text())
    assert index.keys() == {"fingerprint", "names", "shapes", "skipped"}


def test_a_store_that_is_made_anew_never_writes_into_a_shared_file(folder, tmp_path):
    first = store_pixels(folder, tmp_path / "s", requirement=ANY)
    os.link(tmp_path / "s" / "pixels.u8", tmp_path / "shared.u8")
    before = (tmp_path / "shared.u8").read_bytes()
    change_file(folder, tmp_path / "s")
    store_pixels(folder, tmp_path / "s", requirement=ANY)
    assert (tmp_path / "shared.u8").read_bytes() == before
    np.testing.assert_array_equal(first[0], tiny_runs.pixels_for("a/0.png"))
