"""Salt and pepper counted, and not seen where black and white belong to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from doctor_pictures import scene, spoilt
from grainless.diagnosis.impulses import find_impulses, other_sigma
from grainless.diagnosis.sampling import sample
from grainless.noise import corrupt


@pytest.mark.parametrize("per", ["", ":channel"])
@pytest.mark.parametrize("density", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_the_density_is_what_was_put_in(density: float, per: str) -> None:
    found = find_impulses(sample(spoilt(scene(1), f"salt-pepper:{density}{per}")))
    assert found.density == pytest.approx(density, abs=0.02)
    assert found.balance > 0.35


@pytest.mark.parametrize(("salt", "low", "high"), [(0.0, 0.0, 0.02), (0.25, 0.15, 0.35), (1.0, 0.0, 0.02)])
def test_salt_alone_and_pepper_alone_are_counted(salt: float, low: float, high: float) -> None:
    found = find_impulses(sample(spoilt(scene(1), f"salt-pepper:0.2:salt={salt}")))
    assert found.density == pytest.approx(0.2, abs=0.02)
    assert low <= found.balance <= high


def test_impulses_inside_of_black_and_white_are_counted() -> None:
    found = find_impulses(sample(spoilt(scene(1), "salt-pepper:0.2:near=8")))
    assert found.density == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_depths_are_counted_alike(dtype: type) -> None:
    white = np.iinfo(dtype).max if dtype is np.uint16 else 1
    deep = (scene(1) / 255 * white).astype(dtype)
    found = find_impulses(sample(corrupt(deep, "salt-pepper:0.2:channel", seed=3)))
    assert found.density == pytest.approx(0.2, abs=0.02)


def test_letters_skies_and_lamps_are_no_impulses(rng: np.random.Generator) -> None:
    page = np.full((256, 256, 1), 255, np.uint8)
    for row in range(8, 248, 16):
        for column in range(8, 248, 6):
            page[row : row + 10, column : column + int(rng.integers(1, 5))] = 0
    night = spoilt(scene(4, height=256, width=256), "clean") // 3
    night[:80] = 255
    for row, column in rng.integers(90, 250, (12, 2)):
        night[row : row + 3, column : column + 3] = 255
    for picture in (page, night, np.zeros((64, 64, 3), np.uint8)):
        assert find_impulses(sample(picture)).density < 0.005


@pytest.mark.parametrize("sigma", [10, 30, 50])
def test_values_that_noise_clips_are_no_impulses(sigma: int) -> None:
    for seed in range(3):
        assert find_impulses(sample(spoilt(scene(seed), f"gaussian:{sigma}"))).density < 0.01


@pytest.mark.parametrize("density", [0.05, 0.3, 0.6])
def test_the_noise_of_the_others_is_measured(density: float) -> None:
    seen = sample(spoilt(scene(1), f"gaussian:20+salt-pepper:{density}"))
    assert other_sigma(seen, find_impulses(seen).hit) == pytest.approx(20, rel=0.25)
    seen = sample(spoilt(scene(1), f"salt-pepper:{density}"))
    assert other_sigma(seen, find_impulses(seen).hit) < 3


def test_nothing_left_has_no_noise() -> None:
    seen = sample(np.zeros((40, 40, 1), np.uint8))
    assert other_sigma(seen, seen.extreme) == 0
