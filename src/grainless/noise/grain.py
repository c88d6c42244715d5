"""Noise in grains larger than a pixel, in brightness, in colour or both: film, scans, high-ISO JPEGs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.noise.model import Noise, Parameter, Values, need_gray_or_colour


@dataclass(frozen=True)
class Grain(Noise):
    """Gaussian noise whose neighbours are alike is added.

    White noise goes through a Gaussian filter of standard deviation `size` pixels and is brought back to the
    standard deviation `sigma`, where the full range is 255. The share `chroma` of the variance is in colour
    alone (its mean over the channels is zero), the rest is one and the same in all channels: 0 is the grain
    of film in black and white, 2/3 gives channels that have nothing in common, 1 the blotches that cameras
    leave behind. A gray picture has brightness alone, of the full `sigma`.
    """

    sigma: float
    size: float = 1.0
    chroma: float = 0.0

    name = "grain"
    example = "grain:10:size=2"
    parameters = (
        Parameter("sigma", 0.0, 255.0, "standard deviation, 255 = full range"),
        Parameter("size", 0.0, 16.0, "standard deviation of the filter in pixels"),
        Parameter("chroma", 0.0, 1.0, "share of the variance in colour"),
    )

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` + noise, float32 `(H, W, C)`, not clipped; NoiseError unless C is 1 or 3."""
        need_gray_or_colour(self.name, values)
        height, width, channels = values.shape
        kernel = _kernel(self.size)
        reach = len(kernel) - 1
        drawn = rng.standard_normal((height + reach, width + reach, channels + 1), dtype=np.float32)
        fields = _filtered(_filtered(drawn, kernel).swapaxes(0, 1), kernel).swapaxes(0, 1)
        noise, colours = fields[..., :1], fields[..., 1:]
        if channels == 3:
            # Taking the mean of three away leaves two thirds of the variance.
            colours = (colours - colours.mean(axis=2, keepdims=True)) * np.float32(math.sqrt(1.5))
            noise = math.sqrt(1 - self.chroma) * noise + math.sqrt(self.chroma) * colours
        return np.asarray(values + np.float32(self.sigma / 255) * noise, dtype=np.float32)


def _kernel(size: float) -> NDArray[np.float32]:
    """Return a Gaussian filter of unit energy, so that white noise keeps its standard deviation."""
    radius = math.ceil(3 * size)
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    kernel = np.exp(-0.5 * (offsets / max(size, 1e-6)) ** 2)
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)), dtype=np.float32)


def _filtered(field: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `field` filtered along its first axis, as long as the kernel fits in."""
    length = len(field) - len(kernel) + 1
    total = np.zeros((length, *field.shape[1:]), dtype=np.float32)
    for place, weight in enumerate(kernel):
        total += weight * field[place : place + length]
    return total
