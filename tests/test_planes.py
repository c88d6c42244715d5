"""Planes: boxes come back the same from an array and a file, and windows beyond the border as numpy pads."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless.planes import ArrayPlane, cut
from grainless.tiling import Box


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.integers(0, 9))
def test_cut_pads_as_numpy_does(height, width, below, right):
    values = np.arange(height * width * 2).reshape(height, width, 2)
    got = cut(ArrayPlane(values), Box(0, 0, height + below, width + right))
    rows = np.pad(values, ((0, below), (0, 0), (0, 0)), mode="reflect" if below < height else "edge")
    want = np.pad(rows, ((0, 0), (0, right), (0, 0)), mode="reflect" if right < width else "edge")
    np.testing.assert_array_equal(got, want)


def test_cut_inside_is_a_view_and_padding_ignores_the_window(rng):
    values = rng.integers(0, 9, (30, 30, 3))
    assert np.shares_memory(cut(ArrayPlane(values), Box(2, 3, 20, 30)), values)
    whole = cut(ArrayPlane(values), Box(0, 0, 32, 32))
    np.testing.assert_array_equal(cut(ArrayPlane(values), Box(28, 28, 32, 32)), whole[28:, 28:])
