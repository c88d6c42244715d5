"""Scores against scikit-image, and what the protocol promises."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from grainless.errors import InputError, MissingExtraError
from grainless.metrics import (
    EXACT_PSNR,
    FILE_8BIT,
    Protocol,
    Scores,
    mean_scores,
    mse,
    psnr,
    scores,
    ssim,
    to_8bit,
)

FLOAT = Protocol(name="float", eight_bit=False, clip=False)


def pair(rng, shape):
    clean = rng.integers(0, 256, shape, dtype=np.uint8)
    noise = rng.normal(0, 20, shape)
    return clean, np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(40, 31), (40, 31, 1), (33, 52, 3), (11, 11, 3)])
def test_8bit_scores_equal_scikit_image(rng, shape):
    clean, restored = pair(rng, shape)
    found = scores(clean, restored)
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(clean, restored, data_range=255), abs=1e-9)
    assert found.mse == pytest.approx(mean_squared_error(clean, restored) / 255**2, rel=1e-12)
    oracle = structural_similarity(
        clean,
        restored,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1 if len(shape) == 3 else None,
    )
    assert found.ssim == pytest.approx(oracle, abs=1e-9)
    assert found == Scores(psnr(clean, restored), ssim(clean, restored), mse(clean, restored))


def test_float_scores_equal_scikit_image_without_rounding(rng):
    clean = rng.random((24, 30, 3))
    restored = clean + rng.normal(0, 0.3, clean.shape)
    assert psnr(clean, restored, FLOAT) == pytest.approx(
        peak_signal_noise_ratio(clean, restored, data_range=1), abs=1e-9
    )
    assert psnr(clean, restored, FLOAT) < psnr(clean, restored, Protocol("c", eight_bit=False, clip=True))


def test_colour_is_pooled_over_the_channels_not_averaged():
    clean = np.zeros((16, 16, 3), np.uint8)
    restored = clean.copy()
    restored[..., 0] = 51
    assert mse(clean, restored) == pytest.approx(0.2**2 / 3)
    assert psnr(clean, restored) == pytest.approx(-10 * math.log10(0.04 / 3))


def test_constant_error_has_the_psnr_of_the_formula():
    clean = np.full((20, 20), 100, np.uint8)
    assert psnr(clean, clean + np.uint8(1)) == pytest.approx(20 * math.log10(255))


def test_ssim_of_other_depths_is_the_ssim_of_the_8bit_file(rng):
    clean, restored = pair(rng, (20, 22, 3))
    deep = clean.astype(np.uint16) * 257
    assert scores(deep, (restored / 255).astype(np.float32)) == scores(clean, restored)
    assert psnr(deep, deep + np.uint16(0), FLOAT) == math.inf
    assert mse(deep, (restored / 255), FLOAT) == pytest.approx(mse(clean, restored))


def test_the_file_protocol_clips_and_rounds_what_it_compares():
    clean = np.full((12, 12), 1.0)
    assert mse(clean, np.full((12, 12), 1.7)) == 0
    assert mse(clean, np.full((12, 12), 1 - 0.49 / 255)) == 0
    assert mse(clean, np.full((12, 12), 1 - 0.51 / 255)) == pytest.approx(1 / 255**2)
    assert mse(clean, np.full((12, 12), 1.5), FLOAT) == pytest.approx(0.25)


def test_an_exact_match_is_infinite_and_counts_as_documented(rng):
    clean, restored = pair(rng, (16, 16))
    exact = scores(clean, clean)
    assert exact == Scores(math.inf, 1.0, 0.0)
    other = scores(clean, restored)
    mean = mean_scores([exact, other])
    assert mean.psnr == pytest.approx((EXACT_PSNR + other.psnr) / 2)
    assert mean.ssim == pytest.approx((1 + other.ssim) / 2)
    assert mean.mse == pytest.approx(other.mse / 2)
    # A finite score above the cap must not count more than an exact match.
    assert mean_scores([Scores(108.0, 1.0, 0.0)]).psnr == EXACT_PSNR


def test_no_scores_have_no_mean():
    with pytest.raises(InputError, match="no scores to average"):
        mean_scores(iter([]))


@given(st.integers(0, 65535))
def test_16_bit_goes_to_the_nearest_8_bit_level(value):
    found = int(to_8bit(np.array([[value]], np.uint16))[0, 0])
    assert abs(value - 257 * found) <= 128


@given(arrays(np.uint8, (3, 4, 3)))
def test_8_bit_pixels_survive_both_ways(pixels):
    assert np.array_equal(to_8bit(pixels), pixels)
    assert np.array_equal(to_8bit(pixels.astype(np.uint16) * 257), pixels)
    assert np.array_equal(to_8bit((pixels / 255).astype(np.float32)), pixels)


@settings(max_examples=30)
@given(arrays(np.uint8, (12, 13)), arrays(np.uint8, (12, 13)))
def test_scores_are_symmetric_and_bounded(one, two):
    forth, back = scores(one, two), scores(two, one)
    assert forth.mse == back.mse
    assert 0 <= forth.mse <= 1
    assert forth.psnr >= 0
    assert forth.ssim == pytest.approx(back.ssim)
    assert -1 <= forth.ssim <= 1 + 1e-9


def test_the_stamp_tells_all_that_changes_a_number():
    assert FILE_8BIT.stamp == (
        "file-8bit: 8-bit, clipped, all channels jointly, mean of PSNR per image, "
        "SSIM Gaussian 1.5 (11 px) per channel"
    )
    assert "float, not clipped" in FLOAT.stamp
    assert Protocol("file-8bit", eight_bit=True, clip=True, ssim_sigma=2).stamp != FILE_8BIT.stamp


def test_an_8bit_protocol_must_clip():
    with pytest.raises(InputError, match="clip=True with eight_bit=True"):
        Protocol("wrong", eight_bit=True, clip=False)


@pytest.mark.parametrize("shape", [(10, 40), (40, 10, 3), (1, 1)])
def test_pictures_smaller_than_the_window_have_psnr_but_no_ssim(shape):
    clean = np.zeros(shape, np.uint8)
    assert psnr(clean, clean + np.uint8(255)) == 0
    with pytest.raises(InputError, match=f"{shape[1]} x {shape[0]} pixels; expected at least 11 x 11"):
        ssim(clean, clean)


@pytest.mark.parametrize(
    ("clean", "restored", "message"),
    [
        (np.zeros((12, 12), np.uint8), np.zeros((12, 13), np.uint8), r"differ in shape; got \(12, 12\) and"),
        (np.zeros((12, 12), int), np.zeros((12, 12), int), "wrong dtype; got int64"),
        (np.zeros((12, 12), bool), np.zeros((12, 12), bool), "wrong dtype; got bool"),
        (np.zeros(12, np.uint8), np.zeros(12, np.uint8), r"wrong shape; got \(12,\)"),
        (np.zeros((0, 12), np.uint8), np.zeros((0, 12), np.uint8), "wrong shape"),
        (np.zeros((12, 12)), np.full((12, 12), np.nan), "NaN or infinity"),
    ],
)
def test_what_cannot_be_compared_is_refused(clean, restored, message):
    with pytest.raises(InputError, match=message):
        scores(clean, restored)


def test_without_scikit_image_ssim_names_the_extra_and_psnr_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    clean = np.zeros((12, 12), np.uint8)
    assert psnr(clean, clean) == math.inf
    with pytest.raises(MissingExtraError, match=r'SSIM needs .* pip install "grainless\[evaluate\]"'):
        ssim(clean, clean)
