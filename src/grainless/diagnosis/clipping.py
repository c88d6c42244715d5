"""How much of a noise is left where values are clipped at black and white."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MAD = 0.6745
"""Median of the absolute values of a normal distribution of standard deviation 1."""
_STEPS = 256
# numpy has no error function; scipy is no part of the base install.
_DISTANCES = np.linspace(-6, 6, 1201)
_TAILS = np.array([0.5 * math.erfc(distance / math.sqrt(2)) for distance in _DISTANCES])


def tail(distance: Values) -> Values:
    """Return the share of a normal distribution beyond so many standard deviations, within 1e-5."""
    share: Values = np.interp(distance, _DISTANCES, _TAILS)
    return share


def kept_share(sigma: float, means: NDArray[np.floating]) -> Values:
    """Return which share of the standard deviation of normal noise clipping to 0..255 leaves, for each mean.

    `means` are those of the clipped values. After Foi, "Clipped noisy images: Heteroskedastic modeling and
    practical denoising", Signal Processing 2009.
    """
    if sigma < 0.5:
        return np.ones(means.shape)
    centres = np.linspace(-3 * sigma, 255 + 3 * sigma, _STEPS)
    low, high = (0 - centres) / sigma, (255 - centres) / sigma
    below, above = tail(-low), tail(high)
    inside = 1 - below - above
    density_low, density_high = (np.exp(-(ends**2) / 2) / math.sqrt(2 * math.pi) for ends in (low, high))
    first = inside * centres + sigma * (density_low - density_high) + 255 * above
    second = (
        inside * (centres**2 + sigma**2)
        + 2 * centres * sigma * (density_low - density_high)
        + sigma**2 * (low * density_low - high * density_high)
        + 255**2 * above
    )
    deviations = np.sqrt(np.maximum(second - first**2, 0)) / sigma
    share: Values = np.interp(means, first, deviations)
    return share


def untruncated(means: Values, deviations: Values) -> tuple[Values, Values]:
    """Return means and standard deviations of normal values of which only those in 0..255 were looked at.

    A few steps of fixed-point iteration; standard deviations end at 128, as nothing tells larger ones.
    """
    centres, sigmas = means.copy(), np.maximum(deviations, 1e-3)
    for _ in range(8):
        low, high = (0 - centres) / sigmas, (255 - centres) / sigmas
        inside = np.maximum(tail(low) - tail(high), 1e-3)
        density_low, density_high = (np.exp(-(ends**2) / 2) / math.sqrt(2 * math.pi) for ends in (low, high))
        shift = (density_low - density_high) / inside
        spread = 1 + (low * density_low - high * density_high) / inside - shift**2
        sigmas = np.clip(sigmas * deviations / (sigmas * np.sqrt(np.maximum(spread, 0.01))), 1e-3, 128.0)
        centres = np.clip(centres + means - (centres + sigmas * shift), -128.0, 383.0)
    return centres, sigmas
