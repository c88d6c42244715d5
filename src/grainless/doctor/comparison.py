"""Which of two pictures of one scene is the noisier one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.doctor.compression import BLOCK_STEP, block_step
from grainless.doctor.grain import (
    CLIPPED,
    FEWEST_BLOCKS,
    IMPULSE_SHARE,
    impulse_share,
    middle,
)
from grainless.metrics.residue import BLOCK, FLATTEST, rows_of

Pixels = NDArray[np.uint8]
"""(H, W, C)."""

SURE, LIKELY = (1.5, 1.0, 0.8, 3.0), (1.25, 0.3, 0.6, 6.0)
"""What makes a picture the noisier one surely, and likely.

So many times the noise of the other and so many levels on top, in such a share of the flat blocks, and the
two pictures differ by no more than so many times that noise. In pairs as they should be, JPEG as noise is
what deceives: it takes away weak noise of the clean picture. As it takes away detail too, it differs by
more; the blocks that it leaves tell the rest.
"""


@dataclass(frozen=True)
class Noisier:
    """By how much a picture is noisier than another one."""

    sure: bool
    """Else it takes many such pairs to believe it."""
    found: str
    """In words."""


def compare_noise(one: Pixels, other: Pixels) -> Noisier | None:
    """Say whether uint8 `(H, W, C)` pixels are noisier than others of the same scene and size; None if not.

    What counts is the spread in blocks that are flat in one of the two, less its slope: noise of any grain.
    """
    one, other = middle(one), middle(other)
    lonely = impulse_share(one), impulse_share(other)
    if lonely[0] >= IMPULSE_SHARE and lonely[0] > 2 * lonely[1]:
        shares = [f"{100 * share:.1f} %" for share in lonely]
        found = f"{shares[0]} of its values are black or white among others, {shares[1]} of its partner's"
        return Noisier(sure=True, found=found)
    if lonely[1] >= IMPULSE_SHARE:
        return None
    measured = [
        levels
        for channel in range(one.shape[2])
        if (levels := _flat_spreads(one[..., channel], other[..., channel])) is not None
    ]
    if not measured:
        return None
    own, its = (float(np.mean([np.median(spreads[place]) for spreads in measured])) for place in (0, 1))
    share = float(np.mean([(spreads[0] > spreads[1]).mean() for spreads in measured]))
    difference = float(np.sqrt(np.mean((one.astype(np.float32) - other) ** 2)))

    def holds(times: float, levels: float, least_share: float, reach: float) -> bool:
        return own > times * its + levels and share > least_share and difference < reach * own

    if not holds(*LIKELY) or block_step(other) > max(BLOCK_STEP, block_step(one)):
        return None
    return Noisier(sure=holds(*SURE), found=f"noise of {own:.1f} levels, its partner has {its:.1f}")


def _flat_spreads(
    one: NDArray[np.uint8], other: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the standard deviations, in levels, in the blocks of two channels, flat in one of them."""
    found = [_spreads(plane) for plane in (one, other)]
    usable = found[0][1] & found[1][1]
    if np.count_nonzero(usable) < FEWEST_BLOCKS:
        return None
    first, second = found[0][0][usable], found[1][0][usable]
    count = max(FEWEST_BLOCKS, round(FLATTEST * first.size))
    flattest = np.argpartition(np.minimum(first, second), count - 1)[:count]
    return first[flattest], second[flattest]


def _spreads(plane: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the standard deviation of each block around its plane, and whether it is free of clipping."""
    height, width = (side // BLOCK * BLOCK for side in plane.shape)
    values = rows_of(plane[:height, :width].astype(np.float64))
    whole = ((values <= 2) | (values >= 253)).mean(axis=1) < CLIPPED
    rows, columns = (place - (BLOCK - 1) / 2 for place in np.indices((BLOCK, BLOCK)))
    variances = values.var(axis=1)
    for slope in (rows.ravel(), columns.ravel()):
        variances -= (values @ slope / values.shape[1]) ** 2 / slope.var()
    return np.sqrt(np.maximum(variances, 0)), whole
