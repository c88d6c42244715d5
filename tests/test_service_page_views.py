"""What is looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from grainless.picture import Metadata, Picture
from grainless.service.page import views
from picture_files import RGB_PROFILE, values


def test_what_is_transparent_is_shown_on_white() -> None:
    pixels = np.full((2, 2, 3), 40, np.uint8)
    alpha = np.array([[0, 255], [128, 255]], np.uint8)
    shown = views.shown(Picture(pixels, alpha, Metadata(), "png"))
    reference = Image.new("RGBA", (2, 2), "white")
    layer = Image.fromarray(np.dstack([pixels, alpha]))
    wanted = np.asarray(Image.alpha_composite(reference, layer).convert("RGB"))
    assert np.abs(shown.astype(int) - wanted).max() <= 1
    assert shown[0, 0].tolist() == [255] * 3
    assert shown[0, 1].tolist() == [40] * 3


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_depths_are_shown_in_8_bit(dtype: str, channels: int) -> None:
    shown = views.shown(Picture(values(dtype, channels), None, Metadata(), "tiff"))
    assert shown.dtype == np.uint8
    assert shown.shape == (9, 14, channels)
    assert shown.min() == 0
    assert shown.max() == 255


@pytest.mark.parametrize("channels", [1, 3])
def test_large_pictures_are_made_to_fit_and_others_left(channels: int) -> None:
    small = values("uint8", channels)
    assert views.fitted(small) is small
    large = values("uint8", channels, height=100, width=300)
    assert views.fitted(large, 60).shape == (20, 60, channels)
    plain = np.full((50, 500, channels), 77, np.uint8)
    assert np.unique(views.fitted(plain, 100)).tolist() == [77]


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.tuples(st.floats(-1, 2), st.floats(-1, 2)),
)
def test_parts_stay_inside_and_have_one_shape(size: tuple[int, int], place: tuple[float, float]) -> None:
    rows, columns = views.part_around(size, place)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert 0 <= rows.start < rows.stop <= size[0]
    assert 0 <= columns.start < columns.stop <= size[1]
    assert width <= views.PART[0]
    assert height <= views.PART[1]
    # The view is as wide as high in this ratio; another would put the handle beside the edge.
    assert abs(width * views.PART[1] - height * views.PART[0]) <= max(views.PART)
    assert size[0] < views.PART[1] or size[1] < views.PART[0] or (width, height) == views.PART


def test_the_part_is_where_it_is_wanted() -> None:
    rows, columns = views.part_around((4000, 6000), (0.25, 0.5))
    assert (rows.start + rows.stop) / 2 == 1000
    assert (columns.start + columns.stop) / 2 == 3000


def test_the_frame_is_around_the_part() -> None:
    pixels = np.full((40, 60, 3), 90, np.uint8)
    framed = views.with_frame(pixels, (400, 600), (slice(100, 200), slice(300, 500)))
    assert np.unique(pixels).tolist() == [90]
    rows, columns = np.nonzero((framed != 90).any(axis=2))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (10, 20, 30, 50)
    assert framed[11, 40].tolist() == [255] * 3
    assert framed[10, 40].tolist() == [0] * 3


@example(1, 1, 0.5, 0.5)
@example(20, 2000, 1.0, 1.0)
@example(3000, 2, 0.0, 1.0)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
def test_every_part_has_a_frame(height: int, width: int, down: float, across: float) -> None:
    scale = min(1.0, views.MAP_SIDE / max(height, width))
    pixels = np.full((max(1, round(height * scale)), max(1, round(width * scale)), 1), 90, np.uint8)
    framed = views.with_frame(pixels, (height, width), views.part_around((height, width), (down, across)))
    assert (framed != 90).any()


def test_the_busiest_place_is_where_most_was_removed() -> None:
    before = np.full((400, 400, 1), 100, np.uint8)
    after = before.copy()
    after[310:390, 10:90] = 120
    assert views.busiest_place(before, after) == (0.875, 0.125)
    tiny = np.zeros((1, 1, 1), np.uint8)
    assert all(0 <= part <= 1 for part in views.busiest_place(tiny, tiny))


@pytest.mark.parametrize(("change", "gain"), [(0, 32), (1, 32), (5, 16), (20, 4), (60, 2), (200, 1)])
def test_the_gain_shows_small_changes_and_hides_none(change: int, gain: int) -> None:
    before = np.full((20, 20, 3), 255, np.uint8)
    assert views.gain_for(before, before - change) == gain
    assert gain * change <= 127 or gain == 1


def test_views_are_exact_and_keep_their_profile(tmp_path: Path) -> None:
    pixels = values("uint8", 3)
    path = views.save_view(pixels, tmp_path / "a.png", icc=RGB_PROFILE)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["icc_profile"] == RGB_PROFILE
