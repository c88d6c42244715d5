"""Patches: the same number always gives the same patch, and no number is used twice in a run."""

from __future__ import annotations

import functools
import pickle
import signal
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

import tiny_runs
from grainless.datasets import PictureRequirement, resize_values, store_pixels
from grainless.errors import DataError
from grainless.training import patches as patches_module
from grainless.training.patches import (
    MOST_CLIPPED,
    MOST_SHARPENED,
    StepBatches,
    TrainingPatches,
    ValidationPatches,
    as_batch_item,
    cut_patch,
    saturated,
    sharpened,
    start_worker,
    widen,
)
from grainless.training.recipe import load_recipe
from grainless.training.sources import TrainingSource

PLAIN = ["data.halve=0", "data.gray=0", "data.raw_noise=0", "data.narrow_range=0"]
GAUSSIAN = 'noise=[{spec="gaussian:30"}]'
NUMBERS = range(40)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    pictures = tiny_runs.pictures(folder / "pictures", count=4)
    tiny_runs.write_pixels(pictures / "gray.png", tiny_runs.pixels_for("gray", channels=1))
    return store_pixels(pictures, folder / "store", requirement=PictureRequirement())


@pytest.fixture
def recipe(tmp_path):
    path = tiny_runs.recipe_file(tmp_path)
    return lambda *changes: load_recipe(path, changes)


def source(store, indices, noisy=None):
    """These pictures of a store, for training and validation alike."""
    return TrainingSource(store, noisy, list(indices), list(indices), [])


def items(store, recipe, indices=(0, 1, 2, 3), side=16):
    patches = TrainingPatches(source(store, indices), recipe)
    return [patches[number, side] for number in NUMBERS]


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in ("noisy", "clean", "levels"))


def test_same_key_same_bytes_and_other_keys_differ(store, recipe):
    first, again = items(store, recipe()), items(store, recipe())
    assert all(same(*pair) for pair in zip(first, again, strict=True))
    assert not any(same(*pair) for pair in pairwise(first))


def test_another_seed_gives_other_patches(store, recipe):
    first, other = items(store, recipe()), items(store, recipe("schedule.seed=8"))
    assert not any(same(*pair) for pair in zip(first, other, strict=True))


def test_patches_are_the_same_in_another_process(store, recipe):
    patches = TrainingPatches(source(store, [0, 1]), recipe())
    assert same(patches[5, 16], pickle.loads(pickle.dumps(patches))[5, 16])


def test_shapes_and_types(store, recipe):
    for item in items(store, recipe(), side=24):
        assert item["noisy"].shape == item["clean"].shape == (3, 24, 24)
        assert item["levels"].shape == (2,)
        assert {value.dtype for value in item.values()} == {torch.float32}


def test_noise_is_clipped_and_rounded(store, recipe):
    for item in items(store, recipe(*PLAIN, GAUSSIAN)):
        levels = item["noisy"] * 255
        torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
        assert item["noisy"].min() >= 0
        assert item["noisy"].max() <= 1
        assert 15 < float((item["noisy"] - item["clean"]).std()) * 255 < 45


def test_raw_noise_is_neither_clipped_nor_rounded(store, recipe):
    raw = items(store, recipe(*PLAIN, 'noise=[{spec="gaussian:90"}]', "data.raw_noise=1"))
    assert all(item["noisy"].min() < 0 and item["noisy"].max() > 1 for item in raw)
    levels = raw[0]["noisy"] * 255
    assert float((levels - levels.round()).abs().mean()) > 0.2


def test_gray_patches_have_equal_channels_and_equal_noise(store, recipe):
    for item in items(store, recipe(*PLAIN, GAUSSIAN, "data.gray=1")):
        for part in ("clean", "noisy"):
            assert torch.equal(item[part][0], item[part][1])
            assert torch.equal(item[part][0], item[part][2])
        assert not torch.equal(item["clean"], item["noisy"])


def test_colour_patches_have_different_noise_in_each_channel(store, recipe):
    for item in items(store, recipe(*PLAIN, GAUSSIAN)):
        noise = item["noisy"] - item["clean"]
        assert not torch.equal(noise[0], noise[1])


def test_gray_pictures_are_widened(store, recipe):
    index = store.names.index("gray.png")
    for item in items(store, recipe(*PLAIN, GAUSSIAN), indices=[index]):
        assert torch.equal(item["clean"][0], item["clean"][2])
    one = np.ones((4, 4, 1), np.float32)
    assert widen(one, "any").shape == (4, 4, 3)
    assert widen(one, 1).shape == (4, 4, 1)


def test_levels_are_nominal_or_measured(store, recipe):
    kinds = set()
    for item in items(store, recipe(*PLAIN, GAUSSIAN)):
        measured = [float(item["noisy"].min()), float(item["noisy"].max())]
        kinds.add("nominal" if item["levels"].tolist() == [0, 1] else "measured")
        assert item["levels"].tolist() in ([0, 1], pytest.approx(measured))
    assert kinds == {"nominal", "measured"}


def test_narrow_range_squeezes_picture_and_noise_between_the_levels(store, recipe):
    spec = 'noise=[{spec="salt-pepper:0.3"}]'
    narrow = items(store, recipe(*PLAIN, spec, "data.narrow_range=1"))
    plain = items(store, recipe(*PLAIN, spec))
    for item, full in zip(narrow, plain, strict=True):
        black, white = item["levels"].tolist()
        # Pepper and salt lie on the levels themselves.
        assert float(item["noisy"].min()) == pytest.approx(black, abs=1e-6)
        assert float(item["noisy"].max()) == pytest.approx(white, abs=1e-6)
        assert black <= 0.2
        assert white >= 0.8
        torch.testing.assert_close(
            (item["clean"] - black) / (white - black), full["clean"], atol=1e-5, rtol=0
        )


def test_saturated_patches_are_stretched_until_ends_are_clipped(rng):
    patch = rng.beta(2, 2, (40, 40, 3)).astype(np.float32)
    shares = []
    for seed in range(60):
        stretched = saturated(patch, np.random.default_rng(seed))
        assert stretched.dtype == np.float32
        assert (stretched.min(), stretched.max()) == (0, 1)
        shares.append([(stretched == 0).mean(), (stretched == 1).mean()])
        inside = (stretched > 0) & (stretched < 1)
        # A straight line between black and white: nothing else is changed.
        line = np.polyfit(patch[inside], stretched[inside], 1)
        np.testing.assert_allclose(np.polyval(line, patch[inside]), stretched[inside], atol=1e-5)
    dark, bright = np.array(shares).T
    for clipped in (dark, bright):
        assert clipped.max() <= MOST_CLIPPED + 1e-3
        assert 0.3 < (clipped > 0.01).mean() < 0.7
    assert (np.minimum(dark, bright) > 0.01).any()


def test_patches_of_little_contrast_are_not_stretched(rng):
    patch = rng.uniform(0.4, 0.6, (16, 16, 3)).astype(np.float32)
    assert saturated(patch, rng) is patch


def test_saturating_changes_no_other_recipes_patches(store, recipe):
    without = items(store, recipe(*PLAIN, GAUSSIAN))
    never = items(store, recipe(*PLAIN, GAUSSIAN, "data.saturate=0.0"))
    always = items(store, recipe(*PLAIN, GAUSSIAN, "data.saturate=1"))
    assert all(same(*pair) for pair in zip(without, never, strict=True))
    ends = [float(((item["clean"] == 0) | (item["clean"] == 1)).float().mean()) for item in always]
    assert np.mean(ends) > np.mean(
        [float(((item["clean"] == 0) | (item["clean"] == 1)).float().mean()) for item in without]
    )


def test_halved_patches_are_means_of_four(recipe, rng):
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    data = recipe("data.halve=1", "data.flips=false").data
    patch = cut_patch(picture, 16, data=data, rng=rng)
    expected = picture.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(patch, expected, atol=1e-6)


def test_sharpened_patches_gain_what_a_blur_takes_away(rng):
    patch = rng.beta(4, 4, (24, 20, 3)).astype(np.float32) / 2 + 0.25
    binomial = np.outer([1, 2, 1], [1, 2, 1])[..., None] / 16
    inside = (slice(1, -1), slice(1, -1))
    detail = (patch - ndimage.convolve(patch, binomial))[inside]
    amounts = []
    for seed in range(60):
        crisp = sharpened(patch, np.random.default_rng(seed))
        assert (crisp.dtype, crisp.shape) == (np.float32, patch.shape)
        assert 0 <= crisp.min() <= crisp.max() <= 1
        kept = ((crisp > 0) & (crisp < 1))[inside]
        added = (crisp - patch)[inside][kept]
        amounts.append(float(np.median(added / detail[kept])))
        np.testing.assert_allclose(added, amounts[-1] * detail[kept], atol=1e-5)
    assert 0 <= min(amounts) <= max(amounts) <= MOST_SHARPENED
    assert np.ptp(amounts) > MOST_SHARPENED / 2


def test_only_halved_patches_are_sharpened(recipe, rng):
    picture = rng.integers(60, 190, (32, 32, 3), dtype=np.uint8)
    for halve, sharpen, changed in ((1, 1, True), (1, 0, False), (0, 1, False)):
        plain = recipe("data.flips=false", f"data.halve={halve}").data
        data = plain.model_copy(update={"sharpen": float(sharpen)})
        pair = (cut_patch(picture, 16, data=kind, rng=np.random.default_rng(1)) for kind in (data, plain))
        assert np.array_equal(*pair) is not changed


def test_pictures_too_small_to_halve_are_not(recipe, rng):
    picture = rng.integers(0, 256, (31, 40, 3), dtype=np.uint8)
    patch = cut_patch(picture, 16, data=recipe("data.halve=1").data, rng=rng)
    levels = patch * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)


def test_pictures_smaller_than_the_patch_are_mirrored(recipe, rng):
    picture = rng.integers(0, 256, (10, 40, 3), dtype=np.uint8)
    patch = cut_patch(picture, 16, data=recipe("data.flips=false").data, rng=rng)
    assert patch.shape == (16, 16, 3)
    np.testing.assert_array_equal(patch[10:], patch[8:2:-1])


def test_flips_turn_and_mirror(recipe):
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    turned, straight = (recipe(f"data.flips={flips}", "data.channels=1").data for flips in ("true", "false"))
    seen = {
        cut_patch(picture, 8, data=turned, rng=np.random.default_rng(seed)).tobytes() for seed in range(60)
    }
    assert len(seen) == 8
    only = cut_patch(picture, 8, data=straight, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(np.rint(only * 255), picture)


def test_large_pictures_are_drawn_more_often(tmp_path, recipe):
    folder = tmp_path / "p"
    tiny_runs.write_pixels(folder / "large.png", np.full((64, 64, 3), 200, np.uint8))
    tiny_runs.write_pixels(folder / "small.png", np.full((16, 64, 3), 100, np.uint8))
    store = store_pixels(folder, tmp_path / "s", requirement=PictureRequirement())
    patches = TrainingPatches(source(store, [0, 1]), recipe(*PLAIN, 'noise=[{spec="clean"}]'))
    large = sum(float(patches[number, 8]["clean"].max()) > 0.6 for number in range(400))
    assert 290 < large < 350  # 4 of 5 are 320
    patches = TrainingPatches(
        source(store, [0, 1]), recipe(*PLAIN, 'noise=[{spec="clean"}]', "data.resize=16")
    )
    large = sum(float(patches[number, 8]["clean"].max()) > 0.6 for number in range(400))
    assert 165 < large < 235  # pictures of one size: half of them


def test_noises_are_drawn_by_weight(store, recipe):
    mixture = 'noise=[{spec="clean", weight=1}, {spec="gaussian:30", weight=3}]'
    patches = TrainingPatches(source(store, [0]), recipe(*PLAIN, mixture))
    noisy = 0
    for number in range(400):
        item = patches[number, 8]
        noisy += not torch.equal(item["noisy"], item["clean"].mul(255).round().div(255))
    assert 260 < noisy < 340


def numbers_of_run(recipe, *, ranks):
    """All numbers of patches of a run, pass after pass, of all ranks."""
    steps = recipe.schedule.steps
    numbers = []
    for rank in range(ranks):
        reached = [0]
        batches = StepBatches(
            recipe, lambda step: step / steps, step=functools.partial(max, reached), rank=rank, ranks=ranks
        )
        while reached[0] < steps:
            keys = list(batches)
            numbers += [number for batch in keys for number, _ in batch]
            reached[0] += len(keys)
    return numbers


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("patch", [[], ["data.patch=[16,24]", "data.phases=[0.4]"]])
def test_every_number_is_used_once(recipe, ranks, patch):
    settings = ["schedule.steps=50", "schedule.validate_every=7", "schedule.batch=5", *patch]
    numbers = numbers_of_run(recipe(*settings), ranks=ranks)
    assert len(numbers) == len(set(numbers))
    if not patch:
        assert sorted(numbers) == list(range(50 * 5 * ranks))


def test_patches_grow_and_batches_shrink_with_progress(recipe):
    settings = ["schedule.steps=10", "schedule.validate_every=10", "schedule.batch=18"]
    grown = recipe(*settings, "data.patch=[16,24,48]", "data.phases=[0.4,0.8]")
    batches = list(StepBatches(grown, lambda step: step / 10, step=lambda: 0))
    sides = [batch[0][1] for batch in batches]
    assert sides == [16] * 4 + [24] * 4 + [48] * 2
    assert [len(batch) for batch in batches] == [18] * 4 + [8] * 4 + [2] * 2


@pytest.mark.parametrize(("at", "steps"), [(0, 4), (2, 2), (4, 4), (8, 2), (9, 1), (10, 0)])
def test_a_pass_ends_at_the_next_validation_or_the_end(recipe, at, steps):
    batches = StepBatches(recipe("schedule.steps=10"), lambda step: 0.0, step=lambda: at)
    keys = list(batches)
    assert len(keys) == steps
    if keys:
        assert keys[0][0][0] == at * 2


def test_length_is_that_of_the_whole_pass_also_in_its_middle(recipe):
    steps = iter(range(11))
    batches = StepBatches(recipe("schedule.steps=10"), lambda step: 0.0, step=lambda: next(steps))
    lengths = [len(batches) for _ in range(11)]
    assert lengths == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2]


def test_validation_crops_are_the_same_in_every_run(store, recipe):
    first, again = (
        ValidationPatches(source(store, [0, 2]), recipe(f"schedule.seed={seed}")) for seed in (1, 2)
    )
    assert len(first) == 4
    for number in range(4):
        assert same(first[number], again[number])
        assert int(first[number]["noise"]) == number // 2
    clean = first[1]["clean"].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(clean * 255, store[2][12:28, 16:32], atol=1e-4)
    noisy = first[3]["noisy"]
    assert first[3]["levels"].tolist() == [0.0, 1.0] == [float(noisy.min()), float(noisy.max())]


def test_validation_crops_have_one_size(tmp_path, recipe):
    folder = tmp_path / "p"
    tiny_runs.write_pixels(folder / "a.png", tiny_runs.pixels_for("a", 70, 80))
    tiny_runs.write_pixels(folder / "b.png", tiny_runs.pixels_for("b", 29, 80))
    store = store_pixels(folder, tmp_path / "s", requirement=PictureRequirement())
    patches = ValidationPatches(source(store, [0, 1]), recipe("data.validation_patch=64"))
    assert patches.side == 24
    assert {tuple(patches[number]["clean"].shape) for number in range(4)} == {(3, 24, 24)}
    assert ValidationPatches(source(store, [0]), recipe("data.validation_patch=64")).side == 64


def test_batch_items_are_contiguous(rng):
    values = rng.random((4, 6, 3)).astype(np.float32)[:, ::-1]
    item = as_batch_item(values, values, np.zeros(2, np.float32))
    assert item["noisy"].is_contiguous()
    np.testing.assert_array_equal(item["noisy"].numpy(), values.transpose(2, 0, 1))


def test_workers_outlive_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    try:
        start_worker(0)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_luma_weights_keep_white():
    assert float(patches_module.LUMA.sum()) == pytest.approx(1)


def test_in_epochs_each_picture_is_used_once_before_any_again(store, recipe):
    patches = TrainingPatches(source(store, [0, 1, 3]), recipe("data.epochs=true", *PLAIN))
    picks = [patches._pick(number, np.random.default_rng(0)) for number in range(12)]
    passes = [picks[start : start + 3] for start in range(0, 12, 3)]
    assert all(sorted(one) == [0, 1, 3] for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_fixed_noise_is_the_same_each_time_a_picture_is_used(store, recipe):
    fixed = ["data.fixed_noise=true", "data.flips=false", "data.resize=16", GAUSSIAN, *PLAIN]
    for settings, equal in ((fixed, True), (fixed[1:], False)):
        patches = TrainingPatches(source(store, [2]), recipe(*settings))
        first, later = patches[0, 16], patches[5, 16]
        assert torch.equal(first["clean"], later["clean"])
        assert torch.equal(first["noisy"], later["noisy"]) == equal


def test_whole_pictures_are_resized_in_floats(store, recipe):
    resized = recipe(
        "data.resize=32", "data.patch=[32]", "data.validation_patch=32", "data.flips=false", *PLAIN
    )
    expected = resize_values(store[2].astype(np.float32) / 255, 32).transpose(2, 0, 1)
    for item in (
        TrainingPatches(source(store, [2]), resized)[0, 32],
        ValidationPatches(source(store, [2]), resized)[0],
    ):
        np.testing.assert_allclose(item["clean"].numpy(), expected, atol=1e-6)
    assert np.abs(expected * 255 - np.rint(expected * 255)).max() > 0.1


@pytest.mark.parametrize("name", ["a/0.png", "gray.png"])
def test_resized_pictures_are_kept_and_stay_as_they_are(name, store, recipe, monkeypatch):
    calls, original = [], patches_module.resized
    monkeypatch.setattr(patches_module, "resized", lambda *arguments: calls.append(1) or original(*arguments))
    index = store.names.index(name)
    clean = (*PLAIN, 'noise=[{spec="clean"}]', "data.resize=16", "data.flips=false", "data.channels=1")
    clean = clean if name == "gray.png" else clean[:-1]
    patches = TrainingPatches(source(store, [index]), recipe(*clean))
    first = patches[0, 16]["clean"].clone()
    first_again = pickle.loads(pickle.dumps(patches))[0, 16]["clean"]
    for number in range(20):
        patches[number, 16]["clean"].zero_()
    assert torch.equal(patches[0, 16]["clean"], first)
    assert torch.equal(first_again, first)
    assert len(calls) == 2  # one for each process
    plain = TrainingPatches(source(store, [0]), recipe(*PLAIN))
    for number in range(3):
        plain[number, 16]
    assert len(calls) == 5


def test_noise_that_is_not_rounded_leaves_the_values_that_it_does_not_hit(store, recipe):
    raw = recipe(
        "data.resize=24",
        "data.raw_noise=1",
        "validation_noise=['salt-pepper:0.2']",
        "data.flips=false",
        "noise=[{spec='salt-pepper:0.2'}]",
        "data.halve=0",
        "data.gray=0",
    )
    for item in (
        TrainingPatches(source(store, [1]), raw)[3, 16],
        ValidationPatches(source(store, [1]), raw)[0],
    ):
        hit = (item["noisy"] == 0) | (item["noisy"] == 1)
        assert 0.05 < float(hit.float().mean()) < 0.5
        assert torch.equal(item["noisy"][~hit], item["clean"][~hit])


def test_pairs_are_cut_at_the_same_place_and_keep_their_own_noise(tmp_path, recipe):
    clean = tiny_runs.pictures(tmp_path / "clean", count=3)
    noisy = tmp_path / "noisy"
    for path in sorted(clean.rglob("*.png")):
        name = path.relative_to(clean).as_posix()
        tiny_runs.write_pixels(noisy / name, 255 - tiny_runs.pixels_for(name))
    stores = [
        store_pixels(folder, tmp_path / f"{folder.name}-store", requirement=PictureRequirement())
        for folder in (clean, noisy)
    ]
    paired = recipe("data.kind=pairs", "noise=[]", "validation_noise=[]", *PLAIN)
    both = source(stores[0], [0, 1, 2], noisy=stores[1])
    for item in [TrainingPatches(both, paired)[number, 16] for number in range(8)] + [
        ValidationPatches(both, paired)[1]
    ]:
        np.testing.assert_allclose(item["noisy"].numpy(), 1 - item["clean"].numpy(), atol=1e-6)
    assert ValidationPatches(both, paired).noises == ("as paired",)


def test_validation_crops_fit_the_network(store, recipe):
    small = recipe("data.validation_patch=48")
    sides = [ValidationPatches(source(store, [0]), small, stride=stride).side for stride in (8, 16, 32)]
    assert sides == [40, 32, 32]
    with pytest.raises(DataError, match=r"too small for the network; got a side of 40 pixels; expected 64"):
        ValidationPatches(source(store, [0]), small, stride=64)
