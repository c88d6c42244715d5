"""Classical filters that every network has to beat, as plain functions of pixels.

All take and give uint8, or float32 in [0, 1], of shape (H, W) or (H, W, C), and raise InputError for anything
else. Floats are not rounded to levels, except by `opencv_nlm`; noise levels are on the 0-255 scale for them
too. A package that is missing is a MissingExtraError at the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from grainless.baselines import impulse, optional, rank, smoothing
from grainless.baselines.impulse import adaptive_riesz_mean, mask_interpolate
from grainless.baselines.optional import bm3d, opencv_nlm
from grainless.baselines.packages import NO_PACKAGES, MissingPackageError, Packages
from grainless.baselines.pixels import Pixels
from grainless.baselines.rank import adaptive_median, median, median5
from grainless.baselines.smoothing import bilateral, estimate_sigma, nlm, tv, wavelet

__all__ = [
    "BASELINES",
    "Baseline",
    "MissingPackageError",
    "Pixels",
    "adaptive_median",
    "adaptive_riesz_mean",
    "bilateral",
    "bm3d",
    "estimate_sigma",
    "mask_interpolate",
    "median",
    "median5",
    "nlm",
    "opencv_nlm",
    "tv",
    "wavelet",
]


@dataclass(frozen=True)
class Baseline:
    """A filter and what it has to be told."""

    run: Callable[..., Pixels]
    needs_sigma: bool
    """Called with `sigma=` the noise level on the 0-255 scale; otherwise with the pixels alone."""
    about: str
    """Its parameters and where they are from in a few words, for reports."""
    packages: Packages = NO_PACKAGES
    """What it imports when it is called."""

    def available(self) -> bool:
        """Tell whether its packages are installed; nothing is imported for it."""
        return self.packages.missing() is None

    def reason(self) -> str:
        """Say why it is not available and which line of pip mends it; empty if it is available."""
        return str(self.packages.missing() or "")


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "median": Baseline(median, needs_sigma=False, about="3 x 3", packages=rank.MEDIAN),
        "median5": Baseline(median5, needs_sigma=False, about="5 x 5", packages=rank.MEDIAN),
        "adaptive_median": Baseline(
            adaptive_median,
            needs_sigma=False,
            about="up to 39 x 39 (Hwang, Haddad 1995)",
            packages=rank.ADAPTIVE_MEDIAN,
        ),
        "mask_interpolate": Baseline(
            mask_interpolate,
            needs_sigma=False,
            about="0 and 255 are noise, normalised convolution (Knutsson, Westin 1993)",
            packages=impulse.MASK_INTERPOLATE,
        ),
        "adaptive_riesz_mean": Baseline(
            adaptive_riesz_mean,
            needs_sigma=False,
            about="0 and 255 are noise, windows up to 11 x 11 (ARmF; Enginoglu, Erkan, Memis 2019)",
            packages=impulse.ADAPTIVE_RIESZ_MEAN,
        ),
        "bilateral": Baseline(
            bilateral,
            needs_sigma=True,
            about="11 x 11, Gaussians of 1.8 pixels and 2 sigma (Zhang, Gunturk 2008)",
        ),
        "nlm": Baseline(
            nlm,
            needs_sigma=True,
            about="5 x 5 patches, 13 x 13 search, h = 0.6 sigma (Buades, Coll, Morel 2005)",
            packages=smoothing.NLM,
        ),
        "tv": Baseline(
            tv, needs_sigma=True, about="weight 0.8 sigma (Chambolle 2004)", packages=smoothing.TV
        ),
        "wavelet": Baseline(
            wavelet,
            needs_sigma=True,
            about="BayesShrink, YCbCr (Chang, Yu, Vetterli 2000)",
            packages=smoothing.WAVELET,
        ),
        "opencv_nlm": Baseline(
            opencv_nlm,
            needs_sigma=True,
            about="7 x 7 patches, 21 x 21 search, h = sigma (OpenCV; Buades, Coll, Morel 2011)",
            packages=optional.OPENCV_NLM,
        ),
        "bm3d": Baseline(
            bm3d,
            needs_sigma=True,
            about="default profile of its authors' package (Dabov et al. 2007, Makinen et al. 2020)",
            packages=optional.BM3D,
        ),
    }
)
"""Every filter by the name that the command line and reports use, also those that are not available."""
