"""What is looked at: whole pictures made to fit, parts of them pixel for pixel, and what was removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.metrics import to_8bit
from grainless.picture import Metadata, Picture, write_picture

Pixels = NDArray[np.uint8]
"""(H, W, 1) or (H, W, 3)."""

LONGEST_SIDE = 1600
"""Pixels of a whole picture as it is shown; what is larger is made smaller."""
PART = (960, 640)
"""Most width and height of the part that is shown pixel for pixel; it always has this shape."""
MAP_SIDE = 420
"""Longest side of the small picture on which a part is chosen."""
_GAINS = (32, 16, 8, 4, 2, 1)
_ROOM = 127.0
"""Levels that the amplified difference may take to either side of gray."""


def shown(picture: Picture) -> Pixels:
    """Return a picture as a screen shows it: 8 bit, (H, W, 1 or 3), what is transparent on white."""
    pixels: Pixels = to_8bit(picture.pixels)
    if picture.alpha is None:
        return pixels
    share = to_8bit(picture.alpha)[..., None].astype(np.uint16)
    mixed = pixels * share + 255 * (255 - share)
    return ((mixed + 127) // 255).astype(np.uint8)


def fitted(pixels: Pixels, longest: int = LONGEST_SIDE) -> Pixels:
    """Return a picture made smaller until its longer side has at most `longest` pixels."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    from PIL import Image

    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # The reducing gap first averages whole blocks: much quicker for large pictures.
    small = np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    return small[..., None] if small.ndim == 2 else small


def part_around(size: tuple[int, int], place: tuple[float, float]) -> tuple[slice, slice]:
    """Return rows and columns of the part that is shown pixel for pixel.

    `size` is height and width of the picture; `place`, down and across from 0 to 1, is in the middle of the
    part unless that would leave the picture.
    """
    scale = min(1.0, size[0] / PART[1], size[1] / PART[0])
    return _span(size[0], PART[1] * scale, place[0]), _span(size[1], PART[0] * scale, place[1])


def _span(length: int, wanted: float, place: float) -> slice:
    extent = min(length, max(1, round(wanted)))
    first = round(min(max(place, 0.0), 1.0) * length - extent / 2)
    first = min(max(first, 0), length - extent)
    return slice(first, first + extent)


def with_frame(pixels: Pixels, size: tuple[int, int], part: tuple[slice, slice]) -> Pixels:
    """Return a small copy of a picture with a frame, white in black, around a part of the large one.

    `size` is height and width of the large one.
    """
    framed = pixels.copy()
    edges = []
    for extent, whole, span in zip(pixels.shape, size, part, strict=False):
        first = min(span.start * extent // whole, max(0, extent - 5))
        edges.append((first, min(extent, max(first + 5, -(-span.stop * extent // whole)))))
    (top, bottom), (left, right) = edges
    for inset, level in ((0, 0), (1, 255), (2, 255), (3, 0)):
        if min(bottom - top, right - left) <= 2 * inset:
            break
        rows, columns = slice(top + inset, bottom - inset), slice(left + inset, right - inset)
        framed[rows, [left + inset, right - inset - 1]] = level
        framed[[top + inset, bottom - inset - 1], columns] = level
    return framed


def busiest_place(before: Pixels, after: Pixels) -> tuple[float, float]:
    """Return where most was removed, down and across from 0 to 1: the part that is worth a look first."""
    height, width = before.shape[:2]
    cells = 4
    best, place = -1.0, (0.5, 0.5)
    for row in range(cells):
        for column in range(cells):
            rows = slice(row * height // cells, (row + 1) * height // cells)
            columns = slice(column * width // cells, (column + 1) * width // cells)
            # Every third pixel will do, and large pictures take long.
            cut = before[rows, columns][::3, ::3], after[rows, columns][::3, ::3]
            change = _mean_change(*cut)
            if change > best:
                best, place = change, ((row + 0.5) / cells, (column + 0.5) / cells)
    return place


def _mean_change(before: Pixels, after: Pixels) -> float:
    return float(np.abs(before.astype(np.int16) - after).mean()) if before.size else 0.0


def gain_for(before: Pixels, after: Pixels) -> int:
    """Return how many times the difference of two pictures can be amplified and still be shown.

    A power of two from 1 to 32 that at most one value in twenty is too large for.
    """
    change = np.abs(before.astype(np.int16) - after)
    most = float(np.quantile(change, 0.95))
    return next((gain for gain in _GAINS if gain * most <= _ROOM), 1)


def save_view(pixels: NDArray[Any], path: Path, *, icc: bytes | None = None) -> Path:
    """Write uint8 pixels as a PNG, without loss and in the colours of a profile, and return its path."""
    write_picture(Picture(np.ascontiguousarray(pixels), None, Metadata(icc=icc), "png"), path)
    return path
