"""Salt and pepper: which share of the values are impulses, and how much noise the others have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.clipping import MAD, tail, untruncated
from grainless.diagnosis.sampling import Sample, block_rows

_DARK, _BRIGHT = 170.0, 85.0
"""Darker blocks tell how many values are white, brighter ones how many are black."""
_FEWEST_LEFT = 8
"""A block tells nothing with fewer values that are neither black nor white."""
_CLUSTERED = 0.2
"""Black and white values that are so much alike with their neighbours are what the picture shows."""
_NEAR = 10.0
"""Impulses lie up to here from black and white, in levels, where they are not exact."""


@dataclass(frozen=True)
class Impulses:
    """What a picture holds of salt and pepper."""

    density: float
    """Share of the values, 0 to 1, that became black or white."""
    balance: float
    """Share of the rarer of white and black among them: 0.5 where both are as many."""
    hit: NDArray[np.bool_]
    """`(H, W, C)`: values that may be impulses."""


def find_impulses(seen: Sample) -> Impulses:
    """Measure salt and pepper: the excess of black and white values over those that noise and picture have.

    Counted in blocks whose other values are of middle brightness, and in which black and white are no more
    alike than by chance; the median of the blocks is taken, so that black letters and white skies do not
    count. Impulses up to 10 levels inside of black and white are found too, where there are few exact ones.
    """
    exact = _measure(seen, seen.extreme)
    near = (seen.levels <= _NEAR) | (seen.levels >= 255 - _NEAR)
    least = max(0.02, 1.3 * exact.density)
    if np.mean(near) <= least:
        return exact
    wide = _measure(seen, near, (_NEAR, 255 - _NEAR))
    return wide if wide.density > least else exact


def other_sigma(seen: Sample, hit: NDArray[np.bool_]) -> float:
    """Estimate the standard deviation of the noise of the values that are not `hit`, in levels.

    From diagonal differences of 2 x 2 values, or from differences of neighbours where whole squares are
    rare, in the quietest of the blocks; 0 where nothing is left.
    """
    planes = np.moveaxis(seen.levels, 2, 0)
    left = ~np.moveaxis(hit, 2, 0) & seen.visible
    if min(hit.shape[:2]) < 2:
        return 0.0
    squares = left[:, 1:, 1:] & left[:, :-1, 1:] & left[:, 1:, :-1] & left[:, :-1, :-1]
    if np.mean(squares) > 0.03:
        steps = (planes[:, 1:, 1:] - planes[:, :-1, 1:] - planes[:, 1:, :-1] + planes[:, :-1, :-1]) / 2
        return _quiet_level(steps, squares, side=16)
    pairs = left[:, :, 1:] & left[:, :, :-1]
    return _quiet_level((planes[:, :, 1:] - planes[:, :, :-1]) / math.sqrt(2), pairs, side=32)


def _quiet_level(steps: NDArray[np.floating], usable: NDArray[np.bool_], *, side: int) -> float:
    """Return the level of noise in the tenth of the blocks with the smallest differences."""
    levels = []
    for plane, mask in zip(steps, usable, strict=True):
        sizes, masks = block_rows(np.abs(plane), side), block_rows(mask, side)
        counts = masks.sum(axis=1)
        enough = counts >= 12
        if enough.any():
            sorted_sizes = np.sort(np.where(masks[enough], sizes[enough], np.inf), axis=1)
            places = (counts[enough] / 2).astype(int)
            medians = sorted_sizes[np.arange(len(places)), places] / MAD
            # The quietest of many medians of few values is too low by chance.
            chance = 1 - 1.2 / math.sqrt(float(np.median(counts[enough])))
            levels.append(float(np.quantile(medians, 0.15)) / chance)
    return float(np.mean(levels)) if levels else 0.0


def _measure(seen: Sample, hit: NDArray[np.bool_], inner: tuple[float, float] = (0.0, 255.0)) -> Impulses:
    """Return the density of the values in `hit`."""
    side = 32 if min(hit.shape[:2]) >= 128 else max(1, min(16, *hit.shape[:2]))
    limit = max(1.0, 2 * other_sigma(seen, hit))
    salt, pepper = [], []
    for channel in range(hit.shape[2]):
        levels = block_rows(seen.levels[..., channel], side)
        hits = block_rows(hit[..., channel], side)
        shown = block_rows(seen.visible, side).all(axis=1)
        left = ~hits
        counts = left.sum(axis=1)
        told = shown & (counts >= min(_FEWEST_LEFT, side))
        levels, hits, left, counts = (part[told] for part in (levels, hits, left, counts))
        mean = (levels * left).sum(axis=1) / counts
        spread = np.sqrt(((levels - mean[:, None]) ** 2 * left).sum(axis=1) / counts)
        white, black = hits & (levels > 127), hits & (levels <= 127)
        # What noise pushes beyond black and white; texture, which does not go there, spreads values too.
        centre, spread = untruncated(mean, spread)
        spread = np.minimum(spread, limit)
        salt.append(_excess(white, tail((inner[1] - centre) / spread), side, mean < _DARK))
        pepper.append(_excess(black, tail((centre - inner[0]) / spread), side, mean > _BRIGHT))
    white_share, black_share = (_median(np.concatenate(shares)) for shares in (salt, pepper))
    density = min(1.0, white_share + black_share)
    balance = min(white_share, black_share) / density if density > 0 else 0.0
    return Impulses(density, balance, hit)


def _median(shares: NDArray[np.float64]) -> float:
    """Return the median of the shares that are told, 0 if none is or it is below."""
    told = shares[np.isfinite(shares)]
    return max(0.0, float(np.median(told))) if told.size else 0.0


def _excess(
    hits: NDArray[np.bool_], by_noise: NDArray[np.float64], side: int, usable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the share of each block's values that are hit, above chance; NaN for those that do not tell."""
    share = hits.mean(axis=1)
    pictures = hits.reshape(-1, side, side)
    if side > 1:
        across = (pictures[:, :, 1:] & pictures[:, :, :-1]).mean(axis=(1, 2))
        down = (pictures[:, 1:] & pictures[:, :-1]).mean(axis=(1, 2))
        alike = ((across + down) / 2 - share**2) / np.maximum(share * (1 - share), 0.01)
        usable = usable & (alike < _CLUSTERED)
    # Of the values that no impulse hit, noise may have clipped some.
    excess: NDArray[np.float64] = np.where(usable, (share - by_noise) / np.maximum(1 - by_noise, 0.1), np.nan)
    return excess
