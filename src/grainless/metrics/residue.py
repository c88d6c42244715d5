"""How much noise a picture holds, told without the clean one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.metrics.protocol import FILE_8BIT, Protocol
from grainless.metrics.values import Values, measured

BLOCK = 16
"""Side of the blocks that are looked at, in pixels: 256 values tell a noise level to 6 %."""

FLATTEST = 0.1
"""Share of the blocks, those with the least structure, that the noise is measured in: less is too little of a
small picture."""

CLIPPED = 0.1
"""Blocks with so many black and white values are left out where there are others: clipping hides noise."""


def noise_left(restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float | None:
    """Estimate the standard deviation of the fine-grained noise in a picture, on the 0-255 scale.

    The root mean square of Immerkaer's mask, which takes ramps and edges along the axes away, in the flattest
    blocks, mean over the channels. Flat are those whose means of 4 x 4 pixels vary least, of which the mask
    knows next to nothing: so choosing by them does not choose weak noise. Texture all over the picture counts
    as noise, and blotches count too little. None for pictures with a side under BLOCK + 2. Takes the pixels
    that `scores` takes.

    Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 1996.
    """
    return noise_level(measured(restored, protocol), protocol)


def noise_level(values: Values, protocol: Protocol) -> float | None:
    """Do what `noise_left` does for values that are compared already."""
    if min(values.shape[:2]) < BLOCK + 2:
        return None
    black, _ = protocol.levels
    unit = (values - black) / protocol.value_range
    planes = [unit] if unit.ndim == 2 else [unit[..., channel] for channel in range(unit.shape[-1])]
    return 255 * float(np.mean([_plane_level(plane) for plane in planes]))


def _plane_level(plane: Values) -> float:
    """Return the standard deviation of the noise of one channel."""
    parts = split(plane)
    energy, structure = parts.energy.mean(axis=1), parts.structure
    hidden = ((parts.values <= 0) | (parts.values >= 1)).mean(axis=1) >= CLIPPED
    if not hidden.all():
        energy, structure = energy[~hidden], structure[~hidden]
    count = max(1, round(FLATTEST * energy.size))
    flattest = np.argpartition(structure, count - 1)[:count]
    return math.sqrt(float(energy[flattest].mean()))


@dataclass(frozen=True)
class Blocks:
    """The blocks of a plane, one a row, without the outermost pixels and what makes no whole block."""

    values: NDArray[Any]
    """(N, BLOCK * BLOCK)."""
    energy: NDArray[Any]
    """Of the same shape: the squared answer of Immerkaer's mask, for white noise its variance on average."""
    structure: NDArray[Any]
    """(N,): the variance of the means of 4 x 4 pixels."""


def split(plane: NDArray[Any]) -> Blocks:
    """Split a plane (H, W) of floats, with sides of BLOCK + 2 or more, into blocks."""
    height, width = ((side - 2) // BLOCK * BLOCK for side in plane.shape)
    seen = plane[1 : height + 1, 1 : width + 1]
    # Two second differences, one along each axis, are the mask.
    energy = np.diff(np.diff(plane, n=2, axis=0), n=2, axis=1)[:height, :width] ** 2 / 36
    means = seen.reshape(height // 4, 4, width // 4, 4).mean(axis=(1, 3))
    return Blocks(rows_of(seen), rows_of(energy), rows_of(means, side=BLOCK // 4).var(axis=1))


def rows_of(values: NDArray[Any], *, side: int = BLOCK) -> NDArray[Any]:
    """Return the blocks of a plane whose sides are multiples of `side`, one a row."""
    height, width = values.shape
    parts = values.reshape(height // side, side, width // side, side)
    return parts.transpose(0, 2, 1, 3).reshape(-1, side * side)
