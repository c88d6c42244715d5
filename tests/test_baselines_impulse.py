"""Filters against exact black and white, against plain loops and scipy."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import data

from grainless.baselines import adaptive_riesz_mean, mask_interpolate, pixels
from grainless.metrics import psnr
from grainless.noise import corrupt, parse_noise

FILTERS = {"mask_interpolate": mask_interpolate, "adaptive_riesz_mean": adaptive_riesz_mean}


@pytest.fixture(scope="module")
def photograph():
    return data.astronaut()[100:196, 150:278]


def riesz_mean_by_loops(plane):
    """The authors' program, line by line, in fractions."""
    white = 255 if plane.dtype == np.uint8 else 1
    answer = [[Fraction(float(value)) for value in row] for row in plane]
    for largest in range(5, 0, -1):
        padded = np.pad(np.array(answer, dtype=object), largest, mode="symmetric")
        for row, column in product(range(plane.shape[0]), range(plane.shape[1])):
            if padded[row + largest, column + largest] not in (0, white):
                continue
            for reach in range(1, largest + 1):
                window = [
                    (padded[row + largest + down, column + largest + right], 1 + abs(down) + abs(right))
                    for down, right in product(range(-reach, reach + 1), repeat=2)
                ]
                good = [(value, Fraction(1, away**2)) for value, away in window if value not in (0, white)]
                if good:
                    total = sum(value * weight for value, weight in good)
                    answer[row][column] = total / sum(weight for _, weight in good)
                    break
    return np.array(answer, dtype=float)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 9)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 255, 255, 1, 77, 128, 254]))
    )
)
def test_adaptive_riesz_mean_is_what_its_authors_compute(plane):
    exact = riesz_mean_by_loops(plane)
    assert np.abs(adaptive_riesz_mean(plane) - exact).max() <= 0.5 + 1e-9
    floats = adaptive_riesz_mean((plane / np.float32(255)).astype(np.float32))
    assert np.abs(floats * 255.0 - exact).max() < 1e-4


@pytest.mark.parametrize("density", [0.1, 0.5, 0.95])
def test_adaptive_riesz_mean_is_what_its_authors_compute_on_a_photograph(photograph, density):
    noisy = corrupt(photograph[20:44, 30:56, 0], parse_noise(f"salt-pepper:{density}"), seed=3)
    assert np.abs(adaptive_riesz_mean(noisy) - riesz_mean_by_loops(noisy)).max() <= 0.5 + 1e-9


def test_adaptive_riesz_mean_reaches_fifteen_pixels_in_five_passes():
    plane = np.zeros((3, 40), np.uint8)
    plane[:, 20] = 77
    plane[:, 0] = 255
    restored = adaptive_riesz_mean(plane)
    assert (restored[:, 5:36] == 77).all()
    assert np.array_equal(restored[:, :5], plane[:, :5])
    assert not restored[:, 36:].any()
    assert np.abs(restored - riesz_mean_by_loops(plane)).max() == 0


def test_adaptive_riesz_mean_rounds_halves_up_and_only_levels():
    plane = np.array([[100, 0, 101]], np.uint8)
    assert adaptive_riesz_mean(plane).tolist() == [[100, 101, 101]]
    floats = np.array([[0.25, 1, 0.5]], np.float32)
    assert adaptive_riesz_mean(floats).tolist() == [[0.25, 0.375, 0.5]]


def test_adaptive_riesz_mean_gives_the_same_in_small_pieces(photograph, monkeypatch):
    noisy = corrupt(photograph, parse_noise("salt-pepper:0.8"), seed=1)
    whole = adaptive_riesz_mean(noisy)
    monkeypatch.setattr(pixels, "GATHER_VALUES", 700)
    assert np.array_equal(adaptive_riesz_mean(noisy), whole)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, lambda plane: plane.swapaxes(0, 1)])
@pytest.mark.parametrize("name", FILTERS)
def test_filters_have_no_direction(photograph, name, turn):
    noisy = corrupt(photograph, parse_noise("salt-pepper:0.6:channel"), seed=2)
    values = noisy.astype(np.float32) / np.float32(255)
    assert np.abs(FILTERS[name](turn(values)) - turn(FILTERS[name](values))).max() < 1e-5


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_picture_of_impulses_alone_stays(rng, name, dtype):
    noisy = rng.integers(0, 2, (30, 31, 3)).astype(dtype) * dtype(255 if dtype == np.uint8 else 1)
    noisy[..., 1] = 0
    assert np.array_equal(FILTERS[name](noisy), noisy)


@pytest.mark.parametrize("shape", [(21, 18), (21, 18, 3)])
@pytest.mark.parametrize("name", FILTERS)
def test_filters_touch_exact_black_and_white_only(rng, name, shape):
    clean = rng.integers(1, 255, shape, dtype=np.uint8)
    noisy = corrupt(clean, parse_noise("salt-pepper:0.5:channel"), rng=rng)
    hit = (noisy == 0) | (noisy == 255)
    restored = FILTERS[name](noisy)
    assert np.array_equal(restored[~hit], clean[~hit])
    assert not np.isin(restored, (0, 255)).any()


def test_mask_interpolate_is_the_normalised_average_at_the_finest_scale(photograph):
    plane = np.clip(photograph[..., 1], 1, 254)
    noisy = plane.copy()
    noisy[40, 50] = 0
    good = (noisy > 0).astype(float)
    expected = ndimage.gaussian_filter(good * noisy, 0.5) / ndimage.gaussian_filter(good, 0.5)
    assert mask_interpolate(noisy)[40, 50] == np.rint(expected[40, 50])


@given(st.integers(1, 254), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_mask_interpolate_restores_a_flat_picture_from_any_density(level, density, seed):
    flat = np.full((13, 40), level, np.uint8)
    noisy = corrupt(flat, parse_noise(f"salt-pepper:{density:.3f}"), seed=seed)
    lost = np.isin(noisy, (0, 255)).all()
    assert np.array_equal(mask_interpolate(noisy), noisy if lost else flat)


def test_mask_interpolate_reaches_across_a_long_gap():
    plane = np.zeros((3, 200), np.uint8)
    plane[:, 0] = 77
    assert (mask_interpolate(plane) == 77).all()


@pytest.mark.parametrize("shape", [(21, 18), (21, 18, 3)])
@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_floats_that_are_no_impulse_to_the_last_bit(rng, name, shape):
    # No multiples of 1/255, and neither black nor white.
    ramp = np.linspace(0.2, 0.7, 18).reshape((1, 18, 1)[: len(shape)])
    smooth = (ramp + rng.uniform(0, 0.01, shape)).astype(np.float32)
    noisy = corrupt(smooth, parse_noise("salt-pepper:0.3:channel"), rng=rng, quantise=False)
    hit = np.isin(noisy, (0, 1))
    restored = FILTERS[name](noisy)
    assert restored.dtype == np.float32
    assert not np.isin(restored, (0, 1)).any()
    assert psnr(smooth, restored) > psnr(smooth, noisy) + 15
    assert np.array_equal(restored[~hit], smooth[~hit])


def test_mask_interpolate_of_floats_is_the_unrounded_average(photograph):
    plane = (np.clip(photograph[..., 1], 1, 254) / 255).astype(np.float32)
    plane[40, 50] = 1
    good = (plane < 1).astype(float)
    expected = ndimage.gaussian_filter(good * plane, 0.5) / ndimage.gaussian_filter(good, 0.5)
    restored = mask_interpolate(plane)
    assert restored[40, 50] == pytest.approx(expected[40, 50], abs=1e-6)
    assert restored[40, 50] * 255 != np.rint(restored[40, 50] * 255)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_mask_interpolate_restores_a_flat_float_picture_from_any_density(level, density, seed):
    flat = np.full((13, 40), level, np.float32)
    noisy = corrupt(flat, parse_noise(f"salt-pepper:{density:.3f}"), seed=seed, quantise=False)
    expected = noisy if np.isin(noisy, (0, 1)).all() else flat
    assert np.abs(mask_interpolate(noisy) - expected).max() < 1e-6
