"""The sRGB tone curve, IEC 61966-2-1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


def encode_srgb(light: Values) -> Values:
    """Return the sRGB values of linear light from 0 up; float32 of any shape, 1 stays 1."""
    curve = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), curve)


def as_shown(values: NDArray[Any], *, linear: bool) -> NDArray[Any]:
    """Return values of a picture as they are shown: `linear` floats, clipped to [0, 1], by the sRGB curve.

    NaN stays. Whole numbers, and floats that are not linear, come back as they are.
    """
    if linear and values.dtype.kind == "f":
        return encode_srgb(np.clip(values, 0, 1).astype(np.float32))
    return values


def decode_srgb(values: Values) -> Values:
    """Return the linear light of sRGB values from 0 up; the inverse of `encode_srgb`."""
    curve = ((values + np.float32(0.055)) * np.float32(1 / 1.055)) ** np.float32(2.4)
    return np.where(values <= np.float32(0.04045), values * np.float32(1 / 12.92), curve)
