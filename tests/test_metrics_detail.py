"""Sharpness of pictures whose detail is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from grainless.errors import InputError
from grainless.metrics import sharpness, to_8bit


@pytest.fixture(scope="module")
def detailed():
    """A float picture with energy at all frequencies."""
    generator = np.random.default_rng(5)
    return np.clip(ndimage.gaussian_filter(generator.normal(0.5, 0.5, (64, 80, 3)), (0.6, 0.6, 0)), 0, 1)


def test_sharpness_of_the_same_picture_is_one(detailed):
    assert sharpness(detailed, detailed.copy()) == 1
    levels = to_8bit(detailed)
    assert sharpness(levels, (levels / 255).astype(np.float32)) == pytest.approx(1, abs=1e-6)


def test_blur_lowers_sharpness_and_noise_raises_it(detailed, rng):
    blurred = [
        sharpness(detailed, ndimage.gaussian_filter(detailed, (sigma, sigma, 0))) for sigma in (0.4, 0.7, 1.5)
    ]
    assert 1 > blurred[0] > blurred[1] > blurred[2] > 0
    noisy = [sharpness(detailed, detailed + rng.normal(0, sigma, detailed.shape)) for sigma in (0.05, 0.2)]
    assert 1 < noisy[0] < noisy[1]


@settings(deadline=None)
@given(st.floats(0.1, 3), st.floats(-0.5, 0.5))
def test_sharpness_is_the_square_of_contrast_and_ignores_brightness(detailed, factor, offset):
    assert sharpness(detailed, factor * detailed + offset) == pytest.approx(factor**2, rel=1e-6)


def test_sharpness_equals_the_periodogram_of_scipy(rng):
    clean, restored = rng.random((2, 31, 31))
    window = signal.windows.hann(33)[1:-1]

    def energy(plane):
        values = (plane - plane.mean()) * np.outer(window, window)
        across = np.broadcast_to(np.fft.fftfreq(31), (31, 31))
        power = [[abs(value) ** 2 for value in line] for line in np.fft.fft(np.fft.fft(values).T).T]
        return np.array(power)[across**2 + across.T**2 > 0.25**2].sum()

    assert sharpness(clean, restored) == pytest.approx(energy(restored) / energy(clean))


@pytest.mark.parametrize(("cycles", "counts"), [(0.1, False), (0.2, False), (0.3, True), (0.45, True)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sharpness_looks_above_half_of_what_pixels_hold(detailed, cycles, counts, axis):
    wave = 0.3 * np.cos(2 * np.pi * cycles * np.arange(detailed.shape[axis]))
    striped = detailed + np.expand_dims(wave, (1 - axis, 2))
    assert (sharpness(detailed, striped) > 1.05) == counts


def test_sharpness_is_that_of_the_luma(rng):
    planes = rng.random((20, 20, 3))
    assert sharpness(planes, planes[..., ::-1]) != pytest.approx(1)
    gray = planes @ np.array([0.299, 0.587, 0.114])
    other = rng.random((20, 20))
    stacked = np.stack([other] * 3, axis=-1)
    assert sharpness(planes, stacked) == pytest.approx(sharpness(gray, other))
    assert sharpness(other[..., None], gray[..., None]) == pytest.approx(sharpness(other, gray))


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3), (1, 1), (1, 9, 3)])
def test_sharpness_of_flat_pictures(shape):
    dark, light = np.full(shape, 3, np.uint8), np.full(shape, 0.7, np.float32)
    assert sharpness(dark, dark) == sharpness(dark, light) == 1
    if max(shape[:2]) > 1:
        noisy = dark.copy()
        noisy[:, ::2] = 90
        assert sharpness(dark, noisy) == math.inf
        assert sharpness(noisy, dark) == pytest.approx(0, abs=1e-9)


def test_sharpness_refuses_what_cannot_be_compared():
    with pytest.raises(InputError, match="differ in shape"):
        sharpness(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(InputError, match="NaN or infinity"):
        sharpness(np.zeros((4, 4)), np.full((4, 4), np.nan))
