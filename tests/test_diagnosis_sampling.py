"""What is read of a picture, in which units."""

from __future__ import annotations

import numpy as np
import pytest

from grainless.diagnosis.sampling import block_rows, luma_of, places, sample, to_levels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_levels_are_of_255_whatever_the_depth(dtype: type) -> None:
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    pixels = (np.array([[[0.0], [0.2], [1.0]]]) * white).astype(dtype)
    seen = sample(pixels)
    np.testing.assert_allclose(seen.levels.ravel(), [0, 51, 255], atol=1e-2)
    assert seen.levels.dtype == np.float32
    np.testing.assert_array_equal(seen.extreme.ravel(), [True, False, True])


def test_floats_outside_the_range_are_clipped() -> None:
    seen = sample(np.array([[[-3.0], [1.5]]]))
    np.testing.assert_array_equal(seen.levels.ravel(), [0, 255])


def test_three_equal_channels_are_one(rng: np.random.Generator) -> None:
    gray = rng.integers(0, 256, (20, 30, 1), dtype=np.uint8)
    assert sample(np.repeat(gray, 3, axis=2)).levels.shape == (20, 30, 1)
    colour = np.repeat(gray, 3, axis=2)
    colour[19, 29, 2] ^= 1
    assert sample(colour).levels.shape == (20, 30, 3)


def test_a_large_picture_is_read_in_windows_from_end_to_end_on_the_grid_of_jpeg() -> None:
    rows, columns = np.mgrid[:1500, :1025]
    pixels = np.stack([rows % 256, columns % 256, (rows // 8 + columns // 8) % 256], axis=2).astype(np.uint8)
    levels = sample(pixels).levels
    assert levels.shape == (1024, 1024, 3)
    np.testing.assert_array_equal(levels[:256, :256], pixels[:256, :256])
    # Blocks of 8 stay whole: within each, both coordinates count on.
    blocks = levels.reshape(128, 8, 128, 8, 3)
    assert (np.diff(blocks[..., 0], axis=1) % 256 == 1).all()
    assert (np.diff(blocks[..., 1], axis=3) % 256 == 1).all()
    assert levels[-1, 0, 0] >= (1500 - 9) % 256


def test_what_cannot_be_seen_is_marked() -> None:
    alpha = np.array([[0, 1, 255]], dtype=np.uint8)
    seen = sample(np.zeros((1, 3, 3), np.uint8), alpha)
    np.testing.assert_array_equal(seen.visible, [[False, True, True]])


def test_luma_weighs_green_most() -> None:
    pure = 255 * np.eye(3, dtype=np.float32)[None]
    np.testing.assert_allclose(luma_of(pure), [[76.245, 149.685, 29.07]], rtol=1e-5)


def test_other_windows_are_read_at_even_distances_on_the_grid() -> None:
    assert places(384, window=128, windows=3) is None
    found = places(1001, window=128, windows=3)
    assert found is not None
    starts = found[::128]
    np.testing.assert_array_equal(starts, [0, 432, 872])
    np.testing.assert_array_equal(found, (starts[:, None] + np.arange(128)).ravel())


@pytest.mark.parametrize(
    ("pixels", "levels"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([0, 257, 65535], np.uint16), [0, 1, 255]),
        (np.array([-1, 0.5, 2], np.float64), [0, 127.5, 255]),
    ],
)
def test_levels_are_those_of_255(pixels: np.ndarray, levels: list[float]) -> None:
    np.testing.assert_allclose(to_levels(pixels), levels, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "side"), [((16, 24), 8), ((17, 30), 8), ((70, 33), 32), ((7, 20), 8), ((3, 5), 1)]
)
def test_blocks_are_rows(shape: tuple[int, int], side: int, rng: np.random.Generator) -> None:
    plane = rng.integers(0, 256, shape)
    rows = block_rows(plane, side)
    wanted = [
        plane[top : top + side, left : left + side].ravel()
        for top in range(0, shape[0] - side + 1, side)
        for left in range(0, shape[1] - side + 1, side)
    ]
    assert rows.shape == (len(wanted), side * side)
    np.testing.assert_array_equal(rows, np.reshape(wanted, rows.shape))
