"""Running sums over a whole picture: broken values, and blocks that became another picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.sampling import Levels, to_levels

PART_SIDE = 32
"""Side of the blocks in pixels."""
_STEP = 2
"""Every second pixel along each side is looked at: a block has enough of them."""
_FEWEST = 0.25
"""Share of a block's values that must be neither black nor white before for the block to tell anything."""
_MOVED = 64.0
"""Levels: denoising does not move the mean of so many values as far."""
_EXTREME = 2.0
"""Values that are so near to black or white may have been clipped, or be impulses."""


class Tally:
    """What is known of all parts that were seen so far."""

    def __init__(self) -> None:
        self.broken = 0
        """Values of the result that are no numbers."""
        self.blocks = 0
        """Blocks that tell anything."""
        self.moved = 0
        """Blocks whose mean is far from what it was."""
        self.black = 0
        """Those of them that became black."""

    def add(self, before: NDArray[Any], after: NDArray[Any], visible: NDArray[np.bool_] | None) -> None:
        """Take a part of the picture, `(h, w, C)` of its dtype; `visible` is `(h, w)`, None for all.

        The blocks begin where the part does, so parts begin on multiples of `PART_SIDE` along both sides.
        """
        if after.dtype.kind == "f":
            bad = ~np.isfinite(after)
            self.broken += int(np.count_nonzero(bad if visible is None else bad & visible[..., None]))
        old, new = (to_levels(part[::_STEP, ::_STEP]) for part in (before, after))
        inner = (old > _EXTREME) & (old < 255 - _EXTREME)
        shown = np.ones(inner.shape, dtype=bool)
        if visible is not None:
            shown &= visible[::_STEP, ::_STEP, None]
        inner &= shown
        counts, wholes = _block_sums(inner), _block_sums(shown)
        told = counts >= np.maximum(_FEWEST * wholes, 1)
        # Clipping moves the mean of the values that it left, impulses that of all: neither moves both so far.
        # Not by products: what is no number and does not count would stay no number.
        moves = [
            np.abs(_block_sums(np.where(part, old - new, np.float32(0)))) / np.maximum(count, 1)
            for part, count in ((inner, counts), (shown, wholes))
        ]
        moved = (told & (np.minimum(*moves) > _MOVED)).any(axis=2)
        self.blocks += int(told.any(axis=2).sum())
        self.moved += int(moved.sum())
        light = _block_sums(np.where(shown, new, np.float32(0))) / np.maximum(wholes, 1)
        dark = light.max(axis=2) <= _EXTREME
        self.black += int((moved & dark).sum())


def _block_sums(values: Levels | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the sums over the blocks of `(h, w, C)`; the last row and column of blocks may be narrow."""
    side = PART_SIDE // _STEP
    rows, columns = (np.arange(0, length, side) for length in values.shape[:2])
    sums = np.add.reduceat(values, rows, axis=0, dtype=np.float32)
    whole: NDArray[np.float64] = np.add.reduceat(sums, columns, axis=1).astype(np.float64)
    return whole
