"""Classical filters that every network has to beat, as plain functions of pixels.

All take and give uint8, or float32 in [0, 1], of shape (H, W) or (H, W, C), and raise InputError for anything
else. Floats are not rounded to levels; noise levels are on the 0-255 scale for them too.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError, MissingExtraError
from grainless.metrics import to_8bit

Pixels = NDArray[Any]
"""uint8, or float32 in [0, 1]."""
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

GATHER_VALUES = 1 << 23
"""The adaptive median looks at this many window values at once: a few tens of megabytes."""

FILL_SIGMA = 0.5
"""Finest Gaussian of `mask_interpolate`, in pixels."""

FILL_GROWTH = {"uint8": 2.0, "float32": math.sqrt(2)}
"""How much wider each further Gaussian is; see FILL_WEIGHT."""

FILL_WEIGHT = {"uint8": 0.02, "float32": 0.01}
"""Share of a Gaussian's weight that must lie on good pixels before `mask_interpolate` trusts its average.

For 8 bit picked on Set5: smaller values trust single far pixels, larger ones blur without need. Published
tables hold the 8-bit filter to these numbers. Floats take finer steps and half the weight, which fill large
areas of true black and white better: 52.6 dB against 51.5 on 257 validation faces of FER2013 at 128 x 128, by
the mean error of 16.
"""


def median(pixels: Pixels, *, size: int = 3) -> Pixels:
    """Take the median of a square window, each channel by itself; borders are mirrored.

    `size` is the window's side in pixels, odd and at least 3.
    """
    _check_size("size", size)
    ndimage = _ndimage("the median filter")

    def one(plane: Pixels) -> Pixels:
        filtered: Pixels = ndimage.median_filter(plane, size=size, mode="reflect")
        return filtered

    return _each_channel(pixels, one)


def adaptive_median(pixels: Pixels, *, max_size: int = 39) -> Pixels:
    """Take the median of the smallest window whose median is no extreme, and only where the pixel is one.

    `max_size` is the largest window's side in pixels, odd and at least 3. Each channel by itself; borders are
    mirrored. Hwang, Haddad, "Adaptive median filters: new algorithms and results", IEEE TIP 1995; Gonzalez,
    Woods, "Digital Image Processing", section 5.3.
    """
    _check_size("max_size", max_size)
    ndimage = _ndimage("the adaptive median filter")
    return _each_channel(pixels, lambda plane: _AdaptiveMedian(plane, max_size, ndimage).run())


def mask_interpolate(pixels: Pixels) -> Pixels:
    """Take every exact black and white for an impulse and fill it by a Gaussian average of the other pixels.

    Each channel by itself: normalised convolution at the finest of ever wider Gaussians that finds enough
    pixels to average, in finer steps for floats (FILL_GROWTH). Works for noise that is exactly black or
    white, and repaints true black and white too; a channel that holds nothing else is returned as it is.
    Knutsson, Westin, "Normalized and differential convolution", CVPR 1993.
    """
    ndimage = _ndimage("mask-and-interpolate")
    return _each_channel(pixels, lambda plane: _filled(plane, ndimage))


def nlm(pixels: Pixels, *, sigma: float) -> Pixels:
    """Average pixels with similar surroundings (non-local means), `sigma` on the 0-255 scale.

    scikit-image's fast form with 5 x 5 patches, a 13 x 13 search and h = 0.6 sigma; channels are compared
    together. Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005.
    """
    restoration = _restoration("non-local means")

    def run(values: NDArray[np.float32], scaled: float) -> Any:
        return restoration.denoise_nl_means(
            values,
            patch_size=5,
            patch_distance=6,
            h=0.6 * scaled,
            sigma=scaled,
            fast_mode=True,
            channel_axis=-1,
        )

    return _with_sigma(pixels, sigma, run)


def tv(pixels: Pixels, *, sigma: float) -> Pixels:
    """Minimise total variation, weight 0.8 sigma, `sigma` on the 0-255 scale.

    Chambolle, "An algorithm for total variation minimization and applications", JMIV 2004.
    """
    restoration = _restoration("total variation")

    def run(values: NDArray[np.float32], scaled: float) -> Any:
        return restoration.denoise_tv_chambolle(values, weight=0.8 * scaled, channel_axis=-1)

    return _with_sigma(pixels, sigma, run)


def wavelet(pixels: Pixels, *, sigma: float) -> Pixels:
    """Shrink wavelet coefficients softly, colour in YCbCr, `sigma` on the 0-255 scale.

    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression" (BayesShrink),
    IEEE TIP 2000.
    """
    restoration = _restoration("wavelet shrinkage")

    def run(values: NDArray[np.float32], scaled: float) -> Any:
        if min(values.shape[:2]) < 2:
            return values  # too small to be split into scales
        return restoration.denoise_wavelet(
            values,
            sigma=scaled,
            method="BayesShrink",
            mode="soft",
            convert2ycbcr=values.shape[-1] == 3,
            rescale_sigma=True,
            channel_axis=-1,
        )

    return _with_sigma(pixels, sigma, run)


def estimate_sigma(pixels: Pixels) -> float:
    """Estimate the standard deviation of the noise on the 0-255 scale, mean over the channels.

    From the median of the finest wavelet coefficients: Donoho, Johnstone, "Ideal spatial adaptation by
    wavelet shrinkage", Biometrika 1994. 0 for pictures under 2 x 2 pixels, where nothing can be told.
    """
    restoration = _restoration("estimating the noise level")
    stacked = _stacked(pixels)
    if min(stacked.shape[:2]) < 2:
        return 0.0
    with warnings.catch_warnings():
        # A channel without any detail has no coefficients to take the median of: its NaN means no noise.
        warnings.simplefilter("ignore", RuntimeWarning)
        sigmas = restoration.estimate_sigma(
            stacked.astype(np.float64) * (255 / _white(pixels)), channel_axis=-1
        )
    # Rounded, as the transform's own rounding errors are no noise.
    return round(float(np.mean(np.nan_to_num(sigmas))), 6)


@dataclass(frozen=True)
class Baseline:
    """A filter and what it has to be told."""

    run: Callable[..., Pixels]
    needs_sigma: bool
    """Called with `sigma=` the noise level on the 0-255 scale; otherwise with the pixels alone."""
    about: str
    """Its parameters in a few words, for reports."""


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "median": Baseline(median, needs_sigma=False, about="3 x 3"),
        "adaptive_median": Baseline(adaptive_median, needs_sigma=False, about="up to 39 x 39"),
        "mask_interpolate": Baseline(mask_interpolate, needs_sigma=False, about="0 and 255 are noise"),
        "nlm": Baseline(nlm, needs_sigma=True, about="5 x 5 patches, 13 x 13 search, h = 0.6 sigma"),
        "tv": Baseline(tv, needs_sigma=True, about="Chambolle, weight 0.8 sigma"),
        "wavelet": Baseline(wavelet, needs_sigma=True, about="BayesShrink, YCbCr"),
    }
)
"""Every filter by the name that the command line and reports use."""


class _AdaptiveMedian:
    """One channel on its way through windows of growing size.

    The textbook's test of a window is low < median < high. As impulses are black or white, counting these two
    values settles most windows; only what that leaves is gathered and sorted.
    """

    def __init__(self, plane: Pixels, max_size: int, ndimage: Any) -> None:
        self.plane = plane
        self.white = _white(plane)
        self.max_size = max_size
        self.ndimage = ndimage
        self.out = plane.copy()
        self.padded = np.pad(plane, max_size // 2, mode="symmetric")

    def run(self) -> Pixels:
        """Filter the channel."""
        low, mid, high = (self._filtered(f"{name}_filter", 3) for name in ("minimum", "median", "maximum"))
        write, undecided = self._decide(self.plane, low, mid, high, last=self.max_size == 3)
        self.out[write] = mid[write]
        # Where even the largest window is of one value, every median is that value: nothing to look for.
        undecided &= self._filtered("minimum_filter", self.max_size) < self._filtered(
            "maximum_filter", self.max_size
        )
        rows, columns = np.nonzero(undecided)
        tables = [_summed(self.padded == value) for value in (0, self.white)] if rows.size else []
        for size in range(5, self.max_size + 1, 2):
            if rows.size == 0:
                break
            blacks, whites = (self._count(table, rows, columns, size) for table in tables)
            left = self._grow(rows, columns, size, blacks, whites)
            rows, columns = rows[left], columns[left]
        return self.out

    def _filtered(self, name: str, size: int) -> Pixels:
        filtered: Pixels = getattr(self.ndimage, name)(self.plane, size=size, mode="reflect")
        return filtered

    @staticmethod
    def _decide(values: Pixels, low: Pixels, mid: Pixels, high: Pixels, *, last: bool) -> tuple[Mask, Mask]:
        """Apply both tests; returns which values become the median, and which need a larger window."""
        settled = (low < mid) & (mid < high)
        extreme = (values <= low) | (values >= high)
        return (settled & extreme) | (last & ~settled), ~settled & (not last)

    def _grow(self, rows: Indices, columns: Indices, size: int, blacks: Indices, whites: Indices) -> Mask:
        """Settle what windows of `size` can settle around these pixels; returns which need a larger one."""
        half = size * size // 2
        # More black than half: the median is black, and so is the minimum. The same for white.
        one_sided = (blacks > half) | (whites > half)
        if size == self.max_size:
            self.out[rows[one_sided], columns[one_sided]] = np.where(blacks > half, 0, self.white)[one_sided]
        values = self.plane[rows, columns]
        kept = ~one_sided & (blacks > 0) & (whites > 0) & (values > 0) & (values < self.white)
        left = one_sided & (size < self.max_size)
        look = np.flatnonzero(~one_sided & ~kept)
        step = max(1, GATHER_VALUES // (size * size))
        for start in range(0, look.size, step):
            part = look[start : start + step]
            left[part] = self._look(rows[part], columns[part], size)
        return left

    def _look(self, rows: Indices, columns: Indices, size: int) -> Mask:
        """Sort the windows of `size` around these pixels; returns which need a larger one."""
        offset = self.max_size // 2 - size // 2
        views = np.lib.stride_tricks.sliding_window_view(self.padded, (size, size))
        windows = views[rows + offset, columns + offset].reshape(rows.size, size * size)
        half = size * size // 2
        mid = np.partition(windows, half, axis=1)[:, half]
        low, high = windows.min(axis=1), windows.max(axis=1)
        last = size == self.max_size
        write, undecided = self._decide(self.plane[rows, columns], low, mid, high, last=last)
        self.out[rows[write], columns[write]] = mid[write]
        return undecided

    def _count(self, table: Indices, rows: Indices, columns: Indices, size: int) -> Indices:
        """Count what a summed table holds in the windows of `size` around these pixels."""
        offset = self.max_size // 2 - size // 2
        top, left = rows + offset, columns + offset
        bottom, right = top + size, left + size
        counted: Indices = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        return counted


def _summed(hits: Mask) -> Indices:
    """Summed-area table: entry (i, j) counts the hits above and left of pixel (i, j)."""
    table = np.zeros((hits.shape[0] + 1, hits.shape[1] + 1), dtype=np.int64)
    table[1:, 1:] = hits.cumsum(axis=0).cumsum(axis=1)
    return table


def _filled(plane: Pixels, ndimage: Any) -> Pixels:
    out = plane.copy()
    todo = (plane == 0) | (plane == _white(plane))
    if todo.all():
        return out
    good = (~todo).astype(np.float32)
    values = good * plane
    sigma = FILL_SIGMA
    while todo.any() and sigma < max(plane.shape):
        weight, total = (ndimage.gaussian_filter(part, sigma, truncate=3.0) for part in (good, values))
        ready = todo & (weight > FILL_WEIGHT[plane.dtype.name])
        out[ready] = _as_levels(total[ready] / weight[ready], plane)
        todo &= ~ready
        sigma *= FILL_GROWTH[plane.dtype.name]
    out[todo] = _as_levels(values.sum(dtype=np.float64) / good.sum(dtype=np.float64), plane)
    return out


def _as_levels(values: Any, plane: Pixels) -> Any:
    """Round to the levels of an integer plane; rounding errors of floats stay within [0, 1]."""
    return np.rint(values) if plane.dtype == np.uint8 else np.clip(values, 0, 1)


def _white(pixels: Pixels) -> int:
    return 255 if pixels.dtype == np.uint8 else 1


def _each_channel(pixels: Pixels, one: Callable[[Pixels], Pixels]) -> Pixels:
    stacked = _stacked(pixels)
    planes = [one(np.ascontiguousarray(stacked[..., channel])) for channel in range(stacked.shape[-1])]
    return np.stack(planes, axis=-1).reshape(pixels.shape)


def _with_sigma(pixels: Pixels, sigma: float, run: Callable[[NDArray[np.float32], float], Any]) -> Pixels:
    """Run a filter of values in [0, 1], which takes sigma on the same scale; sigma 0 leaves nothing to do."""
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(
            "The noise level is not valid", got=sigma, expected="a number of levels from 0 to 255"
        )
    stacked = _stacked(pixels)
    if sigma == 0:
        return pixels.copy()
    restored = np.asarray(run(stacked.astype(np.float32) / np.float32(_white(pixels)), sigma / 255))
    if pixels.dtype == np.uint8:
        return to_8bit(restored).reshape(pixels.shape)
    values: NDArray[np.float32] = np.clip(restored, 0, 1).astype(np.float32)
    return values.reshape(pixels.shape)


def _stacked(pixels: Pixels) -> Pixels:
    if pixels.dtype not in (np.uint8, np.float32) or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(
            "A classical filter cannot use these pixels",
            got=f"{pixels.dtype} of shape {pixels.shape}",
            expected="uint8 or float32 of shape (H, W) or (H, W, C)",
        )
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise InputError(
            "A classical filter cannot use these pixels",
            got=f"values from {pixels.min():g} to {pixels.max():g}",
            expected="finite values in [0, 1]",
            remedy="Clip them to [0, 1], or divide them by their full range",
        )
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _check_size(name: str, size: int) -> None:
    if size < 3 or size % 2 == 0:
        raise InputError(
            f"The filter's {name} is not valid", got=size, expected="an odd number of pixels from 3 up"
        )


def _ndimage(feature: str) -> Any:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise MissingExtraError(feature, "evaluate") from error
    return ndimage


def _restoration(feature: str) -> Any:
    try:
        from skimage import restoration
    except ImportError as error:
        raise MissingExtraError(feature, "evaluate") from error
    # scikit-image asks for PyWavelets only in the middle of a call.
    if importlib.util.find_spec("pywt") is None:
        raise MissingExtraError(feature, "evaluate")
    return restoration
