"""Pictures brought to the side length that a network trains on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError


def resize_values(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize `(H, W, C)` float32 values in [0, 1] to `(side, side, C)`, bilinear with half-pixel centres.

    Shrinking averages over the pixels that fall together (antialiasing); enlarging is what OpenCV calls
    INTER_LINEAR. Height and width are brought to `side` each for itself, so proportions are not kept.
    Raises InputError for a side below 1 and for values of another form.
    """
    if side < 1:
        raise InputError("A picture cannot be resized", got=f"a side of {side}", expected="at least 1 pixel")
    if values.ndim != 3 or 0 in values.shape:
        raise InputError(
            "A picture cannot be resized",
            got=f"the shape {values.shape}",
            expected="(height, width, channels)",
        )
    from PIL import Image

    planes = [
        Image.fromarray(np.ascontiguousarray(values[..., channel], np.float32)).resize(
            (side, side), Image.Resampling.BILINEAR
        )
        for channel in range(values.shape[2])
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=2)
