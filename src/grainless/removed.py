"""What was removed from a picture, as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.sampling import to_levels
from grainless.tone import as_shown

GRAY = 128
"""What nothing removed looks like."""


def show_removed(
    before: NDArray[Any], after: NDArray[Any], *, gain: float, linear: bool = False
) -> NDArray[np.uint8]:
    """Return what was removed, on gray: 128 + gain * (before - after) in levels of 255, clipped, as uint8.

    Both of one shape; uint8, uint16, or floats, of which `linear` says that they are proportional to light.
    Lighter where the picture was lighter before.
    """
    old, new = (to_levels(as_shown(values, linear=linear)) for values in (before, after))
    shown: NDArray[np.uint8] = np.clip(np.rint(GRAY + gain * (old - new)), 0, 255).astype(np.uint8)
    return shown
