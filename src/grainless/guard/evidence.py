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
from grainless.diagnosis.sampling import Levels, Sample, block_rows
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
_STEEPEST = 4.0
"""From band to band noise grows no more than so many times towards the coarse."""
_LEVELS = 4
"""Blocks of like brightness are parted into so many groups with as many blocks each, by their structure."""
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""Orthonormal: squares of the three planes add up to those of the three channels."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Measured on windows of one picture and of its result."""

    shift: tuple[float, ...]
    """By how many levels of 255 each channel became darker, in values of middle brightness."""
    removed: float = 0.0
    """Root mean square of what was removed, in levels."""
    noise: float = 0.0
    """Standard deviation of the noise that can have been there, in levels, without impulses."""
    gain: float | None = None
    """At best, by which share the mean squared error fell; below 0 it rose. None where too little is seen."""
    share: float | None = None
    """At best, which share of what was removed is noise; of the error, below one half it rose."""
    alike: float | None = None
    """Median correlation, where the picture has structure, of what was removed and what is left."""


@dataclass(frozen=True)
class _Blocks:
    """Blocks of one plane, without impulses, one a row."""

    noisy: Values
    """`(N, 64)` cosines of the picture."""
    left: Values
    """Of the result."""

    @property
    def removed(self) -> Values:
        return self.noisy - self.left


@dataclass(frozen=True)
class _Places:
    """What is the same for all planes: which blocks are alike in brightness and in structure."""

    light: Values
    """`(N,)`: mean of the result, in levels."""
    structure: Values
    """`(N,)`: mean square of the coarse cosines, sum over the planes."""
    clipped: Values
    """`(N,)`: share of black and white values."""
    flats: tuple[NDArray[np.intp], ...]
    """Rows of the flat blocks of each brightness, from dark to bright."""
    groups: tuple[NDArray[np.intp], ...]
    """Rows of blocks of like brightness and structure: each block is in one."""


@dataclass(frozen=True)
class _Gain:
    """Of one plane: mean squares over all its pixels, in levels."""

    noise: float
    removed: float
    gained: float
    """At best."""


def gather(before: Levels, after: Levels, visible: NDArray[np.bool_]) -> Evidence:
    """Measure windows of a picture and of its result, `(h, w, C)` from 0 to 255; `visible` is `(h, w)`."""
    extreme = (before <= 0) | (before >= 255)
    seen = Sample(before, extreme, visible)
    whole = float(np.sqrt(np.mean((before - after)[visible] ** 2))) if visible.any() else 0.0
    impulses = find_impulses(seen)
    hit = np.zeros(before.shape, dtype=bool)
    if impulses.density >= FEWEST:
        hit = impulses.hit & (np.abs(before - after) > _IMPULSE)
    rest = np.where(hit, after, before)
    planes, clipped = _cut(rest, after, visible)
    if len(clipped) < FEWEST_BLOCKS:
        return Evidence((0.0,) * before.shape[2], whole)
    places = _place(planes, clipped)
    budget = _rounded_by_jpeg(seen, places) if impulses.density < FEWEST else np.zeros((len(clipped), 1))
    gains = [_gain(plane, places, budget) for plane in planes]
    noise, removed, gained = (
        float(np.mean([getattr(gain, name) for gain in gains])) for name in ("noise", "removed", "gained")
    )
    # What was done to impulses is a gain and nothing else.
    spikes = float(np.mean((before - rest)[visible] ** 2))
    usable = visible & ~extreme.any(axis=2)
    return Evidence(
        shift=_shift(rest, after, usable, _by_light(planes, places)),
        removed=whole,
        noise=float(np.sqrt(noise)),
        gain=(gained + spikes) / (noise + spikes + _FLOOR),
        share=((gained + spikes) / (removed + spikes + _FLOOR) + 1) / 2,
        alike=_alike(planes[0], places),
    )


def _cut(noisy: Levels, left: Levels, visible: NDArray[np.bool_]) -> tuple[list[_Blocks], Values]:
    """Return the blocks that are seen whole and vary, of each plane, and how much of each is clipped.

    Areas of exactly one value were painted or clipped.
    """
    channels = noisy.shape[2]
    basis = _OPPONENT.astype(np.float32) if channels == 3 else np.ones((1, 1), np.float32)
    pairs = [[transform(part @ row) for part in (noisy, left)] for row in basis]
    shown = block_rows(visible, SIDE).all(axis=1)
    if shown.size:
        shown &= np.abs(pairs[0][0][:, 1:]).max(axis=1) > 1e-3
    ends = ((noisy < 0.5) | (noisy > 254.5)).any(axis=2)
    clipped = block_rows(np.asarray(ends), SIDE)[shown].mean(axis=1)
    return [_Blocks(*(part[shown].astype(np.float64) for part in pair)) for pair in pairs], clipped


def _place(planes: list[_Blocks], clipped: Values) -> _Places:
    """Sort the blocks by brightness and structure, and choose the flat ones."""
    light = planes[0].left[:, 0] / SIDE / np.sqrt(len(planes))
    structure = np.sum([_mean_square(plane.noisy[:, _COARSE]) for plane in planes], axis=0)
    usable = np.flatnonzero(clipped < _CLIPPED)
    if len(usable) < FEWEST_BLOCKS:
        usable = np.arange(len(light))
    flats = []
    for part in _parted(usable, light):
        count = max(_FEWEST_FLAT, round(_FLATTEST * len(part)))
        flats.append(part[np.argsort(structure[part], kind="stable")[:count]])
    groups = [
        group
        for part in _parted(np.arange(len(light)), light)
        for group in np.array_split(part[np.argsort(structure[part], kind="stable")], _LEVELS)
    ]
    return _Places(light, structure, clipped, tuple(flats), tuple(groups))


def _parted(rows: NDArray[np.intp], light: Values) -> list[NDArray[np.intp]]:
    """Return rows in parts of like brightness, from dark to bright."""
    order = rows[np.argsort(light[rows], kind="stable")]
    return np.array_split(order, min(_BINS, len(order) // FEWEST_BLOCKS))


def _expect(plane: _Blocks, places: _Places) -> tuple[Values, Values]:
    """Return E[n^2] and E[n d], `(N, bands)`, as flat blocks of the brightness of each block have them.

    One spectrum for all, scaled by the level at each brightness; medians, so that texture in some of the flat
    blocks does not count. Flat blocks are chosen by their coarse cosines: what these have is told by how the
    noise grows towards them.
    """
    seen, taken, left = (_in_flats(part, places) for part in (plane.noisy, plane.removed, plane.left))
    common = np.clip((seen + taken - left) / 2, 0, np.sqrt(seen * taken))
    rise = np.maximum(1, seen[:, 1] / np.maximum(seen[:, 2], 1e-9))
    coarse = seen[:, 1] * np.minimum(rise, _STEEPEST)
    common[:, 0] = common[:, 1] / np.maximum(seen[:, 1], 1e-9) * coarse
    seen[:, 0] = coarse
    return seen, common


def _in_flats(cosines: Values, places: _Places) -> Values:
    knots = [float(places.light[flat].mean()) for flat in places.flats]
    whole = _median_square(cosines[np.concatenate(places.flats)])
    bands = np.array([whole[band].mean() for band in _BANDS])
    levels = [_median_square(cosines[flat])[_FINE].mean() for flat in places.flats]
    level: Values = np.interp(places.light, knots, levels)[:, None]
    squares: Values = level * bands / max(whole[_FINE].mean(), 1e-9)
    return squares


def _rounded_by_jpeg(seen: Sample, places: _Places) -> Values:
    """Return the mean squares of what JPEG's rounding may have taken, `(N, bands)`.

    A twelfth of the squared step, but no more than a picture has: flat blocks lose nothing.
    """
    trace = find_trace(seen)
    if trace.strength == 0:
        return np.zeros((len(places.light), 1))
    steps = quantisation(trace.quality)
    lost = np.array([np.mean(steps[band]) for band in _BANDS]) ** 2 / 12
    most: Values = np.minimum(lost, places.structure[:, None] * _FALL)
    return most


def _gain(plane: _Blocks, places: _Places, budget: Values) -> _Gain:
    """Bound the gain in each group of blocks; `budget` is noise beside that of flat blocks."""
    seen, common = _expect(plane, places)
    noise, common = seen + budget, common + budget
    removed = np.stack([_mean_square(plane.removed[:, band]) for band in _BANDS], axis=1)
    gained = 0.0
    for group in places.groups:
        most, bound, gone = (part[group].sum(axis=0) for part in (common, noise, removed))
        gained += float((2 * np.minimum(most, np.sqrt(bound * gone)) - gone) @ _COUNTS)
    gained = gained / len(removed) / SIDE**2 + _moved(plane, places, seen[:, 0])
    return _Gain(_over_bands(noise), _over_bands(removed), gained)


def _moved(plane: _Blocks, places: _Places, noise: Values) -> float:
    """Return the same of the means of the blocks, in blocks whose means no clipping has moved."""
    inner = places.clipped < _INNER
    if not np.mean(inner) > 0.1:
        return 0.0
    bound, gone = float(np.mean(noise[inner])), float(np.mean(plane.removed[inner, 0] ** 2))
    return (2 * min(bound, float(np.sqrt(bound * gone))) - gone) / SIDE**2


def _alike(plane: _Blocks, places: _Places) -> float:
    """Return how much of the structure that is left is also in what was removed.

    Noise is not alike to the picture; a model that blurs removes a part of each edge, one that sharpens adds
    it. Noise of which only a part was removed is alike to the rest of it: what flat blocks have of that does
    not count. After the method noise of Buades, Coll and Morel, "A review of image denoising algorithms, with
    a new one", Multiscale Modeling and Simulation 2005.
    """
    count = max(1, round(_ROUGHEST * len(places.structure)))
    rough = np.argsort(-places.structure, kind="stable")[:count]
    seen, taken, rest = (_in_flats(part, places)[rough] for part in (plane.noisy, plane.removed, plane.left))
    by_noise = ((seen - taken - rest) / 2)[:, 1:] @ _COUNTS[1:]
    removed, left = plane.removed[rough][:, _FINE], plane.left[rough][:, _FINE]
    products = (removed * left).sum(axis=1)
    # Noise may explain all of it, and no more than that.
    products -= np.clip(by_noise, np.minimum(products, 0), np.maximum(products, 0))
    sizes = np.sqrt((removed**2).sum(axis=1) * (left**2).sum(axis=1))
    return float(np.median(products / (sizes + 1e-6)))


def _by_light(planes: list[_Blocks], places: _Places) -> Values:
    """Return the standard deviation of the noise of a channel for each level from 0 to 255."""
    order = np.argsort(places.light, kind="stable")
    level = np.sqrt(np.mean([_in_flats(plane.noisy, places)[order, 1] for plane in planes], axis=0))
    deviations: Values = np.interp(np.arange(256), places.light[order], level)
    return deviations


def _shift(before: Levels, after: Levels, usable: NDArray[np.bool_], noise: Values) -> tuple[float, ...]:
    """Return the mean of what was removed from each channel, of values that clipping does not reach."""
    levels = np.arange(256)
    reached = (levels < _FAR * noise + 2) | (levels > 253 - _FAR * noise)
    found = []
    for old, new in zip(np.moveaxis(before, 2, 0), np.moveaxis(after, 2, 0), strict=True):
        near = np.rint(np.clip(new, 0, 255)).astype(np.intp)
        off = (old - new)[usable & ~reached[near]]
        found.append(float(np.mean(off)) if off.size >= _FEWEST_VALUES else 0.0)
    return tuple(found)


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
