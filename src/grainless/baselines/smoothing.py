"""Filters against noise of a known level, and the estimate of the level where it is not known."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import numpy as np

from grainless.baselines.packages import Packages
from grainless.baselines.pixels import Pixels, Values, stacked, white_of, with_sigma

NLM = Packages("non-local means", ("skimage.restoration",))
TV = Packages("total variation", ("skimage.restoration",))
# scikit-image asks for PyWavelets only in the middle of a call.
WAVELET = Packages("wavelet shrinkage", ("skimage.restoration", "pywt"))
ESTIMATE = Packages("estimating the noise level", ("skimage.restoration", "pywt"))

BILATERAL_SPATIAL = 1.8
"""Standard deviation of the bilateral filter's Gaussian of distance, in pixels; the window is 11 x 11."""
BILATERAL_RADIUS = 5
BILATERAL_RANGE = 2.0
"""Standard deviation of its Gaussian of difference, in standard deviations of the noise."""
STRIP_VALUES = 1 << 16
"""The bilateral filter works on so many values at once, which fit into a processor's cache."""


def bilateral(pixels: Pixels, *, sigma: float) -> Pixels:
    """Average near pixels of like value, `sigma` on the 0-255 scale; channels are compared together.

    11 x 11 pixels, Gaussians of 1.8 pixels and of 2 sigma, the difference being the root mean square over the
    channels; borders are mirrored. Tomasi, Manduchi, "Bilateral filtering for gray and color images",
    ICCV 1998; the parameters: Zhang, Gunturk, "Multiresolution bilateral filtering for image denoising",
    IEEE TIP 2008.
    """
    return with_sigma(pixels, sigma, _bilateral)


def nlm(pixels: Pixels, *, sigma: float) -> Pixels:
    """Average pixels with similar surroundings (non-local means), `sigma` on the 0-255 scale.

    scikit-image's fast form with 5 x 5 patches, a 13 x 13 search and h = 0.6 sigma; channels are compared
    together. Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005.
    """
    restoration = NLM.load()

    def run(values: Values, scaled: float) -> Any:
        return restoration.denoise_nl_means(
            values,
            patch_size=5,
            patch_distance=6,
            h=0.6 * scaled,
            sigma=scaled,
            fast_mode=True,
            channel_axis=-1,
        )

    return with_sigma(pixels, sigma, run)


def tv(pixels: Pixels, *, sigma: float) -> Pixels:
    """Minimise total variation, weight 0.8 sigma, `sigma` on the 0-255 scale.

    Chambolle, "An algorithm for total variation minimization and applications", JMIV 2004.
    """
    restoration = TV.load()

    def run(values: Values, scaled: float) -> Any:
        return restoration.denoise_tv_chambolle(values, weight=0.8 * scaled, channel_axis=-1)

    return with_sigma(pixels, sigma, run)


def wavelet(pixels: Pixels, *, sigma: float) -> Pixels:
    """Shrink wavelet coefficients softly, colour in YCbCr, `sigma` on the 0-255 scale.

    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression" (BayesShrink),
    IEEE TIP 2000.
    """
    restoration = WAVELET.load()

    def run(values: Values, scaled: float) -> Any:
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

    return with_sigma(pixels, sigma, run)


def estimate_sigma(pixels: Pixels) -> float:
    """Estimate the standard deviation of the noise on the 0-255 scale, mean over the channels.

    From the median of the finest wavelet coefficients: Donoho, Johnstone, "Ideal spatial adaptation by
    wavelet shrinkage", Biometrika 1994. 0 for pictures under 2 x 2 pixels, where nothing can be told.
    """
    restoration = ESTIMATE.load()
    channels = stacked(pixels)
    if min(channels.shape[:2]) < 2:
        return 0.0
    with warnings.catch_warnings():
        # A channel without any detail has no coefficients to take the median of: its NaN means no noise.
        warnings.simplefilter("ignore", RuntimeWarning)
        sigmas = restoration.estimate_sigma(
            channels.astype(np.float64) * (255 / white_of(pixels)), channel_axis=-1
        )
    # Rounded, as the transform's own rounding errors are no noise.
    return round(float(np.mean(np.nan_to_num(sigmas))), 6)


# Our own, as scikit-image 0.26 shears the window and moves the picture: its table of distances has one more
# row and column than the window, and is read as if it had not.
def _bilateral(values: Values, sigma: float) -> Values:
    margin = (BILATERAL_RADIUS, BILATERAL_RADIUS)
    padded = np.pad(values, (margin, margin, (0, 0)), mode="symmetric")
    out = np.empty_like(values)
    step = max(1, STRIP_VALUES // values[0].size)
    for top in range(0, len(values), step):
        centre = values[top : top + step]
        around = padded[top : top + len(centre) + 2 * BILATERAL_RADIUS]
        out[top : top + step] = _bilateral_strip(centre, around, BILATERAL_RANGE * sigma)
    return out


def _bilateral_strip(centre: Values, around: Values, reach: float) -> Values:
    """Filter the rows of `centre`; `around` has BILATERAL_RADIUS more pixels on each side."""
    height, width, channels = centre.shape
    # The bound keeps the smallest reach from ending in 0 / 0.
    sharpness = np.float32(1 / max(2 * channels * reach * reach, 1e-30))
    nearness = _nearness()
    # The mean of the differences, not of the values, leaves a flat area as it is to the last bit.
    total = np.zeros_like(centre)
    weights = np.zeros((height, width, 1), np.float32)
    for row, column in product(range(2 * BILATERAL_RADIUS + 1), repeat=2):
        difference = around[row : row + height, column : column + width] - centre
        distance = np.einsum("hwc,hwc->hw", difference, difference)[..., None]
        weight = nearness[row, column] * np.exp(-sharpness * distance)
        difference *= weight
        total += difference
        weights += weight
    total /= weights
    total += centre
    return total


def _nearness() -> Values:
    """Return the Gaussian of distance over the window."""
    steps = np.arange(-BILATERAL_RADIUS, BILATERAL_RADIUS + 1)
    along = np.exp(-0.5 * (steps / BILATERAL_SPATIAL) ** 2)
    nearness: Values = np.outer(along, along).astype(np.float32)
    return nearness
