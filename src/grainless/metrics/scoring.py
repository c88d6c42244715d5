"""The scores of a picture under a protocol, and their means over pictures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.metrics.protocol import EXACT_PSNR, FILE_8BIT, Protocol
from grainless.metrics.residue import noise_level
from grainless.metrics.similarity import multiscale_similarity, structural_similarity
from grainless.metrics.values import Values, comparable

EXTRA_METRICS = ("ms_ssim", "noise_left")
"""Measures that take longer and are taken only where they are asked for."""


@dataclass(frozen=True)
class Scores:
    """The scores of one picture, or the means over several."""

    psnr: float
    """In dB; infinite for an exact match."""
    ssim: float
    """At most 1."""
    mse: float
    """Mean squared error of values from 0 to 1, whatever the depth and the span of the pictures."""
    mae: float | None = None
    """Mean absolute error of values from 0 to 1; None in results of versions that did not measure it."""
    ms_ssim: float | None = None
    """Multi-scale SSIM, at most 1; None where it was not asked for or the picture is too small."""
    noise_left: float | None = None
    """Noise in the restored picture, on the 0-255 scale; None as for `ms_ssim`."""


def scores(
    clean: NDArray[Any],
    restored: NDArray[Any],
    protocol: Protocol = FILE_8BIT,
    *,
    metrics: Collection[str] = (),
) -> Scores:
    """Compare two pictures by PSNR, SSIM, MSE and MAE, and by those of EXTRA_METRICS that `metrics` names.

    Both are (H, W) or (H, W, C), of the same shape; uint8, uint16, or float with black 0 and white 1; the
    two dtypes may differ. Raises InputError for anything else, for pictures smaller than SSIM's window and
    for unknown metrics; MissingExtraError without scikit-image.
    """
    check_metrics(metrics)
    clean, restored = comparable(clean, restored, protocol)
    difference = clean - restored
    error = _mean_square(difference, protocol)
    return Scores(
        psnr=_decibels(error, protocol),
        ssim=structural_similarity(clean, restored, protocol),
        mse=error,
        mae=_mean_absolute(difference, protocol),
        ms_ssim=multiscale_similarity(clean, restored, protocol) if "ms_ssim" in metrics else None,
        noise_left=noise_level(restored, protocol) if "noise_left" in metrics else None,
    )


def check_metrics(metrics: Collection[str]) -> None:
    """Raise InputError unless all are names of EXTRA_METRICS."""
    unknown = [name for name in metrics if name not in EXTRA_METRICS]
    if unknown:
        raise InputError(
            "There is no such further metric",
            got=", ".join(unknown),
            expected=f"some of {', '.join(EXTRA_METRICS)}; PSNR, SSIM, MSE and MAE are always measured",
        )


def mse(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Mean squared error over the compared channels, for values from 0 to 1; arguments as for `scores`."""
    clean, restored = comparable(clean, restored, protocol)
    return _mean_square(clean - restored, protocol)


def mae(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Mean absolute error over the compared channels, for values from 0 to 1; arguments as for `scores`."""
    clean, restored = comparable(clean, restored, protocol)
    return _mean_absolute(clean - restored, protocol)


def psnr(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Peak signal-to-noise ratio 10 log10(range^2 / MSE) in dB, infinite for an exact match; see `scores`."""
    return _decibels(mse(clean, restored, protocol), protocol)


def ssim(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Structural similarity, in the protocol's window, mean over the channels; arguments as for `scores`.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, as scikit-image computes it.
    """
    return structural_similarity(*comparable(clean, restored, protocol), protocol)


def ms_ssim(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float | None:
    """Structural similarity over five scales, each half as fine as the one before; arguments as for `scores`.

    The contrast and structure terms of the first four scales and the whole SSIM of the last one, each to the
    power of its weight, multiplied per channel; negative terms count 0. None for pictures with a side of at
    most 16 (window - 1) pixels, 160 for the Gaussian window.

    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003.
    """
    return multiscale_similarity(*comparable(clean, restored, protocol), protocol)


def mean_scores(each: Iterable[Scores], *, exact: float | None = EXACT_PSNR) -> Scores:
    """Average scores over pictures.

    Every PSNR counts at most `exact`, so that one exact match does not make the mean infinite; how many
    matches were exact is for the caller to say beside it. None leaves them infinite. A metric that some
    pictures lack is averaged over the others. Raises InputError for no scores at all.
    """
    rows = list(each)
    if not rows:
        raise InputError("There are no scores to average", expected="the scores of at least one picture")
    return Scores(
        psnr=math.fsum(_counted(row.psnr, exact) for row in rows) / len(rows),
        ssim=math.fsum(row.ssim for row in rows) / len(rows),
        mse=math.fsum(row.mse for row in rows) / len(rows),
        mae=_mean_known([row.mae for row in rows]),
        ms_ssim=_mean_known([row.ms_ssim for row in rows]),
        noise_left=_mean_known([row.noise_left for row in rows]),
    )


def average_scores(each: Iterable[Scores], protocol: Protocol = FILE_8BIT) -> Scores:
    """Average the scores of pictures, in the order they were measured, as the protocol says.

    PSNR is taken of the mean MSE of every `protocol.psnr_over` pictures and then averaged, each counting at
    most `protocol.exact_psnr`; every picture weighs the same in its batch, which pools the errors of pictures
    of one size. SSIM is the mean over batches of `protocol.ssim_over`. The rest is that of `mean_scores`.
    Raises InputError for no scores at all.
    """
    rows = list(each)
    mean = mean_scores(rows, exact=protocol.exact_psnr)
    if protocol.psnr_over != 1:
        errors = _batch_means([row.mse for row in rows], protocol.psnr_over)
        ratios = [_counted(_decibels(error, protocol), protocol.exact_psnr) for error in errors]
        mean = replace(mean, psnr=math.fsum(ratios) / len(ratios))
    if protocol.ssim_over not in (1, None):
        batches = _batch_means([row.ssim for row in rows], protocol.ssim_over)
        mean = replace(mean, ssim=math.fsum(batches) / len(batches))
    return mean


def _batch_means(values: Sequence[float], size: int | None) -> list[float]:
    size = size or len(values)
    batches = [values[start : start + size] for start in range(0, len(values), size)]
    return [math.fsum(batch) / len(batch) for batch in batches]


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _counted(ratio: float, exact: float | None) -> float:
    return ratio if exact is None else min(ratio, exact)


def _mean_square(difference: Values, protocol: Protocol) -> float:
    return float(np.mean(np.square(difference))) / protocol.value_range**2


def _mean_absolute(difference: Values, protocol: Protocol) -> float:
    return float(np.mean(np.abs(difference))) / protocol.value_range


def _decibels(error: float, protocol: Protocol) -> float:
    """Return the PSNR of a mean squared error of values from 0 to 1."""
    if error == 0.0:
        return math.inf
    return -10.0 * math.log10(error) + 20.0 * math.log10(protocol.psnr_peak)
