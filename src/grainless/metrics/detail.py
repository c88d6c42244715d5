"""How sharp a restored picture is beside the clean one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.metrics.protocol import Protocol
from grainless.metrics.values import LUMA, Values, comparable

FINE_DETAIL = 0.25
"""`sharpness` looks at spatial frequencies above this, in cycles per pixel: half of what pixels can hold."""

NO_DETAIL = 1e-12
"""Mean square of fine detail, for values from 0 to 1, that is taken for rounding error."""

_AS_IT_IS = Protocol("as-it-is", eight_bit=False, clip=False)


def sharpness(clean: NDArray[Any], restored: NDArray[Any]) -> float:
    """Ratio of the restored picture's energy of fine detail to the clean one's: 1 is as sharp.

    Below 1 the restored picture is smoother, above 1 it is noisier or sharpened. The energy is the sum of
    |F(u, v)|^2 where sqrt(u^2 + v^2) > FINE_DETAIL cycles per pixel, F being the discrete Fourier transform
    of the luma (BT.601; the mean of the channels where they are not three) less its mean, times a Hann
    window. Where neither picture has more than NO_DETAIL it is 1, where the clean one alone has not it is
    infinite. Arguments as for `scores`, at any size; floats are neither clipped nor rounded.
    """
    one, two = (_fine_detail(pixels) for pixels in comparable(clean, restored, _AS_IT_IS))
    if one <= NO_DETAIL:
        return 1.0 if two <= NO_DETAIL else math.inf
    return two / one


def _fine_detail(pixels: Values) -> float:
    """Mean square of what lies above FINE_DETAIL in the windowed luma."""
    luma = pixels
    if pixels.ndim == 3:
        luma = pixels @ np.array(LUMA) if pixels.shape[-1] == 3 else pixels.mean(axis=-1)
    height, width = luma.shape
    # Two more points than pixels: the window's zeros lie outside, and narrow pictures are seen too.
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectrum = np.fft.fft2((luma - luma.mean()) * window)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    energy = float(np.sum(np.abs(spectrum[radius > FINE_DETAIL]) ** 2))
    return energy / (luma.size * float(np.sum(window**2)))
