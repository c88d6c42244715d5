"""Checksums, thumbnails, and pictures that are nearly the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.measure import block_reduce

from doctor_pictures import scene, spoilt
from grainless.doctor import likeness
from grainless.doctor.likeness import LIKE, averaging, checksum, find_like, thumbnail
from grainless.metrics import to_gray


def stacked(*pictures: np.ndarray) -> np.ndarray:
    return np.stack([thumbnail(pixels) for pixels in pictures])


def matches(thumbnails: np.ndarray, *, reference: int | None = None) -> list[list[tuple[int, bool]]]:
    count = len(thumbnails) if reference is None else reference
    found = find_like(thumbnails, range(count), reference=count)
    return [[(match.second, match.mirrored) for match in row] for row in found]


def test_a_checksum_is_of_shape_and_values() -> None:
    pixels = scene(0)
    assert checksum(pixels) == checksum(pixels.copy())
    assert checksum(pixels) == checksum(np.asfortranarray(pixels))
    changed = pixels.copy()
    changed[-1, -1, -1] ^= 1
    others = [changed, pixels.reshape(pixels.shape[1], pixels.shape[0], 3), pixels[:, :, :1], pixels[:-1]]
    assert len({checksum(other) for other in [pixels, *others]}) == len(others) + 1
    assert checksum(pixels, changed) != checksum(changed, pixels)


def test_a_thumbnail_is_the_mean_of_cells() -> None:
    pixels = scene(1, height=160, width=224, channels=1)
    oracle = block_reduce(pixels[..., 0].astype(float), (5, 7), np.mean)
    np.testing.assert_allclose(thumbnail(pixels), oracle, atol=0.1)


def test_a_thumbnail_of_any_size_is_what_pillow_s_box_filter_gives() -> None:
    pixels = scene(2, height=101, width=67)
    gray = Image.fromarray(to_gray(pixels)[..., 0]).convert("F").resize((32, 32), Image.Resampling.BOX)
    # Pillow's box takes whole pixels where ours shares them out.
    difference = np.abs(thumbnail(pixels).astype(float) - np.asarray(gray))
    assert np.median(difference) < 2
    small = scene(2, height=9, width=20)
    assert thumbnail(small).shape == (32, 32)


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 300), cells=st.sampled_from([8, 32]))
def test_averaging_keeps_constants_and_the_mean(length: int, cells: int) -> None:
    matrix = averaging(length, cells)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(matrix.mean(axis=0), 1 / length, rtol=1e-4)


def test_large_pictures_are_thinned_out() -> None:
    large = np.kron(scene(3), np.ones((16, 16, 1), np.uint8))
    np.testing.assert_allclose(thumbnail(large), thumbnail(scene(3)), atol=1)


def test_other_scenes_are_not_alike_and_changed_copies_are() -> None:
    one = scene(10, height=240, width=320)
    small = np.asarray(Image.fromarray(one).resize((200, 150), Image.Resampling.BICUBIC))
    darker = np.rint(one * 0.7 + 10).astype(np.uint8)
    noisy, compressed = spoilt(one, "gaussian:40"), spoilt(one, "jpeg:20")
    strangers = [scene(seed, height=240, width=320) for seed in range(20, 26)]
    found = matches(stacked(one, *strangers, small, darker, noisy, compressed, to_gray(one), one[:, ::-1]))
    assert found[:7] == [[] for _ in range(7)]
    assert all((0, False) in row for row in found[7:12])
    assert (0, True) in found[12]
    assert all(mirrored for _, mirrored in found[12])


def test_the_most_similar_comes_first_and_correlation_is_numpy_s() -> None:
    one = scene(11)
    thumbnails = stacked(spoilt(one, "gaussian:60"), one, spoilt(one, "gaussian:5"))
    *_, last = find_like(thumbnails, [2], reference=3)
    assert [match.second for match in last] == [1, 0]
    coarse = thumbnails.astype(float).reshape(3, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(3, -1)
    oracle = np.corrcoef(coarse)
    assert last[0].correlation == pytest.approx(oracle[2, 1], abs=1e-3)
    assert last[0].correlation > LIKE


def test_a_picture_is_compared_with_earlier_ones_and_with_all_others() -> None:
    one, two = scene(12), scene(13)
    thumbnails = stacked(one, two, one, two, one)
    assert matches(thumbnails) == [[], [], [(0, False)], [(1, False)], [(0, False), (2, False)]]
    assert matches(thumbnails, reference=2) == [[(2, False), (4, False)], [(3, False)]]


def test_one_composition_is_not_one_picture(rng: np.random.Generator) -> None:
    horizon = np.repeat(np.linspace(200, 60, 160), 208).reshape(160, 208, 1)
    pair = [np.rint(horizon + scene(seed, channels=1) / 12.0).astype(np.uint8) for seed in (1, 2)]
    coarse = [thumbnail(pixels).astype(float).ravel() for pixels in pair]
    assert np.corrcoef(coarse)[0, 1] > LIKE
    assert matches(stacked(*pair)) == [[], []]


def test_plain_pictures_are_like_none() -> None:
    plain = np.full((64, 64, 1), 90, np.uint8)
    assert matches(stacked(plain, plain, spoilt(plain, "gaussian:3"))) == [[], [], []]


def test_parts_of_many_pictures_give_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = stacked(*(scene(seed % 5, height=64, width=64) for seed in range(11)))
    whole = matches(thumbnails, reference=7)
    monkeypatch.setattr(likeness, "_ROWS", 2)
    assert matches(thumbnails, reference=7) == whole
    assert sum(map(len, whole)) > 0
