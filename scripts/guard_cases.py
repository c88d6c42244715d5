"""Noises and treatments that the guard is set by and measured on, shared by two scripts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainless.baselines import bilateral, median, tv
from grainless.blend import Blend
from grainless.denoiser import Denoiser

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A treatment of a noisy picture: models and filters by name, one after the other."""

    text: str
    """As `universal`, `blur:2`, `universal+tint:6`; steps are joined by `+`."""

    def apply(self, noisy: Pixels) -> Pixels:
        """Return the result for `(H, W, C)` uint8."""
        after = noisy
        for step in self.text.split("+"):
            name, *numbers = step.split(":")
            after = _step(name, [float(number) for number in numbers], noisy, after)
        return after


@lru_cache(maxsize=2)
def _model(name: str) -> Denoiser:
    return Denoiser.load(name, threads=1)


def _step(name: str, numbers: list[float], noisy: Pixels, after: Pixels) -> Pixels:
    first = numbers[0] if numbers else 0.0
    values = after.astype(np.float32)
    rows = values.shape[0]
    if name in {"universal", "fast"}:
        return _model(name)(after, blend=Blend(strength=first or 1.0))
    if name == "median":
        return median(after, size=int(first))
    if name in {"tv", "bilateral"}:
        return {"tv": tv, "bilateral": bilateral}[name](after, sigma=first)
    made = {
        "blur": lambda: ndimage.gaussian_filter(values, (first, first, 0)),
        "sharpen": lambda: values + first * (values - ndimage.gaussian_filter(values, (1, 1, 0))),
        "further": lambda: noisy + first * (values - noisy),
        "tint": lambda: values + np.array([first, 0, -first / 2])[: values.shape[2]],
        "darken": lambda: values * (1 - first),
        "gamma": lambda: 255 * (values / 255) ** first,
        "shift": lambda: np.roll(values, int(first), axis=1),
        "grain": lambda: values + np.random.default_rng(rows).normal(0, first, values.shape),
        "steps": lambda: np.rint(values / first) * first,
    }[name]()
    return np.rint(np.clip(made, 0, 255)).astype(np.uint8)


def draw_case(rng: np.random.Generator) -> Case:
    """Draw a treatment, half of them honest."""

    def between(low: float, high: float) -> str:
        return f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}"

    honest = ["universal", "universal", "fast", f"universal:{rng.uniform(0.3, 0.9):.2f}"]
    wrong = [
        f"blur:{between(0.4, 3)}",
        f"universal+blur:{between(0.4, 3)}",
        "median:3",
        f"tv:{between(5, 60)}",
        f"universal+sharpen:{between(0.5, 3)}",
        f"universal+further:{rng.uniform(1.5, 3):.2f}",
        f"universal+tint:{between(3, 40)}",
        f"universal+darken:{between(0.02, 0.3)}",
        f"universal+gamma:{rng.choice([0.8, 0.9, 1.1, 1.25])}",
        f"universal+shift:{rng.integers(1, 3)}",
        f"universal+grain:{between(3, 30)}",
        f"universal+steps:{between(8, 48)}",
    ]
    return Case(str(rng.choice(honest if rng.random() < 0.5 else wrong)))
