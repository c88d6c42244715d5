"""Smooth values for fully transparent pixels, so that a network sees nothing of the colours under them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.planes import NewPlane, Plane, WritablePlane, cut, new_array, pick, strips
from grainless.tiling import Box, mirrored


class HiddenFill:
    """Smooth values for hidden pixels that depend on the visible ones alone.

    A normalised pyramid ("pull-push", Gortler et al. 1996, "The Lumigraph", section 3.4): each level halves
    the one below by the mean of its visible pixels; cells without any take the value of the cell above.
    Only the levels from half size up are built, strip by strip, so that filling a large picture costs little
    memory.
    """

    def __init__(self, pixels: Plane, alpha: Plane, *, new: NewPlane = new_array) -> None:
        """Build the pyramid of `pixels` `(H, W, C)`.

        `alpha` `(H, W, 1)` is 0 where a pixel is hidden, and not everywhere. `new` makes the levels.
        """
        self._alpha = alpha
        levels = [_halve(pixels, alpha, new)]
        while not levels[-1].whole:
            levels.append(_halve(levels[-1].values, levels[-1].valid, new))
        for finer, coarser in zip(levels[-2::-1], levels[:0:-1], strict=True):
            _push(finer, coarser.values)
        self._half = _rounded(levels[0].values, pixels.dtype, new)

    def apply(self, values: NDArray[Any], window: Box) -> NDArray[Any]:
        """Return `values`, the `window` that `cut` gave of the picture, with its hidden pixels replaced."""
        height, width = self._alpha.shape[:2]
        rows = mirrored(window.top, window.bottom, height) // 2
        columns = mirrored(window.left, window.right, width) // 2
        hidden = cut(self._alpha, window) == 0
        return np.where(hidden, pick(self._half, rows, columns), values)


@dataclass(frozen=True)
class _Level:
    """The picture at half, quarter, ... size."""

    values: WritablePlane
    """Float32: means of what is visible."""
    valid: WritablePlane
    """Which cells have a visible pixel."""
    whole: bool
    """Whether all have."""


def _halve(values: Plane, valid: Plane, new: NewPlane) -> _Level:
    """Return the means of the valid values of each cell of 2 by 2, and which cells have any."""
    height, width, channels = values.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    means = new((*shape, channels), np.dtype(np.float32))
    found = new((*shape, 1), np.dtype(np.bool_))
    whole = True
    for strip in strips(values):
        total, count = _sums(values.read(strip), valid.read(strip) != 0)
        box = Box(strip.top // 2, 0, (strip.bottom + 1) // 2, shape[1])
        np.divide(total, count, out=total, where=count > 0)
        means.write(box, total)
        found.write(box, count > 0)
        whole = whole and bool(count.all())
    return _Level(means, found, whole)


def _sums(values: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the sums of the valid values of each cell of 2 by 2, and how many these are, `(h, w, 1)`."""
    height, width, channels = values.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    total = np.zeros((*shape, channels), np.float32)
    count = np.zeros((*shape, 1), np.uint8)
    for down, right in product((0, 1), (0, 1)):
        part, ok = values[down::2, right::2], valid[down::2, right::2]
        corner = total[: ok.shape[0], : ok.shape[1]]
        # `where` leaves out hidden values altogether: even a NaN under alpha 0 must not spread.
        np.add(corner, part, out=corner, where=ok, casting="same_kind")
        count[: ok.shape[0], : ok.shape[1]] += ok
    return total, count


def _push(finer: _Level, coarser: Plane) -> None:
    """Give the cells of `finer` that are not valid the value of the cell of `coarser` that they lie in."""
    columns = np.arange(finer.values.shape[1]) // 2
    for strip in strips(finer.values):
        rows = np.arange(strip.top, strip.bottom) // 2
        valid = finer.valid.read(strip)
        finer.values.write(strip, np.where(valid, finer.values.read(strip), pick(coarser, rows, columns)))


def _rounded(values: Plane, dtype: np.dtype[Any], new: NewPlane) -> Plane:
    """Return float32 values in a dtype of a picture; whole numbers are rounded."""
    height, width, channels = values.shape
    result = new((height, width, channels), dtype)
    for strip in strips(values):
        part = values.read(strip)
        result.write(strip, (np.rint(part) if dtype.kind == "u" else part).astype(dtype))
    return result
