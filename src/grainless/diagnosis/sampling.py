"""The part of a picture that a diagnosis looks at, in levels of 255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]

WINDOW = 256
"""Side of the windows that a large picture is read in, a multiple of the side of a JPEG block."""
WINDOWS = 4
"""So many windows, at even distances, are read along a side: 1024 x 1024 pixels of a large picture."""


@dataclass(frozen=True)
class Sample:
    """What is looked at."""

    levels: Levels
    """`(H, W, C)` from 0 to 255, C 1 or 3; of a deeper file with fractions."""
    extreme: NDArray[np.bool_]
    """Same shape: values that are exactly black or white."""
    visible: NDArray[np.bool_]
    """`(H, W)`: False where the picture is fully transparent."""


def sample(pixels: NDArray[Any], alpha: NDArray[Any] | None = None) -> Sample:
    """Take the sample of `(H, W, C)` pixels, uint8, uint16 or float in [0, 1], and of their alpha `(H, W)`.

    A picture of up to 1024 pixels a side is read whole. Of a longer side 4 windows of 256 pixels are read,
    the first at the beginning and the last at the end, all on the grid of JPEG blocks. Three equal channels
    count as one. Floats outside [0, 1] are clipped.
    """
    height, width, channels = pixels.shape
    rows, columns = places(height), places(width)
    seen = pixels if rows is None else pixels[rows]
    seen = seen if columns is None else seen[:, columns]
    if channels == 3 and (seen[..., :1] == seen).all():
        seen = seen[..., :1]
    visible = np.ones(seen.shape[:2], dtype=bool)
    if alpha is not None:
        shown = alpha if rows is None else alpha[rows]
        visible = (shown if columns is None else shown[:, columns]) > 0
    levels = to_levels(seen)
    extreme = (levels <= 0) | (levels >= np.float32(255))
    return Sample(levels, extreme, visible)


def to_levels(pixels: NDArray[Any]) -> Levels:
    """Return uint8, uint16 or float pixels on the scale from 0 to 255; floats outside [0, 1] are clipped."""
    if pixels.dtype.kind == "f":
        unit: Levels = np.clip(pixels, 0, 1).astype(np.float32)
        return unit * np.float32(255)
    levels: Levels = pixels.astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)
    return levels


def luma_of(levels: Levels) -> Levels:
    """Return the luma of BT.601 of `(H, W, C)`, as JPEG computes it, `(H, W)`."""
    if levels.shape[2] == 1:
        return levels[..., 0]
    weighted: Levels = levels @ np.array((0.299, 0.587, 0.114), dtype=np.float32)
    return weighted


def block_rows(plane: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the whole blocks of `side` by `side` values of a plane `(h, w)`, one a row."""
    rows, columns = (length // side for length in plane.shape)
    parts = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return parts.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)


def places(length: int, *, window: int = WINDOW, windows: int = WINDOWS) -> NDArray[np.intp] | None:
    """Return the places along a side that are read, None for all.

    `windows` of `window` places, a multiple of 8, at even distances and on the grid of JPEG blocks.
    """
    parts = spans(length, window=window, windows=windows)
    return None if len(parts) == 1 else np.concatenate([np.asarray(part, np.intp) for part in parts])


def spans(length: int, *, window: int = WINDOW, windows: int = WINDOWS) -> list[range]:
    """Return the parts along a side that are read, in their order: one for all of a short side.

    A picture that is put together of these along both sides gives the same sample as the whole one.
    """
    if length <= window * windows:
        return [range(length)]
    starts = (np.linspace(0, length - window, windows) // 8 * 8).astype(int).tolist()
    return [range(start, start + window) for start in starts]
