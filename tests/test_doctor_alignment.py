"""How a noisy picture lies on its clean one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.registration import phase_cross_correlation

from doctor_pictures import Pixels, scene, spoilt
from grainless.doctor.alignment import align
from grainless.metrics import to_gray

SIZE = 256
MARGIN = 24


def moved(seed: int, down: int, right: int, *, noise: str = "gaussian:15") -> tuple[Pixels, Pixels]:
    """A noisy picture that is moved so far against its clean one."""
    large = scene(seed, height=SIZE + 2 * MARGIN, width=SIZE + 2 * MARGIN)
    clean = large[MARGIN:-MARGIN, MARGIN:-MARGIN]
    view = large[MARGIN - down : MARGIN - down + SIZE, MARGIN - right : MARGIN - right + SIZE]
    return spoilt(view, noise), np.ascontiguousarray(clean)


@settings(deadline=None, max_examples=15)
@given(down=st.integers(-MARGIN, MARGIN), right=st.integers(-MARGIN, MARGIN), seed=st.integers(0, 40))
def test_any_shift_is_found_through_noise(down: int, right: int, seed: int) -> None:
    lying = align(*moved(seed, down, right))
    assert lying.same_scene
    assert lying.shift == (down, right)


@pytest.mark.parametrize("noise", ["clean", "gaussian:50", "salt-pepper:0.1", "jpeg:20", "poisson:20"])
def test_what_lies_right_is_not_moved(noise: str) -> None:
    for seed in range(5):
        lying = align(*moved(seed, 0, 0, noise=noise))
        assert lying.same_scene
        assert lying.shift in {(0, 0), None}


def test_the_shift_is_what_scikit_image_finds() -> None:
    noisy, clean = moved(3, 5, -9, noise="gaussian:3")
    # It tells how to move the second onto the first.
    oracle, _, _ = phase_cross_correlation(
        to_gray(noisy)[..., 0].astype(float), to_gray(clean)[..., 0].astype(float)
    )
    assert align(noisy, clean).shift == tuple(oracle.astype(int))


@pytest.mark.parametrize(("part", "shift"), [(0.5, (0, 0)), (0.9, (0, 1))])
def test_half_a_pixel_is_no_shift(part: float, shift: tuple[int, int]) -> None:
    for seed in range(3):
        clean = scene(seed, height=SIZE, width=SIZE).astype(float)
        between = (1 - part) * clean + part * np.roll(clean, 1, axis=1)
        noisy = spoilt(np.rint(between).astype(np.uint8), "gaussian:5")
        assert align(noisy, clean.astype(np.uint8)).shift == shift


@pytest.mark.parametrize("side", [48, 96, 160])
def test_small_pictures_are_not_judged_wrongly(side: int) -> None:
    for seed in range(6):
        clean = scene(seed, height=side, width=side)
        lying = align(spoilt(clean, "gaussian:20"), clean)
        assert lying.same_scene
        assert lying.shift in {(0, 0), None}


@pytest.mark.parametrize("noise", ["clean", "gaussian:25", "salt-pepper:0.1"])
def test_two_scenes_are_told(noise: str) -> None:
    told = [align(spoilt(scene(seed), noise), scene(seed + 1)) for seed in range(12)]
    assert all(lying.shift is None for lying in told)
    assert sum(not lying.same_scene for lying in told) >= 11


def test_nothing_is_told_of_what_noise_hides() -> None:
    for seed in range(4):
        lying = align(spoilt(scene(seed), "salt-pepper:0.97"), scene(seed + 1))
        assert lying.same_scene
        assert lying.shift is None


def test_plain_pictures_have_no_shift() -> None:
    plain = np.full((128, 128, 1), 100, np.uint8)
    assert align(plain, plain).shift is None
    assert align(plain, plain).same_scene
