"""Filters that take a noise level, against scipy, scikit-image and plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import data, restoration

from grainless.baselines import bilateral, estimate_sigma, nlm, smoothing, tv, wavelet
from grainless.errors import InputError
from grainless.metrics import psnr
from grainless.noise import corrupt, parse_noise

SIGMA_FILTERS = {"bilateral": bilateral, "nlm": nlm, "tv": tv, "wavelet": wavelet}


@pytest.fixture(scope="module")
def photograph():
    return data.astronaut()[100:196, 150:278]


def bilateral_by_loops(values, sigma):
    out = np.zeros(values.shape)
    padded = np.pad(values, ((5, 5), (5, 5), (0, 0)), mode="symmetric").astype(float)
    for row, column in product(range(values.shape[0]), range(values.shape[1])):
        centre = padded[row + 5, column + 5]
        total, weights = 0, 0
        for down, right in product(range(-5, 6), repeat=2):
            other = padded[row + 5 + down, column + 5 + right]
            near = np.exp(-(down**2 + right**2) / (2 * 1.8**2))
            like = np.exp(-np.mean((other - centre) ** 2) / (2 * (2 * sigma / 255) ** 2))
            total, weights = total + near * like * other, weights + near * like
        out[row, column] = total / weights
    return out


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 4)).flatmap(
        lambda shape: arrays(np.uint8, shape)
    ),
    st.floats(0.5, 200),
)
def test_bilateral_equals_plain_loops(picture, sigma):
    values = picture / np.float32(255)
    expected = bilateral_by_loops(values, sigma)
    assert np.abs(bilateral(values, sigma=sigma) - expected).max() < 1e-5
    assert np.abs(bilateral(picture, sigma=sigma) - expected * 255).max() < 0.51


def test_bilateral_of_all_alike_is_a_gaussian_blur(photograph):
    # Under so much noise no two values differ.
    values = (photograph / np.float32(255)).astype(np.float32)
    blurred = ndimage.gaussian_filter(values, 1.8, radius=5, axes=(0, 1), mode="reflect")
    assert np.abs(bilateral(values, sigma=1e6) - blurred).max() < 1e-5


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, lambda picture: picture.swapaxes(0, 1)])
def test_bilateral_has_no_direction(photograph, turn):
    values = (photograph / np.float32(255)).astype(np.float32)
    assert np.abs(bilateral(turn(values), sigma=20) - turn(bilateral(values, sigma=20))).max() < 1e-5


def test_bilateral_of_gray_is_the_same_in_one_channel_and_in_three(photograph):
    gray = photograph[..., :1]
    three = bilateral(np.repeat(gray, 3, axis=-1), sigma=25)
    assert np.abs(three.astype(int) - bilateral(gray, sigma=25)).max() <= 1


def test_bilateral_gives_the_same_in_strips_of_a_row(photograph, monkeypatch):
    whole = bilateral(photograph, sigma=25)
    monkeypatch.setattr(smoothing, "STRIP_VALUES", 1)
    assert np.array_equal(bilateral(photograph, sigma=25), whole)


def test_bilateral_keeps_an_edge_that_a_blur_does_not(rng):
    step = np.full((30, 30), 60, np.uint8)
    step[:, 15:] = 190
    noisy = corrupt(step, parse_noise("gaussian:10"), rng=rng)
    restored = bilateral(noisy, sigma=10)
    blurred = ndimage.gaussian_filter(noisy, 1.8)
    beside = np.s_[:, 14:16]
    error, blur = (np.abs(one[beside].mean(axis=0) - step[0, 14:16]).max() for one in (restored, blurred))
    assert error < 5
    assert blur > 25
    assert psnr(step, restored) > psnr(step, noisy) + 8


@pytest.mark.parametrize("sigma", [1e-300, 1e-6])
def test_bilateral_of_next_to_no_noise_changes_nothing(photograph, sigma):
    assert np.array_equal(bilateral(photograph, sigma=sigma), photograph)


@pytest.mark.parametrize("name", SIGMA_FILTERS)
def test_float_answers_are_those_for_8_bit_without_the_rounding(photograph, name):
    noisy = corrupt(photograph, parse_noise("gaussian:25"), seed=5)
    floats = SIGMA_FILTERS[name](noisy.astype(np.float32) / np.float32(255), sigma=25)
    assert np.abs(floats * 255 - SIGMA_FILTERS[name](noisy, sigma=25)).max() <= 0.5001
    assert len(np.unique(floats)) > 256


def test_the_noise_level_of_floats_is_on_the_255_scale_too(photograph):
    noisy = corrupt(photograph, parse_noise("gaussian:25"), seed=5)
    assert estimate_sigma(noisy.astype(np.float32) / np.float32(255)) == pytest.approx(
        estimate_sigma(noisy), abs=1e-4
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_equal_scikit_image_with_the_stated_parameters(photograph, channels):
    noisy = corrupt(photograph[..., :channels], parse_noise("gaussian:25"), seed=5)
    values = (noisy / np.float32(255)).astype(np.float32)
    level = 25 / 255
    oracles = {
        "nlm": restoration.denoise_nl_means(
            values, patch_size=5, patch_distance=6, h=0.6 * level, sigma=level, channel_axis=-1
        ),
        "tv": restoration.denoise_tv_chambolle(values, weight=0.8 * level, channel_axis=-1),
        "wavelet": restoration.denoise_wavelet(
            values, sigma=level, convert2ycbcr=channels == 3, rescale_sigma=True, channel_axis=-1
        ),
    }
    for name, oracle in oracles.items():
        restored = SIGMA_FILTERS[name](noisy, sigma=25)
        levels = np.clip(oracle, 0, 1).reshape(noisy.shape) * 255
        assert np.abs(restored - levels).max() <= 0.501, name


@pytest.mark.parametrize("name", SIGMA_FILTERS)
def test_filters_take_noise_out(photograph, name):
    noisy = corrupt(photograph, parse_noise("gaussian:25"), seed=5)
    assert psnr(photograph, SIGMA_FILTERS[name](noisy, sigma=25)) > psnr(photograph, noisy) + 3


@pytest.mark.parametrize("name", SIGMA_FILTERS)
def test_no_noise_leaves_nothing_to_do(photograph, name):
    assert np.array_equal(SIGMA_FILTERS[name](photograph, sigma=0), photograph)
    with pytest.raises(InputError, match="noise level is not valid; got -1"):
        SIGMA_FILTERS[name](photograph, sigma=-1)
    with pytest.raises(InputError, match="got nan"):
        SIGMA_FILTERS[name](photograph, sigma=float("nan"))


def test_the_noise_level_is_estimated(rng):
    flat = np.full((64, 64, 3), 128, np.uint8)
    for level in (0, 128, 255):
        assert estimate_sigma(np.full((64, 64, 3), level, np.uint8)) == 0
    assert estimate_sigma(corrupt(flat, parse_noise("gaussian:20"), rng=rng)) == pytest.approx(20, rel=0.1)
    assert estimate_sigma(flat[:1]) == 0
