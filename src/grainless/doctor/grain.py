"""How noisy a picture is, told from the picture alone, and whether it may be texture instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.metrics.residue import BLOCK, FLATTEST, rows_of, split

Pixels = NDArray[np.uint8]
"""(H, W, C)."""
Plane = NDArray[np.float32]

FEWEST_BLOCKS, FEWEST_SHARE = 8, 0.05
"""With fewer blocks that can be measured nothing is told: the rest is black and white, as in a drawing."""
CLIPPED = 0.1
"""Blocks with more than this share of values within 2 levels of black or white are passed over."""
_WHOLE = 0.75
"""Blocks with a smaller share of places where the mask meets no black or white are passed over too."""
FLOOR_QUANTILE = 0.1
"""The noise floor is this quantile of the flat blocks: noise is in all of them, texture seldom is."""

NOISY_FLOOR = 4.0
"""Floor from which a picture is noisy, in levels.

Of 349 training pictures 4 have more, all textures (turf, denim, sand); with gaussian:5 the lowest is 4.2.
"""
TEXTURE_RATIO = 0.88
"""From this ratio of what is left at half size to what is left at full size, it may be texture.

White noise has 0.5. Scanned film in RNI15 and RNI6 has up to 0.84; textures taken for noise have 0.9 or more.
"""
TEXTURE_CORRELATION = 0.85
"""From this correlation of red, green and blue it may be texture: the textures above have 0.91 or more.

Noise of a sensor has under 0.2, and up to 0.97 once it went through JPEG with halved colour: that is where
noise and texture cannot be told apart, and a note is all that is said.
"""

IMPULSE_SHARE = 0.0015
"""Share of lonely black and white values from which a picture has salt and pepper.

The most in 200 clean pictures is 0.0008, a diagram; salt-pepper:0.005 leaves 0.0025 or more.
"""
IMPULSE_STEP = 64
"""A value is lonely if at most one of its eight neighbours is closer than this, in levels."""
IMPULSE_NOISE = 20.0
"""From this noise level on, clipped noise has lonely black and white values by itself."""
_IMPULSES_READ = 2**18
"""So many black and white values are looked at, at even steps through the picture."""
LARGEST_SIDE = 2048
"""Of larger pictures the middle is measured: noise is everywhere."""


@dataclass(frozen=True)
class Grain:
    """The fine-grained noise in a picture, on the 0-255 scale."""

    sigma: float
    """Standard deviation: the median of the flat blocks, mean over the channels."""
    floor: float
    """The same for the quietest of the flat blocks."""
    texture: bool
    """It may be fine texture of what the picture shows."""

    @property
    def noisy(self) -> bool:
        """Whether a picture with this grain is not clean."""
        return self.floor >= NOISY_FLOOR


def measure_grain(pixels: Pixels) -> Grain | None:
    """Measure the noise of uint8 `(H, W, C)` pixels in the flattest blocks of the picture.

    Flat are those whose means of 4 x 4 pixels vary least, so that noise does not choose. What is measured is
    the answer of a mask that takes ramps and edges away. Black and white values may be impulses or clipped
    and are passed over. None where too little is left, as in a drawing on white, or under much salt and
    pepper. Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 1996.
    """
    planes = [plane.astype(np.float32) for plane in np.moveaxis(middle(pixels), 2, 0)]
    measured = [found for found in map(_flat_levels, planes) if found is not None]
    if not measured:
        return None
    sigma = float(np.mean([np.median(levels) for levels in measured]))
    floor = float(np.mean([np.quantile(levels, FLOOR_QUANTILE) for levels in measured]))
    # The rest is read only where it matters.
    texture = floor >= NOISY_FLOOR and _looks_like_texture(planes)
    return Grain(sigma=sigma, floor=floor, texture=texture)


def impulse_share(pixels: Pixels) -> float:
    """Return the share of the values of uint8 `(H, W, C)` pixels that are lonely black or white.

    Of a value's eight neighbours in its channel at most one is within `IMPULSE_STEP` levels; beyond the
    border the picture is mirrored. It counts most impulses of a low density, and one in 25 of 0.9.
    """
    seen = middle(pixels)
    extremes = np.flatnonzero((seen == 0) | (seen == 255))
    step = max(1, extremes.size // _IMPULSES_READ)
    rows, columns, channels = np.unravel_index(extremes[::step], seen.shape)
    if min(seen.shape[:2]) < 2 or rows.size == 0:
        return 0.0
    padded = np.pad(seen, ((1, 1), (1, 1), (0, 0)), mode="reflect").astype(np.int16)
    own = padded[rows + 1, columns + 1, channels]
    close = np.zeros(rows.size, dtype=np.int64)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                close += np.abs(padded[rows + down, columns + right, channels] - own) < IMPULSE_STEP
    return float(np.count_nonzero(close <= 1)) * step / seen.size


def middle(pixels: Pixels) -> Pixels:
    """Return the middle of a large picture, or all of it."""
    top, left = (max(0, side - LARGEST_SIDE) // 2 for side in pixels.shape[:2])
    return pixels[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE]


def _flat_levels(plane: Plane) -> NDArray[np.float32] | None:
    """Return the noise level of each flat block of a channel, in levels; None with too few blocks."""
    if min(plane.shape) < BLOCK + 2:
        return None
    parts = split(plane)
    height, width = ((side - 2) // BLOCK * BLOCK for side in plane.shape)
    whole = rows_of(_untouched(plane)[:height, :width])
    counts = whole.sum(axis=1)
    clipped = (((parts.values <= 2) | (parts.values >= 253)) & whole).sum(axis=1) > CLIPPED * counts
    usable = (counts >= _WHOLE * BLOCK * BLOCK) & ~clipped
    if np.count_nonzero(usable) < max(FEWEST_BLOCKS, FEWEST_SHARE * usable.size):
        return None
    levels = np.sqrt((parts.energy * whole).sum(axis=1)[usable] / counts[usable])
    structure = parts.structure[usable]
    count = max(FEWEST_BLOCKS, round(FLATTEST * levels.size))
    flattest = np.argpartition(structure, count - 1)[:count]
    chosen: NDArray[np.float32] = levels[flattest].astype(np.float32)
    return chosen


def _untouched(plane: Plane) -> NDArray[np.bool_]:
    """Return where no black or white value is under the 3 x 3 mask."""
    inner = (plane > 0) & (plane < 255)
    rows = inner[2:] & inner[1:-1] & inner[:-2]
    whole: NDArray[np.bool_] = rows[:, 2:] & rows[:, 1:-1] & rows[:, :-2]
    return whole


def _looks_like_texture(planes: list[Plane]) -> bool:
    """Return whether grain goes on at half size, as texture does, and is of one colour."""
    mean = np.mean(planes, axis=0)
    height, width = (side // 2 * 2 for side in mean.shape)
    half = mean[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    fine, coarse = _flat_levels(mean), _flat_levels(half)
    if fine is None or coarse is None:
        return False
    if np.median(coarse) < TEXTURE_RATIO * np.median(fine):
        return False
    if len(planes) == 1:
        return True
    grains = [np.diff(np.diff(plane, n=2, axis=0), n=2, axis=1).ravel() for plane in planes]
    correlations = np.atleast_2d(np.corrcoef(grains))
    return bool(min(correlations[0, 1], correlations[1, 2]) >= TEXTURE_CORRELATION)
