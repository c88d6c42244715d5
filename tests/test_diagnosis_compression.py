"""JPEG: the quality that files of Pillow tell, and the one that pixels tell, wherever the blocks begin."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from doctor_pictures import save, scene, spoilt
from grainless.diagnosis.compression import find_trace, jpeg_quality, quantisation
from grainless.diagnosis.sampling import sample


@pytest.mark.parametrize("channels", [1, 3])
def test_the_quality_of_a_file_is_what_it_was_written_with(tmp_path: Path, channels: int) -> None:
    pixels = scene(0, channels=channels)[:24, :24]
    for quality in (1, 5, 20, 40, 49, 50, 51, 74, 75, 90, 95, 99, 100):
        assert jpeg_quality(save(tmp_path / "a.jpg", pixels, quality=quality)) == quality


def test_the_tables_are_those_of_libjpeg() -> None:
    for quality in range(1, 101):
        data = io.BytesIO()
        Image.new("L", (8, 8)).save(data, "JPEG", quality=quality)
        with Image.open(data) as image:
            assert sorted(image.quantization[0]) == sorted(quantisation(quality).tolist())


def test_tables_of_other_programs_are_near_some_quality(tmp_path: Path) -> None:
    own = [[2] * 64, [3] * 64]
    quality = jpeg_quality(save(tmp_path / "a.jpg", scene(0), qtables=own))
    assert quality is not None
    assert quality > 90


def test_other_files_have_no_quality(tmp_path: Path) -> None:
    assert jpeg_quality(save(tmp_path / "a.png", scene(0))) is None
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    assert jpeg_quality(tmp_path / "b.jpg") is None
    assert jpeg_quality(tmp_path / "gone.jpg") is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [15, 30, 50, 70, 85])
def test_pixels_tell_the_quality_that_pillow_wrote(quality: int, channels: int) -> None:
    low = spoilt(scene(2, channels=channels), f"gaussian:6+jpeg:{quality}")
    trace = find_trace(sample(low))
    assert trace.strength > 0
    # Two qualities may have the same steps at the coarse cosines.
    assert abs(trace.quality - quality) <= 1


def test_cropping_does_not_hide_a_low_quality() -> None:
    low = spoilt(scene(3), "gaussian:6+jpeg:30")
    for top, left in ((0, 0), (3, 5), (7, 1)):
        assert find_trace(sample(low[top:, left:])).quality == 30


@pytest.mark.parametrize("noise", ["clean", "gaussian:10", "salt-pepper:0.1", "jpeg:60+gaussian:5"])
def test_other_pictures_have_no_trace(noise: str) -> None:
    for seed in range(3):
        assert find_trace(sample(spoilt(scene(seed), noise))).strength == 0


def test_a_picture_too_small_for_blocks_has_no_trace(rng: np.random.Generator) -> None:
    tiny = rng.integers(0, 256, (20, 200, 3), dtype=np.uint8)
    assert find_trace(sample(tiny)).strength == 0
