"""Changes of bit depth and of the kind of alpha, in strips of rows so that no second large copy is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_STRIP_VALUES = 1 << 20


def white(dtype: np.dtype[Any]) -> int:
    """Return the value that stands for full intensity: 255, 65535 or, for floats, 1."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def _strips(values: NDArray[Any]) -> Iterator[slice]:
    rows = max(1, _STRIP_VALUES // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        yield slice(start, start + rows)


def all_finite(values: NDArray[Any]) -> bool:
    """Tell whether there is no NaN and no infinity; whole numbers always pass."""
    return values.dtype.kind == "u" or all(bool(np.isfinite(values[s]).all()) for s in _strips(values))


def reduced(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return `values` rounded to `bits` (8, 10, 12 or 16) bits, as uint8 or as uint16 spanning 0 to 65535.

    Floats are clipped to [0, 1]. Values that fit already are returned as they are, without a copy.
    """
    if values.dtype == np.uint8 or (values.dtype == np.uint16 and bits == 16):
        return values
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    steps = 2**bits - 1
    result = np.empty(values.shape, dtype)
    for strip in _strips(values):
        part = values[strip].astype(np.float64) / white(values.dtype)
        levels = np.rint(np.clip(part, 0.0, 1.0) * steps)
        # Round twice at 10 and 12 bits: first to a level, then to that level's place in 16 bits.
        result[strip] = np.rint(levels * (white(dtype) / steps))
    return result


def expand_bits(values: NDArray[np.uint16], bits: int) -> None:
    """Stretch, in place, values that sit in the upper `bits` bits of 16 so that white becomes 65535."""
    if not 8 <= bits < 16:
        return
    for strip in _strips(values):
        levels = (values[strip] >> (16 - bits)).astype(np.float64)
        values[strip] = np.rint(levels * (65535 / (2**bits - 1)))


def unmultiplied(pixels: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Divide (height, width, channels) colours by alpha (height, width); where alpha is 0 they stay."""
    return _scaled(pixels, alpha, divide=True)


def multiplied(pixels: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Multiply (height, width, channels) colours by alpha (height, width); where alpha is 0 they stay.

    The inverse of `unmultiplied`, exactly so for whole numbers that were not larger than their alpha.
    """
    return _scaled(pixels, alpha, divide=False)


def _scaled(pixels: NDArray[Any], alpha: NDArray[Any], *, divide: bool) -> NDArray[Any]:
    full = white(pixels.dtype)
    result = np.empty(pixels.shape, pixels.dtype)
    for strip in _strips(pixels):
        cover = alpha[strip][..., None].astype(np.float64) / full
        cover[cover == 0] = 1.0
        values = pixels[strip] / cover if divide else pixels[strip] * cover
        if pixels.dtype.kind == "u":
            values = np.clip(np.rint(values), 0, full)
        result[strip] = values
    return result
