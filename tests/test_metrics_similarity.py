"""SSIM's variants and MS-SSIM against scikit-image, scipy and torchmetrics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as torch_ms_ssim
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim

from grainless.errors import InputError
from grainless.metrics import FILE_8BIT, GOLBAR, SINAARABI, Protocol, ms_ssim, scores, ssim

FLOAT = Protocol("float", eight_bit=False, clip=False)
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def batch(*pictures):
    """Pictures (H, W, C) as torch tensors of one picture each."""
    return [torch.from_numpy(picture).permute(2, 0, 1)[None].double() for picture in pictures]


def noisy_pair(rng, shape, sigma=0.1):
    """A smooth float picture and a noisy one."""
    clean = np.clip(ndimage.gaussian_filter(rng.normal(0.5, 1.5, shape), (3, 3, 0)), 0, 1)
    return clean, clean + rng.normal(0, sigma, shape)


@pytest.mark.parametrize("shape", [(20, 23, 3), (6, 9, 1)])
def test_mirrored_edges_are_those_of_torchmetrics(rng, shape):
    clean, restored = noisy_pair(rng, shape)
    mirrored = dataclasses.replace(FLOAT, ssim_edges="mirrored")
    oracle = float(torch_ssim(*batch(clean, restored), data_range=1.0))
    assert ssim(clean, restored, mirrored) == pytest.approx(oracle, abs=1e-6)
    if min(shape[:2]) >= 11:
        assert ssim(clean, restored, FLOAT) != pytest.approx(oracle, abs=1e-4)


@pytest.mark.parametrize("uniform", [None, 7])
def test_replicated_edges_are_a_filter_that_repeats_the_last_pixel(rng, uniform):
    one, two = (plane[..., 0] for plane in noisy_pair(rng, (9, 8, 1)))

    def mean(plane):
        if uniform:
            return ndimage.uniform_filter(plane, uniform, mode="nearest")
        return ndimage.gaussian_filter(plane, 1.5, truncate=3.5, mode="nearest")

    m1, m2 = mean(one), mean(two)
    norm = 49 / 48 if uniform else 1
    v1, v2, v12 = (
        norm * part for part in (mean(one**2) - m1**2, mean(two**2) - m2**2, mean(one * two) - m1 * m2)
    )
    maps = (2 * m1 * m2 + 1e-4) * (2 * v12 + 9e-4) / ((m1**2 + m2**2 + 1e-4) * (v1 + v2 + 9e-4))
    replicated = dataclasses.replace(FLOAT, ssim_edges="replicated", ssim_uniform=uniform)
    assert ssim(one, two, replicated) == pytest.approx(maps.mean(), abs=1e-9)


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("uniform", [None, 9])
def test_window_covariance_and_range_are_handed_on(rng, sample, uniform):
    clean, restored = noisy_pair(rng, (17, 19, 3))
    protocol = dataclasses.replace(FLOAT, ssim_uniform=uniform, ssim_sample=sample, ssim_range=2.0)
    window = {"win_size": 9} if uniform else {"gaussian_weights": True}
    oracle = structural_similarity(
        clean, restored, data_range=2.0, channel_axis=-1, use_sample_covariance=sample, **window
    )
    assert ssim(clean, restored, protocol) == pytest.approx(oracle, abs=1e-12)
    other = dataclasses.replace(protocol, ssim_sample=not sample)
    assert ssim(clean, restored, other) != pytest.approx(oracle, abs=1e-6)


def test_the_range_of_psnr_is_that_of_ssim_unless_told(rng):
    clean, restored = noisy_pair(rng, (17, 19, 1))
    told = dataclasses.replace(FLOAT, data_range=2.0)
    assert ssim(clean, restored, told) == ssim(clean, restored, dataclasses.replace(FLOAT, ssim_range=2.0))
    assert ssim(clean, restored, dataclasses.replace(told, ssim_range=1.0)) == ssim(clean, restored, FLOAT)


def test_a_wider_gaussian_is_cut_at_three_and_a_half_sigma(rng):
    clean, restored = noisy_pair(rng, (30, 31, 1))
    wide = dataclasses.replace(FLOAT, ssim_sigma=2.5)
    oracle = structural_similarity(
        clean, restored, data_range=1, channel_axis=-1,
        gaussian_weights=True, sigma=2.5, use_sample_covariance=False,
    )  # fmt: skip
    assert wide.ssim_window == 19
    assert ssim(clean, restored, wide) == pytest.approx(oracle, abs=1e-12)


@pytest.mark.parametrize(
    ("fields", "side"), [({"ssim_edges": "mirrored"}, 6), ({"border": 2}, 15), ({"ssim_uniform": 3}, 3)]
)
def test_the_smallest_picture_has_an_ssim_and_a_smaller_one_is_refused(fields, side):
    protocol = dataclasses.replace(FLOAT, **fields)
    assert ssim(np.zeros((side, side + 3)), np.zeros((side, side + 3)), protocol) == 1
    with pytest.raises(
        InputError, match=f"{side + 3} x {side - 1} pixels; expected at least {side} x {side}"
    ):
        ssim(np.zeros((side - 1, side + 3)), np.zeros((side - 1, side + 3)), protocol)


# ---- MS-SSIM


def levels_of_torchmetrics(clean, restored, **kind):
    """MS-SSIM by torchmetrics' parts, the window inside the picture at the last scale too, per channel."""
    found = []
    for pair in zip(*(part.split(1, dim=1) for part in batch(clean, restored)), strict=True):
        scaled = pair
        terms = []
        for _ in range(5):
            _, image = torch_ssim(*scaled, data_range=1.0, return_full_image=True, **kind)
            _, contrast = torch_ssim(*scaled, data_range=1.0, return_contrast_sensitivity=True, **kind)
            terms.append(contrast)
            scaled = [torch.nn.functional.avg_pool2d(part, 2) for part in scaled]
        reach = kind.get("kernel_size", 11) // 2
        terms[-1] = image[..., reach:-reach, reach:-reach].mean()
        found.append(
            np.prod([max(float(t), 0.0) ** weight for t, weight in zip(terms, WEIGHTS, strict=True)])
        )
    return np.mean(found)


def test_multiscale_ssim_is_that_of_torchmetrics(rng):
    clean, restored = noisy_pair(rng, (176, 192, 2), sigma=0.3)
    found = ms_ssim(clean, restored, FLOAT)
    assert found == pytest.approx(levels_of_torchmetrics(clean, restored), abs=1e-6)
    # Its own function averages the channels before the product, and the whole picture at the last scale.
    assert found == pytest.approx(float(torch_ms_ssim(*batch(clean, restored), data_range=1.0)), abs=2e-2)
    assert scores(clean, restored, FLOAT, metrics=["ms_ssim"]).ms_ssim == found


def test_multiscale_ssim_has_the_window_of_the_protocol(rng):
    clean, restored = noisy_pair(rng, (112, 128, 1), sigma=0.3)
    uniform = dataclasses.replace(FLOAT, ssim_uniform=7, ssim_sample=False)
    kind = {"gaussian_kernel": False, "kernel_size": 7}
    assert ms_ssim(clean, restored, uniform) == pytest.approx(
        levels_of_torchmetrics(clean, restored, **kind), abs=1e-6
    )


def test_multiscale_ssim_clips_where_ssim_does(rng):
    clean, restored = noisy_pair(rng, (112, 112, 1), sigma=0.5)
    clipped = np.clip(restored, 0, 1)
    assert ms_ssim(clean, restored, GOLBAR) == ms_ssim(clean, clipped, SINAARABI)
    assert ms_ssim(clean, restored, GOLBAR) != ms_ssim(clean, restored, SINAARABI)


def test_an_odd_row_counts_twice_where_pictures_are_halved(rng):
    clean, restored = noisy_pair(rng, (97, 103, 1), sigma=0.3)
    one, two = clean[..., 0], restored[..., 0]
    expected = 1.0
    for weight in WEIGHTS:
        m1, m2, s11, s22, s12 = (
            ndimage.uniform_filter(plane, 7)[3:-3, 3:-3] for plane in (one, two, one**2, two**2, one * two)
        )
        term = (2 * 49 / 48 * (s12 - m1 * m2) + 9e-4) / (49 / 48 * (s11 - m1**2 + s22 - m2**2) + 9e-4)
        if weight == WEIGHTS[-1]:
            term = term * (2 * m1 * m2 + 1e-4) / (m1**2 + m2**2 + 1e-4)
        expected *= term.mean() ** weight
        # As the authors' code does: means of 2 x 2 pixels, mirrored at the edge, of which every other stays.
        one, two = (ndimage.uniform_filter(plane, 2, origin=-1)[::2, ::2] for plane in (one, two))
    assert ms_ssim(clean, restored, SINAARABI) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "protocol", "known"),
    [
        ((161, 161), FILE_8BIT, True),
        ((160, 400), FILE_8BIT, False),
        ((97, 98, 3), SINAARABI, True),
        ((96, 98, 3), SINAARABI, False),
        ((168, 168), dataclasses.replace(FILE_8BIT, border=4), False),
    ],
)
def test_small_pictures_have_no_multiscale_ssim(rng, shape, protocol, known):
    picture = rng.random(shape)
    assert ms_ssim(picture, picture, protocol) == (pytest.approx(1) if known else None)


def test_negative_terms_count_nothing(rng):
    clean = rng.random((161, 161))
    assert ms_ssim(clean, 1 - clean, FLOAT) == 0


def test_blur_costs_multiscale_ssim_less_than_ssim(rng):
    clean, _ = noisy_pair(rng, (176, 176, 1))
    detailed = np.clip(clean + rng.normal(0, 0.05, clean.shape), 0, 1)
    assert 1 > ms_ssim(detailed, clean) > ssim(detailed, clean)
