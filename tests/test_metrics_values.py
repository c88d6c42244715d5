"""Depth, colour, border and span of what is compared, against formulas written out here."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import rgb2ycbcr

from grainless.errors import InputError
from grainless.metrics import FILE_8BIT, Protocol, mse, psnr, scores, to_8bit, to_gray

FLOAT = Protocol("float", eight_bit=False, clip=False)


@given(st.integers(0, 65535))
def test_16_bit_goes_to_the_nearest_8_bit_level(value):
    found = int(to_8bit(np.array([[value]], np.uint16))[0, 0])
    assert abs(value - 257 * found) <= 128


@given(arrays(np.uint8, (3, 4, 3)))
def test_8_bit_pixels_survive_both_ways(pixels):
    assert np.array_equal(to_8bit(pixels), pixels)
    assert np.array_equal(to_8bit(pixels.astype(np.uint16) * 257), pixels)
    assert np.array_equal(to_8bit((pixels / 255).astype(np.float32)), pixels)


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


def of_colour(colour, protocol=FILE_8BIT):
    return dataclasses.replace(protocol, name=colour, colour=colour)


@pytest.fixture
def levels(rng):
    """A clean and a restored colour picture of 8 bit."""
    return rng.integers(0, 256, (2, 13, 15, 3), dtype=np.uint8)


def test_gray_is_the_rounded_luma(levels):
    clean, restored = levels
    red, green, blue = (clean[..., channel].astype(float) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    found = to_gray(clean)
    assert (found.shape, found.dtype) == ((13, 15, 1), np.uint8)
    np.testing.assert_allclose(found[..., 0], luma, atol=0.5 + 1e-9)
    values = (clean / 255).astype(np.float32)
    assert to_gray(values).dtype == np.float32
    np.testing.assert_allclose(to_gray(values)[..., 0], luma / 255, atol=1e-6)
    assert mse(clean, restored, of_colour("gray")) == mse(found, to_gray(restored))
    assert mse(values, restored, of_colour("gray", FLOAT)) == pytest.approx(
        mse(luma / 255, to_gray(restored / 255)[..., 0], FLOAT)
    )


@pytest.mark.parametrize("shape", [(12, 13), (12, 13, 1), (12, 13, 2)])
@pytest.mark.parametrize("colour", ["gray", "y", "y-studio", "y-studio-rounded"])
def test_pictures_without_three_channels_are_compared_as_they_are(rng, shape, colour):
    clean, restored = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    assert to_gray(clean) is clean
    assert scores(clean, restored, of_colour(colour)) == scores(clean, restored)


@pytest.mark.parametrize("protocol", [FILE_8BIT, FLOAT])
def test_studio_range_is_that_of_matlab_and_its_psnr_has_the_whole_range(levels, protocol):
    clean, restored = levels
    # scikit-image's conversion of floats is MATLAB's, unrounded, on the scale of 8 bit.
    difference = rgb2ycbcr(clean / 255)[..., 0] - rgb2ycbcr(restored / 255)[..., 0]
    found = psnr(clean, restored, of_colour("y-studio", protocol))
    assert found == pytest.approx(10 * np.log10(255**2 / np.mean(difference**2)), abs=1e-9)
    full = psnr(clean, restored, of_colour("y", protocol))
    assert found - full == pytest.approx(20 * np.log10(255 / 219), abs=1e-3)


def test_rounded_studio_range_is_that_of_8_bit_pictures_in_matlab(levels):
    clean, restored = levels
    one, two = (np.floor(rgb2ycbcr(picture / 255)[..., 0] + 0.5 + 1e-9) for picture in levels)
    assert mse(clean, restored, of_colour("y-studio-rounded")) == pytest.approx(
        np.mean((one - two) ** 2) / 255**2, rel=1e-12
    )
    assert mse(clean, restored, of_colour("y-studio-rounded")) != mse(clean, restored, of_colour("y-studio"))


def test_black_and_white_are_16_and_235_in_studio_range():
    flat = np.concatenate([np.zeros((2, 6, 3), np.uint8), np.full((2, 6, 3), 255, np.uint8)])
    one = dataclasses.replace(of_colour("y-studio"), ssim_uniform=3)
    assert mse(flat, flat[::-1], one) == pytest.approx((219 / 255) ** 2)


@pytest.mark.parametrize("protocol", [FILE_8BIT, FLOAT])
def test_a_border_is_left_out_by_every_metric(rng, protocol):
    clean, restored = rng.integers(0, 256, (2, 40, 45, 3), dtype=np.uint8)
    bordered = dataclasses.replace(protocol, border=4)
    extra = ["noise_left"]
    inner = scores(clean[4:-4, 4:-4], restored[4:-4, 4:-4], protocol, metrics=extra)
    assert scores(clean, restored, bordered, metrics=extra) == inner
    assert scores(clean, restored, protocol, metrics=extra) != inner
    restored[:4] = 255
    restored[:, -4:] = 255
    assert scores(clean, restored, bordered, metrics=extra) == inner


@pytest.mark.parametrize("shape", [(8, 30), (30, 7, 3)])
def test_a_picture_that_is_all_border_is_refused(shape):
    picture = np.zeros(shape, np.uint8)
    with pytest.raises(InputError, match=r"all border; got .* expected more than 8 each way, as 4 are left"):
        mse(picture, picture, dataclasses.replace(FILE_8BIT, border=4))


@given(st.floats(-3, 2), st.floats(0.5, 4))
def test_errors_do_not_depend_on_the_span(black, width):
    clean, restored = np.random.default_rng(3).random((2, 5, 6))
    moved = dataclasses.replace(FLOAT, span=(black, black + width))
    assert mse(clean, restored, moved) == pytest.approx(mse(clean, restored, FLOAT), rel=1e-9)
    assert psnr(clean, restored, moved) == pytest.approx(psnr(clean, restored, FLOAT), abs=1e-8)
