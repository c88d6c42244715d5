"""Cuts a picture into tiles whose results are those of the whole picture.

A convolutional network of receptive radius r answers at a pixel from what lies within r of it. So a tile is
run with a halo of r pixels around it, and only its middle is kept. Two more conditions make the cut exact:
each window starts and ends at a multiple of the network's stride, so that its down-sampling grid is the one
of the whole picture, and a window ends where the picture ends, so that the zero padding inside the network
sits at the same place.

The network also needs values where the picture has none: beyond the bottom and right borders up to a
multiple of the stride (reflection), and under fully transparent pixels (`fill`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray


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

    def moved(self, origin: Box) -> Box:
        """Return this box as seen from the corner of `origin`."""
        return Box(
            self.top - origin.top,
            self.left - origin.left,
            self.bottom - origin.top,
            self.right - origin.left,
        )

    def slices(self, origin: Box) -> tuple[slice, slice]:
        """Return the slices that find this box in an array whose first pixel is the corner of `origin`."""
        box = self.moved(origin)
        return slice(box.top, box.bottom), slice(box.left, box.right)


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
    window = Box(0, 0, round_up(height, stride), round_up(width, stride))
    return split(Tile(Box(0, 0, height, width), window), tile=tile, halo=halo, stride=stride)


def split(whole: Tile, *, tile: int, halo: int, stride: int) -> list[Tile]:
    """Return smaller tiles that cover the output of `whole`, as exact as it; options as in `plan_tiles`."""
    halo = round_up(halo, stride)
    output, window = whole.output, whole.window
    side = max(tile // stride, 1) * stride
    rows = _spans(range(output.top, output.bottom), range(window.top, window.bottom), side, halo, stride)
    columns = _spans(range(output.left, output.right), range(window.left, window.right), side, halo, stride)
    return [
        Tile(
            output=Box(row.start, column.start, row.stop, column.stop),
            window=Box(seen_rows.start, seen_columns.start, seen_rows.stop, seen_columns.stop),
        )
        for (row, seen_rows), (column, seen_columns) in product(rows, columns)
    ]


def _spans(kept: range, seen: range, side: int, halo: int, stride: int) -> list[tuple[range, range]]:
    """Return what is kept and what is seen along one axis, within `kept` and `seen`.

    All ends are multiples of `stride`, but for the last of what is kept, which is the end of `kept`.
    """
    units = -(-len(kept) // stride)
    count = -(-units * stride // side)
    edges = [kept.start + units * index // count * stride for index in range(count + 1)]
    return [
        (
            range(start, min(stop, kept.stop)),
            range(max(start - halo, seen.start), min(stop + halo, seen.stop)),
        )
        for start, stop in pairwise(edges)
    ]


def overhead(plan: Iterable[Tile]) -> float:
    """Return how many pixels the network works on per pixel that is kept; 1 is none at all."""
    tiles = list(plan)
    return sum(tile.window.area for tile in tiles) / sum(tile.output.area for tile in tiles)


def mirrored(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Return the indices from `start` to `stop`, those from `length` on mirrored back into the axis.

    The border itself is not repeated; an axis that is too short to be mirrored repeats its last index.
    """
    indices = np.arange(start, stop)
    beyond = 2 * (length - 1) - indices
    if beyond[-1] < 0:
        return np.minimum(indices, length - 1)
    return np.where(indices < length, indices, beyond)
