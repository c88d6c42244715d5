"""The picture of what was removed."""

from __future__ import annotations

import numpy as np
import pytest

from grainless.removed import show_removed


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_what_was_removed_is_shown_on_gray(kind):
    factor = {"uint8": 1, "uint16": 257, "float32": 1 / 255}[kind]
    before = (np.array([[[100, 100, 100], [110, 90, 100], [255, 0, 7]]]) * factor).astype(kind)
    after = (np.array([[[100, 100, 100], [100, 100, 99], [0, 255, 7]]]) * factor).astype(kind)
    for gain in (1, 4, 8):
        wanted = [[[128, 128, 128], [128 + 10 * gain, 128 - 10 * gain, 128 + gain], [255, 0, 128]]]
        shown = show_removed(before, after, gain=gain)
        assert shown.dtype == np.uint8
        np.testing.assert_array_equal(shown, wanted)


def test_linear_light_is_shown_as_it_looks():
    before, after = np.full((2, 2, 1), 0.02, np.float32), np.full((2, 2, 1), 0.01, np.float32)
    seen, plain = (show_removed(before, after, gain=4, linear=linear)[0, 0, 0] for linear in (True, False))
    assert seen > plain + 40
    whole = np.full((2, 2, 1), 7, np.uint8)
    assert (show_removed(whole, whole - 2, gain=4, linear=True) == 136).all()
