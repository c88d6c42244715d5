"""The medians against sorting every window."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage import data

from grainless.baselines import adaptive_median, median, median5, pixels
from grainless.errors import InputError
from grainless.metrics import psnr
from grainless.noise import corrupt, parse_noise

MEDIANS = {"median": median, "adaptive_median": adaptive_median}


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
    picture = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    padded = np.pad(picture, ((size // 2,) * 2, (size // 2,) * 2, (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    assert np.array_equal(median(picture, size=size), np.median(windows, axis=(-2, -1)))


def test_median5_is_the_median_of_five_by_five(rng):
    picture = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    expected = ndimage.median_filter(picture, size=(5, 5, 1), mode="reflect")
    assert np.array_equal(median5(picture), expected)
    assert not np.array_equal(median5(picture), median(picture))


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
    monkeypatch.setattr(pixels, "GATHER_VALUES", 5000)
    assert np.array_equal(adaptive_median(noisy), whole)


def test_adaptive_median_keeps_what_is_no_extreme():
    plane = np.add.outer(np.arange(50, 70), np.arange(0, 40, 2)).astype(np.uint8)
    noisy = plane.copy()
    noisy[10, 10] = 255
    restored = adaptive_median(noisy)
    changed = np.argwhere(restored[3:-3, 3:-3] != noisy[3:-3, 3:-3]) + 3
    assert changed.tolist() == [[10, 10]]
    assert abs(int(restored[10, 10]) - int(plane[10, 10])) <= 3


def test_adaptive_median_of_floats_picks_among_their_values(rng):
    ramp = np.linspace(0.2, 0.7, 18).reshape(1, 18, 1)
    smooth = (ramp + rng.uniform(0, 0.01, (21, 18, 3))).astype(np.float32)
    noisy = corrupt(smooth, parse_noise("salt-pepper:0.3:channel"), rng=rng, quantise=False)
    restored = adaptive_median(noisy)
    assert restored.dtype == np.float32
    assert not np.isin(restored, (0, 1)).any()
    assert np.isin(restored, noisy).all()
    assert psnr(smooth, restored) > psnr(smooth, noisy) + 15


@pytest.mark.parametrize("name", ["median", "adaptive_median"])
@pytest.mark.parametrize("density", [0.1, 0.6])
def test_filters_that_pick_values_do_on_floats_what_they_do_on_levels(rng, name, density):
    levels = corrupt(
        rng.integers(90, 110, (17, 14, 3), dtype=np.uint8), parse_noise(f"salt-pepper:{density}"), rng=rng
    )
    floats = levels.astype(np.float32) / np.float32(255)
    expected = MEDIANS[name](levels).astype(np.float32) / np.float32(255)
    assert np.array_equal(MEDIANS[name](floats), expected)


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


@pytest.mark.parametrize("size", [1, 4, -3])
def test_window_sizes_are_odd_and_at_least_three(size):
    plane = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match=f"size is not valid; got {size}; expected an odd number"):
        median(plane, size=size)
    with pytest.raises(InputError, match=f"max_size is not valid; got {size}"):
        adaptive_median(plane, max_size=size)
