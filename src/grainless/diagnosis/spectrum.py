"""The noise of the flat parts of a picture: how strong, at which frequencies, at which brightness."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.clipping import MAD, kept_share
from grainless.diagnosis.sampling import Levels, Sample, block_rows

SIDE = 8
"""Side of the blocks, in pixels: that of JPEG's."""
FLATTEST = 0.08
"""Share of the blocks, those with the least structure, that noise is measured in."""
FEWEST = 12
"""So many blocks are taken at least, where there are as many."""
_BINS = 8
"""The brightness is cut into so many parts with as many blocks each."""
_CLIPPED = 0.6
"""Blocks in which clipping leaves less than this share of the noise tell little of it."""
_ROUNDS = 4

Values = NDArray[np.float64]


def _matrix() -> NDArray[np.float32]:
    """Return the orthonormal matrix of the discrete cosine transform of 8 values."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    matrix = np.cos(np.pi * rows * (2 * columns + 1) / (2 * SIDE)) * math.sqrt(2 / SIDE)
    matrix[0] /= math.sqrt(2)
    rounded: NDArray[np.float32] = matrix.astype(np.float32)
    return rounded


_DCT = _matrix()
_RING = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
_STRUCTURE = np.isin(_RING, (1, 2))
"""The five coarsest cosines tell which blocks are flat; noise is measured in the others."""
_FINE = _RING >= 3
HIGH, MIDDLE, LOW = _RING >= 9, np.isin(_RING, (5, 6)), np.isin(_RING, (3, 4))


@dataclass(frozen=True)
class Blocks:
    """Blocks of 8 x 8 values of all channels, one a row."""

    cosines: NDArray[np.float32]
    """`(N, 64)`, orthonormal: white noise has its standard deviation in each."""
    means: Values
    """`(N,)`, in levels."""
    channel: NDArray[np.intp]
    """`(N,)`."""
    place: NDArray[np.intp]
    """`(N,)`: which block of the picture it is, the same for all channels."""


@dataclass(frozen=True)
class Spectrum:
    """Noise of the flat blocks."""

    sigma: float
    """Standard deviation at the high frequencies, before clipping, in levels."""
    rings: tuple[float, float, float]
    """Standard deviation at low, middle and high frequencies."""
    total: float
    """Standard deviation over all frequencies."""
    quiet: float
    """The same for the quietest of the flat blocks."""
    usual: float
    """The same for the median of all blocks."""
    tails: float
    """Logarithm of how much larger the root mean square is than the median tells: 0 for normal noise."""
    steps: Values
    """`(K, 2)`: mean brightness and standard deviation, before clipping, of blocks of alike brightness."""
    flat: NDArray[np.intp]
    """Rows of the flat blocks."""


def cut_blocks(seen: Sample) -> Blocks | None:
    """Transform the blocks of a sample; None where no whole block can be seen or all are of one value."""
    if min(seen.levels.shape[:2]) < SIDE:
        return None
    shown = block_rows(seen.visible, SIDE).all(axis=1)
    cosines, means, channels, places = [], [], [], []
    for channel, plane in enumerate(np.moveaxis(seen.levels, 2, 0)):
        rows = transform(plane)
        # Areas of exactly one value were painted, or clipped.
        varied = shown & (np.abs(rows[:, 1:]).max(axis=1) > 1e-3)
        cosines.append(rows[varied])
        means.append(rows[varied, 0].astype(np.float64) / SIDE)
        places.append(np.flatnonzero(varied))
        channels.append(np.full(len(places[-1]), channel))
    joined = np.concatenate(cosines)
    if not len(joined):
        return None
    return Blocks(joined, np.concatenate(means), np.concatenate(channels), np.concatenate(places))


def transform(plane: Levels) -> NDArray[np.float32]:
    """Return the cosines of the whole 8 x 8 blocks of a plane, `(N, 64)`, orthonormal."""
    height, width = (side // SIDE * SIDE for side in plane.shape)
    parts = plane[:height, :width].reshape(height // SIDE, SIDE, width // SIDE, SIDE).transpose(0, 2, 1, 3)
    cosines = _DCT @ parts @ _DCT.T
    return cosines.reshape(-1, SIDE * SIDE).astype(np.float32, copy=False)


def restore(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the `(N, 8, 8)` values of rows of cosines, without the coarsest ones."""
    fine = (cosines * ~(_STRUCTURE | (_RING == 0))).reshape(-1, SIDE, SIDE)
    values: NDArray[np.float32] = _DCT.T @ fine @ _DCT
    return values


def measure_spectrum(blocks: Blocks) -> Spectrum:
    """Measure the noise of the flat blocks of each brightness.

    Flat are those with the least energy in the coarsest cosines, which the measurement leaves out, so that
    choosing does not choose weak noise. After Ponomarenko et al., "An automatic approach to lossy compression
    of AVIRIS images", IGARSS 2007; medians, so that the texture of a few blocks does not count.
    """
    structure = np.sqrt(np.mean(blocks.cosines[:, _STRUCTURE].astype(np.float64) ** 2, axis=1))
    sigma = 0.0
    for _ in range(_ROUNDS):
        kept = kept_share(sigma, blocks.means)
        usable = np.flatnonzero(kept >= min(_CLIPPED, float(np.quantile(kept, 0.8))))
        flat = _flattest(usable, structure / kept)
        sizes = np.abs(blocks.cosines[flat]) / kept[flat, None]
        found = float(np.median(sizes[:, HIGH])) / MAD
        if abs(found - sigma) < 0.01 * sigma:
            break
        sigma = found
    profile = np.median(sizes, axis=0) / MAD
    rings = tuple(float(np.sqrt(np.mean(profile[ring] ** 2))) for ring in (LOW, MIDDLE, HIGH))
    energy = np.sqrt(np.mean(sizes[:, _FINE].astype(np.float64) ** 2, axis=1))
    usual = np.sqrt(np.mean((blocks.cosines[usable][:, _FINE] / kept[usable, None]) ** 2, axis=1))
    coarse = sizes[:, LOW | MIDDLE] / (profile[LOW | MIDDLE] + 0.1)
    return Spectrum(
        sigma=found,
        rings=(rings[0], rings[1], rings[2]),
        total=float(np.sqrt(np.mean(profile[1:] ** 2))),
        quiet=float(np.quantile(energy, 0.1)),
        usual=float(np.median(usual)),
        tails=math.log(float(np.sqrt(np.mean(np.minimum(coarse, 10) ** 2))) + 0.1),
        steps=_steps(blocks, usable, structure / kept, kept),
        flat=flat,
    )


def _flattest(usable: NDArray[np.intp], structure: Values) -> NDArray[np.intp]:
    """Return the rows with the least structure among the usable ones."""
    count = min(len(usable), max(FEWEST, round(FLATTEST * len(usable))))
    order = np.argpartition(structure[usable], count - 1)[:count]
    chosen: NDArray[np.intp] = usable[order]
    return chosen


def _steps(blocks: Blocks, usable: NDArray[np.intp], structure: Values, kept: Values) -> Values:
    """Return brightness and noise of the flat blocks in parts of alike brightness."""
    order = usable[np.argsort(blocks.means[usable])]
    steps = []
    for part in np.array_split(order, min(_BINS, max(1, len(order) // (2 * FEWEST)))):
        flat = _flattest(part, structure)
        sizes = np.abs(blocks.cosines[flat][:, HIGH]) / kept[flat, None]
        steps.append((float(np.mean(blocks.means[flat])), float(np.median(sizes)) / MAD))
    return np.array(steps)
