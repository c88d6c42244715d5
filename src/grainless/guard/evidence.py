"""What windows of a picture, before and after, tell of what was removed: how much of it can be noise.

With y the noisy picture, x the clean one, n = y - x the noise, d what was removed: the mean squared error
falls by E[n^2] - E[(n - d)^2] = 2 E[n d] - E[d^2]. E[d^2] is seen. E[n d] is what SURE computes from the
divergence of the denoiser (Stein, "Estimation of the mean of a multivariate normal distribution", Annals of
Statistics 1981), which takes further runs of the network, and white noise. Here it is bounded instead, block
by block. By Cauchy and Schwarz E[n d] is at most the root of E[n^2] E[d^2]. And where the picture is flat, so
that all there is is noise, it is seen: 2 E[n d] = E[y^2] + E[d^2] - E[(y - d)^2] over fine cosines. So the
gain that comes out is the best that can be hoped for, as far as the level of the noise is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.clipping import MAD
from grainless.diagnosis.compression import find_trace, quantisation
from grainless.diagnosis.decision import FEWEST
from grainless.diagnosis.impulses import find_impulses
from grainless.diagnosis.sampling import Levels, Sample, luma_of
from grainless.diagnosis.spectrum import SIDE, transform

FEWEST_BLOCKS = 48
"""With fewer blocks of 8 x 8 pixels nothing is told."""
_BINS = 8
"""The brightness is cut into so many parts with as many blocks each, if there are enough."""
_FLATTEST, _FEWEST_FLAT = 0.08, 8
"""Share of the blocks of a part, those with the least structure, that noise is measured in; and how many at
least."""
_ROUGHEST = 0.25
"""Share of the blocks, those with the most structure, in which removed and left are compared."""
_IMPULSE = 24.0
"""Levels: a black or white value that changed by less is no impulse."""
_FLOOR = 0.1
"""Mean square, in levels, that is added to noise: that of rounding to 8 bits."""
_CLIPPED, _INNER = 0.3, 0.02
"""Blocks with a larger share of black and white values tell little of noise, and nothing of local means."""
_FAR = 2.5
"""Standard deviations within which a colour's values are compared, so that clipping does not shift them."""
_FEWEST_VALUES = 500

_FREQUENCY = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
_BANDS = tuple(np.isin(_FREQUENCY, range(low, end)) for low, end in ((1, 3), (3, 6), (6, 9), (9, 15)))
"""Bands of cosines from coarse to fine, in which the mean squares are taken."""
_COUNTS = np.array([np.count_nonzero(band) for band in _BANDS])
_COARSE, _FINE = _BANDS[0], _FREQUENCY >= 3
_FALL = (1.6 / np.array([1.6, 4.0, 7.0, 10.5])) ** 2
"""How the energy of pictures falls from the first band to the others, about as 1 / f^2."""
_LUMA_SHARE = 0.447
"""Share of the variance of noise, independent in each channel, that its luma has."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Measured on windows of one picture and of its result."""

    shift: tuple[float, ...]
    """By how many levels of 255 each channel became darker, in values of middle brightness."""
    removed: float = 0.0
    """Root mean square of what was removed, in levels."""
    noise: float = 0.0
    """Standard deviation of the noise that can have been there, in levels of the luma, without impulses."""
    gain: float | None = None
    """At best, by which share the mean squared error fell; below 0 it rose. None where too little is seen."""
    share: float | None = None
    """At best, which share of what was removed is noise; of the error, below one half it rose."""
    alike: float | None = None
    """Median correlation, where the picture has structure, of what was removed and what is left."""


@dataclass(frozen=True)
class _Blocks:
    """Blocks of the luma, without impulses, one a row."""

    noisy: Values
    """`(N, 64)` cosines of the picture."""
    left: Values
    """Of the result."""
    clipped: Values
    """`(N,)`: share of black and white values."""

    @property
    def removed(self) -> Values:
        return self.noisy - self.left

    @property
    def structure(self) -> Values:
        """Mean square of the coarse cosines."""
        return _mean_square(self.noisy[:, _COARSE])

    @property
    def light(self) -> Values:
        """Mean of the result, in levels."""
        return self.left[:, 0] / SIDE


@dataclass(frozen=True)
class _Expected:
    """Mean squares, by what flat blocks of the same brightness have: `(N, bands)`."""

    noise: Values
    common: Values
    """E[n d]."""


def gather(before: Levels, after: Levels, visible: NDArray[np.bool_]) -> Evidence:
    """Measure windows of a picture and of its result, `(h, w, C)` from 0 to 255; `visible` is `(h, w)`."""
    extreme = (before <= 0) | (before >= 255)
    seen = Sample(before, extreme, visible)
    impulses = find_impulses(seen)
    hit = np.zeros(before.shape, dtype=bool)
    if impulses.density >= FEWEST:
        hit = impulses.hit & (np.abs(before - after) > _IMPULSE)
    rest = np.where(hit, after, before)
    blocks = _cut(luma_of(rest), luma_of(after), visible)
    whole = float(np.sqrt(np.mean((before - after)[visible] ** 2))) if visible.any() else 0.0
    if len(blocks.noisy) < FEWEST_BLOCKS:
        return Evidence((0.0,) * before.shape[2], whole)
    flats = _flat_rows(blocks)
    expected = _expect(blocks, flats)
    # Their differences are noise and nothing else.
    spikes = float(np.mean((luma_of(before) - luma_of(rest))[visible] ** 2))
    budget = np.zeros_like(expected.noise)
    if impulses.density < FEWEST:
        budget = _rounded_by_jpeg(seen, blocks)
    shift = _shift(rest, after, visible & ~extreme.any(axis=2), _by_light(blocks, expected))
    gain, share = _gain(blocks, expected, budget, spikes - _colour(shift))
    noise = float(np.sqrt(_over_bands(expected.noise)))
    return Evidence(shift, whole, noise, gain, share, _alike(blocks))


def _cut(noisy: Levels, left: Levels, visible: NDArray[np.bool_]) -> _Blocks:
    """Return the blocks that are seen whole and are not of one value, which were painted or clipped."""
    cosines, answer = transform(noisy).astype(np.float64), transform(left).astype(np.float64)
    shown = _rows(visible).all(axis=1) & (np.abs(cosines[:, 1:]).max(axis=1, initial=0) > 1e-3)
    clipped = _rows((noisy < 0.5) | (noisy > 254.5))[shown].mean(axis=1)
    return _Blocks(cosines[shown], answer[shown], clipped)


def _rows(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    height, width = (side // SIDE * SIDE for side in plane.shape)
    parts = plane[:height, :width].reshape(height // SIDE, SIDE, width // SIDE, SIDE)
    rows: NDArray[np.bool_] = parts.transpose(0, 2, 1, 3).reshape(-1, SIDE * SIDE)
    return rows


def _flat_rows(blocks: _Blocks) -> list[NDArray[np.intp]]:
    """Return the rows of the flat blocks of each brightness, from dark to bright."""
    usable = np.flatnonzero(blocks.clipped < _CLIPPED)
    if len(usable) < FEWEST_BLOCKS:
        usable = np.arange(len(blocks.noisy))
    order = usable[np.argsort(blocks.light[usable], kind="stable")]
    structure = blocks.structure
    flats = []
    for part in np.array_split(order, min(_BINS, len(order) // FEWEST_BLOCKS)):
        count = max(_FEWEST_FLAT, round(_FLATTEST * len(part)))
        flats.append(part[np.argsort(structure[part], kind="stable")[:count]])
    return flats


def _expect(blocks: _Blocks, flats: list[NDArray[np.intp]]) -> _Expected:
    """Return what noise does in blocks of each brightness.

    One spectrum for all, scaled by the level at each brightness; medians, so that texture in some of the flat
    blocks does not count.
    """
    light = blocks.light
    knots = [float(light[flat].mean()) for flat in flats]
    everywhere = np.concatenate(flats)

    def curve(cosines: Values) -> Values:
        whole = _median_square(cosines[everywhere])
        bands = np.array([whole[band].mean() for band in _BANDS])
        levels = [_median_square(cosines[flat])[_FINE].mean() for flat in flats]
        level: Values = np.interp(light, knots, levels)[:, None]
        mean: Values = level * bands / max(whole[_FINE].mean(), 1e-9)
        return mean

    noise, removed, left = (curve(part) for part in (blocks.noisy, blocks.removed, blocks.left))
    return _Expected(noise, np.clip((noise + removed - left) / 2, 0, noise))


def _rounded_by_jpeg(seen: Sample, blocks: _Blocks) -> Values:
    """Return the mean squares of what JPEG's rounding may have taken, `(N, bands)`.

    A twelfth of the squared step, but no more than a picture has: flat blocks lose nothing.
    """
    trace = find_trace(seen)
    if trace.strength == 0:
        return np.zeros((len(blocks.noisy), len(_BANDS)))
    steps = quantisation(trace.quality)
    lost = np.array([np.mean(steps[band]) for band in _BANDS]) ** 2 / 12
    most: Values = np.minimum(lost, blocks.structure[:, None] * _FALL)
    return most


def _gain(blocks: _Blocks, expected: _Expected, budget: Values, other: float) -> tuple[float, float]:
    """Return gain and share; `other` is what is gained beside, a mean square in levels."""
    noise = expected.noise + budget
    removed = np.stack([_mean_square(blocks.removed[:, band]) for band in _BANDS], axis=1)
    common = np.minimum(expected.common + budget, np.sqrt(noise * removed))
    gained = _over_bands(2 * common - removed) + other
    means = blocks.removed[:, 0]
    inner = blocks.clipped < _INNER
    if np.mean(inner) > 0.1:
        level = expected.noise[inner, 0]
        moved = np.abs(means[inner])
        gained += float(np.mean(2 * np.minimum(level, np.sqrt(level) * moved) - moved**2)) / SIDE**2
    spikes = max(other, 0.0)
    whole = _over_bands(removed) + spikes
    return gained / (_over_bands(noise) + spikes + _FLOOR), (gained / (whole + _FLOOR) + 1) / 2


def _alike(blocks: _Blocks) -> float:
    """Return how much of the structure that is left is also in what was removed.

    Noise is not alike to the picture; a model that blurs removes a part of each edge, one that sharpens adds
    it. After the method noise of Buades, Coll and Morel, "A review of image denoising algorithms, with a new
    one", Multiscale Modeling and Simulation 2005.
    """
    rough = np.argsort(-blocks.structure, kind="stable")[: max(1, round(_ROUGHEST * len(blocks.noisy)))]
    removed, left = blocks.removed[rough][:, _FINE], blocks.left[rough][:, _FINE]
    sizes = np.sqrt((removed**2).sum(axis=1) * (left**2).sum(axis=1))
    return float(np.median((removed * left).sum(axis=1) / (sizes + 1e-6)))


def _by_light(blocks: _Blocks, expected: _Expected) -> Values:
    """Return the standard deviation of the noise of a channel for each level from 0 to 255."""
    order = np.argsort(blocks.light, kind="stable")
    level = np.sqrt(expected.noise[:, 1:].mean(axis=1)[order] / _LUMA_SHARE)
    deviations: Values = np.interp(np.arange(256), blocks.light[order], level)
    return deviations


def _shift(before: Levels, after: Levels, usable: NDArray[np.bool_], noise: Values) -> tuple[float, ...]:
    """Return the mean of what was removed from each channel, of values that clipping does not reach."""
    levels = np.arange(256)
    reached = (levels < _FAR * noise + 2) | (levels > 253 - _FAR * noise)
    found = []
    for old, new in zip(np.moveaxis(before, 2, 0), np.moveaxis(after, 2, 0), strict=True):
        near = np.rint(new).astype(np.intp)
        off = (old - new)[usable & ~reached[near]]
        found.append(float(np.mean(off)) if off.size >= _FEWEST_VALUES else 0.0)
    return tuple(found)


def _colour(shift: tuple[float, ...]) -> float:
    """Return the mean square of a shift of colours without that of the luma, on the scale of its noise."""
    if len(shift) == 1:
        return 0.0
    values = np.array(shift)
    luma = float(luma_of(values.astype(np.float32)[None, None])[0, 0])
    return float(np.mean((values - luma) ** 2)) * _LUMA_SHARE


def _over_bands(values: Values) -> float:
    """Return the mean over all pixels of mean squares `(N, bands)`, the means of the blocks left out."""
    return float((values @ _COUNTS).mean()) / SIDE**2


def _mean_square(values: Values) -> Values:
    squares: Values = np.mean(values**2, axis=1)
    return squares


def _median_square(values: Values) -> Values:
    """Return the variance of each column, if it is normal and has mean 0."""
    variances: Values = (np.median(np.abs(values), axis=0) / MAD) ** 2
    return variances
