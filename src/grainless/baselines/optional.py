"""Filters of packages that grainless never installs: the user does, or they are not offered."""

from __future__ import annotations

from typing import Any

import numpy as np

from grainless.baselines.packages import Packages
from grainless.baselines.pixels import Pixels, Values, with_sigma
from grainless.metrics import to_8bit

OPENCV_NLM = Packages("OpenCV's non-local means", ("cv2",), package="opencv-python-headless")
BM3D = Packages("BM3D", ("bm3d",), package="bm3d", note=" (its licence allows non-commercial use only)")

OPENCV_WINDOWS = {"templateWindowSize": 7, "searchWindowSize": 21}
"""In pixels, as OpenCV's documentation recommends."""

BM3D_LEAST = 16
"""Pixels each way that BM3D gets at least: its blocks are 8 x 8, and 8 x 8 crash the process."""

FLAT = 1e-6
"""Range of values below which a plane counts as flat: BM3D's colour form divides by the range."""

# What `bm3d.bm3d_rgb` filters: the lightness and two differences of colours, in columns.
_OPPONENT = np.array([[1 / 3, 0.5, 0.25], [1 / 3, 0.0, -0.5], [1 / 3, -0.5, 0.25]])


def opencv_nlm(pixels: Pixels, *, sigma: float) -> Pixels:
    """Average pixels with similar surroundings by OpenCV's `fastNlMeansDenoising[Colored]`.

    `sigma` on the 0-255 scale. 7 x 7 patches and a 21 x 21 search, as OpenCV recommends, and h = sigma, for
    colour too. Three channels are taken for red, green and blue; any other number is filtered channel by
    channel. OpenCV knows only 8 bit here: float pixels are rounded to levels. Buades, Coll, Morel,
    "Non-local means denoising", IPOL 2011. Raises MissingPackageError where OpenCV is not installed.
    """
    cv2 = OPENCV_NLM.load()

    def run(values: Values, _scaled: float) -> Values:
        levels = to_8bit(values)
        if levels.shape[-1] == 3:
            # OpenCV's order is blue, green, red.
            reversed_ = np.ascontiguousarray(levels[..., ::-1])
            restored: Pixels = cv2.fastNlMeansDenoisingColored(
                reversed_, None, h=sigma, hColor=sigma, **OPENCV_WINDOWS
            )[..., ::-1]
        else:
            restored = _by_channel(
                levels,
                lambda plane: cv2.fastNlMeansDenoising(plane, None, h=sigma, **OPENCV_WINDOWS),
            )
        return restored.astype(np.float32) / np.float32(255)

    return with_sigma(pixels, sigma, run)


def bm3d(pixels: Pixels, *, sigma: float) -> Pixels:
    """Filter groups of similar blocks together (BM3D), by its authors' package in its default profile.

    `sigma` on the 0-255 scale. Three channels are filtered together as red, green and blue, unless they are
    gray, or flat, or leave one difference of colours flat; these, and any other number of channels, one by
    one. Pictures under 16 pixels are mirrored to that size. Dabov, Foi, Katkovnik, Egiazarian, "Image
    denoising by sparse 3-D transform-domain collaborative filtering", IEEE TIP 2007; Makinen, Azzari, Foi,
    "Collaborative filtering of correlated noise", IEEE TIP 2020. Raises MissingPackageError where the package
    is not installed.
    """
    package = BM3D.load()

    def run(values: Values, scaled: float) -> Any:
        height, width = values.shape[:2]
        below, right = max(0, BM3D_LEAST - height), max(0, BM3D_LEAST - width)
        large = np.pad(values.astype(np.float64), ((0, below), (0, right), (0, 0)), mode="symmetric")
        if large.shape[-1] == 3 and (np.ptp(large @ _OPPONENT, axis=(0, 1)) > FLAT).all():
            restored = package.bm3d_rgb(large, sigma_psd=scaled)
        else:
            restored = _by_channel(large, lambda plane: package.bm3d(plane, sigma_psd=scaled))
        return restored[:height, :width]

    return with_sigma(pixels, sigma, run)


def _by_channel(values: Pixels, one: Any) -> Pixels:
    """Filter each channel, (H, W), by itself."""
    planes = [one(np.ascontiguousarray(values[..., channel])) for channel in range(values.shape[-1])]
    return np.stack(planes, axis=-1)
