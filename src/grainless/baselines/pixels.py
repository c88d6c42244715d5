"""What every filter does around its own work: checks, channels, windows and the way back to the dtype."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.metrics import to_8bit

Pixels = NDArray[Any]
"""uint8, or float32 in [0, 1]."""
Values = NDArray[np.float32]
"""A picture as float32 `(H, W, C)` in [0, 1]."""
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

GATHER_VALUES = 1 << 23
"""So many window values are looked at at once: a few tens of megabytes."""


def white_of(pixels: Pixels) -> int:
    """Return the value of white."""
    return 255 if pixels.dtype == np.uint8 else 1


def stacked(pixels: Pixels) -> Pixels:
    """Return the pixels as (H, W, C); InputError for other arrays and for floats that leave [0, 1]."""
    if pixels.dtype not in (np.uint8, np.float32) or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(
            "A classical filter cannot use these pixels",
            got=f"{pixels.dtype} of shape {pixels.shape}",
            expected="uint8 or float32 of shape (H, W) or (H, W, C)",
        )
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise InputError(
            "A classical filter cannot use these pixels",
            got=f"values from {pixels.min():g} to {pixels.max():g}",
            expected="finite values in [0, 1]",
            remedy="Clip them to [0, 1], or divide them by their full range",
        )
    return pixels if pixels.ndim == 3 else pixels[..., None]


def each_channel(pixels: Pixels, one: Callable[[Pixels], Pixels]) -> Pixels:
    """Filter each channel, (H, W), by itself."""
    channels = stacked(pixels)
    planes = [one(np.ascontiguousarray(channels[..., channel])) for channel in range(channels.shape[-1])]
    return np.stack(planes, axis=-1).reshape(pixels.shape)


def with_sigma(pixels: Pixels, sigma: float, run: Callable[[Values, float], Any]) -> Pixels:
    """Run a filter of values in [0, 1], which takes sigma on the same scale; sigma 0 leaves nothing to do."""
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(
            "The noise level is not valid", got=sigma, expected="a number of levels from 0 to 255"
        )
    channels = stacked(pixels)
    if sigma == 0:
        return pixels.copy()
    restored = np.asarray(run(channels.astype(np.float32) / np.float32(white_of(pixels)), sigma / 255))
    if pixels.dtype == np.uint8:
        return to_8bit(restored).reshape(pixels.shape)
    values: Values = np.clip(restored, 0, 1).astype(np.float32)
    return values.reshape(pixels.shape)


def check_size(name: str, size: int) -> None:
    """Raise InputError unless `size` is the side of a window around a pixel."""
    if size < 3 or size % 2 == 0:
        raise InputError(
            f"The filter's {name} is not valid", got=size, expected="an odd number of pixels from 3 up"
        )


def batches(count: int, size: int) -> Iterator[slice]:
    """Cut `count` windows of `size` x `size` into parts that hold GATHER_VALUES at most."""
    step = max(1, GATHER_VALUES // (size * size))
    return (slice(start, start + step) for start in range(0, count, step))


def windows_at(padded: Pixels, rows: Indices, columns: Indices, size: int) -> Pixels:
    """Copy the windows whose first corners are given; one row of `size * size` values each."""
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    windows: Pixels = views[rows, columns].reshape(rows.size, size * size)
    return windows
