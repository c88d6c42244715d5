"""Noise of counting and reading light: Gaussian, Poisson, speckle, and a whole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.noise.model import Noise, Parameter, Values, need_gray_or_colour
from grainless.tone import decode_srgb, encode_srgb


@dataclass(frozen=True)
class Gaussian(Noise):
    """White Gaussian noise is added; `sigma` is its standard deviation where the full range is 255."""

    sigma: float

    name = "gaussian"
    example = "gaussian:25"
    parameters = (Parameter("sigma", 0.0, 255.0, "standard deviation, 255 = full range"),)

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` + noise, float32 `(H, W, C)`, not clipped."""
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        noise *= np.float32(self.sigma / 255)
        noise += values
        return noise


@dataclass(frozen=True)
class Poisson(Noise):
    """Every value is a count of rare events, `peak` of them on average at full white."""

    peak: float

    name = "poisson"
    example = "poisson:30"
    parameters = (Parameter("peak", 0.1, 1e6, "events counted at full white"),)

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return counts / peak, float32 `(H, W, C)`; values below 0 count as 0: no light is negative."""
        counts = rng.poisson(np.maximum(values, 0) * self.peak)
        return (counts / self.peak).astype(np.float32)


@dataclass(frozen=True)
class Speckle(Noise):
    """Every value is multiplied by 1 + n, where n is Gaussian with mean 0 and `variance`."""

    variance: float

    name = "speckle"
    example = "speckle:0.1"
    parameters = (Parameter("variance", 0.0, 10.0, "variance of the factor"),)

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` * (1 + n), float32 `(H, W, C)`, not clipped."""
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        noise *= np.float32(self.variance**0.5)
        noise += 1
        noise *= values
        return noise


# At strength 1, on raw values in [0, 1]: variance = SHOT * raw + READ ** 2. READ ** 2 / SHOT is 0.018, as in
# the noisiest setting of Brooks et al.; the size is chosen for a std of 20/255 at mid-gray in green.
_SHOT = 0.0292
_READ = 0.0229
_RED_GAIN = (1.4, 2.4)
_BLUE_GAIN = (1.2, 2.2)
_GREEN_KEPT = np.float32(
    0.625**0.5
)  # bilinear green: half its pixels keep the variance, half have a quarter of it


@dataclass(frozen=True)
class Camera(Noise):
    """Noise as a camera leaves it in its finished picture: signal-dependent, and correlated in space.

    The picture is taken back to linear light (inverse sRGB curve) and divided by random white-balance gains;
    one value per pixel is sampled through a Bayer mosaic of random phase; normal noise of variance
    shot * raw + read ** 2 is drawn there (Foi et al. 2008, Practical Poissonian-Gaussian noise modeling),
    multiplied by the gains, interpolated bilinearly to all pixels, added, and the tone curve closes (after
    Brooks et al. 2019, Unprocessing images for learned raw denoising, without their colour matrix). Only the
    noise passes through the mosaic: the picture's own detail is kept, and a strength of 0 changes nothing but
    rounding.

    The noise's standard deviation in linear light is proportional to `strength`. docs/noise.md holds measured
    standard deviations of the result.
    """

    strength: float

    name = "camera"
    example = "camera:0.5"
    parameters = (
        Parameter("strength", 0.0, 4.0, "1 is a standard deviation of 20/255 at mid-gray in green"),
    )

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return noisy `values`, float32 `(H, W, C)`, not below 0; NoiseError unless C is 1 or 3."""
        need_gray_or_colour(self.name, values)
        linear = decode_srgb(np.maximum(values, 0))
        noise = _mosaic_noise(linear, rng) if linear.shape[2] == 3 else _luma_noise(linear, rng)
        noise *= np.float32(self.strength)
        noise += linear
        return encode_srgb(np.maximum(noise, 0, out=noise))


def _raw_noise(raw: Values, rng: np.random.Generator) -> Values:
    """Draw shot and read noise of strength 1 for raw values (any shape)."""
    noise = rng.standard_normal(raw.shape, dtype=np.float32)
    noise *= np.sqrt(raw * np.float32(_SHOT) + np.float32(_READ**2))
    return noise


def _mosaic_noise(linear: Values, rng: np.random.Generator) -> Values:
    """Return demosaiced noise of strength 1 for linear `(H, W, 3)`, same shape."""
    gains = (rng.uniform(*_RED_GAIN), 1.0, rng.uniform(*_BLUE_GAIN))
    row, column = (int(phase) for phase in rng.integers(2, size=2))
    # One more pixel on each side, so that interpolation needs no rule for the border.
    light = np.pad(linear, ((1, 1), (1, 1), (0, 0)), mode="edge")
    planes = np.zeros((3, *light.shape[:2]), np.float32)
    for channel, down, right in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        sites = (slice((row + down) % 2, None, 2), slice((column + right) % 2, None, 2))
        gain = np.float32(gains[channel])
        planes[channel][sites] = gain * _raw_noise(light[(*sites, channel)] / gain, rng)
    noise = np.empty_like(linear)
    for channel in (0, 2):
        noise[..., channel] = _binomial(planes[channel]) * np.float32(4)
    green = planes[1]
    around = green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:]
    noise[..., 1] = green[1:-1, 1:-1] + around * np.float32(0.25)
    return noise


def _luma_noise(linear: Values, rng: np.random.Generator) -> Values:
    """Return noise of strength 1 for linear `(H, W, 1)`: as strong as green of a colour picture.

    A gray picture of a camera is the luma of a demosaiced one, so neighbours are correlated: here as by a 3x3
    binomial filter, scaled so that the variance stays.
    """
    light = np.pad(linear[..., 0], 1, mode="edge")
    filtered = _binomial(_raw_noise(light, rng))
    filtered *= _GREEN_KEPT / np.float32(
        0.375
    )  # 0.375 = (1 + 4 + 1) / 16 is what the filter leaves of white noise's std
    return filtered[..., None]


def _binomial(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filter with (1, 2, 1) / 4 in both directions; the result is 1 pixel smaller on each side."""
    rows = plane[:-2] + plane[2:] + plane[1:-1] * np.float32(2)
    both: NDArray[np.float32] = rows[:, :-2] + rows[:, 2:] + rows[:, 1:-1] * np.float32(2)
    both *= np.float32(1 / 16)
    return both
