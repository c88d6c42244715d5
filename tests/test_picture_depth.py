from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.picture import depth

ALL_16 = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)


def test_16_bits_to_8_by_exact_fractions():
    got = depth.reduced(ALL_16, 8).ravel()
    assert got.dtype == np.uint8
    for value in range(0, 65536, 97):
        assert got[value] == round(Fraction(value * 255, 65535))
    np.testing.assert_array_equal(got[np.arange(256) * 257], np.arange(256))


@pytest.mark.parametrize("bits", [10, 12])
def test_levels_between_come_back_through_the_upper_bits(bits):
    once = depth.reduced(ALL_16, bits)
    assert len(np.unique(once)) == 2**bits
    assert np.abs(once.astype(int) - ALL_16).max() <= 65535 / (2**bits - 1) / 2 + 1
    # A file holds the upper bits alone; reading stretches them again.
    stored = (once >> (16 - bits)) << (16 - bits)
    depth.expand_bits(stored, bits)
    np.testing.assert_array_equal(stored, once)
    np.testing.assert_array_equal(depth.reduced(once, bits), once)
    assert (once.min(), once.max()) == (0, 65535)


def test_full_depth_is_not_touched():
    full = ALL_16.copy()
    depth.expand_bits(full, 16)
    np.testing.assert_array_equal(full, ALL_16)
    assert depth.reduced(full, 16) is full
    eight = np.zeros((1, 1, 1), np.uint8)
    assert depth.reduced(eight, 16) is eight


def test_floats_are_clipped_and_rounded():
    floats = np.array([-0.5, 0.0, 0.2, 1.0, 7.0], np.float32).reshape(1, 5, 1)
    assert depth.reduced(floats, 8).ravel().tolist() == [0, 0, 51, 255, 255]
    assert depth.reduced(floats, 16).ravel().tolist() == [0, 0, 13107, 65535, 65535]


@pytest.mark.parametrize("full", [255, 65535])
def test_associated_alpha_comes_back_exactly(full):
    dtype = np.uint8 if full == 255 else np.uint16
    rng = np.random.default_rng(3)
    alpha = rng.integers(0, full + 1, (300, 400)).astype(dtype)
    alpha[:2], alpha[2:4] = 0, full
    stored = (rng.random((300, 400, 3)) * (alpha[..., None].astype(float) + 0.999)).astype(dtype)
    stored[0] = 9  # colours that shine without covering
    straight = depth.unmultiplied(stored, alpha)
    np.testing.assert_array_equal(depth.multiplied(straight, alpha), stored)
    np.testing.assert_array_equal(straight[0], stored[0])
    np.testing.assert_array_equal(straight[2:4], stored[2:4])


def test_unmultiplied_by_hand():
    pixels = np.array([[[50], [100], [200]]], np.uint8)
    alpha = np.array([[100, 200, 100]], np.uint8)
    assert depth.unmultiplied(pixels, alpha).ravel().tolist() == [128, 128, 255]
    floats = depth.unmultiplied(np.full((1, 1, 1), 0.5, np.float32), np.full((1, 1), 0.25, np.float32))
    assert floats.ravel().tolist() == [2.0]


@given(st.integers(0, 999), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_bad_value_is_found_wherever_it_is(place, bad):
    values = np.zeros(1000, np.float32)
    assert depth.all_finite(values.reshape(10, 100, 1))
    values[place] = bad
    assert not depth.all_finite(values.reshape(10, 100, 1))


def test_strips_cover_large_pictures():
    values = np.zeros((3000, 500, 1), np.float32)
    values[-1, -1] = np.nan
    assert not depth.all_finite(values)
    values[-1, -1] = 1.0
    assert depth.reduced(values, 8)[-1, -1] == 255
