"""PSNR, SSIM and MSE under a named protocol, which says how they were measured; and sharpness."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError, MissingExtraError

EXACT_PSNR = 100.0
"""What an exact match (infinite PSNR), or anything above it, counts in a mean, in dB."""

FINE_DETAIL = 0.25
"""`sharpness` looks at spatial frequencies above this, in cycles per pixel: half of what pixels can hold."""

NO_DETAIL = 1e-12
"""Mean square of fine detail, for values from 0 to 1, that is taken for rounding error."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""


@dataclass(frozen=True)
class Protocol:
    """How a clean and a restored picture are compared.

    PSNR and MSE take all values of all channels together, SSIM is the mean over the channels. Each is
    scored per picture, then averaged over the pictures, PSNR as `psnr_over` says. Numbers of different
    protocols are never ranked against each other.
    """

    name: str
    eight_bit: bool
    """Both pictures are rounded to the 256 levels that an 8-bit file holds."""
    clip: bool
    """Both pictures are clipped to the range before they are compared."""
    ssim_sigma: float = 1.5
    """Standard deviation of SSIM's Gaussian window, in pixels; the window is cut at 3.5 sigma."""
    ssim_uniform: int | None = None
    """Side in pixels of a window of equal weights in place of the Gaussian one, with sample covariance."""
    ssim_clip: bool = False
    """SSIM compares clipped values, also where `clip` leaves those of PSNR and MSE as they are."""
    psnr_over: int | None = 1
    """How many consecutive pictures share one PSNR, that of their mean MSE; these are averaged.

    1 gives the mean over the pictures; the last batch of more may be short; None puts all pictures into one.
    """

    def __post_init__(self) -> None:
        if self.eight_bit and not self.clip:
            raise InputError(
                "An 8-bit protocol clips, as its levels end at 0 and 255",
                expected="clip=True with eight_bit=True",
            )
        if self.psnr_over is not None and self.psnr_over < 1:
            raise InputError(
                "The number of pictures that share one PSNR is not valid",
                got=self.psnr_over,
                expected="1 or more, or None for all pictures",
            )
        side = self.ssim_uniform
        if side is not None and (side < 3 or side % 2 == 0):
            raise InputError(
                "SSIM's window is not valid", got=side, expected="an odd number of pixels from 3 up"
            )

    @property
    def value_range(self) -> float:
        """Distance from black to white in the units that are compared: 255 levels, or 1."""
        return 255.0 if self.eight_bit else 1.0

    @property
    def ssim_window(self) -> int:
        """Side of SSIM's window in pixels; smaller pictures have no SSIM."""
        return self.ssim_uniform or 2 * int(3.5 * self.ssim_sigma + 0.5) + 1

    @property
    def stamp(self) -> str:
        """The protocol in one short line, as printed beside every number."""
        depth = "8-bit" if self.eight_bit else "float"
        window = f"Gaussian {self.ssim_sigma:g} ({self.ssim_window} px)"
        if self.ssim_uniform is not None:
            window = f"uniform {self.ssim_uniform} px"
        clipped = " of clipped values" if self.ssim_clip and not self.clip else ""
        return (
            f"{self.name}: {depth}, {'clipped' if self.clip else 'not clipped'}, all channels jointly, "
            f"{self._averaging}, SSIM {window}{clipped} per channel"
        )

    @property
    def _averaging(self) -> str:
        if self.psnr_over is None:
            return "PSNR of the MSE over all images"
        return f"mean of PSNR per {'image' if self.psnr_over == 1 else f'{self.psnr_over} images'}"


FILE_8BIT = Protocol(name="file-8bit", eight_bit=True, clip=True)
"""What a real file holds, the default: noisy input and output are both clipped and rounded to 8 bit."""

GOLBAR = Protocol(
    name="golbar-fer2013", eight_bit=False, clip=False, ssim_uniform=7, ssim_clip=True, psnr_over=16
)
"""The protocol of ehsan-golbar's U-Net and GAN on FER2013 faces resized to 128 x 128 (35.45 and 37.19 dB)."""

SINAARABI = Protocol(name="sinaarabi-fer2013", eight_bit=False, clip=False, ssim_uniform=7)
"""The protocol of SinaArabi's GAN on FER2013 faces of 48 x 48 (32.31 dB)."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (FILE_8BIT, GOLBAR, SINAARABI)}
)
"""Every protocol that has a name, by this name."""


@dataclass(frozen=True)
class Scores:
    """The scores of one picture, or the means over several."""

    psnr: float
    """In dB; infinite for an exact match."""
    ssim: float
    """At most 1."""
    mse: float
    """Mean squared error of values from 0 to 1, whatever the depth of the pictures."""


def scores(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> Scores:
    """Compare two pictures by all three measures.

    Both are (H, W) or (H, W, C), of the same shape; uint8, uint16, or float with black 0 and white 1; the
    two dtypes may differ. Raises InputError for anything else, and for pictures smaller than SSIM's window;
    MissingExtraError without scikit-image.
    """
    clean, restored = _comparable(clean, restored, protocol)
    error = _mse(clean, restored, protocol)
    return Scores(psnr=_decibels(error), ssim=_ssim(clean, restored, protocol), mse=error)


def mse(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Mean squared error over all channels, for values from 0 to 1; arguments as for `scores`."""
    return _mse(*_comparable(clean, restored, protocol), protocol)


def psnr(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Peak signal-to-noise ratio -10 log10(MSE), in dB, infinite for an exact match; see `scores`."""
    return _decibels(mse(clean, restored, protocol))


def ssim(clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol = FILE_8BIT) -> float:
    """Structural similarity, in the protocol's window, mean over the channels; arguments as for `scores`.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, as scikit-image computes it.
    """
    return _ssim(*_comparable(clean, restored, protocol), protocol)


def mean_scores(each: Iterable[Scores]) -> Scores:
    """Average scores over pictures.

    Every PSNR counts at most EXACT_PSNR, so that one exact match does not make the mean infinite; how many
    matches were exact is for the caller to say beside it. Raises InputError for no scores at all.
    """
    rows = list(each)
    if not rows:
        raise InputError("There are no scores to average", expected="the scores of at least one picture")
    return Scores(
        psnr=math.fsum(min(row.psnr, EXACT_PSNR) for row in rows) / len(rows),
        ssim=math.fsum(row.ssim for row in rows) / len(rows),
        mse=math.fsum(row.mse for row in rows) / len(rows),
    )


def average_scores(each: Iterable[Scores], protocol: Protocol = FILE_8BIT) -> Scores:
    """Average the scores of pictures, in the order they were measured, as the protocol says.

    SSIM and MSE are those of `mean_scores`. PSNR is taken of the mean MSE of every `protocol.psnr_over`
    pictures and then averaged, each counting at most EXACT_PSNR; every picture weighs the same in its batch,
    which pools the errors of pictures of one size. Raises InputError for no scores at all.
    """
    rows = list(each)
    mean = mean_scores(rows)
    if protocol.psnr_over == 1:
        return mean
    size = protocol.psnr_over or len(rows)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    errors = [math.fsum(row.mse for row in batch) / len(batch) for batch in batches]
    return replace(mean, psnr=math.fsum(min(_decibels(error), EXACT_PSNR) for error in errors) / len(errors))


def sharpness(clean: NDArray[Any], restored: NDArray[Any]) -> float:
    """Ratio of the restored picture's energy of fine detail to the clean one's: 1 is as sharp.

    Below 1 the restored picture is smoother, above 1 it is noisier or sharpened. The energy is the sum of
    |F(u, v)|^2 where sqrt(u^2 + v^2) > FINE_DETAIL cycles per pixel, F being the discrete Fourier transform
    of the luma (BT.601; the mean of the channels where they are not three) less its mean, times a Hann
    window. Where neither picture has more than NO_DETAIL it is 1, where the clean one alone has not it is
    infinite. Arguments as for `scores`, at any size; floats are neither clipped nor rounded.
    """
    one, two = (_fine_detail(pixels) for pixels in _comparable(clean, restored, _AS_IT_IS))
    if one <= NO_DETAIL:
        return 1.0 if two <= NO_DETAIL else math.inf
    return two / one


def to_8bit(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring uint8, uint16 or float [0, 1] pixels to 8 bit: clipped, rounded to the nearest level."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)
    return levels


def _comparable(
    clean: NDArray[Any], restored: NDArray[Any], protocol: Protocol
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if clean.shape != restored.shape:
        raise InputError(
            "The two pictures differ in shape",
            got=f"{clean.shape} and {restored.shape}",
            expected="one shape",
        )
    return _measured(clean, protocol), _measured(restored, protocol)


def _measured(pixels: NDArray[Any], protocol: Protocol) -> NDArray[np.float64]:
    _check(pixels)
    if protocol.eight_bit:
        return to_8bit(pixels).astype(np.float64)
    values = pixels.astype(np.float64)
    if pixels.dtype.kind == "u":
        values /= np.iinfo(pixels.dtype).max
    return np.clip(values, 0.0, 1.0) if protocol.clip else values


def _check(pixels: NDArray[Any]) -> None:
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(
            "A picture to be measured has the wrong shape", got=pixels.shape, expected="(H, W) or (H, W, C)"
        )
    if pixels.dtype not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise InputError(
            "A picture to be measured has the wrong dtype",
            got=pixels.dtype,
            expected="uint8, uint16 or float",
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError("A picture to be measured holds NaN or infinity", expected="finite values")


_AS_IT_IS = Protocol(name="as-it-is", eight_bit=False, clip=False)


def _fine_detail(pixels: NDArray[np.float64]) -> float:
    """Mean square of what lies above FINE_DETAIL in the windowed luma."""
    luma = pixels
    if pixels.ndim == 3:
        luma = pixels @ np.array(_LUMA) if pixels.shape[-1] == 3 else pixels.mean(axis=-1)
    height, width = luma.shape
    # Two more points than pixels: the window's zeros lie outside, and narrow pictures are seen too.
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectrum = np.fft.fft2((luma - luma.mean()) * window)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    energy = float(np.sum(np.abs(spectrum[radius > FINE_DETAIL]) ** 2))
    return energy / (luma.size * float(np.sum(window**2)))


def _mse(clean: NDArray[np.float64], restored: NDArray[np.float64], protocol: Protocol) -> float:
    return float(np.mean(np.square(clean - restored))) / protocol.value_range**2


def _decibels(error: float) -> float:
    return math.inf if error == 0.0 else -10.0 * math.log10(error)


def _ssim(clean: NDArray[np.float64], restored: NDArray[np.float64], protocol: Protocol) -> float:
    if min(clean.shape[:2]) < protocol.ssim_window:
        raise InputError(
            "The picture is too small for SSIM",
            got=f"{clean.shape[1]} x {clean.shape[0]} pixels",
            expected=f"at least {protocol.ssim_window} x {protocol.ssim_window}",
        )
    if protocol.ssim_clip:
        clean, restored = (np.clip(values, 0.0, protocol.value_range) for values in (clean, restored))
    window: dict[str, Any] = {
        "gaussian_weights": True,
        "sigma": protocol.ssim_sigma,
        "use_sample_covariance": False,
    }
    if protocol.ssim_uniform is not None:
        window = {"win_size": protocol.ssim_uniform, "use_sample_covariance": True}
    return float(
        _skimage_metrics().structural_similarity(
            clean,
            restored,
            data_range=protocol.value_range,
            channel_axis=-1 if clean.ndim == 3 else None,
            **window,
        )
    )


def _skimage_metrics() -> Any:
    try:
        from skimage import metrics
    except ImportError as error:
        raise MissingExtraError("SSIM", "evaluate") from error
    return metrics
