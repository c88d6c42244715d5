"""Windows, batches, channels and dtypes around the filters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.baselines import pixels
from grainless.baselines.pixels import batches, each_channel, stacked, white_of, windows_at, with_sigma


@given(st.integers(0, 200), st.integers(1, 12))
def test_batches_cover_all_and_hold_no_more_than_told(count, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "GATHER_VALUES", 300)
        parts = [range(count)[part] for part in batches(count, size)]
    assert [index for part in parts for index in part] == list(range(count))
    assert all(len(part) * size * size <= 300 for part in parts)


def test_a_window_larger_than_a_batch_goes_alone(monkeypatch):
    monkeypatch.setattr(pixels, "GATHER_VALUES", 10)
    assert [part.stop - part.start for part in batches(3, 5)] == [1, 1, 1]


def test_windows_are_cut_where_told():
    plane = np.arange(42).reshape(6, 7)
    windows = windows_at(plane, np.array([0, 3]), np.array([0, 4]), 3)
    assert windows.tolist() == [plane[:3, :3].ravel().tolist(), plane[3:, 4:].ravel().tolist()]


def test_channels_are_filtered_one_by_one():
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    sums = each_channel(picture, lambda plane: np.full_like(plane, plane.sum()))
    assert sums.shape == picture.shape
    assert sums[0, 0].tolist() == picture.sum(axis=(0, 1)).tolist()
    assert stacked(picture[..., 0]).shape == (2, 4, 1)


def test_white_is_the_end_of_the_range():
    assert white_of(np.zeros(1, np.uint8)) == 255
    assert white_of(np.zeros(1, np.float32)) == 1


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3)])
def test_a_filter_with_a_level_sees_floats_and_gives_what_came(shape):
    seen = []

    def run(values, scaled):
        seen.append((values.dtype, values.ndim, float(values.max()), scaled))
        return values.astype(np.float64) * 3 - 1  # leaves [0, 1] on both sides

    picture = np.linspace(0, 255, np.prod(shape)).astype(np.uint8).reshape(shape)
    restored = with_sigma(picture, 51, run)
    assert seen == [(np.float32, 3, 1.0, 0.2)]
    assert restored.dtype == np.uint8
    assert np.array_equal(restored, np.clip(picture.astype(int) * 3 - 255, 0, 255))
    floats = with_sigma(picture / np.float32(255), 51, run)
    assert floats.dtype == np.float32
    assert (floats.min(), floats.max(), floats.shape) == (0, 1, shape)
