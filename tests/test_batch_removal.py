"""How much is removed from pictures of a batch, what is shown of it, and that harm is not done."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny_models
from doctor_pictures import save, scene, spoilt
from grainless import planes
from grainless.batch import Job
from grainless.batch.pictures import Denoising
from grainless.batch.removal import (
    Removal,
    part_of,
    planes_of,
)
from grainless.blend import store_mask
from grainless.denoiser import Denoiser
from grainless.errors import BrokenAnswerError, InputError, PictureError
from grainless.guard import compare
from grainless.picture import Metadata, Picture, read_picture, store_picture
from grainless.planes import ArrayPlane
from grainless.tiling import Box

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit is promised on Linux alone")
CLEAN = scene(2, height=96, width=128)
NOISY = spoilt(CLEAN, "gaussian:25")


def done(tmp_path: Path, pixels=NOISY, name="out.png", **options) -> tuple[Path, tuple[str, ...]]:
    """Do one picture from start to end; return its result and what was said."""
    source = save(tmp_path / "in.png", pixels)
    job = Job(source, tmp_path / name, source.name)
    work = Denoising(threads=1, **options)
    notes = work.write(work.compute(work.read(job), job, lambda share: None), job)
    return job.target, tuple(notes)


def picture_of(pixels) -> Picture:
    return Picture(pixels, None, Metadata(), "png")


@pytest.fixture
def blur(tmp_path):
    return tiny_models.blur_model(tmp_path / "models" / "blur.onnx")


@pytest.fixture
def dark(tmp_path):
    return tiny_models.scale_model(tmp_path / "models" / "dark.onnx", 0.7)


@pytest.fixture(autouse=True)
def models(tmp_path):
    (tmp_path / "models").mkdir()


# What the guard does


def test_a_good_result_is_written(tmp_path, blur):
    target, notes = done(tmp_path, model=blur)
    np.testing.assert_array_equal(read_picture(target).pixels, Denoiser.load(blur)(NOISY))
    assert notes == ()


def test_of_a_bad_result_the_original_is_kept_byte_for_byte(tmp_path, dark):
    target, notes = done(tmp_path, model=dark)
    assert target.read_bytes() == (tmp_path / "in.png").read_bytes()
    (said,) = notes
    assert said.startswith("kept the original: the brightness shifted by -")


def test_without_the_guard_it_is_written(tmp_path, dark):
    target, notes = done(tmp_path, model=dark, removal=Removal(guard=False))
    np.testing.assert_array_equal(read_picture(target).pixels, Denoiser.load(dark)(NOISY))
    assert notes == ()


def test_a_clean_picture_that_would_be_softened_is_kept(tmp_path, blur):
    target, notes = done(tmp_path, CLEAN, model=blur)
    np.testing.assert_array_equal(read_picture(target).pixels, CLEAN)
    assert notes[0].startswith("kept the original: ")


def test_the_original_is_kept_in_another_format_and_in_a_crop(tmp_path, dark):
    target, notes = done(tmp_path, model=dark, name="out.tif", crop=(8, 16, 100, 64))
    np.testing.assert_array_equal(read_picture(target).pixels, NOISY[16:80, 8:108])
    assert notes[0].startswith("kept the original: ")


def test_an_answer_that_is_no_picture_keeps_the_original(tmp_path):
    broken = tiny_models.scale_model(tmp_path / "models" / "broken.onnx", np.nan)
    target, notes = done(tmp_path, model=broken)
    assert target.read_bytes() == (tmp_path / "in.png").read_bytes()
    assert "kept the original: " in notes[0]
    assert "NaN or infinity" in notes[0]
    with pytest.raises(BrokenAnswerError, match="NaN or infinity"):
        done(tmp_path, model=broken, removal=Removal(guard=False))


# How much


def test_factors_and_mask_reach_the_result(tmp_path, blur):
    mask = np.zeros((96, 128, 1), np.uint8)
    mask[:, 64:] = 255
    removal = Removal(luma=0.5, chroma=1, mask=save(tmp_path / "mask.png", mask))
    target, _ = done(tmp_path, model=blur, removal=removal, strength=0.8)
    blend = removal.blend(0.8)
    assert (blend.strength, blend.luma, blend.chroma) == (0.8, 0.5, 1)
    pixels = read_picture(target).pixels
    np.testing.assert_array_equal(pixels, Denoiser.load(blur)(NOISY, blend=blend))
    np.testing.assert_array_equal(pixels[:, :64], NOISY[:, :64])
    assert (pixels[:, 64:] != NOISY[:, 64:]).mean() > 0.5


def test_a_crop_crops_the_mask(tmp_path, blur):
    mask = np.random.default_rng(1).integers(0, 256, (96, 128, 1), dtype=np.uint8)
    options = {"model": blur, "removal": Removal(mask=save(tmp_path / "mask.png", mask), guard=False)}
    whole = read_picture(done(tmp_path, **options)[0]).pixels
    part = read_picture(done(tmp_path, name="part.png", crop=(20, 30, 50, 40), **options)[0]).pixels
    np.testing.assert_array_equal(part, whole[30:70, 20:70])


def test_a_mask_of_another_size_fails_its_picture(tmp_path, blur):
    mask = save(tmp_path / "mask.png", np.zeros((95, 128, 1), np.uint8))
    with pytest.raises(InputError, match="a mask of 128 by 95 pixels; expected 128 by 96"):
        done(tmp_path, model=blur, removal=Removal(mask=mask))


def test_settings_tell_all_that_decides_the_bytes(tmp_path, blur):
    mask = save(tmp_path / "mask.png", np.zeros((4, 4, 1), np.uint8))
    same = save(tmp_path / "same.png", np.zeros((4, 4, 1), np.uint8))
    other = save(tmp_path / "other.png", np.ones((4, 4, 1), np.uint8))
    changes = [
        {},
        {"luma": 0.5},
        {"chroma": 0.5},
        {"mask": mask},
        {"mask": other},
        {"guard": False},
        {"show": True},
    ]
    settings = [Denoising(model=blur, removal=Removal(**change)).settings() for change in changes]
    for number, one in enumerate(settings):
        assert settings.count(one) == 1, changes[number]
    assert Removal(mask=mask).settings() == Removal(mask=same).settings()


def test_a_bad_mask_stops_all_files(tmp_path, blur):
    for path, message in (
        (tmp_path / "gone.png", "gone.png cannot be read"),
        (save(tmp_path / "colour.png", CLEAN), "is not gray"),
    ):
        with pytest.raises(InputError, match=message):
            Denoising(model=blur, removal=Removal(mask=path)).settings()
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"text\.png"):
        Removal(mask=tmp_path / "text.png").settings()
    with pytest.raises(PictureError, match=r"text\.png"):
        Removal(mask=tmp_path / "text.png").settings(limited=True)


def test_a_mask_that_has_changed_is_read_again(tmp_path):
    path = save(tmp_path / "mask.png", np.zeros((4, 4, 1), np.uint8))
    removal = Removal(mask=path)
    assert removal.blend(1).mask is removal.blend(1).mask
    assert not removal.blend(1).mask.any()
    save(path, np.arange(100, dtype=np.uint8).reshape(10, 10, 1))
    assert removal.blend(1).mask.shape == (10, 10)


def test_masks_have_whole_paths_for_other_machines(tmp_path, blur, monkeypatch):
    save(tmp_path / "mask.png", np.zeros((4, 4, 1), np.uint8))
    monkeypatch.chdir(tmp_path)
    work = Denoising(model=blur, removal=Removal(mask=Path("mask.png"), luma=0.3)).pinned()
    checksum = hashlib.sha256((tmp_path / "mask.png").read_bytes()).hexdigest()
    assert work.removal == Removal(mask=tmp_path / "mask.png", luma=0.3, checksum=checksum)
    assert Removal(luma=0.3).pinned() == Removal(luma=0.3)


# What is shown


def test_what_was_removed_is_written_beside_the_result(tmp_path, blur):
    target, notes = done(tmp_path, model=blur, removal=Removal(show=True))
    shown = target.with_name("out.png.removed.png")
    assert notes == (f"what was removed, 4 times as strong: {shown}",)
    clean = Denoiser.load(blur)(NOISY)
    np.testing.assert_array_equal(read_picture(target).pixels, clean)
    wanted = np.clip(128 + 4 * (NOISY.astype(int) - clean), 0, 255)
    np.testing.assert_array_equal(read_picture(shown).pixels, wanted)


def test_what_would_have_been_removed_is_shown_where_the_original_was_kept(tmp_path, dark):
    target, notes = done(tmp_path, model=dark, removal=Removal(show=True), crop=(0, 0, 120, 90))
    assert notes[0].startswith("kept the original: ")
    shown = read_picture(target.with_name("out.png.removed.png")).pixels
    assert shown.shape == (90, 120, 3)
    assert shown.mean() > 200


def test_a_result_and_what_was_removed_count_as_bytes(tmp_path, blur):
    source = save(tmp_path / "in.png", NOISY)
    job = Job(source, tmp_path / "out.png", source.name)
    work = Denoising(model=blur, threads=1, removal=Removal(show=True))
    value = work.compute(work.read(job), job, lambda share: None)
    assert work.size(value) == (96 * 128, 2 * 96 * 128 * 3)


@pytest.mark.parametrize("limit", [None, pytest.param(10**10, marks=LINUX)])
def test_of_a_clean_picture_nothing_was_removed(tmp_path, limit, monkeypatch):
    flat = np.full((64, 80, 3), 90, np.uint8)
    (tmp_path / "out.png.removed.png").write_bytes(b"of a picture that was there before")
    for crop in (None, (8, 0, 50, 40)):
        options = {"model": "auto", "crop": crop, "max_memory": limit}
        target, notes = done(tmp_path, flat, removal=Removal(show=True), **options)
        assert notes[0].startswith("passed through unchanged")
        shown = read_picture(target.with_name("out.png.removed.png")).pixels
        np.testing.assert_array_equal(shown, np.full(shown.shape, 128))
        assert shown.shape == read_picture(target).pixels.shape


def test_of_an_answer_that_is_no_picture_nothing_is_shown(tmp_path):
    broken = tiny_models.scale_model(tmp_path / "models" / "broken.onnx", np.nan)
    target, notes = done(tmp_path, model=broken, removal=Removal(show=True))
    assert "kept the original: " in notes[0]
    assert (read_picture(target.with_name("out.png.removed.png")).pixels == 128).all()


def test_the_guard_looks_at_what_shows_and_is_cleaned():
    after = Picture(
        np.where(np.arange(128)[None, :, None] < 60, 0, CLEAN).astype(np.uint8), None, Metadata(), "png"
    )
    alpha = np.where(np.arange(128)[None] < 64, 0, np.full((96, 1), 255)).astype(np.uint8)
    assert "became another picture" in Removal().why_worse(Picture(NOISY, None, Metadata(), "png"), after)
    assert Removal().why_worse(Picture(NOISY, alpha, Metadata(), "png"), after) == ""
    crop = (64, 0, 64, 96)
    part = Picture(after.pixels[:, 64:], None, Metadata(), "png")
    assert Removal().why_worse(Picture(NOISY, alpha, Metadata(), "png"), part, crop=crop) == ""


def test_the_verdict_is_that_of_the_picture_in_one_piece(monkeypatch):
    # A result that is broken in some blocks only, of which the reason tells the number.
    after = NOISY.copy()
    after[40:75, 30:90] = 0
    before = Picture(NOISY, None, Metadata(), "png")
    whole = compare(NOISY, after).reason
    assert "parts of 32 by 32 pixels became" in whole
    for nbytes in (1, 40 * 128 * 3, 70 * 128 * 3):
        monkeypatch.setattr(planes, "_STRIP_BYTES", nbytes)
        assert Removal().why_worse(before, Picture(after, None, Metadata(), "png")) == whole


def said_of(folder: Path, before: Picture, after: Picture, mask, **options) -> str:
    """Return why a result is worse, which is the same from memory and from the disk."""
    stored = [store_picture(save(folder / "s.png", picture.pixels), folder) for picture in (before, after)]
    if before.alpha is not None:
        stored[0] = replace(stored[0], alpha=ArrayPlane(before.alpha[..., None]))
    on_disk = store_mask(save(folder / "mask.png", mask[..., None]), folder)
    said = Removal().why_worse(before, after, mask=mask, **options)
    assert Removal().why_worse(*stored, mask=on_disk, **options) == said
    return said


def test_one_dot_of_a_mask_does_not_make_the_guard_blind(tmp_path):
    noisy = np.tile(NOISY, (2, 2, 1))
    before, after = picture_of(noisy), picture_of(np.zeros_like(noisy))
    mask = np.full(noisy.shape[:2], 120, np.uint8)
    mask[8:16, 8:16] = 255
    blocks = noisy.shape[0] * noisy.shape[1] // 32**2
    assert (
        said_of(tmp_path, before, after, mask)
        == f"{blocks} of {blocks} parts of 32 by 32 pixels became black"
    )

    # Beside the dot the rest is what is cleaned most.
    crop = (128, 96, 128, 96)
    part, dark = noisy[96:, 128:], np.rint(noisy[96:, 128:] * 0.7).astype(np.uint8)
    for result, reason in (
        (dark, "the brightness shifted"),
        (np.zeros_like(part), "became black"),
        (part, ""),
    ):
        found = said_of(tmp_path, before, picture_of(result), mask, crop=crop)
        assert (reason in found) if reason else (found == "")


@pytest.mark.parametrize("rest", [0, 1, 26])
def test_black_stripes_of_a_soft_mask_are_found(tmp_path, rest):
    noisy = np.tile(NOISY, (2, 2, 1))
    mask = np.full(noisy.shape[:2], rest, np.uint8)
    mask[:, ::8] = mask[:, 1::8] = 255
    striped = np.rint(noisy * (1 - mask[..., None] / 255)).astype(np.uint8)
    blocks = noisy.shape[0] * noisy.shape[1] // 32**2
    said = said_of(tmp_path, picture_of(noisy), picture_of(striped), mask)
    assert said == f"{blocks} of {blocks} parts of 32 by 32 pixels became black"


def test_a_hidden_dot_of_a_mask_tells_nothing(tmp_path):
    mask = np.full(NOISY.shape[:2], 120, np.uint8)
    mask[8:16, 8:16] = 255
    alpha = np.where(mask == 255, 0, 255).astype(np.uint8)
    dark = picture_of(np.rint(NOISY * 0.7).astype(np.uint8))
    assert "shifted" in said_of(tmp_path, replace(picture_of(NOISY), alpha=alpha), dark, mask)


def test_what_is_left_as_it_is_tells_nothing(tmp_path):
    # The left half is kept, and what became of it does not matter: it cannot have changed.
    mask = np.zeros(NOISY.shape[:2], np.uint8)
    after = np.zeros_like(NOISY)
    assert said_of(tmp_path, picture_of(NOISY), picture_of(after), mask) == ""
    mask[:, 96:] = 1
    reason = "3 of 3 parts of 32 by 32 pixels became black"
    assert said_of(tmp_path, picture_of(NOISY), picture_of(after), mask) == reason


def test_all_but_broken_values_are_looked_for_where_most_is_cleaned(tmp_path):
    # Left: cleaned by little, and darker; right: cleaned fully, and well.
    mask = np.where(np.arange(128) < 64, 100, 255) * np.ones((96, 1))
    after = np.where(mask[..., None] < 200, np.rint(NOISY * 0.7), CLEAN).astype(np.uint8)
    assert said_of(tmp_path, picture_of(NOISY), picture_of(after), mask.astype(np.uint8)) == ""
    evenly = np.full(mask.shape, 100, np.uint8)
    assert "shifted" in said_of(tmp_path, picture_of(NOISY), picture_of(after), evenly)


def test_a_part():
    values = np.arange(60, dtype=np.uint8).reshape(6, 10, 1)
    alpha = values[..., 0]
    picture = Picture(values, alpha, Metadata(), "png")
    pixels, cover = planes_of(picture, (3, 1, 2, 4))
    np.testing.assert_array_equal(pixels.read(Box(0, 0, 4, 2)), values[1:5, 3:5])
    np.testing.assert_array_equal(cover.read(Box(0, 0, 4, 2))[..., 0], alpha[1:5, 3:5])
    assert planes_of(picture)[0].values is values


def test_a_part_of_a_picture_is_one(tmp_path):
    picture = picture_of(NOISY)
    assert part_of(picture, None) is picture
    stored = store_picture(save(tmp_path / "a.png", NOISY), tmp_path)
    crop, place = (3, 1, 20, 40), np.s_[1:41, 3:23]
    for whole in (picture, stored, replace(picture, alpha=NOISY[..., 0])):
        part = part_of(whole, crop)
        np.testing.assert_array_equal(
            part.pixels.read(Box(0, 0, 40, 20)) if whole is stored else part.pixels, NOISY[place]
        )
        assert part.metadata is whole.metadata
    np.testing.assert_array_equal(part.alpha, NOISY[place][..., 0])
    with pytest.raises(InputError, match="crop leaves the picture"):
        part_of(picture, (100, 0, 29, 96))
