"""The fill of hidden pixels: it depends on the visible ones alone, and is the same in memory and on disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless.fill import HiddenFill
from grainless.planes import ArrayPlane, cut, new_array, on_disk
from grainless.tiling import Box, round_up


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fill")


def filling(picture, hidden, new=new_array):
    return HiddenFill(ArrayPlane(picture), ArrayPlane(~hidden[..., None]), new=new)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["u1", "u2", "f4"]), st.floats(0.1, 1))
def test_fill_on_the_disk_is_the_fill_in_memory(folder, height, width, kind, share):
    rng = np.random.default_rng(height * 61 + width)
    picture = (rng.random((height, width, 3)) * (255 if kind[0] == "u" else 1)).astype(kind)
    hidden = rng.random((height, width)) < share
    hidden[rng.integers(height), rng.integers(width)] = False
    window = Box(0, 0, round_up(height, 4), round_up(width, 4))
    seen = cut(ArrayPlane(picture), window)
    got = filling(picture, hidden, new=on_disk(folder)).apply(seen, window)
    np.testing.assert_array_equal(got, filling(picture, hidden).apply(seen, window))


def whole_box(picture):
    return Box(0, 0, *picture.shape[:2])


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["u1", "u2", "f4", "f8"]),
    st.integers(0, 2**32 - 1),
)
def test_fill_depends_on_visible_pixels_only(height, width, kind, seed):
    rng = np.random.default_rng(seed)
    picture = (rng.random((height, width, 3)) * (255 if kind[0] == "u" else 1)).astype(kind)
    hidden = rng.random((height, width)) < rng.random()
    hidden[rng.integers(height), rng.integers(width)] = False
    other = picture.copy()
    other[hidden] = 255 if kind[0] == "u" else np.nan
    window = Box(0, 0, round_up(height, 8), round_up(width, 8))
    filled = filling(picture, hidden).apply(cut(ArrayPlane(picture), window), window)
    again = filling(other, hidden).apply(cut(ArrayPlane(other), window), window)
    assert filled.dtype == picture.dtype
    np.testing.assert_array_equal(filled, again)
    inside = filled[:height, :width]
    np.testing.assert_array_equal(inside[~hidden], picture[~hidden])
    visible = picture[~hidden].astype(float)
    # A mean lies between what it is the mean of, but for the rounding of single precision.
    assert inside.min() >= visible.min() - 1e-6
    assert inside.max() <= visible.max() + 1e-6


def test_fill_takes_the_nearest_colours(rng):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 10, 10), (10, 10, 200)
    hidden = np.zeros((64, 64), bool)
    hidden[8:24, 8:24] = hidden[40:56, 40:56] = True
    filled = filling(np.where(hidden[..., None], 77, picture).astype(np.uint8), hidden).apply(
        picture, whole_box(picture)
    )
    np.testing.assert_array_equal(filled, picture)


def test_fill_of_one_visible_pixel_reaches_everywhere():
    picture = np.full((37, 301, 1), 9, np.uint16)
    picture[20, 250] = 4321
    hidden = np.ones((37, 301), bool)
    hidden[20, 250] = False
    filled = filling(picture, hidden).apply(picture, whole_box(picture))
    assert (filled == 4321).all()


def test_fill_of_a_window_is_the_window_of_the_fill(rng):
    picture = rng.random((50, 60, 3)).astype(np.float32)
    fill = filling(picture, rng.random((50, 60)) < 0.7)
    whole = fill.apply(picture, whole_box(picture))
    window = Box(16, 24, 48, 56)
    np.testing.assert_array_equal(fill.apply(cut(ArrayPlane(picture), window), window), whole[16:48, 24:56])


def test_fill_beyond_blocks_of_rows(rng):
    # Taller than the block of rows that the fill works on at a time, at several levels.
    picture = np.broadcast_to(np.linspace(0, 1, 2100, dtype=np.float32)[:, None, None], (2100, 3, 1)).copy()
    hidden = np.ones((2100, 3), bool)
    hidden[::40] = False
    filled = filling(picture, hidden).apply(picture, whole_box(picture))
    assert np.abs(filled - picture).max() < 64 / 2100
