"""What JPEG did: the quality of files that Pillow wrote, and blocks of 8 pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from doctor_pictures import save, scene, spoilt
from grainless.doctor.compression import BLOCK_STEP, block_step, jpeg_quality, quantisation


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
def test_blocks_are_found_wherever_they_begin(channels: int) -> None:
    for seed in range(4):
        clean = scene(seed, channels=channels)
        assert block_step(clean) < BLOCK_STEP
        assert block_step(spoilt(clean, "gaussian:10")) < BLOCK_STEP
        low = spoilt(clean, "gaussian:6+jpeg:15")
        for top, left in ((0, 0), (3, 5), (7, 1)):
            assert block_step(low[top:, left:]) > BLOCK_STEP


def test_a_step_is_measured_in_levels() -> None:
    board = np.indices((12, 16)).sum(axis=0) % 2 * 3 + 100
    pixels = np.kron(board, np.ones((8, 8), int)).astype(np.uint8)[..., None]
    assert block_step(pixels) == pytest.approx(3, rel=0.1)
    # Another side than 8 is no block of JPEG.
    other = np.kron(board, np.ones((7, 7), int)).astype(np.uint8)[..., None]
    assert block_step(other) < BLOCK_STEP


def test_too_few_blocks_tell_nothing() -> None:
    assert block_step(spoilt(scene(0), "jpeg:5")[:60]) == 0
