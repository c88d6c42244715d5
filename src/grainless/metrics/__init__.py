"""PSNR, SSIM, errors and noise under a named protocol, which says how they were measured; and sharpness.

    found = scores(clean, restored, PROTOCOLS["awgn-literature"])
    print(found.psnr, PROTOCOLS["awgn-literature"].stamp)

A protocol is data (`Protocol`), has a short text (`Protocol.stamp`), and travels with every number.
"""

from grainless.metrics.detail import FINE_DETAIL, NO_DETAIL, sharpness
from grainless.metrics.protocol import (
    AWGN_LITERATURE,
    EXACT_PSNR,
    FILE_8BIT,
    GOLBAR,
    MAHANVEISI,
    PROTOCOLS,
    SINAARABI,
    Y_8BIT,
    Protocol,
)
from grainless.metrics.residue import noise_left
from grainless.metrics.scoring import (
    EXTRA_METRICS,
    Scores,
    average_scores,
    check_metrics,
    mae,
    mean_scores,
    ms_ssim,
    mse,
    psnr,
    scores,
    ssim,
)
from grainless.metrics.values import to_8bit, to_gray

__all__ = [
    "AWGN_LITERATURE",
    "EXACT_PSNR",
    "EXTRA_METRICS",
    "FILE_8BIT",
    "FINE_DETAIL",
    "GOLBAR",
    "MAHANVEISI",
    "NO_DETAIL",
    "PROTOCOLS",
    "SINAARABI",
    "Y_8BIT",
    "Protocol",
    "Scores",
    "average_scores",
    "check_metrics",
    "mae",
    "mean_scores",
    "ms_ssim",
    "mse",
    "noise_left",
    "psnr",
    "scores",
    "sharpness",
    "ssim",
    "to_8bit",
    "to_gray",
]
