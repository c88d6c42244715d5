"""What JPEG did: blocks of 8 pixels."""

from __future__ import annotations

import numpy as np
import pytest

from doctor_pictures import scene, spoilt
from grainless.doctor.compression import BLOCK_STEP, block_step


@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_are_found_wherever_they_begin(channels: int) -> None:
    for seed in range(4):
        clean = scene(seed, channels=channels)
        assert block_step(clean) < BLOCK_STEP
        assert block_step(spoilt(clean, "gaussian:10")) < BLOCK_STEP
        low = spoilt(clean, "gaussian:6+jpeg:15")
        for top, left in ((0, 0), (3, 5), (7, 1)):
            assert block_step(low[top:, left:]) > BLOCK_STEP


def test_a_step_is_measured_in_levels() -> None:
    board = np.indices((12, 16)).sum(axis=0) % 2 * 3 + 100
    pixels = np.kron(board, np.ones((8, 8), int)).astype(np.uint8)[..., None]
    assert block_step(pixels) == pytest.approx(3, rel=0.1)
    # Another side than 8 is no block of JPEG.
    other = np.kron(board, np.ones((7, 7), int)).astype(np.uint8)[..., None]
    assert block_step(other) < BLOCK_STEP


def test_too_few_blocks_tell_nothing() -> None:
    assert block_step(spoilt(scene(0), "jpeg:5")[:60]) == 0
