"""What the guard measures, against the truth, on scenes of which the clean picture is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from doctor_pictures import scene, spoilt
from grainless.guard.evidence import Evidence, gather

SIZE = {"height": 256, "width": 320}
CLEAN = scene(2, **SIZE)
NOISES = ["gaussian:8", "gaussian:25", "poisson:60", "speckle:0.02", "gaussian:15+salt-pepper:0.1:channel"]


def measured(before, after, visible=None) -> Evidence:
    visible = np.ones(before.shape[:2], bool) if visible is None else visible
    return gather(before.astype(np.float32), after.astype(np.float32), visible)


def blurred(values, sigma):
    return ndimage.gaussian_filter(values.astype(np.float32), (sigma, sigma, 0))


def true_gain(clean, before, after):
    errors = [np.mean((part.astype(float) - clean) ** 2) for part in (before, after)]
    return 1 - errors[1] / errors[0]


@pytest.mark.parametrize("noise", [*NOISES, "salt-pepper:0.05", "salt-pepper:0.5:channel", "grain:15"])
def test_all_of_the_noise_and_nothing_else_is_a_full_gain(noise):
    told = measured(spoilt(CLEAN, noise), CLEAN)
    assert told.gain > 0.85
    assert told.share > 0.9
    assert abs(told.alike) < 0.15
    assert max(map(abs, told.shift)) < 2


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.5])
def test_a_part_of_the_noise_is_a_part_of_the_gain(noise, strength):
    if strength < 1 and "salt" in noise:
        pytest.skip("a part of an impulse is an impulse still")
    noisy = spoilt(CLEAN, noise).astype(np.float32)
    after = noisy + strength * (CLEAN - noisy)
    told = measured(noisy, after)
    assert told.gain == pytest.approx(true_gain(CLEAN, noisy, after), abs=0.2)
    # What is left of noise is alike to what was removed of it, and yet no structure of the picture.
    assert abs(told.alike) < 0.25


@pytest.mark.parametrize("noise", NOISES)
def test_the_gain_is_the_best_that_can_be_hoped_for(noise):
    noisy = spoilt(CLEAN, noise)
    soft = np.float32(CLEAN)
    results = {
        "blur 0.6": blurred(noisy, 0.6),
        "blur 2": blurred(noisy, 2),
        "blur 6": blurred(noisy, 6),
        "softened": blurred(CLEAN, 2),
        "further": noisy + 2.5 * (soft - noisy),
        "darker": soft * 0.85,
        "median": ndimage.median_filter(noisy, (5, 5, 1)),
        "moved": np.roll(CLEAN, 3, axis=1),
        "gray": np.full(CLEAN.shape, 120.0),
    }
    for name, after in results.items():
        # How bad a very bad result is need not be known.
        told, truth = (
            max(gain, -2) for gain in (measured(noisy, after).gain, true_gain(CLEAN, noisy, after))
        )
        assert told > truth - 0.25, name


def test_more_harm_is_less_gain():
    noisy = spoilt(CLEAN, "gaussian:10")
    gains = [measured(noisy, blurred(CLEAN, sigma)).gain for sigma in (0.5, 1.5, 3, 6)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0.7
    assert gains[-1] < 0.3


def test_texture_that_is_wiped_away_is_no_noise():
    # Flat parts tell that there is little noise, so what vanishes elsewhere is not noise.
    rng = np.random.default_rng(5)
    clean = CLEAN.astype(np.float32)
    clean[:, 100:220] += 15 * ndimage.gaussian_filter(rng.normal(0, 1, (256, 120, 1)), (0.7, 0.7, 0)) / 0.4
    noisy = np.clip(clean + rng.normal(0, 3, clean.shape), 0, 255)
    after = noisy.copy()
    after[:, 90:230] = blurred(noisy, 3)[:, 90:230]
    told = measured(noisy, after)
    assert told.gain < -1
    assert told.share < 0.5
    assert told.noise < 6
    assert measured(noisy, clean).gain > 0.6


@pytest.mark.parametrize("sign", [1, -1])
def test_what_follows_the_edges_is_alike(sign):
    after = CLEAN.astype(np.float32)
    detail = after - blurred(CLEAN, 1.5)
    told = measured(after + sign * 0.3 * detail, after)
    assert sign * told.alike > 0.8


@pytest.mark.parametrize("noise", ["salt-pepper:0.05", "salt-pepper:0.3:channel", "salt-pepper:0.3:salt=1"])
def test_impulses_are_no_structure_and_no_shift(noise):
    told = measured(spoilt(CLEAN, noise), CLEAN)
    assert abs(told.alike) < 0.15
    assert told.gain > 0.9
    assert max(map(abs, told.shift)) < 0.5


@pytest.mark.parametrize("noise", ["clean", "gaussian:20", "poisson:30", "salt-pepper:0.2"])
@pytest.mark.parametrize("tint", [(6, -3, 2), (-10, -10, -10)])
def test_the_shift_is_that_of_the_colours(noise, tint):
    told = measured(spoilt(CLEAN, noise), CLEAN.astype(np.float32) - tint)
    np.testing.assert_allclose(told.shift, tint, atol=1.5)


def test_jpeg_s_rounding_may_be_taken_back():
    clean = scene(4, **SIZE)
    noisy = spoilt(clean, "jpeg:20")
    told = measured(noisy, clean)
    assert true_gain(clean, noisy, clean) == 1
    assert told.gain > 0
    # The same from a picture that was no JPEG is structure.
    assert measured(clean, noisy).gain < told.gain


def test_what_is_transparent_does_not_count():
    noisy = spoilt(CLEAN, "gaussian:10")
    after = CLEAN.copy()
    after[:, 200:] = 0
    visible = np.zeros(CLEAN.shape[:2], bool)
    visible[:, :192] = True
    told = measured(noisy, after, visible)
    assert told.gain > 0.8
    assert measured(noisy, after).gain < 0
    assert measured(noisy, after, np.zeros_like(visible)) == Evidence((0.0, 0.0, 0.0))


def test_small_pictures_tell_only_how_much_changed():
    noisy = spoilt(CLEAN, "gaussian:10")[:50, :50]
    told = measured(noisy, CLEAN[:50, :50])
    assert (told.gain, told.share, told.alike) == (None, None, None)
    assert told.removed == pytest.approx(10, rel=0.1)


def test_gray_pictures():
    noisy = spoilt(CLEAN[..., :1], "gaussian:12")
    told = measured(noisy, CLEAN[..., :1])
    assert told.gain > 0.8
    assert told.noise == pytest.approx(12, rel=0.1)
    assert len(told.shift) == 1


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", [1, 5])
def test_likeness_is_a_correlation(noise, seed):
    clean = scene(seed, **SIZE)
    noisy = spoilt(clean, noise)
    for after in (
        np.clip(noisy * 0.9 + 10, 0, 255),
        blurred(noisy, 0.5),
        np.where(noisy > 128, noisy, clean),
    ):
        assert -1 <= measured(noisy, after).alike <= 1
