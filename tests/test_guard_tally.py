"""The running sums of the guard: the same for any cut of a picture, and deaf to noise."""

from __future__ import annotations

import numpy as np
import pytest

from doctor_pictures import scene, spoilt
from grainless.guard.tally import PART_SIDE, Tally

PICTURE = scene(3, height=192, width=256)


def tallied(before, after, visible=None):
    tally = Tally()
    tally.add(before, after, visible)
    return tally


@pytest.mark.parametrize(
    "noise", ["gaussian:50", "salt-pepper:0.5:channel", "poisson:5", "salt-pepper:0.4:salt=1"]
)
def test_noise_that_is_taken_away_moves_no_block(noise):
    tally = tallied(spoilt(PICTURE, noise), PICTURE)
    assert (tally.moved, tally.broken) == (0, 0)
    assert tally.blocks > 20


@pytest.mark.parametrize(("level", "black"), [(0, True), (255, False)])
def test_a_tile_of_one_colour_moves_its_blocks(level, black):
    after = PICTURE.copy()
    after[64:128, 32:96] = level
    tally = tallied(PICTURE, after)
    assert 0 < tally.moved <= 4
    assert tally.black == (tally.moved if black else 0)


def test_a_tile_of_another_colour_moves_its_blocks():
    before = np.full((64, 64, 3), 120, np.uint8)
    after = before.copy()
    after[:32, :32, 2] = 20
    tally = tallied(before, after)
    assert (tally.blocks, tally.moved, tally.black) == (4, 1, 0)
    assert tallied(before, np.where(after == 20, 60, after).astype(np.uint8)).moved == 0


def test_black_stays_black():
    black = np.zeros((64, 64, 3), np.uint8)
    noisy = spoilt(black, "gaussian:40")
    assert tallied(noisy, black).moved == 0


def test_parts_add_up_to_the_whole():
    after = PICTURE.copy()
    after[:, 128:] = 0
    parts = Tally()
    for top in range(0, 192, 2 * PART_SIDE):
        for left in range(0, 256, PART_SIDE):
            cut = np.s_[top : top + 2 * PART_SIDE, left : left + PART_SIDE]
            parts.add(PICTURE[cut], after[cut], None)
    assert vars(parts) == vars(tallied(PICTURE, after))
    assert parts.black > 0


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_the_depth_does_not_matter(kind):
    factor = {"uint8": 1, "uint16": 257, "float32": 1 / 255}[kind]
    before, after = ((values * factor).astype(kind) for values in (PICTURE.astype(float), PICTURE * 0.2))
    assert tallied(before, after).moved > 5


def test_values_that_are_no_numbers_count_where_they_show():
    before = np.full((40, 50, 3), 0.5, np.float32)
    after = before.copy()
    after[3, 4, 0], after[5, 6] = np.nan, np.inf
    assert tallied(before, after).broken == 4
    visible = np.ones((40, 50), bool)
    visible[5, 6] = False
    assert tallied(before, after, visible).broken == 1


def test_what_is_transparent_tells_nothing():
    after = np.zeros_like(PICTURE)
    visible = np.zeros(PICTURE.shape[:2], bool)
    assert tallied(PICTURE, after, visible).blocks == 0
    visible[:32, :32] = True
    tally = tallied(PICTURE, after, visible)
    assert (tally.blocks, tally.moved, tally.black) == (1, 1, 1)


@pytest.mark.parametrize("hidden", [(0, 0), (16, 30)])
def test_what_is_no_number_under_alpha_0_hides_nothing_else(hidden):
    before = PICTURE.astype(np.float32) / 255
    after = np.zeros_like(before)
    visible = np.ones(PICTURE.shape[:2], bool)
    clean = tallied(before, after, visible)
    places = tuple(np.s_[start::32] for start in hidden)
    visible[places], before[places], after[places] = False, np.nan, np.nan
    tally = tallied(before, after, visible)
    assert tally.broken == 0
    assert (tally.blocks, tally.moved, tally.black) == (clean.blocks, clean.moved, clean.black)
    assert tally.black > 40


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (33, 31)])
def test_small_parts(size):
    before = np.full((*size, 1), 200, np.uint8)
    tally = tallied(before, np.zeros_like(before))
    assert tally.moved == tally.blocks > 0
