"""Treatments that the guard is set by and measured on, and what it is told of them; shared by two scripts.

A treatment is a text, `universal+blur:2`: models and filters by name, one after the other, with a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainless.baselines import bilateral, median, tv
from grainless.denoiser import Denoiser
from grainless.guard import Guard, judge, thresholds
from grainless.guard.evidence import Evidence
from grainless.tiling import Box

Pixels = NDArray[np.uint8]
HONEST = ("universal", "fast", "universal:0.5")
"""What the product itself does: bundled models at full and half strength."""
MODELS = ("universal", "fast")
_ALTERED = ("tint", "darken", "gamma", "hole")
"""Faults that are worse than the noise even where so much of that went that the PSNR rose."""
_PLAIN = {"tint": 8.0, "darken": 0.05}
"""From which number on one sees them."""
TIE = 0.05
"""A PSNR that changes by less, in decibels, is neither better nor worse."""
ROUNDING = 1 / 12
"""Added to mean squared errors, which may be 0: that of rounding to 8 bits."""


class Treatments:
    """Results of a noisy picture; what several treatments begin with is computed once."""

    def __init__(self, noisy: Pixels) -> None:
        """Take `(H, W, C)` uint8."""
        self.noisy = noisy
        self._known: dict[str, Pixels] = {"": noisy}

    def apply(self, text: str) -> Pixels:
        """Return the result of a treatment."""
        if text not in self._known:
            earlier, _, last = text.rpartition("+")
            name, _, strength = last.partition(":")
            if name in MODELS and strength:
                # The same blend as the product's, from a result that is known already.
                last, earlier = f"further:{strength}", f"{earlier}+{name}".lstrip("+")
            self._known[text] = _step(last, self.apply(earlier), self.noisy)
        return self._known[text]


def _step(text: str, values: Pixels, noisy: Pixels) -> Pixels:
    name, _, number = text.partition(":")
    amount = float(number or 1)
    if name in MODELS:
        return _model(name)(values)
    if name == "dim":
        # A model that is given values it was not made for.
        dark = np.rint(values * amount).astype(np.uint8)
        return _whole(_model("universal")(dark) / amount)
    if name == "median":
        return median(values, size=int(amount))
    if name in {"tv", "bilateral"}:
        return {"tv": tv, "bilateral": bilateral}[name](values, sigma=amount)
    return _whole(_spoil(name, amount, values.astype(np.float32), noisy.astype(np.float32)))


def _spoil(name: str, amount: float, values: NDArray[np.float32], noisy: NDArray[np.float32]) -> Any:
    """Return values of a model that is at fault."""
    tint = np.array([amount, 0, -amount / 2])[: values.shape[2]]
    hole = values.copy()
    hole[: int(amount), : int(amount)] = 0
    return {
        "blur": lambda: ndimage.gaussian_filter(values, (amount, amount, 0)),
        "sharpen": lambda: values + amount * (values - ndimage.gaussian_filter(values, (1, 1, 0))),
        "further": lambda: noisy + amount * (values - noisy),
        "tint": lambda: values + tint,
        "darken": lambda: values * (1 - amount),
        "gamma": lambda: 255 * (values / 255) ** amount,
        "shift": lambda: np.roll(values, int(amount), axis=1),
        "grain": lambda: values + np.random.default_rng(7).normal(0, amount, values.shape),
        "steps": lambda: np.rint(values / amount) * amount,
        "hole": lambda: hole,
    }[name]()


def _whole(values: NDArray[Any]) -> Pixels:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


@lru_cache(maxsize=2)
def _model(name: str) -> Denoiser:
    return Denoiser.load(name, threads=1)


def look(clean: Pixels, noisy: Pixels, after: Pixels) -> dict[str, Any]:
    """Return the truth about a result, and all that the guard goes by."""
    height, width = clean.shape[:2]
    guard = Guard(height, width)
    guard.see(noisy, after, Box(0, 0, height, width))
    errors = [float(np.mean((part.astype(np.float64) - clean) ** 2)) for part in (noisy, after)]
    return {"errors": errors, "broken": guard.broken(), "evidence": asdict(guard.evidence())}


def altered(treatment: str) -> bool:
    """Return whether a treatment ends with colours, or a part, that are plainly others than before."""
    name, _, number = treatment.rpartition("+")[2].partition(":")
    return name in _ALTERED and float(number) >= _PLAIN.get(name, 0)


def rise(row: dict[str, Any]) -> float:
    """Return by how many decibels the PSNR rose."""
    before, after = (error + ROUNDING for error in row["errors"])
    return 10 * math.log10(before / after)


def evidence_of(row: dict[str, Any]) -> Evidence:
    """Return what the guard measured."""
    return Evidence(**{**row["evidence"], "shift": tuple(row["evidence"]["shift"])})


def said(row: dict[str, Any]) -> str:
    """Return why the guard, by its present thresholds, calls a result worse; nothing if it does not."""
    return row["broken"] or judge(evidence_of(row), thresholds())


def roughest(pixels: Pixels, side: int) -> Pixels:
    """Return the part of a picture with the most fine detail all over."""
    height, width = pixels.shape[:2]

    def detail(part: Pixels) -> float:
        gray = part.astype(np.float32).mean(axis=2)
        fine = np.abs(gray - ndimage.uniform_filter(gray, 3))
        return float(np.quantile(ndimage.uniform_filter(fine, 8)[::8, ::8], 0.25))

    return max(_parts(pixels, height, width, side), key=detail)


def _parts(pixels: Pixels, height: int, width: int, side: int) -> Iterator[Pixels]:
    for top in range(0, max(1, height - side + 1), side // 2):
        for left in range(0, max(1, width - side + 1), side // 2):
            yield pixels[top : top + side, left : left + side]
