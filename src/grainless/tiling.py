"""Cuts a picture into tiles whose results are those of the whole picture.

A convolutional network of receptive radius r answers at a pixel from what lies within r of it. So a tile is
run with a halo of r pixels around it, and only its middle is kept. Two more conditions make the cut exact:
each window starts and ends at a multiple of the network's stride, so that its down-sampling grid is the one
of the whole picture, and a window ends where the picture ends, so that the zero padding inside the network
sits at the same place.

The network also needs values where the picture has none: beyond the bottom and right borders up to a
multiple of the stride (reflection), and under fully transparent pixels (a fill from the visible ones).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 256
"""Rows that the fill works on at a time: keeps its temporary arrays small."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows `top` to `bottom`, columns `left` to `right`, the ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Pixels; 0 where the box is empty or turned inside out."""
        return max(self.height, 0) * max(self.width, 0)

    def meet(self, other: Box) -> Box:
        """Return the part that lies in both boxes; its area is 0 when they do not touch."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def slices(self, origin: Box) -> tuple[slice, slice]:
        """Return the slices that find this box in an array whose first pixel is the corner of `origin`."""
        rows = slice(self.top - origin.top, self.bottom - origin.top)
        return rows, slice(self.left - origin.left, self.right - origin.left)


@dataclass(frozen=True)
class Tile:
    """One run of the network: what it sees and what of its answer is kept."""

    output: Box
    """The kept part, in the picture; the outputs of a plan cover each pixel once."""
    window: Box
    """What the network sees: the output and its halo; may end beyond the picture, by less than one stride."""


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def plan_tiles(height: int, width: int, *, tile: int, halo: int, stride: int) -> list[Tile]:
    """Return tiles, row by row, that cover a picture of `height` by `width` pixels, each at least 1.

    `tile` is the largest side of the kept part, rounded down to a multiple of `stride` (at least one stride);
    the sides are balanced, so that no sliver remains at the border. `halo`, the receptive radius in pixels,
    is rounded up to a multiple of `stride`.
    """
    halo = round_up(halo, stride)
    rows = _spans(height, tile=tile, halo=halo, stride=stride)
    columns = _spans(width, tile=tile, halo=halo, stride=stride)
    return [
        Tile(
            output=Box(row.start, column.start, min(row.stop, height), min(column.stop, width)),
            window=Box(seen_rows.start, seen_columns.start, seen_rows.stop, seen_columns.stop),
        )
        for (row, seen_rows), (column, seen_columns) in product(rows, columns)
    ]


def _spans(length: int, *, tile: int, halo: int, stride: int) -> list[tuple[range, range]]:
    """Return what is kept and what is seen along one axis; all ends are multiples of `stride`."""
    units = -(-length // stride)
    count = -(-units // max(tile // stride, 1))
    edges = [units * index // count * stride for index in range(count + 1)]
    end = units * stride
    return [
        (range(start, stop), range(max(start - halo, 0), min(stop + halo, end)))
        for start, stop in pairwise(edges)
    ]


def overhead(plan: Iterable[Tile]) -> float:
    """Return how many pixels the network works on per pixel that is kept; 1 is none at all."""
    tiles = list(plan)
    return sum(tile.window.area for tile in tiles) / sum(tile.output.area for tile in tiles)


def cut(values: NDArray[np.generic], window: Box) -> NDArray[np.generic]:
    """Return the `window` of an array `(height, width, ...)`, mirrored where it ends beyond the array.

    The border pixel itself is not repeated; an axis that is too short to be mirrored repeats its last
    pixel. What lies beyond depends on the whole array alone, never on the window. Returns a view where
    nothing lies beyond.
    """
    height, width = values.shape[:2]
    if window.bottom <= height and window.right <= width:
        return values[window.top : window.bottom, window.left : window.right]
    rows = _mirrored(window.top, window.bottom, height)
    return values[rows][:, _mirrored(window.left, window.right, width)]


def _mirrored(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Return the indices from `start` to `stop`, those from `length` on mirrored back into the axis."""
    indices = np.arange(start, stop)
    beyond = 2 * (length - 1) - indices
    if beyond[-1] < 0:
        return np.minimum(indices, length - 1)
    return np.where(indices < length, indices, beyond)


class HiddenFill:
    """Smooth values for hidden pixels that depend on the visible ones alone.

    A normalised pyramid ("pull-push", Gortler et al. 1996, "The Lumigraph", section 3.4): each level halves
    the one below by the mean of its visible pixels; cells without any take the value of the cell above.
    Only the levels from half size up are built, so that filling a large picture costs little memory.
    """

    def __init__(self, pixels: NDArray[np.generic], hidden: NDArray[np.bool_]) -> None:
        """Build the pyramid of `pixels` `(H, W, C)`; `hidden` is `(H, W)` with at least one pixel visible."""
        self.hidden = hidden
        levels = [_halve(pixels, ~hidden)]
        while not levels[-1][1].all():
            levels.append(_halve(*levels[-1]))
        for (finer, valid), (coarser, _) in zip(levels[-2::-1], levels[:0:-1], strict=True):
            _push(finer, valid, coarser)
        half = levels[0][0]
        self._half = (np.rint(half) if pixels.dtype.kind == "u" else half).astype(pixels.dtype)

    def apply(self, values: NDArray[np.generic], window: Box) -> NDArray[np.generic]:
        """Return `values`, the `window` that `cut` gave of the picture, with its hidden pixels replaced."""
        height, width = self.hidden.shape
        rows = _mirrored(window.top, window.bottom, height) // 2
        columns = _mirrored(window.left, window.right, width) // 2
        hidden = cut(self.hidden, window)[..., None]
        return np.where(hidden, self._half[rows][:, columns], values)


def _halve(
    values: NDArray[np.generic], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the means of the valid values of each cell of 2 by 2, and which cells have any."""
    height, width = valid.shape
    shape = ((height + 1) // 2, (width + 1) // 2)
    total = np.zeros((*shape, values.shape[2]), np.float32)
    count = np.zeros(shape, np.uint8)
    for down, right in product((0, 1), (0, 1)):
        part, ok = values[down::2, right::2], valid[down::2, right::2]
        corner = total[: ok.shape[0], : ok.shape[1]]
        # `where` leaves out hidden values altogether: even a NaN under alpha 0 must not spread.
        np.add(corner, part, out=corner, where=ok[..., None], casting="same_kind")
        count[: ok.shape[0], : ok.shape[1]] += ok
    np.divide(total, count[..., None], out=total, where=count[..., None] > 0)
    return total, count > 0


def _push(finer: NDArray[np.float32], valid: NDArray[np.bool_], coarser: NDArray[np.float32]) -> None:
    """Give the cells of `finer` that are not valid the value of the cell of `coarser` that they lie in."""
    height, width = valid.shape
    columns = np.arange(width) // 2
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = np.arange(top, min(top + _ROWS_AT_ONCE, height))
        block = finer[rows[0] : rows[-1] + 1]
        np.copyto(block, coarser[rows // 2][:, columns], where=~valid[rows][..., None])
