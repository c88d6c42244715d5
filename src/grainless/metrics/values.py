"""Pixels as a protocol compares them: depth, range, channels and border."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.metrics.protocol import Protocol

Values = NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""

STUDIO = (65.481, 128.553, 24.966)
"""The same for levels from 16 to 235, of red, green and blue from 0 to 1."""


def to_8bit(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring uint8, uint16 or float [0, 1] pixels to 8 bit: clipped, rounded to the nearest level."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels


def to_gray(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the luma (BT.601, full range) of (H, W, 3) pixels as (H, W, 1), others as they are.

    Of the same dtype; whole numbers are rounded to the nearest level.
    """
    if not _is_colour(pixels):
        return pixels
    if pixels.dtype.kind == "u":
        # In whole numbers, so that ties fall the same way on every machine.
        luma = (pixels.astype(np.int64) @ _thousandths(LUMA) + 500) // 1000
    else:
        luma = pixels.astype(np.float64) @ np.array(LUMA)
    gray: NDArray[Any] = luma.astype(pixels.dtype)[..., None]
    return gray


def comparable(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol) -> tuple[Values, Values]:
    """Return both pictures as the protocol compares them; raises InputError as `measured` does."""
    if clean.shape != restored.shape:
        raise InputError(
            "The two pictures differ in shape",
            got=f"{clean.shape} and {restored.shape}",
            expected="one shape",
        )
    return measured(clean, protocol), measured(restored, protocol)


def measured(pixels: NDArray[Any], protocol: Protocol) -> Values:
    """Return the values that the protocol compares, (H, W) or (H, W, C) without its border.

    `pixels` is (H, W) or (H, W, C); uint8, uint16, or float with black 0 and white 1. Raises InputError for
    anything else, and for pictures that are all border.
    """
    _check(pixels)
    if protocol.border:
        pixels = _without_border(pixels, protocol.border)
    if protocol.eight_bit:
        return _levels(to_8bit(pixels), protocol)
    values = pixels.astype(np.float64)
    if pixels.dtype.kind == "u":
        values /= np.iinfo(pixels.dtype).max
    if protocol.clip:
        values = np.clip(values, 0.0, 1.0)
    values = _luma(values, protocol, white=1.0)
    if protocol.span == (0.0, 1.0):
        return values
    black, _ = protocol.span
    return black + protocol.value_range * values


def _levels(pixels: NDArray[np.uint8], protocol: Protocol) -> Values:
    """Return the compared values of 8-bit pixels, from 0 to 255."""
    if protocol.colour == "y-studio-rounded" and _is_colour(pixels):
        whole = 255_000
        rounded = (pixels.astype(np.int64) @ _thousandths(STUDIO) + 16 * whole + whole // 2) // whole
        return np.asarray(rounded, np.float64)
    if protocol.colour == "gray":
        pixels = to_gray(pixels)
    return _luma(pixels.astype(np.float64), protocol, white=255.0)


def _luma(values: Values, protocol: Protocol, *, white: float) -> Values:
    """Return the unrounded luma of colours, (H, W), if that is what is compared; other values as they are."""
    if protocol.colour == "rgb" or not _is_colour(values):
        return values
    if protocol.colour == "y-studio":
        studio: Values = values @ (np.array(STUDIO) / 255) + 16 * white / 255
        return studio
    full: Values = values @ np.array(LUMA)
    return full


def _thousandths(weights: tuple[float, ...]) -> NDArray[np.int64]:
    return np.array([round(1000 * weight) for weight in weights], np.int64)


def _is_colour(pixels: NDArray[Any]) -> bool:
    return pixels.ndim == 3 and pixels.shape[-1] == 3


def _without_border(pixels: NDArray[Any], border: int) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    if min(height, width) <= 2 * border:
        raise InputError(
            "The picture is all border",
            got=f"{width} x {height} pixels",
            expected=f"more than {2 * border} each way, as {border} are left out at each side",
        )
    return pixels[border : height - border, border : width - border]


def _check(pixels: NDArray[Any]) -> None:
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(
            "A picture to be measured has the wrong shape", got=pixels.shape, expected="(H, W) or (H, W, C)"
        )
    if pixels.dtype not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise InputError(
            "A picture to be measured has the wrong dtype",
            got=pixels.dtype,
            expected="uint8, uint16 or float",
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError("A picture to be measured holds NaN or infinity", expected="finite values")
