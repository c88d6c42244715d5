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

    def add(
        self,
        before: NDArray[Any],
        after: NDArray[Any],
        visible: NDArray[np.bool_] | None,
        cleaned: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take a part of the picture, `(h, w, C)` of its dtype; `visible` is `(h, w)`, None for all.

        Blocks are looked at as far as they are visible, and once more as far as they are `cleaned` too: where
        only stripes of them are, what happened to those counts. They begin where the part does, so parts
        begin on multiples of `PART_SIDE` along both sides.
        """
        if after.dtype.kind == "f":
            bad = ~np.isfinite(after)
            self.broken += int(np.count_nonzero(bad if visible is None else bad & visible[..., None]))
        old, new = (to_levels(part[::_STEP, ::_STEP]) for part in (before, after))
        shown = np.ones(old.shape, dtype=bool)
        if visible is not None:
            shown &= visible[::_STEP, ::_STEP, None]
        told, moved, black = _look(old, new, shown)
        if cleaned is not None:
            more = _look(old, new, shown & cleaned[::_STEP, ::_STEP, None])
            told, moved, black = (one | two for one, two in zip((told, moved, black), more, strict=True))
        self.blocks += int(told.sum())
        self.moved += int(moved.sum())
        self.black += int(black.sum())


def _look(
    old: Levels, new: Levels, shown: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which blocks tell anything, which are far from what they were, and which of these are black."""
    inner = (old > _EXTREME) & (old < 255 - _EXTREME) & shown
    counts, wholes = _block_sums(inner), _block_sums(shown)
    told = counts >= np.maximum(_FEWEST * wholes, 1)
    # Clipping moves the mean of the values that it left, impulses that of all: neither moves both so far.
    # Not by products: what is no number and does not count would stay no number.
    moves = [
        np.abs(_block_sums(np.where(part, old - new, np.float32(0)))) / np.maximum(count, 1)
        for part, count in ((inner, counts), (shown, wholes))
    ]
    moved = (told & (np.minimum(*moves) > _MOVED)).any(axis=2)
    light = _block_sums(np.where(shown, new, np.float32(0))) / np.maximum(wholes, 1)
    black: NDArray[np.bool_] = moved & (light.max(axis=2) <= _EXTREME)
    return np.asarray(told.any(axis=2)), np.asarray(moved), black


def _block_sums(values: Levels | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the sums over the blocks of `(h, w, C)`; the last row and column of blocks may be narrow."""
    side = PART_SIDE // _STEP
    rows, columns = (np.arange(0, length, side) for length in values.shape[:2])
    sums = np.add.reduceat(values, rows, axis=0, dtype=np.float32)
    whole: NDArray[np.float64] = np.add.reduceat(sums, columns, axis=1).astype(np.float64)
    return whole
