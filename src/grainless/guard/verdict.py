"""The verdict: better or worse, and why, from running sums and a bounded sample of a picture."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.sampling import places, to_levels
from grainless.errors import InputError
from grainless.guard.evidence import Evidence, gather
from grainless.guard.tally import PART_SIDE, Tally
from grainless.planes import ArrayPlane, Plane, strips
from grainless.tiling import Box
from grainless.tone import as_shown

WINDOW, WINDOWS = 128, 3
"""Side of the windows that are kept, and how many along a side: 384 x 384 pixels of a larger picture."""
_THRESHOLDS = Path(__file__).parent / "thresholds.json"
_MOST_DECIBELS = 40.0
LEAST = 0.25
"""Root mean square, in levels, of a change that is too small to do harm."""


@dataclass(frozen=True)
class Verdict:
    """Whether a result is worse than the picture that it was made of, as far as can be told."""

    worse: bool
    reason: str
    """Why it is worse, in words; empty if it is not."""
    decibels: float | None
    """Estimate of how much the PSNR rose, at best; None where too little of the picture is seen."""


@dataclass(frozen=True)
class Thresholds:
    """What is too much; `scripts/guard_thresholds.py` writes these numbers."""

    gain: float
    """A result is worse if its gain is smaller than this,"""
    share: float
    """and a smaller share of what was removed can be noise."""
    alike: float
    """What was removed follows the picture if its correlation is larger,"""
    alike_gain: float
    """and the gain is smaller than this."""
    shift: float
    """Levels by which a channel may be shifted,"""
    shift_noise: float
    """and standard deviations of the noise that are added to it."""


class Guard:
    """Looks at a picture and its result part by part, in any order, and keeps a bounded sample of them.

    >>> guard = Guard(height, width)
    >>> for box in parts:
    ...     guard.see(before, after, box)
    >>> guard.verdict()
    """

    def __init__(self, height: int, width: int, *, linear: bool = False) -> None:
        """Take the size of the picture in pixels; `linear` says that floats are proportional to light."""
        self._size = height, width
        self._linear = linear
        self._rows, self._columns = (_read(length) for length in (height, width))
        self._tally = Tally()
        self._windows: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._visible = np.zeros((self._rows.size, self._columns.size), dtype=bool)

    def see(
        self,
        before: NDArray[Any],
        after: NDArray[Any],
        part: Box,
        *,
        visible: NDArray[np.bool_] | None = None,
        cleaned: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take the part of the picture, and of its result: `(h, w, C)` of one dtype, C 1 or 3.

        uint8, uint16, or floats, whose values outside [0, 1] are clipped. `part` is where they lie, `visible`
        `(h, w)` which pixels count, `cleaned` which of these were cleaned by much, the only ones that shift,
        structure and gain are told from; None for all. Parts begin on multiples of 32 pixels from the
        picture's corner, `PART_SIDE`, which is how the whole picture is cut to be looked at. Raises
        `InputError` for others, and for arrays that do not fit.
        """
        if part.top % PART_SIDE or part.left % PART_SIDE:
            raise InputError(
                "The part does not fit the blocks that the guard looks at",
                got=f"one that begins at row {part.top}, column {part.left}",
                expected=f"multiples of {PART_SIDE}",
            )
        shape = (part.height, part.width)
        if before.shape != after.shape or before.shape[:2] != shape or before.dtype != after.dtype:
            raise InputError(
                "The picture and its result do not fit each other",
                got=f"{before.dtype} {before.shape} and {after.dtype} {after.shape}",
                expected=f"one dtype and one shape, {shape} and the channels",
            )
        before, after = (as_shown(values, linear=self._linear) for values in (before, after))
        self._tally.add(before, after, visible, cleaned)
        if self._windows is None:
            kept = (*self._visible.shape, before.shape[2])
            self._windows = np.zeros(kept, before.dtype), np.zeros(kept, before.dtype)
        rows, columns = (
            _within(self._rows, part.top, part.bottom),
            _within(self._columns, part.left, part.right),
        )
        place = np.ix_(self._rows[rows] - part.top, self._columns[columns] - part.left)
        self._visible[rows, columns] = True
        for window, values in zip(self._windows, (before, after), strict=True):
            window[rows, columns] = values[place]
        for chosen in (visible, cleaned):
            if chosen is not None:
                self._visible[rows, columns] &= chosen[place]

    def verdict(self) -> Verdict:
        """Tell about what was seen so far."""
        if self._windows is None:
            return Verdict(worse=False, reason="", decibels=None)
        broken = self.broken()
        if broken:
            return Verdict(worse=True, reason=broken, decibels=None)
        evidence = self.evidence()
        reason = judge(evidence, thresholds())
        return Verdict(worse=bool(reason), reason=reason, decibels=decibels(evidence))

    def broken(self) -> str:
        """Say what no noise explains, wherever in the picture; nothing if there is nothing."""
        tally = self._tally
        if tally.broken:
            return f"{tally.broken} values of the result are no numbers (NaN or infinity)"
        if tally.moved:
            share = f"{tally.moved} of {tally.blocks} parts of {PART_SIDE} by {PART_SIDE} pixels"
            return f"{share} became {'black' if tally.black == tally.moved else 'another picture'}"
        return ""

    def evidence(self) -> Evidence:
        """Return what was measured on the windows; at least one part must have been seen."""
        if self._windows is None:
            raise InputError("Nothing was seen yet", remedy="Call `see` first")
        before, after = (to_levels(np.nan_to_num(window)) for window in self._windows)
        return gather(before, after, self._visible)


def compare(
    before: NDArray[Any], after: NDArray[Any], *, alpha: NDArray[Any] | None = None, linear: bool = False
) -> Verdict:
    """Tell whether a result is worse than its picture; both `(H, W, C)` as `Guard.see` takes them.

    `alpha` `(H, W)`: what is fully transparent does not count.
    """
    cover = None if alpha is None else ArrayPlane(alpha[..., None])
    return compare_planes(ArrayPlane(before), ArrayPlane(after), alpha=cover, linear=linear)


def compare_planes(
    before: Plane,
    after: Plane,
    *,
    alpha: Plane | None = None,
    mask: Plane | None = None,
    linear: bool = False,
) -> Verdict:
    """Tell as `compare` does, of planes `(H, W, C)`; `alpha` and `mask` are `(H, W, 1)`.

    Where the `mask` is 0 the result is the picture, and nothing is looked at. Broken values count wherever it
    is more; all else is looked at where it is more than half of the most, as what is hardly cleaned would
    pass for flat and clean.
    """
    guard = Guard(*before.shape[:2], linear=linear)
    half = 0.0 if mask is None else _most(mask, alpha) / 2
    # Strips of whole blocks: so the verdict is that of the picture in one piece. In one piece the copies in
    # single precision would be larger than the picture.
    for strip in strips(before, multiple=PART_SIDE):
        visible = None if alpha is None else alpha.read(strip)[..., 0] > 0
        cleaned = None
        if mask is not None:
            weight = mask.read(strip)[..., 0]
            cleaned = weight > half
            visible = weight > 0 if visible is None else visible & (weight > 0)
        guard.see(before.read(strip), after.read(strip), strip, visible=visible, cleaned=cleaned)
    return guard.verdict()


def _most(mask: Plane, alpha: Plane | None) -> float:
    """Return the largest value of a mask at pixels that show."""
    most = 0.0
    for strip in strips(mask):
        weight = mask.read(strip)
        if alpha is not None:
            weight = weight * (alpha.read(strip) > 0)
        most = max(most, float(weight.max()))
    return most


def judge(evidence: Evidence, limits: Thresholds) -> str:
    """Say why a result is worse; nothing if it is not."""
    if evidence.removed < LEAST:
        return ""
    allowed = limits.shift + limits.shift_noise * evidence.noise
    if max(abs(value) for value in evidence.shift) > allowed:
        kind = "brightness" if np.ptp(evidence.shift) < allowed else "colours"
        by = ", ".join(f"{-value:+.0f}" for value in evidence.shift)
        return f"the {kind} shifted by {by} levels of 255"
    gain, share, alike = evidence.gain, evidence.share, evidence.alike
    if gain is None or share is None or alike is None:
        return ""
    if abs(alike) > limits.alike and gain < limits.alike_gain:
        return f"what was removed has the structure of the picture (correlation {alike:.2f})"
    if gain < limits.gain and share < limits.share:
        return (
            f"no more than {max(share, 0):.0%} of what was removed can be noise"
            f" (noise of about {evidence.noise:.1f} levels of 255)"
        )
    return ""


@lru_cache(maxsize=1)
def thresholds() -> Thresholds:
    """Read the thresholds."""
    return Thresholds(**json.loads(_THRESHOLDS.read_text(encoding="utf-8")))


def decibels(evidence: Evidence) -> float | None:
    """Return by how many decibels the PSNR rose at best; None where too little is seen."""
    if evidence.gain is None:
        return None
    return round(min(-10 * math.log10(max(1 - evidence.gain, 1e-9)), _MOST_DECIBELS), 1)


def _read(length: int) -> NDArray[np.intp]:
    """Return the places along a side that are kept."""
    found = places(length, window=WINDOW, windows=WINDOWS)
    return np.arange(length) if found is None else found


def _within(read: NDArray[np.intp], start: int, stop: int) -> slice:
    """Return which of the places, in order, lie in a part."""
    return slice(*np.searchsorted(read, (start, stop)).tolist())
