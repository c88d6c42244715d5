"""Resizing, with torch as the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from grainless.datasets import resize_values
from grainless.errors import InputError


def values_of(height, width, channels, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def resize_by_torch(values, side, *, antialias):
    # In 64 bits: torch works out positions in the type of the values.
    batch = torch.from_numpy(values).double().permute(2, 0, 1)[None]
    resized = F.interpolate(batch, (side, side), mode="bilinear", align_corners=False, antialias=antialias)
    return resized[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("size", "side"), [(48, 128), (48, 49), (7, 64), (1, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_enlarging_is_plain_bilinear_interpolation(size, side, channels):
    values = values_of(size, size, channels)
    resized = resize_values(values, side)
    assert (resized.shape, resized.dtype) == ((side, side, channels), np.float32)
    np.testing.assert_allclose(resized, resize_by_torch(values, side, antialias=False), atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 60), width=st.integers(1, 60), channels=st.integers(1, 4), side=st.integers(1, 70)
)
def test_any_size_agrees_with_antialiased_interpolation(height, width, channels, side):
    values = values_of(height, width, channels)
    resized = resize_values(values, side)
    np.testing.assert_allclose(resized, resize_by_torch(values, side, antialias=True), atol=1e-6)
    assert values.min() <= resized.min() + 1e-6
    assert resized.max() <= values.max() + 1e-6


def test_shrinking_averages():
    checks = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)[..., None]
    np.testing.assert_allclose(resize_values(checks, 8)[1:-1, 1:-1], 0.5, atol=1e-6)


def test_the_same_side_changes_nothing_and_input_stays():
    values = values_of(9, 9, 3)
    before = values.copy()
    np.testing.assert_array_equal(resize_values(values, 9), before)
    resize_values(values, 4)[...] = 0
    np.testing.assert_array_equal(values, before)


def test_views_that_are_not_contiguous():
    values = values_of(20, 30, 3)
    mirrored = values[:, ::-1]
    np.testing.assert_allclose(resize_values(mirrored, 11), resize_values(values, 11)[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 1), (4, 4, 0), (1, 4, 4, 1)])
def test_values_of_another_form_are_refused(shape):
    with pytest.raises(InputError, match=r"cannot be resized; got the shape \(.*expected \(height, width"):
        resize_values(np.zeros(shape, np.float32), 8)


def test_a_side_below_one_is_refused():
    with pytest.raises(InputError, match="got a side of 0; expected at least 1 pixel"):
        resize_values(values_of(4, 4, 1), 0)
