"""Tiles: cover, balance, cost, and the exactness that everything else rests on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless.planes import ArrayPlane, cut
from grainless.tiling import Box, Tile, overhead, plan_tiles, round_up, split


def box_sum(values):
    """Sum of the 3 by 3 neighbourhood with zero padding, in whole numbers."""
    padded = np.pad(values, 1)
    height, width = values.shape
    return sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))


def pyramid_network(values, stride):
    """A stand-in for a U-Net of one scale: receptive radius 2 * stride + 1, exact in integers, not linear.

    Convolution, pooling by `stride`, convolution, nearest up-sampling, skip connection, convolution.
    """
    fine = box_sum(values) + 1
    height, width = fine.shape
    coarse = fine.reshape(height // stride, stride, width // stride, stride).sum(axis=(1, 3))
    coarse = np.maximum(box_sum(coarse) + 3, 5)
    return box_sum(fine + coarse.repeat(stride, 0).repeat(stride, 1))


def run_whole(picture, stride):
    height, width = picture.shape
    window = Box(0, 0, round_up(height, stride), round_up(width, stride))
    return pyramid_network(cut(ArrayPlane(picture), window), stride)[:height, :width]


def run_tiled(picture, stride, *, tile, halo):
    out = np.full_like(picture, -1)
    for part in plan_tiles(*picture.shape, tile=tile, halo=halo, stride=stride):
        answer = pyramid_network(cut(ArrayPlane(picture), part.window), stride)
        out[part.output.slices(Box(0, 0, 0, 0))] = answer[part.output.slices(part.window)]
    return out


sizes = st.integers(1, 70)


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, st.sampled_from([1, 2, 3, 4, 8]), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_tiled_equals_whole(height, width, stride, tile, seed):
    picture = np.random.default_rng(seed).integers(1, 256, (height, width))
    tiled = run_tiled(picture, stride, tile=tile, halo=2 * stride + 1)
    np.testing.assert_array_equal(tiled, run_whole(picture, stride))


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("tile", [16, 24])
def test_a_halo_cut_by_one_stride_is_not_enough(rng, stride, tile):
    picture = rng.integers(1, 256, (100, 90))
    whole = run_whole(picture, stride)
    halo = round_up(2 * stride + 1, stride)
    np.testing.assert_array_equal(run_tiled(picture, stride, tile=tile, halo=halo), whole)
    assert np.any(run_tiled(picture, stride, tile=tile, halo=halo - stride) != whole)


def test_windows_off_the_stride_grid_would_differ(rng):
    # Why windows start at multiples of the stride: shifted by one pixel, the network pools other pixels.
    picture = rng.integers(1, 256, (64, 64))
    whole = run_whole(picture, 4)
    shifted = pyramid_network(picture[1:61, 1:61], 4)
    assert np.any(shifted[20:40, 20:40] != whole[21:41, 21:41])


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, st.integers(1, 9), st.integers(1, 50), st.integers(0, 40))
def test_plan_covers_once_within_its_windows(height, width, stride, tile, halo):
    plan = plan_tiles(height, width, tile=tile, halo=halo, stride=stride)
    covered = np.zeros((height, width), int)
    for part in plan:
        covered[part.output.slices(Box(0, 0, 0, 0))] += 1
        window = part.window
        assert all(edge % stride == 0 for edge in (window.top, window.left, window.bottom, window.right))
        assert window.top == 0 or window.top <= part.output.top - halo
        assert window.left == 0 or window.left <= part.output.left - halo
        assert window.bottom == round_up(height, stride) or window.bottom >= part.output.bottom + halo
        assert window.right == round_up(width, stride) or window.right >= part.output.right + halo
    assert (covered == 1).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5000), st.integers(1, 16), st.integers(1, 600))
def test_sides_are_balanced(length, stride, tile):
    plan = plan_tiles(length, 1, tile=tile, halo=0, stride=stride)
    sides = [part.window.height for part in plan]
    assert max(sides) - min(sides) <= stride
    assert max(sides) <= max(tile, stride)


@pytest.mark.parametrize(
    ("height", "width"), [(6000, 8000), (1025, 1025), (2056, 3084), (4000, 1100), (30000, 2048)]
)
def test_overhead_of_full_tiles(height, width):
    plan = plan_tiles(height, width, tile=1024, halo=96, stride=8)
    assert 1 < overhead(plan) <= 1.5


def test_overhead_counts_windows_and_pixels():
    assert overhead(plan_tiles(640, 480, tile=1024, halo=96, stride=8)) == 1
    halved = [
        Tile(Box(0, 0, 4, 4), Box(0, 0, 4, 6)),
        Tile(Box(0, 4, 4, 8), Box(0, 2, 4, 8)),
    ]
    assert plan_tiles(4, 8, tile=4, halo=2, stride=1) == halved
    assert overhead(halved) == pytest.approx(48 / 32)


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, st.sampled_from([1, 2, 3, 4, 8]), st.integers(8, 40), st.integers(0, 2**32 - 1))
def test_tiles_that_are_split_again_equal_the_whole(height, width, stride, tile, seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(1, 256, (height, width))
    halo = 2 * stride + 1
    out = np.full_like(picture, -1)

    def run(part, side):
        if rng.random() < 0.6:
            for smaller in split(part, tile=side // 2, halo=halo, stride=stride):
                assert smaller.output.area
                assert max(smaller.output.height, smaller.output.width) <= max(side // 2, stride)
                run(smaller, max(side // 2, 1))
            return
        answer = pyramid_network(cut(ArrayPlane(picture), part.window), stride)
        assert (out[part.output.slices(Box(0, 0, 0, 0))] == -1).all()
        out[part.output.slices(Box(0, 0, 0, 0))] = answer[part.output.slices(part.window)]

    for part in plan_tiles(height, width, tile=tile, halo=halo, stride=stride):
        run(part, tile)
    np.testing.assert_array_equal(out, run_whole(picture, stride))


def test_boxes_move():
    assert Box(5, 6, 7, 9).moved(Box(2, 3, 100, 100)) == Box(3, 3, 5, 6)


def test_boxes_meet():
    box = Box(0, 0, 10, 20)
    assert box.meet(Box(5, 15, 30, 30)) == Box(5, 15, 10, 20)
    assert box.meet(Box(5, 15, 30, 30)).area == 25
    assert box.meet(Box(50, 50, 60, 60)).area == 0


@pytest.mark.parametrize(("value", "multiple", "want"), [(0, 8, 0), (1, 8, 8), (96, 8, 96), (97, 8, 104)])
def test_round_up(value, multiple, want):
    assert round_up(value, multiple) == want
