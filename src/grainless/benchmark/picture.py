"""The picture on which time is taken: drawn, noisy, the same for every row, and of any size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grainless.noise import corrupt, seed_for

NOISE = "gaussian:25"
"""Of the picture; its level is told to methods that need one."""

SIGMA = 25.0

_ROWS_AT_ONCE = 128
"""Keeps the memory of drawing small."""


def picture_sides(megapixels: float) -> tuple[int, int]:
    """Return height and width of a picture of about that many million pixels, three wide to two high."""
    height = max(1, round(math.sqrt(megapixels * 1e6 / 1.5)))
    return height, max(1, round(megapixels * 1e6 / height))


def draw_picture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return a noisy uint8 picture (height, width, 3): smooth ground, waves, sharp edges, and `NOISE`."""
    picture = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = np.arange(top, min(top + _ROWS_AT_ONCE, height))
        strip = _clean(rows, np.arange(width))
        picture[rows] = corrupt(strip, NOISE, seed=seed_for(seed, f"rows {top}"))
    return picture


def _clean(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the picture without noise at these rows and columns."""
    y, x = rows[:, None].astype(np.float32), columns[None].astype(np.float32)
    ground = 0.5 + 0.2 * np.sin(x / 173) * np.cos(y / 211)
    waves = 0.08 * np.sin((x * x + y * y) / 4096) + 0.05 * np.sin(x / 3.1 + y / 4.7)
    boxes = 0.15 * (((rows[:, None] // 61) + (columns[None] // 83)) % 3 - 1)
    gains = (1.0, 0.9, 0.75)
    planes = [gain * (ground + waves + boxes) for gain in gains]
    return np.rint(np.clip(np.stack(planes, axis=-1), 0, 1) * 255).astype(np.uint8)
