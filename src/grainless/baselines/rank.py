"""Filters that put the values of a window in order and pick one: the medians."""

from __future__ import annotations

from typing import Any

import numpy as np

from grainless.baselines.packages import Packages
from grainless.baselines.pixels import (
    Indices,
    Mask,
    Pixels,
    batches,
    check_size,
    each_channel,
    white_of,
    windows_at,
)

MEDIAN = Packages("the median filter", ("scipy.ndimage",))
ADAPTIVE_MEDIAN = Packages("the adaptive median filter", ("scipy.ndimage",))


def median(pixels: Pixels, *, size: int = 3) -> Pixels:
    """Take the median of a square window, each channel by itself; borders are mirrored.

    `size` is the window's side in pixels, odd and at least 3. Huang, Yang, Tang, "A fast two-dimensional
    median filtering algorithm", IEEE TASSP 1979.
    """
    check_size("size", size)
    ndimage = MEDIAN.load()

    def one(plane: Pixels) -> Pixels:
        filtered: Pixels = ndimage.median_filter(plane, size=size, mode="reflect")
        return filtered

    return each_channel(pixels, one)


def median5(pixels: Pixels) -> Pixels:
    """Take the median of 5 x 5 pixels, each channel by itself; see `median`."""
    return median(pixels, size=5)


def adaptive_median(pixels: Pixels, *, max_size: int = 39) -> Pixels:
    """Take the median of the smallest window whose median is no extreme, and only where the pixel is one.

    `max_size` is the largest window's side in pixels, odd and at least 3. Each channel by itself; borders are
    mirrored. Hwang, Haddad, "Adaptive median filters: new algorithms and results", IEEE TIP 1995; Gonzalez,
    Woods, "Digital Image Processing", section 5.3.
    """
    check_size("max_size", max_size)
    ndimage = ADAPTIVE_MEDIAN.load()
    return each_channel(pixels, lambda plane: _AdaptiveMedian(plane, max_size, ndimage).run())


class _AdaptiveMedian:
    """One channel on its way through windows of growing size.

    The textbook's test of a window is low < median < high. As impulses are black or white, counting these two
    values settles most windows; only what that leaves is gathered and sorted.
    """

    def __init__(self, plane: Pixels, max_size: int, ndimage: Any) -> None:
        self.plane = plane
        self.white = white_of(plane)
        self.max_size = max_size
        self.ndimage = ndimage
        self.out = plane.copy()
        self.padded = np.pad(plane, max_size // 2, mode="symmetric")

    def run(self) -> Pixels:
        """Filter the channel."""
        low, mid, high = (self._filtered(f"{name}_filter", 3) for name in ("minimum", "median", "maximum"))
        write, undecided = self._decide(self.plane, low, mid, high, last=self.max_size == 3)
        self.out[write] = mid[write]
        # Where even the largest window is of one value, every median is that value: nothing to look for.
        undecided &= self._filtered("minimum_filter", self.max_size) < self._filtered(
            "maximum_filter", self.max_size
        )
        rows, columns = np.nonzero(undecided)
        tables = [_summed(self.padded == value) for value in (0, self.white)] if rows.size else []
        for size in range(5, self.max_size + 1, 2):
            if rows.size == 0:
                break
            blacks, whites = (self._count(table, rows, columns, size) for table in tables)
            left = self._grow(rows, columns, size, blacks, whites)
            rows, columns = rows[left], columns[left]
        return self.out

    def _filtered(self, name: str, size: int) -> Pixels:
        filtered: Pixels = getattr(self.ndimage, name)(self.plane, size=size, mode="reflect")
        return filtered

    @staticmethod
    def _decide(values: Pixels, low: Pixels, mid: Pixels, high: Pixels, *, last: bool) -> tuple[Mask, Mask]:
        """Apply both tests; returns which values become the median, and which need a larger window."""
        settled = (low < mid) & (mid < high)
        extreme = (values <= low) | (values >= high)
        return (settled & extreme) | (last & ~settled), ~settled & (not last)

    def _grow(self, rows: Indices, columns: Indices, size: int, blacks: Indices, whites: Indices) -> Mask:
        """Settle what windows of `size` can settle around these pixels; returns which need a larger one."""
        half = size * size // 2
        # More black than half: the median is black, and so is the minimum. The same for white.
        one_sided = (blacks > half) | (whites > half)
        if size == self.max_size:
            self.out[rows[one_sided], columns[one_sided]] = np.where(blacks > half, 0, self.white)[one_sided]
        values = self.plane[rows, columns]
        kept = ~one_sided & (blacks > 0) & (whites > 0) & (values > 0) & (values < self.white)
        left = one_sided & (size < self.max_size)
        look = np.flatnonzero(~one_sided & ~kept)
        for batch in batches(look.size, size):
            part = look[batch]
            left[part] = self._look(rows[part], columns[part], size)
        return left

    def _look(self, rows: Indices, columns: Indices, size: int) -> Mask:
        """Sort the windows of `size` around these pixels; returns which need a larger one."""
        offset = self.max_size // 2 - size // 2
        windows = windows_at(self.padded, rows + offset, columns + offset, size)
        half = size * size // 2
        mid = np.partition(windows, half, axis=1)[:, half]
        low, high = windows.min(axis=1), windows.max(axis=1)
        last = size == self.max_size
        write, undecided = self._decide(self.plane[rows, columns], low, mid, high, last=last)
        self.out[rows[write], columns[write]] = mid[write]
        return undecided

    def _count(self, table: Indices, rows: Indices, columns: Indices, size: int) -> Indices:
        """Count what a summed table holds in the windows of `size` around these pixels."""
        offset = self.max_size // 2 - size // 2
        top, left = rows + offset, columns + offset
        bottom, right = top + size, left + size
        counted: Indices = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        return counted


def _summed(hits: Mask) -> Indices:
    """Summed-area table: entry (i, j) counts the hits above and left of pixel (i, j)."""
    table = np.zeros((hits.shape[0] + 1, hits.shape[1] + 1), dtype=np.int64)
    table[1:, 1:] = hits.cumsum(axis=0).cumsum(axis=1)
    return table
