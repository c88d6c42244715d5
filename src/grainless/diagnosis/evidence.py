"""What a picture tells of its noise, as a few numbers that a decision is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.compression import Trace, find_trace, quantisation
from grainless.diagnosis.impulses import find_impulses, other_sigma
from grainless.diagnosis.sampling import Sample, block_rows, sample
from grainless.diagnosis.spectrum import (
    HIGH,
    LOW,
    MIDDLE,
    SIDE,
    Blocks,
    Spectrum,
    cut_blocks,
    measure_spectrum,
    restore,
)

FEATURES = (
    "high", "middle", "low", "quiet", "uneven", "tails", "rise", "bend", "colour", "colour_fine", "mosaic",
    "trace", "coarse", "survived", "gray",
)  # fmt: skip
"""Names of the features of a picture without impulses, in their order."""
_FLOOR = 0.3
"""Added to noise levels before their logarithm is taken: that of rounding to 8 bits."""
_OCTAVE = 0.35
"""Parts of a picture are compared if the logarithms of their brightness differ by this much."""


@dataclass(frozen=True)
class Evidence:
    """Measured on one picture."""

    density: float
    """Share of the values that are salt or pepper."""
    balance: float
    """Share of the rarer of white and black among these, 0 to 0.5."""
    rest: float
    """Standard deviation, in levels, of the noise of the other values."""
    sigma: float
    """Standard deviation at high frequencies, in levels: that of white noise."""
    total: float
    """Standard deviation over all frequencies, in levels."""
    trace: Trace
    """JPEG, as the pixels tell it."""
    features: tuple[float, ...]
    """By the names of `FEATURES`."""
    drawn: float = 0.0
    """Share of the two most frequent values, where the picture is not of one: large of text and line art."""


def gather(
    pixels: NDArray[Any], alpha: NDArray[Any] | None = None, *, quality: int | None = None
) -> Evidence:
    """Measure `(H, W, C)` pixels; see `sample` for what they may be and how much of them is read.

    `quality` is that of a JPEG file, which is known better than its pixels tell it.
    """
    seen = sample(pixels, alpha)
    impulses = find_impulses(seen)
    rest = other_sigma(seen, impulses.hit) if impulses.density > 0 else 0.0
    trace = find_trace(seen) if quality is None else Trace(quality, 1.0)
    blocks = cut_blocks(seen)
    spectrum = None if blocks is None else measure_spectrum(blocks)
    return Evidence(
        density=impulses.density,
        balance=impulses.balance,
        rest=rest,
        sigma=0.0 if spectrum is None else spectrum.sigma,
        total=0.0 if spectrum is None else spectrum.total,
        trace=trace,
        features=_features(seen, blocks, spectrum, trace),
        drawn=_drawn(seen),
    )


def _drawn(seen: Sample) -> float:
    """Return the share of the two most frequent values in blocks of 8 x 8 pixels that hold more than one.

    Blocks of one value are paper and margins, beside which a photograph may well be noisy.
    """
    shown = np.rint(seen.levels).astype(np.int32) @ (256 ** np.arange(seen.levels.shape[2], dtype=np.int32))
    rows = block_rows(shown, SIDE)
    mixed = (rows != rows[:, :1]).any(axis=1) & block_rows(seen.visible, SIDE).all(axis=1)
    if not mixed.any():
        return 0.0
    _, counts = np.unique(rows[mixed], return_counts=True)
    return float(np.sort(counts)[-2:].sum() / counts.sum())


def _features(
    seen: Sample, blocks: Blocks | None, spectrum: Spectrum | None, trace: Trace
) -> tuple[float, ...]:
    """Return the numbers that the kind is decided from, in the order of `FEATURES`."""
    levels = (0.0,) * 4
    uneven, tails = 0.0, 0.0
    rise, bend, together, fine, mosaic = 0.0, 0.0, 0.0, 0.0, 0.0
    if blocks is not None and spectrum is not None:
        low, middle, high = spectrum.rings
        levels = (high, middle, low, spectrum.quiet)
        uneven, tails = math.log(spectrum.usual + _FLOOR) - math.log(spectrum.quiet + _FLOOR), spectrum.tails
        rise, bend = _rise(spectrum.steps)
        together, fine = (_likeness(blocks, spectrum, ring) for ring in (MIDDLE, HIGH))
        mosaic = _mosaic(blocks, spectrum)
    found = trace.strength > 0
    # From quality 80 down JPEG is JPEG, from 95 up it does not show.
    coarse = min(1.0, max(0.0, (95 - trace.quality) / 15)) if found else 0.0
    # Noise that is small beside the steps of JPEG was rounded away, and what is left is not noise.
    survived = (
        math.log((levels[2] + _FLOOR) / float(quantisation(trace.quality)[LOW].mean())) if found else 0.0
    )
    gray = float(seen.levels.shape[2] == 1)
    logarithms = (math.log(level + _FLOOR) for level in levels)
    return (
        *logarithms,
        uneven,
        tails,
        rise,
        bend,
        together,
        fine,
        mosaic,
        float(found),
        coarse,
        survived,
        gray,
    )


def _rise(steps: NDArray[np.float64]) -> tuple[float, float]:
    """Return how noise grows with brightness: the exponent, and how far it is from one level.

    0 for Gaussian noise, 0.5 for counted light (Foi et al., "Practical Poissonian-Gaussian noise modeling",
    IEEE TIP 2008), 1 for speckle; the median of the slopes between all parts (Theil and Sen). The second
    number is the scatter of the logarithms of the noise.
    """
    light, noise = np.log(np.maximum(steps[:, 0], 4)), np.log(steps[:, 1] + _FLOOR)
    first, second = np.triu_indices(len(light), 1)
    apart = light[second] - light[first]
    far = np.abs(apart) >= _OCTAVE
    if not far.any():
        return 0.0, 0.0
    slopes = (noise[second] - noise[first])[far] / apart[far]
    return float(np.median(slopes)), float(np.std(noise))


def _likeness(blocks: Blocks, spectrum: Spectrum, ring: NDArray[np.bool_]) -> float:
    """Return the correlation of the noise of the channels at some frequencies; 0 for a gray picture."""
    count = int(blocks.channel.max()) + 1
    if count < 2:
        return 0.0
    rows = np.full((count, int(blocks.place.max()) + 1), -1)
    rows[blocks.channel, blocks.place] = np.arange(len(blocks.place))
    places = np.unique(blocks.place[spectrum.flat])
    places = places[(rows[:, places] >= 0).all(axis=0)]
    if not len(places):
        return 0.0
    parts = [blocks.cosines[rows[channel, places]][:, ring].ravel() for channel in range(count)]
    sizes = [float(np.sqrt(np.mean(part**2))) for part in parts]
    pairs = [(one, two) for one in range(count) for two in range(one)]
    found = [float(np.mean(parts[one] * parts[two])) / (sizes[one] * sizes[two] + 1e-6) for one, two in pairs]
    return float(np.mean(found))


def _mosaic(blocks: Blocks, spectrum: Spectrum) -> float:
    """Return how unlike the noise of every second pixel is, as interpolation of a sensor's colours leaves it.

    The largest logarithm of a ratio between the four places in 2 x 2 pixels, of the median difference from
    the four neighbours. After Gallagher and Chen, "Image authentication by detecting traces of demosaicing",
    CVPR workshops 2008.
    """
    most = 0.0
    for channel in np.unique(blocks.channel):
        flat = spectrum.flat[blocks.channel[spectrum.flat] == channel]
        if len(flat) < 8:
            continue
        values = restore(blocks.cosines[flat])
        around = values[:, :-2, 1:-1] + values[:, 2:, 1:-1] + values[:, 1:-1, :-2] + values[:, 1:-1, 2:]
        off = np.abs(values[:, 1:-1, 1:-1] - around / 4)
        phases = [float(np.median(off[:, row::2, column::2])) for row in (0, 1) for column in (0, 1)]
        most = max(most, math.log((max(phases) + 0.2) / (min(phases) + 0.2)))
    return most
