"""Classical filters against scipy, scikit-image and plain loops."""

from __future__ import annotations

import importlib.util
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import data, restoration

from grainless import baselines
from grainless.baselines import (
    BASELINES,
    adaptive_median,
    estimate_sigma,
    mask_interpolate,
    median,
    nlm,
    tv,
    wavelet,
)
from grainless.errors import InputError, MissingExtraError
from grainless.metrics import mean_scores, psnr, scores
from grainless.noise import corrupt, parse_noise
from grainless.picture import read_picture

SIGMA_FILTERS = {"nlm": nlm, "tv": tv, "wavelet": wavelet}


@pytest.fixture(scope="module")
def photograph():
    return data.astronaut()[100:196, 150:278]


def adaptive_median_by_loops(plane, max_size):
    out = plane.copy()
    half = max_size // 2
    padded = np.pad(plane, half, mode="symmetric").astype(int)
    for row, column in product(range(plane.shape[0]), range(plane.shape[1])):
        value = int(plane[row, column])
        for radius in range(1, half + 1):
            top, left = row + half - radius, column + half - radius
            window = np.sort(padded[top : top + 2 * radius + 1, left : left + 2 * radius + 1], axis=None)
            low, mid, high = window[0], window[window.size // 2], window[-1]
            if low < mid < high:
                out[row, column] = value if low < value < high else mid
                break
        else:
            out[row, column] = mid
    return out


@pytest.mark.parametrize("size", [3, 5])
def test_median_equals_sorting_each_window(rng, size):
    pixels = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    padded = np.pad(pixels, ((size // 2,) * 2, (size // 2,) * 2, (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    assert np.array_equal(median(pixels, size=size), np.median(windows, axis=(-2, -1)))


@pytest.mark.parametrize("max_size", [3, 5, 7, 13])
@pytest.mark.parametrize("density", [0.1, 0.6, 0.95])
def test_adaptive_median_equals_plain_loops(rng, density, max_size):
    plane = rng.integers(90, 110, (17, 14), dtype=np.uint8)
    plane[:6, :6] = 255
    plane[8:, 8:] = 100
    noisy = corrupt(plane, parse_noise(f"salt-pepper:{density}"), rng=rng)
    assert np.array_equal(
        adaptive_median(noisy, max_size=max_size), adaptive_median_by_loops(noisy, max_size)
    )


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 128, 254, 255]))
    ),
    st.sampled_from([3, 5, 9, 19]),
)
def test_adaptive_median_equals_plain_loops_on_any_pixels(plane, max_size):
    assert np.array_equal(
        adaptive_median(plane, max_size=max_size), adaptive_median_by_loops(plane, max_size)
    )


def test_adaptive_median_gives_the_same_in_small_pieces(photograph, monkeypatch):
    noisy = corrupt(photograph, parse_noise("salt-pepper:0.8"), seed=1)
    whole = adaptive_median(noisy)
    monkeypatch.setattr(baselines, "GATHER_VALUES", 5000)
    assert np.array_equal(adaptive_median(noisy), whole)


def test_adaptive_median_keeps_what_is_no_extreme():
    plane = np.add.outer(np.arange(50, 70), np.arange(0, 40, 2)).astype(np.uint8)
    noisy = plane.copy()
    noisy[10, 10] = 255
    restored = adaptive_median(noisy)
    changed = np.argwhere(restored[3:-3, 3:-3] != noisy[3:-3, 3:-3]) + 3
    assert changed.tolist() == [[10, 10]]
    assert abs(int(restored[10, 10]) - int(plane[10, 10])) <= 3


@pytest.mark.parametrize("shape", [(21, 18), (21, 18, 3)])
def test_mask_interpolate_touches_exact_black_and_white_only(rng, shape):
    clean = rng.integers(1, 255, shape, dtype=np.uint8)
    noisy = corrupt(clean, parse_noise("salt-pepper:0.5:channel"), rng=rng)
    hit = (noisy == 0) | (noisy == 255)
    restored = mask_interpolate(noisy)
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


# ---- floats

IMPULSE_FILTERS = {
    "median": median,
    "adaptive_median": adaptive_median,
    "mask_interpolate": mask_interpolate,
}


@pytest.mark.parametrize("shape", [(21, 18), (21, 18, 3)])
@pytest.mark.parametrize("name", ["adaptive_median", "mask_interpolate"])
def test_float_filters_keep_what_is_no_impulse_to_the_last_bit(rng, name, shape):
    # No multiples of 1/255, and neither black nor white.
    ramp = np.linspace(0.2, 0.7, 18).reshape((1, 18, 1)[: len(shape)])
    smooth = (ramp + rng.uniform(0, 0.01, shape)).astype(np.float32)
    noisy = corrupt(smooth, parse_noise("salt-pepper:0.3:channel"), rng=rng, quantise=False)
    hit = np.isin(noisy, (0, 1))
    restored = IMPULSE_FILTERS[name](noisy)
    assert restored.dtype == np.float32
    assert not np.isin(restored, (0, 1)).any()
    assert psnr(smooth, restored) > psnr(smooth, noisy) + 15
    if name == "mask_interpolate":
        assert np.array_equal(restored[~hit], smooth[~hit])
    else:
        assert np.isin(restored, noisy).all()  # a median is one of its values


@pytest.mark.parametrize("name", ["median", "adaptive_median"])
@pytest.mark.parametrize("density", [0.1, 0.6])
def test_filters_that_pick_values_do_on_floats_what_they_do_on_levels(rng, name, density):
    levels = corrupt(
        rng.integers(90, 110, (17, 14, 3), dtype=np.uint8), parse_noise(f"salt-pepper:{density}"), rng=rng
    )
    floats = levels.astype(np.float32) / np.float32(255)
    expected = IMPULSE_FILTERS[name](levels).astype(np.float32) / np.float32(255)
    assert np.array_equal(IMPULSE_FILTERS[name](floats), expected)


@pytest.mark.parametrize("max_size", [3, 7, 13])
def test_adaptive_median_of_floats_equals_plain_loops(rng, max_size):
    plane = np.round(rng.uniform(0.3, 0.6, (15, 13)), 2)
    noisy = corrupt(plane.astype(np.float32), parse_noise("salt-pepper:0.7"), rng=rng, quantise=False)
    ranks = np.unique(noisy, return_inverse=True)
    # The order of the values is all that counts, so whole numbers in the same order do the same.
    assert ranks[0][[0, -1]].tolist() == [0, 1]
    levels = ranks[1].reshape(noisy.shape).astype(np.uint8)
    expected = ranks[0][adaptive_median_by_loops(levels, max_size)]
    assert np.array_equal(adaptive_median(noisy, max_size=max_size), expected)


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


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("value", "got"), [(1.01, "to 1.01"), (-0.1, "from -0.1"), (np.nan, "nan")])
def test_floats_out_of_range_are_refused(name, value, got):
    pixels = np.full((4, 4), 0.5, np.float32)
    pixels[1, 2] = value
    filter_ = BASELINES[name]
    with pytest.raises(InputError, match=rf"cannot use these pixels; got values.*{got}.*Clip them"):
        filter_.run(pixels, sigma=12.0) if filter_.needs_sigma else filter_.run(pixels)


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


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 7, 3), (5, 4, 1), (30, 20), (30, 20, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_filter_keeps_shape_dtype_and_its_input(rng, name, shape, dtype):
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    if dtype == np.float32:
        pixels = pixels / np.float32(255)
    before = pixels.copy()
    filter_ = BASELINES[name]
    restored = filter_.run(pixels, sigma=12.0) if filter_.needs_sigma else filter_.run(pixels)
    assert restored.shape == shape
    assert restored.dtype == dtype
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.uint16)],
)
def test_every_filter_refuses_other_arrays(name, pixels):
    filter_ = BASELINES[name]
    with pytest.raises(InputError, match=r"cannot use these pixels; got .* expected uint8 or float32 of"):
        filter_.run(pixels, sigma=12.0) if filter_.needs_sigma else filter_.run(pixels)


@pytest.mark.parametrize("size", [1, 4, -3])
def test_window_sizes_are_odd_and_at_least_three(size):
    pixels = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match=f"size is not valid; got {size}; expected an odd number"):
        median(pixels, size=size)
    with pytest.raises(InputError, match=f"max_size is not valid; got {size}"):
        adaptive_median(pixels, max_size=size)


@pytest.mark.parametrize("name", BASELINES)
def test_a_missing_package_names_the_extra(monkeypatch, name):
    for package in ("scipy", "skimage"):
        monkeypatch.setitem(sys.modules, package, None)
    filter_ = BASELINES[name]
    with pytest.raises(MissingExtraError, match=r"grainless\[evaluate\]"):
        filter_.run(np.zeros((4, 4), np.uint8), **({"sigma": 1.0} if filter_.needs_sigma else {}))


def test_missing_wavelets_name_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"wavelet shrinkage needs .*grainless\[evaluate\]"):
        wavelet(np.zeros((4, 4), np.uint8), sigma=1.0)


# PSNR and SSIM of the same filters, run once by other code on the first 8 pictures of Kodak24.
ANCHORS = [
    ("median", "gaussian:25", 25.15, 0.5673),
    ("nlm", "gaussian:25", 28.97, 0.7861),
    ("tv", "gaussian:25", 27.64, 0.7508),
    ("wavelet", "gaussian:25", 27.82, 0.7438),
    ("median", "salt-pepper:0.3:channel", 22.16, 0.6625),
    ("mask_interpolate", "salt-pepper:0.3:channel", 28.77, 0.9470),
    ("mask_interpolate", "salt-pepper:0.9:channel", 22.90, 0.6699),
    ("adaptive_median", "salt-pepper:0.5:channel", 26.29, 0.8294),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "noise", "expected_psnr", "expected_ssim"), ANCHORS)
def test_filters_agree_with_earlier_measurements(data_folder, name, noise, expected_psnr, expected_ssim):
    each = []
    filter_ = BASELINES[name]
    for seed, path in enumerate(sorted((data_folder / "test" / "kodak24").iterdir())[:8]):
        clean = read_picture(path).pixels
        noisy = corrupt(clean, parse_noise(noise), seed=seed)
        restored = filter_.run(noisy, sigma=25.0) if filter_.needs_sigma else filter_.run(noisy)
        each.append(scores(clean, restored))
    mean = mean_scores(each)
    assert mean.psnr == pytest.approx(expected_psnr, abs=0.3)
    assert mean.ssim == pytest.approx(expected_ssim, abs=0.005)
