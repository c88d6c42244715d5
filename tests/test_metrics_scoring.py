"""Scores against scikit-image, and what the protocol promises."""

from __future__ import annotations

import dataclasses
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import signal
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as pooled_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as pooled_ssim

from grainless.errors import InputError, MissingExtraError
from grainless.metrics import (
    AWGN_LITERATURE,
    EXACT_PSNR,
    GOLBAR,
    MAHANVEISI,
    SINAARABI,
    Y_8BIT,
    Protocol,
    Scores,
    average_scores,
    mae,
    mean_scores,
    ms_ssim,
    mse,
    noise_left,
    psnr,
    scores,
    ssim,
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
    assert found.mae == pytest.approx(np.mean(np.abs(clean.astype(float) - restored)) / 255, rel=1e-12)
    single = Scores(psnr(clean, restored), ssim(clean, restored), mse(clean, restored), mae(clean, restored))
    assert found == single


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
    assert exact == Scores(math.inf, 1.0, 0.0, mae=0.0)
    other = scores(clean, restored)
    mean = mean_scores([exact, other])
    assert mean.psnr == pytest.approx((EXACT_PSNR + other.psnr) / 2)
    assert mean.ssim == pytest.approx((1 + other.ssim) / 2)
    assert mean.mse == pytest.approx(other.mse / 2)
    assert mean.mae == pytest.approx(other.mae / 2)
    assert mean_scores([exact, other], exact=60).psnr == pytest.approx((60 + other.psnr) / 2)
    assert mean_scores([exact, other], exact=None).psnr == math.inf
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


def wang_ssim(one, two):
    """SSIM of Wang's MATLAB code on 8-bit levels, the window written out."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / np.outer(line, line).sum()

    def mean(plane):
        return signal.convolve2d(plane, window, mode="valid")

    m1, m2 = mean(one), mean(two)
    v1, v2, v12 = mean(one**2) - m1**2, mean(two**2) - m2**2, mean(one * two) - m1 * m2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * m1 * m2 + c1) * (2 * v12 + c2) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_literature_protocol_scores_as_the_scripts_of_its_papers_do(rng, channels):
    clean = rng.integers(0, 256, (19, 23, channels), dtype=np.uint8)
    answer = (clean / 255 + rng.normal(0, 25 / 255, clean.shape)).astype(np.float32)
    assert answer.min() < 0
    assert answer.max() > 1
    levels = np.uint8((torch.from_numpy(answer).clamp(0, 1).numpy() * 255.0).round())
    error = np.mean((levels.astype(np.float64) - clean) ** 2)
    found = scores(clean, answer, AWGN_LITERATURE)
    assert found.psnr == pytest.approx(20 * math.log10(255.0 / math.sqrt(error)), abs=1e-9)
    planes = [(clean[..., k].astype(float), levels[..., k].astype(float)) for k in range(channels)]
    assert found.ssim == pytest.approx(np.mean([wang_ssim(*pair) for pair in planes]), abs=1e-9)
    assert AWGN_LITERATURE.noisy_form == "unclipped"


def test_the_y_protocol_is_the_luma_of_studio_range_with_the_whole_peak(rng):
    clean, restored = pair(rng, (19, 23, 3))
    weights = np.array([65.481, 128.553, 24.966])
    one, two = (picture / 255 @ weights + 16 for picture in (clean, restored))
    found = scores(clean, restored, Y_8BIT)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / np.mean((one - two) ** 2)), abs=1e-9)
    assert found.ssim == pytest.approx(wang_ssim(one, two), abs=1e-9)
    assert found.psnr > psnr(clean, restored)


def test_the_mahanveisi_protocol_prints_what_the_published_loop_printed(rng):
    # 64 + 64 + 5 faces: the last batch counts as much as the others.
    clean, restored = overshooting(rng, 133, (12, 14, 1))
    restored[128:] = clean[128:] + 0.4 * (restored[128:] - clean[128:])
    outputs, faces = (torch.from_numpy(4 * part - 3).permute(0, 3, 1, 2) for part in (restored, clean))
    printed = [
        (float(pooled_psnr(one, two, data_range=2.0)), float(pooled_ssim(one, two, data_range=2.0)))
        for one, two in zip(outputs.split(64), faces.split(64), strict=True)
    ]
    each = [scores(one, two, MAHANVEISI) for one, two in zip(clean, restored, strict=True)]
    found = average_scores(each, MAHANVEISI)
    # The oracle's constants are float32.
    assert found.psnr == pytest.approx(np.mean([ratio for ratio, _ in printed]), abs=1e-5)
    assert found.ssim == pytest.approx(np.mean([similarity for _, similarity in printed]), abs=1e-6)
    assert found.ssim != pytest.approx(np.mean([row.ssim for row in each]), abs=1e-3)
    # Their loss, the plain mean here, is that of values four times as far apart.
    assert found.mse == pytest.approx(float(torch.mean((outputs - faces) ** 2)) / 16)
    below = psnr(clean[0], restored[0], dataclasses.replace(MAHANVEISI, data_range=None)) - each[0].psnr
    assert below == pytest.approx(20 * math.log10(2))


def test_the_mahanveisi_protocol_leaves_exact_batches_infinite_as_torchmetrics_does():
    exact, other = Scores(math.inf, 1.0, 0.0), Scores(20.0, 0.5, 0.01)
    assert average_scores([exact] * 64 + [other], MAHANVEISI).psnr == math.inf
    assert average_scores([exact] * 63 + [other], MAHANVEISI).psnr == pytest.approx(
        10 * math.log10(64 / 0.01) - 20 * math.log10(2)
    )


def test_a_range_of_ones_own_shifts_psnr_as_in_scikit_image(rng):
    clean, restored = overshooting(rng, 1, (9, 9, 1))[0][0], rng.random((9, 9, 1))
    told = Protocol("told", eight_bit=False, clip=False, data_range=3.0)
    oracle = peak_signal_noise_ratio(clean, restored, data_range=3)
    assert psnr(clean, restored, told) == pytest.approx(oracle, abs=1e-9)


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


def test_batches_of_ssim_weigh_the_same_however_short_the_last_one_is():
    rows = [Scores(20.0, similarity, 0.01) for similarity in (0.9, 0.7, 0.1)]
    pairs = Protocol("pairs", eight_bit=False, clip=False, ssim_over=2)
    assert average_scores(rows, pairs).ssim == pytest.approx((0.8 + 0.1) / 2)
    assert average_scores(rows, dataclasses.replace(pairs, ssim_over=None)) == mean_scores(rows)


def test_a_protocol_says_what_an_exact_match_counts():
    rows = [Scores(math.inf, 1.0, 0.0), Scores(70.0, 1.0, 1e-7), Scores(20.0, 0.5, 0.01)]
    fifty = Protocol("fifty", eight_bit=False, clip=False, exact_psnr=50.0)
    assert average_scores(rows, fifty).psnr == pytest.approx(40)
    assert average_scores(rows, dataclasses.replace(fifty, exact_psnr=None)).psnr == math.inf
    batches = dataclasses.replace(fifty, psnr_over=2)
    assert average_scores([rows[0], rows[0], rows[2]], batches).psnr == pytest.approx(35)


def test_further_metrics_are_taken_only_on_request(rng, monkeypatch):
    clean, restored = rng.integers(0, 256, (2, 161, 170), dtype=np.uint8)
    with monkeypatch.context() as patch:
        for name in ("multiscale_similarity", "noise_level"):
            patch.setattr(f"grainless.metrics.scoring.{name}", None)
        plain = scores(clean, restored)
    assert (plain.ms_ssim, plain.noise_left) == (None, None)
    found = scores(clean, restored, metrics=["noise_left", "ms_ssim"])
    assert found == dataclasses.replace(
        plain, ms_ssim=ms_ssim(clean, restored), noise_left=noise_left(restored)
    )
    assert found.ms_ssim is not None
    assert found.noise_left is not None
    with pytest.raises(
        InputError, match="no such further metric; got lpips; expected some of ms_ssim, noise_"
    ):
        scores(clean, restored, metrics=["ms_ssim", "lpips"])


def test_metrics_that_some_pictures_lack_are_averaged_over_the_others():
    rows = [Scores(20.0, 0.5, 0.01, ms_ssim=value) for value in (0.9, None, 0.5)]
    mean = average_scores(rows)
    assert mean.ms_ssim == pytest.approx(0.7)
    assert (mean.mae, mean.noise_left) == (None, None)


def test_averages_of_the_file_protocol_are_means_per_image():
    each = [Scores(30.0, 0.9, 0.001), Scores(math.inf, 1.0, 0.0)]
    assert average_scores(iter(each)) == mean_scores(each)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (12, 13)), arrays(np.uint8, (12, 13)))
def test_scores_are_symmetric_and_bounded(one, two):
    forth, back = scores(one, two), scores(two, one)
    assert forth.mse == back.mse
    assert 0 <= forth.mse <= 1
    assert forth.psnr >= 0
    assert forth.ssim == pytest.approx(back.ssim)
    assert -1 <= forth.ssim <= 1 + 1e-9


@pytest.mark.parametrize("shape", [(10, 40), (40, 10, 3), (1, 1)])
def test_pictures_smaller_than_the_window_have_psnr_but_no_ssim(shape):
    clean = np.zeros(shape, np.uint8)
    assert psnr(clean, clean + np.uint8(255)) == 0
    with pytest.raises(InputError, match=f"{shape[1]} x {shape[0]} pixels; expected at least 11 x 11"):
        ssim(clean, clean)


def test_without_scikit_image_ssim_names_the_extra_and_psnr_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    clean = np.zeros((12, 12), np.uint8)
    assert psnr(clean, clean) == math.inf
    with pytest.raises(MissingExtraError, match=r'SSIM needs .* pip install .*"\.\[evaluate\]"'):
        ssim(clean, clean)
