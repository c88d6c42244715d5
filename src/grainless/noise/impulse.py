"""Impulse noise: some values are replaced and tell nothing of the picture any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grainless.noise.model import Noise, Parameter, Values

_DENSITY = Parameter("density", 0.0, 1.0, "share of pixels or of single values that are hit")


def _draw(values: Values, per: str, rng: np.random.Generator) -> Values:
    """Return uniform numbers in [0, 1): one per value, or one per pixel with a last axis of 1."""
    shape = values.shape if per == "channel" else (*values.shape[:2], 1)
    return rng.random(shape, dtype=np.float32)


@dataclass(frozen=True)
class SaltPepper(Noise):
    """Each pixel (or each single value) becomes white or black with probability `density`.

    `salt` is the share of white among the hits. With `near` > 0 impulses are not exactly at the extremes
    but uniformly up to `near` levels of 255 inside.
    """

    density: float
    salt: float = 0.5
    per: Literal["pixel", "channel"] = "pixel"
    near: float = 0.0

    name = "salt-pepper"
    example = "salt-pepper:0.1:channel"
    parameters = (
        _DENSITY,
        Parameter("salt", 0.0, 1.0, "share of the hits that become white"),
        Parameter("near", 0.0, 127.0, "levels of 255 that impulses may lie inside of black and white"),
    )

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` with impulses, float32 `(H, W, C)`."""
        chance = _draw(values, self.per, rng)
        hit = chance < self.density
        # One draw tells both: below density * salt it is salt, from there to density it is pepper.
        impulse = (chance < self.density * self.salt).astype(np.float32)
        if self.near > 0:
            inside = _draw(values, self.per, rng) * np.float32(self.near / 255)
            impulse = np.abs(impulse - inside)
        return np.where(hit, impulse, values)


@dataclass(frozen=True)
class RandomImpulse(Noise):
    """Each pixel (or each single value) becomes a uniform random value in [0, 1) with probability `density`.

    Per pixel, all channels get the same value, as with `SaltPepper`.
    """

    density: float
    per: Literal["pixel", "channel"] = "pixel"

    name = "impulse"
    example = "impulse:0.1"
    parameters = (_DENSITY,)

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` with impulses, float32 `(H, W, C)`."""
        hit = _draw(values, self.per, rng) < self.density
        return np.where(hit, _draw(values, self.per, rng), values)


@dataclass(frozen=True)
class Scattered(Noise):
    """`count` places become white, then `count` places black, in all channels.

    Places are drawn uniformly and with replacement, and black overwrites white, so that up to 2 `count`
    pixels are hit; the last row and the last column never are. A number and not a share: it hits a small
    picture harder. 492 hits 5.8 % of 128 x 128 pixels. Some published denoisers of FER2013 faces were
    trained and measured so.
    """

    count: int

    name = "scattered"
    example = "scattered:492"
    parameters = (
        Parameter("count", 0, 10_000_000, "places that become white, and as many black", integer=True),
    )

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` with impulses, float32 `(H, W, C)`."""
        noisy = values.copy()
        height, width = values.shape[:2]
        if min(height, width) < 2:
            return noisy  # there is no place but in the last row or column
        for level in (1, 0):
            rows = rng.integers(0, height - 1, int(self.count))
            columns = rng.integers(0, width - 1, int(self.count))
            noisy[rows, columns] = level
        return noisy
