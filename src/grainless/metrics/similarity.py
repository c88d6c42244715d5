"""SSIM and its multi-scale form, as scikit-image computes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from grainless.errors import InputError, MissingExtraError
from grainless.metrics.protocol import Protocol
from grainless.metrics.values import Values

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales of MS-SSIM, from the finest to the coarsest (Wang et al. 2003)."""

_NO_LUMINANCE = 1e10
"""SSIM's constant K1 so large that its luminance term is 1: what is left is contrast and structure."""


def structural_similarity(clean: Values, restored: Values, protocol: Protocol) -> float:
    """Return the mean SSIM of values that are compared already.

    Raises InputError for pictures smaller than the window needs, MissingExtraError without scikit-image.
    """
    inner = protocol.min_side - 2 * protocol.border
    if min(clean.shape[:2]) < inner:
        size = " x ".join(str(side + 2 * protocol.border) for side in clean.shape[1::-1])
        raise InputError(
            "The picture is too small for SSIM",
            got=f"{size} pixels",
            expected=f"at least {protocol.min_side} x {protocol.min_side}",
        )
    if protocol.ssim_clip:
        clean, restored = (np.clip(values, *protocol.levels) for values in (clean, restored))
    if protocol.ssim_edges != "inside":
        clean, restored = (_continued(values, protocol) for values in (clean, restored))
    return _inside(clean, restored, protocol)


def multiscale_similarity(clean: Values, restored: Values, protocol: Protocol) -> float | None:
    """Return the mean MS-SSIM of values that are compared already; None for pictures that are too small.

    The window lies in the picture at every scale, whatever `ssim_edges` says, so the shorter side must have
    16 (window - 1) + 1 pixels. Raises MissingExtraError without scikit-image.
    """
    halvings = len(SCALE_WEIGHTS) - 1
    if min(clean.shape[:2]) <= (protocol.ssim_window - 1) << halvings:
        return None
    if protocol.ssim_clip:
        clean, restored = (np.clip(values, *protocol.levels) for values in (clean, restored))
    channels = 1 if clean.ndim == 2 else clean.shape[-1]
    one, two = (values.reshape(*values.shape[:2], channels) for values in (clean, restored))
    return float(np.mean([_multiscale(one[..., k], two[..., k], protocol) for k in range(channels)]))


def _multiscale(clean: Values, restored: Values, protocol: Protocol) -> float:
    product = 1.0
    for weight in SCALE_WEIGHTS[:-1]:
        term = _inside(clean, restored, protocol, K1=_NO_LUMINANCE)
        # A fractional power of a negative number is none: it counts 0, as in all libraries.
        product *= max(term, 0.0) ** weight
        clean, restored = _halved(clean), _halved(restored)
    return float(product * max(_inside(clean, restored, protocol), 0.0) ** SCALE_WEIGHTS[-1])


def _halved(plane: Values) -> Values:
    """Average squares of 2 x 2 pixels; the last row or column of an odd number counts twice."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="symmetric")
    halved: Values = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean(axis=(1, 3))
    return halved


def _continued(values: Values, protocol: Protocol) -> Values:
    """Return the picture with half a window more at each side, so that every pixel has a whole window."""
    reach = protocol.ssim_window // 2
    width = [(reach, reach)] * 2 + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, width, mode="reflect" if protocol.ssim_edges == "mirrored" else "edge")


def _inside(clean: Values, restored: Values, protocol: Protocol, **constants: float) -> float:
    """Return the mean SSIM where the window lies in the picture, over the channels if there are some."""
    window: dict[str, Any] = {"gaussian_weights": True, "sigma": protocol.ssim_sigma}
    if protocol.ssim_uniform is not None:
        window = {"win_size": protocol.ssim_uniform}
    return float(
        _skimage_metrics().structural_similarity(
            clean,
            restored,
            data_range=protocol.ssim_data_range,
            channel_axis=-1 if clean.ndim == 3 else None,
            use_sample_covariance=protocol.ssim_sample_covariance,
            **window,
            **constants,
        )
    )


def _skimage_metrics() -> Any:
    try:
        from skimage import metrics
    except ImportError as error:
        raise MissingExtraError("SSIM", "evaluate") from error
    return metrics
