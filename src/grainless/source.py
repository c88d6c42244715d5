"""A picture as tiles of it go into a network: float32, hidden pixels filled, the levels of the whole known.

Pictures keep their own dtype; `to_unit` here and what turns the answer back in `denoiser` are the only places
where values are converted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.fill import HiddenFill
from grainless.planes import NewPlane, Plane, cut, new_array, strips
from grainless.tiling import Box
from grainless.tone import as_shown

NARROW_RANGE = 0.25
"""A picture whose values span less than this, in [0, 1], has no black and white points of its own.

In a plain sky or on a blank page the extremes are ordinary values, and no impulses.
"""

INTEGER_WHITE = {"uint8": 255, "uint16": 65535}
_FLOATS = {"float16", "float32", "float64"}


@dataclass(frozen=True)
class Seeing:
    """How the network is to see values."""

    linear: bool = False
    """Whether they are proportional to light, and go through the sRGB curve."""
    unclipped: bool = False
    """Whether floats outside [0, 1] are seen as they are."""


@dataclass(frozen=True)
class Source:
    """A picture on its way through the network."""

    pixels: Plane
    """`(H, W, C)`, C 1 or 3, in the picture's own dtype."""
    alpha: Plane | None
    """`(H, W, 1)`; None where no pixel is hidden."""
    levels: NDArray[np.float32]
    """Black and white point: the smallest and the largest visible value, or 0 and 1 where these are close."""
    fill: HiddenFill | None
    """What stands in for fully transparent pixels; None where there are none."""
    seeing: Seeing

    def window(self, box: Box) -> NDArray[np.float32]:
        """Return what the network sees of a box, which may end beyond the picture."""
        seen = cut(self.pixels, box)
        if self.fill is not None:
            seen = self.fill.apply(seen, box)
        return to_unit(seen, self.seeing)

    def hidden(self, box: Box) -> NDArray[np.bool_] | None:
        """Return which pixels of a box are hidden, `(h, w, 1)`; None where none of the picture is."""
        if self.alpha is None:
            return None
        hidden: NDArray[np.bool_] = self.alpha.read(box) == 0
        return hidden


def prepare(
    pixels: Plane, alpha: Plane | None, *, seeing: Seeing, new: NewPlane = new_array
) -> Source | None:
    """Look through a whole picture; return None where no pixel of it can be seen.

    `pixels` is `(H, W, C)`, `alpha` `(H, W, 1)`; `new` makes the planes that are needed beside. Raises
    `InputError` for NaN and infinity in pixels that can be seen.
    """
    found = _Range(pixels.dtype)
    for strip in strips(pixels):
        found.add(pixels.read(strip), None if alpha is None else alpha.read(strip) != 0)
    if not found.any_seen:
        return None
    low, high = found.ends
    _check_finite(float(low), float(high))
    levels = to_unit(found.ends, seeing)
    if levels[1] - levels[0] < NARROW_RANGE:
        levels = np.array([0, 1], np.float32)
    if alpha is None or not found.any_hidden:
        return Source(pixels, None, levels, None, seeing)
    return Source(pixels, alpha, levels, HiddenFill(pixels, alpha, new=new), seeing)


class _Range:
    """The smallest and the largest visible value of what was added."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        self._limits = (limits.max, limits.min)
        self.ends = np.array(self._limits, dtype)
        self.any_seen = False
        self.any_hidden = False

    def add(self, values: NDArray[Any], visible: NDArray[np.bool_] | None) -> None:
        """Take values `(h, w, C)` and which pixels of them can be seen `(h, w, 1)`, all if None."""
        low, high = self._limits
        if visible is None or visible.all():
            ends = values.min(), values.max()
        else:
            self.any_hidden = True
            if not visible.any():
                return
            # Reductions with `where`: selecting the visible values would copy them.
            ends = values.min(where=visible, initial=low), values.max(where=visible, initial=high)
        self.any_seen = True
        # Both hand a NaN on.
        self.ends[0], self.ends[1] = np.minimum(self.ends[0], ends[0]), np.maximum(self.ends[1], ends[1])


def to_unit(values: NDArray[Any], seeing: Seeing) -> NDArray[np.float32]:
    """Return values of a picture's dtype as the network takes them: float32, in [0, 1] unless unclipped."""
    white = INTEGER_WHITE.get(values.dtype.name)
    if white is not None:
        whole: NDArray[np.float32] = np.divide(values, white, dtype=np.float32)
        return whole
    if seeing.unclipped:
        return values.astype(np.float32)
    if seeing.linear:
        return as_shown(values, linear=True)
    unit: NDArray[np.float32] = np.clip(values, 0, 1).astype(np.float32)
    return unit


def check_array(pixels: NDArray[Any], *, unclipped: bool) -> None:
    """Raise `InputError`, with the remedy, for anything but the arrays that `Denoiser.__call__` takes."""
    if not isinstance(pixels, np.ndarray):
        raise InputError(
            "The picture is no numpy array",
            got=type(pixels).__name__,
            remedy="Convert it with numpy.asarray.",
        )
    shapes = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
    if pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] not in {1, 3, 4}):
        first = pixels.ndim == 3 and pixels.shape[0] in {1, 3, 4}
        remedy = (
            "Move the channels last with numpy.moveaxis(pixels, 0, -1)." if first else "Clean one at a time."
        )
        raise InputError(
            "The array has no shape of a picture", got=pixels.shape, expected=shapes, remedy=remedy
        )
    if pixels.size == 0:
        raise InputError("The picture has no pixels", got=pixels.shape, expected="at least 1 by 1")
    if pixels.dtype.name not in INTEGER_WHITE.keys() | _FLOATS:
        raise InputError(
            "The array has a dtype whose range is not known",
            got=pixels.dtype,
            expected="uint8, uint16 or float in [0, 1]",
            remedy="Convert it, for example with astype(numpy.uint8) where its values are 0 to 255.",
        )
    if pixels.dtype.name in _FLOATS:
        low, high = float(pixels.min()), float(pixels.max())
        _check_finite(low, high)
        if not unclipped:
            _check_range(low, high)


def check_linear(dtype: np.dtype[Any], *, linear: bool) -> None:
    """Raise `InputError` where whole numbers are said to be linear."""
    if linear and dtype.name in INTEGER_WHITE:
        raise InputError(
            "Only float pictures can be linear",
            got=dtype,
            remedy="Leave `linear` out: 8- and 16-bit pictures are cleaned as they are encoded.",
        )


def _check_finite(low: float, high: float) -> None:
    """Raise `InputError` where the smallest or the largest value is not finite: then one of them is not."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            "The picture holds values that are no numbers (NaN or infinity)",
            remedy="Replace them first, for example with numpy.nan_to_num.",
        )


def _check_range(low: float, high: float) -> None:
    """Raise `InputError` for values outside [0, 1]."""
    if low < 0 or high > 1:
        remedy = (
            "Divide by 255 (8-bit values) or by 65535 (16-bit values)." if high > 2 else "Use numpy.clip."
        )
        raise InputError(
            "The values of the picture are out of range",
            got=f"{low:g} to {high:g}",
            expected="floats from 0 to 1",
            remedy=remedy,
        )
