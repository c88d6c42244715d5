"""The tone curve against values from the standard's own definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.tone import as_shown, decode_srgb, encode_srgb


@pytest.mark.parametrize(
    ("value", "light"),
    # Published pairs: 8-bit 188 is about half of the light, 118 is the 18 % gray card; the toe is linear.
    [(0.0, 0.0), (1.0, 1.0), (188 / 255, 0.503), (118 / 255, 0.181), (0.04045, 0.0031308)],
)
def test_known_pairs(value, light):
    assert decode_srgb(np.float32([value]))[0] == pytest.approx(light, abs=1e-3)
    assert encode_srgb(np.float32([light]))[0] == pytest.approx(value, abs=1e-3)


@given(st.floats(0, 1, width=32))
def test_round_trip(value):
    values = np.full((2, 3, 1), value, np.float32)
    back = encode_srgb(decode_srgb(values))
    assert back.dtype == np.float32
    assert back.shape == values.shape
    assert np.allclose(back, values, atol=2e-6)


def test_rises_across_the_seam():
    assert (np.diff(encode_srgb(np.linspace(0, 0.01, 1000, dtype=np.float32))) > 0).all()


def test_only_linear_floats_are_changed_for_showing():
    light = np.array([[-0.5, 0.0, 0.2, 1.0, 1.5, np.nan]])
    for values in (light, light.astype(np.float16)):
        shown = as_shown(values, linear=True)
        assert shown.dtype == np.float32
        clipped = np.clip(values, 0, 1).astype(np.float32)
        np.testing.assert_array_equal(shown, encode_srgb(clipped))
        assert as_shown(values, linear=False) is values
    whole = np.arange(4, dtype=np.uint16)
    assert as_shown(whole, linear=True) is whole
