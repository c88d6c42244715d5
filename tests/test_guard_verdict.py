"""The guard's verdict: its reasons, parts in any order, and what it keeps of a large picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from doctor_pictures import scene, spoilt
from grainless.errors import InputError
from grainless.guard import Guard, Thresholds, compare, judge, thresholds
from grainless.guard.evidence import Evidence
from grainless.guard.verdict import WINDOW, WINDOWS
from grainless.tiling import Box

SIZE = {"height": 256, "width": 320}
CLEAN = scene(2, **SIZE)
NOISY = spoilt(CLEAN, "gaussian:20")


def whole(values):
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def blurred(values, sigma):
    return whole(ndimage.gaussian_filter(values.astype(np.float32), (sigma, sigma, 0)))


@pytest.mark.parametrize("noise", ["gaussian:8", "gaussian:40", "salt-pepper:0.3", "poisson:30", "grain:15"])
def test_a_clean_result_passes(noise):
    verdict = compare(spoilt(CLEAN, noise), CLEAN)
    assert (verdict.worse, verdict.reason) == (False, "")
    assert verdict.decibels > 5


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (blurred(NOISY, 30), r"no more than \d+% of what was removed can be noise"),
        (whole(CLEAN * 0.8), r"the brightness shifted by -\d+, -\d+, -\d+ levels"),
        (whole(CLEAN + np.array([25.0, 0, 0])), r"the colours shifted by \+2\d, [+-]0, [+-]0 levels"),
        (np.zeros_like(CLEAN), r"80 of 80 parts of 32 by 32 pixels became black"),
        (np.full_like(CLEAN, 255), r"\d+ of 80 parts of 32 by 32 pixels became another picture"),
    ],
)
def test_bad_results_are_worse_and_the_reason_is_said(after, reason):
    verdict = compare(NOISY, after)
    assert verdict.worse
    assert re.search(reason, verdict.reason), verdict.reason


def test_a_clean_picture_that_is_softened_is_worse():
    verdict = compare(CLEAN, blurred(CLEAN, 1))
    assert verdict.worse
    assert verdict.decibels < 0


def test_values_that_are_no_numbers_are_worse():
    before = NOISY.astype(np.float32) / 255
    after = before.copy()
    after[7, 8, 1] = np.nan
    verdict = compare(before, after)
    assert verdict.worse
    assert verdict.reason == "1 values of the result are no numbers (NaN or infinity)"


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_what_is_unchanged_is_never_worse(kind):
    factor = {"uint8": 1, "uint16": 257, "float32": 1 / 255}[kind]
    for picture in (CLEAN, NOISY, CLEAN[:40, :30], CLEAN[:1, :1]):
        pixels = (picture * np.float64(factor)).astype(kind)
        assert not compare(pixels, pixels).worse


def test_the_depth_does_not_matter():
    told = [
        compare(NOISY.astype(kind) * kind(factor), CLEAN.astype(kind) * kind(factor))
        for kind, factor in ((np.uint8, 1), (np.uint16, 257))
    ]
    assert told[0] == told[1]


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_parts_in_any_order_give_the_verdict_of_the_whole(data):
    height, width = data.draw(st.sampled_from([(64, 900), (700, 72), (130, 150)]))
    rng = np.random.default_rng(height)
    before = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    after = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    visible = rng.random((height, width)) < 0.98
    cuts = [
        sorted({0, side, *(32 * cut for cut in data.draw(st.sets(st.integers(1, side // 32), max_size=4)))})
        for side in (height, width)
    ]
    boxes = [
        Box(top, left, bottom, right)
        for top, bottom in zip(cuts[0], cuts[0][1:], strict=False)
        for left, right in zip(cuts[1], cuts[1][1:], strict=False)
    ]
    parts, one = Guard(height, width), Guard(height, width)
    for box in data.draw(st.permutations(boxes)):
        place = np.s_[box.top : box.bottom, box.left : box.right]
        parts.see(before[place], after[place], box, visible=visible[place])
    one.see(before, after, Box(0, 0, height, width), visible=visible)
    assert parts.evidence() == one.evidence()
    assert parts.verdict() == one.verdict()


def test_of_a_large_picture_a_bounded_part_is_kept():
    guard = Guard(30_000, 40_000)
    side = WINDOW * WINDOWS
    assert guard._visible.shape == (side, side)
    tile = np.zeros((500, 600, 3), np.uint8)
    guard.see(tile, tile, Box(0, 0, 500, 600))
    assert [window.shape for window in guard._windows] == [(side, side, 3)] * 2


def test_a_black_tile_between_the_windows_is_found():
    guard = Guard(4000, 4000)
    box = Box(192, 192, 288, 288)
    guard.see(CLEAN[:96, :96], np.zeros_like(CLEAN[:96, :96]), box)
    assert not guard._visible.any()
    assert "9 of 9 parts of 32 by 32 pixels became black" in guard.verdict().reason


@pytest.mark.parametrize("corner", [(8, 0), (0, 31), (33, 64)])
def test_parts_begin_where_blocks_do(corner):
    top, left = corner
    with pytest.raises(InputError, match=f"begins at row {top}, column {left}; expected multiples of 32"):
        Guard(256, 320).see(NOISY[:64, :64], CLEAN[:64, :64], Box(top, left, top + 64, left + 64))


def test_linear_light_is_looked_at_as_it_is_shown():
    light = (NOISY / np.float32(255)).astype(np.float32) ** 2.2
    after = (CLEAN / np.float32(255)).astype(np.float32) ** 2.2
    assert not compare(light, after, linear=True).worse
    assert compare(light, after, linear=True).decibels == pytest.approx(compare(NOISY, CLEAN).decibels, abs=1)


def test_a_picture_is_looked_at_in_strips():
    before = np.tile(NOISY, (5, 1, 1))
    after = np.tile(CLEAN, (5, 1, 1))
    alpha = np.random.default_rng(1).integers(0, 2, before.shape[:2], dtype=np.uint8)
    one = Guard(1280, 320)
    one.see(before, after, Box(0, 0, 1280, 320), visible=alpha > 0)
    assert compare(before, after, alpha=alpha) == one.verdict()
    after[1248:, 288:] = 0
    assert "1 of 400 parts of 32 by 32 pixels became" in compare(before, after).reason


def test_alpha_hides():
    after = CLEAN.copy()
    after[100:] = 0
    alpha = np.full(CLEAN.shape[:2], 200, np.uint8)
    assert compare(NOISY, after, alpha=alpha).worse
    alpha[100:] = 0
    assert not compare(NOISY, after, alpha=alpha).worse


def test_nothing_seen_is_not_worse():
    assert compare(NOISY, CLEAN, alpha=np.zeros(CLEAN.shape[:2], np.uint8)).worse is False
    assert Guard(10, 10).verdict().worse is False
    with pytest.raises(InputError, match="Nothing was seen yet"):
        Guard(10, 10).evidence()


@pytest.mark.parametrize("after", [CLEAN[:-1], CLEAN[..., :1], CLEAN.astype(np.float32)])
def test_arrays_that_do_not_fit(after):
    with pytest.raises(
        InputError, match=r"do not fit each other; got uint8 .*expected one dtype and one shape"
    ):
        Guard(256, 320).see(NOISY, after, Box(0, 0, 256, 320))


LIMITS = Thresholds(gain=0.0, share=0.6, alike=0.5, alike_gain=0.5, shift=3, shift_noise=0.25)
GOOD = {"shift": (0.0, 0.0, 0.0), "removed": 9.0, "noise": 8.0, "gain": 0.6, "share": 0.8, "alike": 0.1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"gain": -0.1, "share": 0.4}, "no more than 40% of what was removed can be noise"),
        ({"gain": -0.1, "share": -0.4}, "no more than 0% of what was removed can be noise"),
        ({"gain": -0.1}, ""),
        ({"share": 0.4}, ""),
        ({"alike": -0.6, "gain": 0.4}, "has the structure of the picture (correlation -0.60)"),
        ({"alike": 0.6}, ""),
        ({"shift": (4.9, 0.0, 0.0)}, ""),
        ({"shift": (5.1, 0.0, 0.0)}, "the colours shifted by -5, -0, -0 levels of 255"),
        ({"shift": (-7.0, -7.0, -7.0)}, "the brightness shifted by +7, +7, +7 levels of 255"),
        ({"shift": (5.1, 0.0, 0.0), "removed": 0.2}, ""),
        ({"gain": None, "share": None, "alike": None}, ""),
    ],
)
def test_the_thresholds_decide(change, reason):
    said = judge(Evidence(**(GOOD | change)), LIMITS)
    assert (reason in said) if reason else (said == "")


BEST = {"shift": (0.0, 0.0, 0.0), "removed": 9.0, "noise": 8.0, "gain": 0.9, "share": 0.97, "alike": 0.05}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"shift": (1.0, -1.0, 1.0)}, ""),
        ({"shift": (40.0, 0.0, 0.0)}, "the colours shifted"),
        ({"shift": (-40.0, -40.0, -40.0)}, "the brightness shifted"),
        ({"alike": 0.95, "gain": -0.5}, "has the structure of the picture"),
        ({"alike": -0.95, "gain": -0.5}, "has the structure of the picture"),
        ({"alike": 0.95}, ""),
        ({"share": 0.05, "gain": -1.0}, "no more than 5% of what was removed can be noise"),
    ],
)
def test_the_thresholds_in_the_package_find_each_fault_and_pass_what_is_best(change, reason):
    said = judge(Evidence(**(BEST | change)), thresholds())
    assert (reason in said) if reason else (said == "")
