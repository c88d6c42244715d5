"""Grain: its strength, its size against a filter of scipy, its colours, and its messages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from grainless.errors import NoiseError
from grainless.noise import Gaussian, Grain, parse_noise, parse_noise_range


def field(noise, *shape, seed=5):
    """What a noise adds to a plain gray picture, in levels of 255."""
    plain = np.full(shape, 0.5, np.float32)
    return (noise.apply(plain, np.random.default_rng(seed)) - plain).astype(np.float64) * 255


def correlation(one, two):
    return np.corrcoef(one.ravel(), two.ravel())[0, 1]


@pytest.mark.parametrize("size", [0, 0.5, 1, 2.5])
@pytest.mark.parametrize("chroma", [0, 0.4, 1])
def test_strength_is_the_same_for_every_size_and_colour(size, chroma):
    noise = field(Grain(12, size, chroma), 500, 500, 3)
    # Grains of size s leave about 1 / (4 pi s^2) independent values of each.
    independent = 250_000 / max(1, 4 * np.pi * size**2)
    assert noise.std(axis=(0, 1)) == pytest.approx([12] * 3, abs=5 * 12 / np.sqrt(2 * independent))
    assert field(Grain(12, size, chroma), 500, 500, 1).std() == pytest.approx(
        12, abs=5 * 12 / np.sqrt(2 * independent)
    )


@pytest.mark.parametrize("size", [0.7, 1.5, 3])
def test_neighbours_are_alike_as_behind_a_gaussian_filter(size):
    ours = field(Grain(10, size), 700, 700, 1)[..., 0]
    white = np.random.default_rng(6).standard_normal((700, 700))
    theirs = gaussian_filter(white, size, mode="wrap")
    for distance in (1, 2, 4):
        for one in (ours, ours.T):
            measured = correlation(one[distance:], one[:-distance])
            assert measured == pytest.approx(correlation(theirs[distance:], theirs[:-distance]), abs=0.04)


def test_grain_without_extent_is_white():
    noise = field(Grain(10, 0), 400, 400, 1)[..., 0]
    assert abs(correlation(noise[1:], noise[:-1])) < 0.02
    assert abs(correlation(noise[:, 1:], noise[:, :-1])) < 0.02


def test_chroma_is_the_share_of_the_variance_in_colour():
    for chroma in (0.0, 0.3, 1.0):
        noise = field(Grain(10, 1, chroma), 500, 500, 3)
        brightness = noise.mean(axis=2)
        assert brightness.var() == pytest.approx((1 - chroma) * 100, abs=4)
        assert (noise - brightness[..., None]).var() == pytest.approx(chroma * 100, abs=4)


def test_at_two_thirds_channels_have_nothing_in_common():
    noise = field(Grain(10, 1, 2 / 3), 500, 500, 3)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert abs(correlation(noise[..., one], noise[..., two])) < 0.03


def test_borders_are_like_the_middle():
    noise = np.stack([field(Grain(10, 3), 40, 40, 1, seed=seed) for seed in range(200)])
    assert noise[:, 0].std() == pytest.approx(10, rel=0.1)
    assert noise[:, :, -1].std() == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("text", "noise"),
    [
        ("grain:10", Grain(10)),
        ("grain:10:size=2", Grain(10, 2)),
        ("grain:4:size=0.5:chroma=0.75", Grain(4, 0.5, 0.75)),
        ("grain:4:chroma=1", Grain(4, 1, 1)),
    ],
)
def test_text(text, noise):
    assert parse_noise(text) == noise
    assert str(noise) == text


def test_ranges():
    family = parse_noise_range("grain:0..20:size=1..2:chroma=0..1")
    rng = np.random.default_rng(0)
    drawn = [family.sample(rng) for _ in range(50)]
    assert all(1 <= noise.size <= 2 and 0 <= noise.sigma <= 20 for noise in drawn)
    assert len({noise.chroma for noise in drawn}) == 50


def test_messages():
    with pytest.raises(
        NoiseError, match=r"size of grain is not valid; got 17; expected a number from 0 to 16"
    ):
        parse_noise("grain:5:size=17")
    with pytest.raises(NoiseError, match=r"chroma of grain is not valid.*share of the variance in colour"):
        Grain(5, chroma=1.5)
    with pytest.raises(NoiseError, match=r"grain is defined for gray and RGB pictures only"):
        Grain(5).apply(np.zeros((4, 4, 2), np.float32), np.random.default_rng(0))


def test_other_seeds_give_other_grain():
    assert not np.array_equal(field(Grain(5), 9, 9, 3, seed=1), field(Grain(5), 9, 9, 3, seed=2))
    assert np.array_equal(field(Grain(5), 9, 9, 3, seed=1), field(Grain(5), 9, 9, 3, seed=1))
    assert field(Gaussian(5), 9, 9, 3).shape == (9, 9, 3)
