"""Noise of the flat parts: its level against scikit-image and the truth, frequencies and brightness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn
from skimage.restoration import estimate_sigma

from doctor_pictures import scene, spoilt
from grainless.diagnosis.sampling import sample
from grainless.diagnosis.spectrum import Spectrum, cut_blocks, measure_spectrum, restore, transform


def spectrum_of(pixels: np.ndarray) -> Spectrum:
    blocks = cut_blocks(sample(pixels))
    assert blocks is not None
    return measure_spectrum(blocks)


def test_cosines_are_those_of_scipy(rng: np.random.Generator) -> None:
    plane = rng.normal(0, 10, (16, 24)).astype(np.float32)
    expected = [
        dctn(plane[top : top + 8, left : left + 8], norm="ortho") for top in (0, 8) for left in (0, 8, 16)
    ]
    np.testing.assert_allclose(transform(plane), np.reshape(expected, (6, 64)), atol=1e-3)


def test_restoring_takes_ramps_away_and_nothing_else(rng: np.random.Generator) -> None:
    ramp = np.add.outer(np.arange(8.0), 3 * np.arange(8.0)).astype(np.float32)
    noise = rng.normal(0, 10, (8, 8)).astype(np.float32)
    # The coarsest cosines hold nearly all of a ramp.
    np.testing.assert_allclose(
        restore(transform(noise + ramp)), restore(transform(noise)), atol=0.06 * np.ptp(ramp)
    )
    assert restore(transform(noise)).std() == pytest.approx(noise.std(), rel=0.25)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_known_noise_is_measured_on_scenes_with_edges(sigma: int, channels: int) -> None:
    noisy = spoilt(scene(3, height=256, width=256, channels=channels), f"gaussian:{sigma}")
    assert spectrum_of(noisy).sigma == pytest.approx(sigma, rel=0.06)


def test_clipping_in_dark_and_bright_parts_does_not_hide_noise() -> None:
    levels = np.repeat([10, 60, 128, 200, 245], 52)[:256]
    stripes = np.broadcast_to(levels[None, :, None], (256, 256, 1)).astype(np.uint8)
    noisy = spoilt(stripes, "gaussian:40")
    assert spectrum_of(noisy).sigma == pytest.approx(40, rel=0.05)
    # An estimate that does not know of clipping falls short.
    assert estimate_sigma(noisy[..., 0] / 1.0) < 36


def test_pure_noise_is_measured_as_scikit_image_measures_it(rng: np.random.Generator) -> None:
    noise = np.rint(rng.normal(128, 12, (256, 256, 3))).astype(np.uint8)
    assert spectrum_of(noise).sigma == pytest.approx(
        estimate_sigma(noise / 1.0, channel_axis=2, average_sigmas=True), rel=0.04
    )


def test_rings_tell_white_noise_from_grain() -> None:
    flat = np.full((256, 256, 3), 128, np.uint8)
    low, _, high = spectrum_of(spoilt(flat, "gaussian:15")).rings
    assert low == pytest.approx(high, rel=0.1)
    low, _, high = spectrum_of(spoilt(flat, "grain:15:size=1")).rings
    assert low > 5 * high


@pytest.mark.parametrize(
    ("noise", "power"), [("gaussian:10", 0.0), ("poisson:60", 0.5), ("speckle:0.01", 1.0)]
)
def test_steps_follow_the_brightness(noise: str, power: float) -> None:
    ramp = np.broadcast_to(np.linspace(40, 200, 384)[None, :, None], (256, 384, 1))
    steps = spectrum_of(spoilt(np.rint(ramp).astype(np.uint8), noise)).steps
    slope = np.polyfit(np.log(steps[:, 0]), np.log(steps[:, 1]), 1)[0]
    assert slope == pytest.approx(power, abs=0.12)


def test_what_has_no_blocks_has_no_spectrum() -> None:
    for pixels in (np.zeros((7, 100, 3), np.uint8), np.full((64, 64, 1), 90, np.uint8)):
        assert cut_blocks(sample(pixels)) is None


def test_transparent_blocks_are_passed_over(rng: np.random.Generator) -> None:
    pixels = spoilt(np.full((128, 128, 3), 120, np.uint8), "gaussian:5")
    pixels[:, :64] = rng.integers(0, 256, (128, 64, 3))
    alpha = np.full((128, 128), 255, np.uint8)
    alpha[:, :64] = 0
    blocks = cut_blocks(sample(pixels, alpha))
    assert blocks is not None
    assert measure_spectrum(blocks).sigma == pytest.approx(5, rel=0.12)
