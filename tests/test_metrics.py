"""Scores against scikit-image, and what the protocol promises."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage, signal
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as pooled_psnr

from grainless.errors import InputError, MissingExtraError
from grainless.metrics import (
    EXACT_PSNR,
    FILE_8BIT,
    GOLBAR,
    PROTOCOLS,
    SINAARABI,
    Protocol,
    Scores,
    average_scores,
    mean_scores,
    mse,
    psnr,
    scores,
    sharpness,
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


def overshooting(rng, count, shape):
    """Clean float pictures, and restored ones that leave [0, 1]."""
    clean = rng.random((count, *shape))
    return clean, clean + rng.normal(0, 0.2, clean.shape) * rng.uniform(0.1, 2, (count, 1, 1, 1))


def test_the_golbar_protocol_is_the_loop_of_the_published_code(rng):
    clean, restored = overshooting(rng, 37, (12, 14, 3))
    each = [scores(one, two, GOLBAR) for one, two in zip(clean, restored, strict=True)]
    batches = [slice(start, start + 16) for start in range(0, 37, 16)]
    expected = [
        float(pooled_psnr(torch.from_numpy(restored[part]), torch.from_numpy(clean[part]), data_range=1.0))
        for part in batches
    ]
    found = average_scores(each, GOLBAR)
    assert found.psnr == pytest.approx(np.mean(expected), abs=1e-5)  # the oracle's constants are float32
    assert found.psnr < mean_scores(each).psnr  # the worst picture of a batch weighs most
    clipped = np.clip(restored, 0, 1)
    oracle = [
        structural_similarity(one, two, data_range=1.0, channel_axis=-1, win_size=7)
        for one, two in zip(clean, clipped, strict=True)
    ]
    assert found.ssim == pytest.approx(np.mean(oracle), abs=1e-12)
    assert found.mse == pytest.approx(np.mean((clean - restored) ** 2))


def test_the_sinaarabi_protocol_is_scikit_image_at_its_defaults(rng):
    clean, restored = overshooting(rng, 5, (12, 14, 1))
    each = [scores(one[..., 0], two[..., 0], SINAARABI) for one, two in zip(clean, restored, strict=True)]
    for one, two, found in zip(clean[..., 0], restored[..., 0], each, strict=True):
        assert found.psnr == pytest.approx(peak_signal_noise_ratio(one, two, data_range=1), abs=1e-9)
        assert found.ssim == pytest.approx(structural_similarity(one, two, data_range=1), abs=1e-12)
    assert average_scores(each, SINAARABI) == mean_scores(each)


def test_one_psnr_over_all_pictures_is_that_of_all_errors(rng):
    clean, restored = overshooting(rng, 7, (9, 9, 1))
    pooled = Protocol("all", eight_bit=False, clip=False, ssim_uniform=7, psnr_over=None)
    each = [scores(one, two, pooled) for one, two in zip(clean, restored, strict=True)]
    assert average_scores(each, pooled).psnr == pytest.approx(
        peak_signal_noise_ratio(clean, restored, data_range=1), abs=1e-9
    )


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=40), st.integers(1, 50))
def test_a_psnr_over_more_pictures_is_never_higher_in_one_batch(errors, size):
    each = [Scores(-10 * math.log10(error), 0.5, error) for error in errors]
    batched = average_scores(each, Protocol("b", eight_bit=False, clip=False, psnr_over=size))
    assert batched.psnr <= mean_scores(each).psnr + 1e-9 or len(errors) > size
    assert min(row.psnr for row in each) - 1e-9 <= batched.psnr <= max(row.psnr for row in each) + 1e-9
    assert (batched.ssim, batched.mse) == (mean_scores(each).ssim, mean_scores(each).mse)


def test_exact_matches_count_in_a_batch_as_no_error():
    exact, other = Scores(math.inf, 1.0, 0.0), Scores(20.0, 0.5, 0.01)
    pairs = Protocol("pairs", eight_bit=False, clip=False, psnr_over=2)
    found = average_scores([exact, other, exact, exact, other], pairs)
    assert found.psnr == pytest.approx((-10 * math.log10(0.005) + EXACT_PSNR + 20) / 3)
    with pytest.raises(InputError, match="no scores to average"):
        average_scores([], pairs)


def test_averages_of_the_file_protocol_are_means_per_image():
    each = [Scores(30.0, 0.9, 0.001), Scores(math.inf, 1.0, 0.0)]
    assert average_scores(iter(each)) == mean_scores(each)


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


def test_the_stamps_of_the_published_protocols_tell_what_is_special():
    assert GOLBAR.stamp == (
        "golbar-fer2013: float, not clipped, all channels jointly, mean of PSNR per 16 images, "
        "SSIM uniform 7 px of clipped values per channel"
    )
    assert SINAARABI.stamp == (
        "sinaarabi-fer2013: float, not clipped, all channels jointly, mean of PSNR per image, "
        "SSIM uniform 7 px per channel"
    )
    assert "PSNR of the MSE over all images" in Protocol("p", eight_bit=True, clip=True, psnr_over=None).stamp


def test_protocols_are_found_by_the_name_that_their_stamp_begins_with():
    assert PROTOCOLS == {"file-8bit": FILE_8BIT, "golbar-fer2013": GOLBAR, "sinaarabi-fer2013": SINAARABI}
    assert all(protocol.stamp.startswith(f"{name}: ") for name, protocol in PROTOCOLS.items())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"psnr_over": 0}, "share one PSNR is not valid; got 0; expected 1 or more, or None"),
        ({"ssim_uniform": 6}, "SSIM's window is not valid; got 6; expected an odd number of pixels from 3"),
        ({"ssim_uniform": 1}, "SSIM's window is not valid; got 1"),
    ],
)
def test_wrong_protocols_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Protocol("wrong", eight_bit=False, clip=False, **fields)


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


# ---- sharpness


@pytest.fixture(scope="module")
def detailed():
    """A float picture with energy at all frequencies."""
    generator = np.random.default_rng(5)
    return np.clip(ndimage.gaussian_filter(generator.normal(0.5, 0.5, (64, 80, 3)), (0.6, 0.6, 0)), 0, 1)


def test_sharpness_of_the_same_picture_is_one(detailed):
    assert sharpness(detailed, detailed.copy()) == 1
    levels = to_8bit(detailed)
    assert sharpness(levels, (levels / 255).astype(np.float32)) == pytest.approx(1, abs=1e-6)


def test_blur_lowers_sharpness_and_noise_raises_it(detailed, rng):
    blurred = [
        sharpness(detailed, ndimage.gaussian_filter(detailed, (sigma, sigma, 0))) for sigma in (0.4, 0.7, 1.5)
    ]
    assert 1 > blurred[0] > blurred[1] > blurred[2] > 0
    noisy = [sharpness(detailed, detailed + rng.normal(0, sigma, detailed.shape)) for sigma in (0.05, 0.2)]
    assert 1 < noisy[0] < noisy[1]


@given(st.floats(0.1, 3), st.floats(-0.5, 0.5))
def test_sharpness_is_the_square_of_contrast_and_ignores_brightness(detailed, factor, offset):
    assert sharpness(detailed, factor * detailed + offset) == pytest.approx(factor**2, rel=1e-6)


def test_sharpness_equals_the_periodogram_of_scipy(rng):
    clean, restored = rng.random((2, 31, 31))
    window = signal.windows.hann(33)[1:-1]

    def energy(plane):
        values = (plane - plane.mean()) * np.outer(window, window)
        across = np.broadcast_to(np.fft.fftfreq(31), (31, 31))
        power = [[abs(value) ** 2 for value in line] for line in np.fft.fft(np.fft.fft(values).T).T]
        return np.array(power)[across**2 + across.T**2 > 0.25**2].sum()

    assert sharpness(clean, restored) == pytest.approx(energy(restored) / energy(clean))


@pytest.mark.parametrize(("cycles", "counts"), [(0.1, False), (0.2, False), (0.3, True), (0.45, True)])
@pytest.mark.parametrize("axis", [0, 1])
def test_sharpness_looks_above_half_of_what_pixels_hold(detailed, cycles, counts, axis):
    wave = 0.3 * np.cos(2 * np.pi * cycles * np.arange(detailed.shape[axis]))
    striped = detailed + np.expand_dims(wave, (1 - axis, 2))
    assert (sharpness(detailed, striped) > 1.05) == counts


def test_sharpness_is_that_of_the_luma(rng):
    planes = rng.random((20, 20, 3))
    assert sharpness(planes, planes[..., ::-1]) != pytest.approx(1)
    gray = planes @ np.array([0.299, 0.587, 0.114])
    other = rng.random((20, 20))
    stacked = np.stack([other] * 3, axis=-1)
    assert sharpness(planes, stacked) == pytest.approx(sharpness(gray, other))
    assert sharpness(other[..., None], gray[..., None]) == pytest.approx(sharpness(other, gray))


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3), (1, 1), (1, 9, 3)])
def test_sharpness_of_flat_pictures(shape):
    dark, light = np.full(shape, 3, np.uint8), np.full(shape, 0.7, np.float32)
    assert sharpness(dark, dark) == sharpness(dark, light) == 1
    if max(shape[:2]) > 1:
        noisy = dark.copy()
        noisy[:, ::2] = 90
        assert sharpness(dark, noisy) == math.inf
        assert sharpness(noisy, dark) == pytest.approx(0, abs=1e-9)


def test_sharpness_refuses_what_cannot_be_compared():
    with pytest.raises(InputError, match="differ in shape"):
        sharpness(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(InputError, match="NaN or infinity"):
        sharpness(np.zeros((4, 4)), np.full((4, 4), np.nan))
