"""The noise that is left, against noise whose level is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from grainless.baselines import estimate_sigma
from grainless.errors import InputError
from grainless.metrics import FILE_8BIT, Protocol, noise_left, to_8bit

FLOAT = Protocol("float", eight_bit=False, clip=False)


def gray(shape, value=0.5):
    return np.full(shape, value)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.5, 40), st.integers(0, 1000))
def test_white_noise_is_told_by_its_standard_deviation(sigma, seed):
    noise = np.random.default_rng(seed).normal(0, sigma / 255, (194, 162))
    # 12 blocks of 256 values that are not quite independent: one standard error is about 3 %.
    assert noise_left(gray(noise.shape) + noise, FLOAT) == pytest.approx(sigma, rel=0.12)


@pytest.mark.parametrize("sigma", [2, 10])
def test_weak_noise_is_told_through_8_bit(rng, sigma):
    noisy = gray((258, 258)) + rng.normal(0, sigma / 255, (258, 258))
    # Rounding adds 1/12 of a level squared.
    assert noise_left(to_8bit(noisy)) == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.08)


def test_the_mask_is_immerkaers(rng):
    plane = rng.normal(0.5, 0.1, (18, 18))
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    inner = ndimage.convolve(plane, mask)[1:-1, 1:-1]
    assert noise_left(plane, FLOAT) == pytest.approx(255 * np.sqrt(np.mean(inner**2) / 36))


def test_ramps_and_straight_edges_are_no_noise():
    ramp = np.add.outer(np.linspace(0.1, 0.5, 66), np.linspace(0, 0.4, 66))
    assert noise_left(ramp, FLOAT) == pytest.approx(0, abs=1e-9)
    ramp[:, 30:] += 0.1
    assert noise_left(ramp, FLOAT) == pytest.approx(0, abs=1e-9)


def test_texture_elsewhere_is_no_noise(rng):
    picture = gray((258, 258))
    picture[:200] += rng.uniform(-0.4, 0.4, (200, 258)) * (np.indices((200, 258)).sum(axis=0) % 7 == 0)
    picture[:200] += np.repeat(np.repeat(rng.uniform(-0.2, 0.2, (25, 33)), 8, 0), 8, 1)[:, :258]
    picture += rng.normal(0, 3 / 255, picture.shape)
    assert noise_left(picture, FLOAT) == pytest.approx(3, rel=0.15)
    assert estimate_sigma(np.clip(picture, 0, 1).astype(np.float32)) > 4


def test_clipped_parts_are_left_out_where_there_are_others(rng):
    noise = rng.normal(0, 10 / 255, (194, 194))
    picture = gray(noise.shape)
    picture[:100] = 0.0
    assert noise_left(to_8bit(picture + noise)) == pytest.approx(10, rel=0.12)
    assert noise_left(to_8bit(noise)) == pytest.approx(6, rel=0.2)  # half of it is gone, and all is looked at
    assert noise_left(np.zeros((40, 40), np.uint8)) == 0


def test_impulses_that_are_left_count(rng):
    picture = gray((130, 130))
    assert noise_left(picture, FLOAT) == 0
    picture[rng.random(picture.shape) < 0.3] = 1.0
    assert noise_left(picture, FLOAT) > 40


def test_colours_are_measured_by_themselves_and_averaged(rng):
    noise = rng.normal(0, 1, (130, 130, 3)) * np.array([2, 4, 9]) / 255
    planes = [noise_left(gray((130, 130)) + noise[..., k], FLOAT) for k in range(3)]
    assert noise_left(gray(noise.shape) + noise, FLOAT) == pytest.approx(np.mean(planes))
    assert noise_left(gray((130, 130, 1)) + noise[..., :1], FLOAT) == planes[0]


def test_the_scale_is_255_whatever_depth_and_span_are(rng):
    levels = to_8bit(gray((66, 66)) + rng.normal(0, 8 / 255, (66, 66)))
    expected = pytest.approx(noise_left(levels))
    assert noise_left(levels.astype(np.uint16) * 257, FLOAT) == expected
    assert noise_left(levels, dataclasses.replace(FLOAT, span=(-3.0, 1.0))) == expected
    assert noise_left(np.pad(levels, 4), dataclasses.replace(FILE_8BIT, border=4)) == expected


@pytest.mark.parametrize(("shape", "known"), [((18, 18), True), ((17, 40), False), ((40, 17, 3), False)])
def test_small_pictures_tell_nothing(shape, known):
    assert (noise_left(gray(shape), FLOAT) is not None) == known


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match="wrong dtype; got int64"):
        noise_left(np.zeros((40, 40), int))
