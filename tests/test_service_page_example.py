"""The pictures to try the page with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grainless import read_picture
from grainless.diagnosis import diagnose
from grainless.metrics import psnr
from grainless.service.page.example import EXAMPLES, HEIGHT, WIDTH, draw_lake, write_example


def test_the_picture_is_always_the_same_and_uses_its_range() -> None:
    picture = draw_lake()
    draw_lake.cache_clear()
    assert np.array_equal(draw_lake(), picture)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.min() < 30
    assert picture.max() > 235


@pytest.mark.parametrize(
    ("name", "kind"), [("grain", "gaussian"), ("specks", "salt-pepper"), ("clean", "clean")]
)
def test_each_example_is_what_it_is_called(tmp_path: Path, name: str, kind: str) -> None:
    assert name in EXAMPLES
    pixels = read_picture(write_example(name, tmp_path)).pixels
    assert diagnose(pixels).kind == kind
    assert (psnr(draw_lake(), pixels) < 25) == (name != "clean")
