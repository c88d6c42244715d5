"""What a network is told of a whole picture: the same however it is cut into strips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless import planes
from grainless.errors import InputError
from grainless.planes import ArrayPlane
from grainless.source import NARROW_RANGE, Seeing, prepare, to_unit
from grainless.tiling import Box


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.sampled_from(["uint8", "uint16", "float32", "float64", "float16"]),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_levels_are_the_ends_of_what_is_visible(height, width, kind, share, seed):
    rng = np.random.default_rng(seed)
    white = 1 if kind.startswith("float") else np.iinfo(kind).max
    pixels = (rng.random((height, width, 3)) * white).astype(kind)
    alpha = (rng.random((height, width, 1)) < share).astype(kind)
    with pytest.MonkeyPatch.context() as patch:
        # So that there are many strips.
        patch.setattr(planes, "_STRIP_BYTES", 100)
        source = prepare(ArrayPlane(pixels), ArrayPlane(alpha), seeing=Seeing())
    visible = pixels[alpha[..., 0] > 0]
    if not visible.size:
        assert source is None
        return
    ends = np.clip(np.array([visible.min(), visible.max()]) / np.float32(white), 0, 1)
    want = ends if ends[1] - ends[0] >= NARROW_RANGE else [0, 1]
    np.testing.assert_allclose(source.levels, want, atol=1e-6)
    assert (source.alpha is None) == bool((alpha > 0).all())
    if source.alpha is not None:
        np.testing.assert_array_equal(source.hidden(Box(0, 0, height, width)), alpha == 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 20, 39])
def test_numbers_that_are_none_are_found_in_any_strip(monkeypatch, value, row):
    monkeypatch.setattr(planes, "_STRIP_BYTES", 100)
    pixels = np.zeros((40, 3, 1), np.float32)
    pixels[row, 1] = value
    with pytest.raises(InputError, match=r"NaN or infinity.*nan_to_num"):
        prepare(ArrayPlane(pixels), None, seeing=Seeing())
    alpha = np.ones((40, 3, 1), np.float32)
    alpha[row, 1] = 0
    assert prepare(ArrayPlane(pixels), ArrayPlane(alpha), seeing=Seeing()) is not None


def test_values_in_the_units_of_the_network():
    assert to_unit(np.array([0, 51, 255], np.uint8), Seeing()).tolist() == pytest.approx([0, 0.2, 1])
    assert to_unit(np.array([-1.0, 0.5, 7]), Seeing()).tolist() == [0, 0.5, 1]
    assert to_unit(np.array([-1.0, 0.5, 7]), Seeing(unclipped=True)).tolist() == [-1, 0.5, 7]
    assert to_unit(np.array([0.2140411]), Seeing(linear=True)).tolist() == pytest.approx([0.5], abs=1e-5)
