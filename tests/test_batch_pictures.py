"""The unit of work on pictures: what is refused before any of it is done."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny_models
from grainless.batch import Job
from grainless.batch.pictures import Corrupting, Denoising
from grainless.errors import InputError, PictureError
from grainless.picture import Metadata, Picture, reading, stored, write_picture

WIDE = 16_384
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit is promised on Linux alone")
LIMITS = pytest.mark.parametrize("limit", [None, pytest.param(10**10, marks=LINUX)])


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    write_picture(Picture(np.zeros((2, WIDE, 1), np.uint8), None, Metadata(), "png"), path)
    return path


@pytest.fixture
def work(tmp_path: Path) -> Denoising:
    return Denoising(model=tiny_models.blur_model(tmp_path / "blur.onnx"), threads=1)


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(reading, "_decoded", fail)
    monkeypatch.setattr(stored, "_stored", fail)


@pytest.mark.usefixtures("nothing_is_decoded")
@LIMITS
def test_a_picture_that_no_such_file_can_hold_is_refused_before_it_is_decoded(
    tmp_path: Path, wide: Path, work: Denoising, limit: int | None
) -> None:
    words = r"out\.webp: the picture is too large for WebP; got 16384 x 2 pixels; expected at most 16383 each"
    job = Job(wide, tmp_path / "new" / "out.webp", "in.png")
    with pytest.raises(PictureError, match=words):
        replace(work, max_memory=limit).read(job)
    with pytest.raises(PictureError, match=words):
        Corrupting(noise="gaussian:5").read(job)
    with pytest.raises(PictureError, match="does not tell a picture format"):
        replace(work, max_memory=limit).read(Job(wide, tmp_path / "out.gif", "in.png"))
    assert not (tmp_path / "new").exists()


@LIMITS
def test_only_the_part_that_is_written_counts(
    tmp_path: Path, wide: Path, work: Denoising, limit: int | None
) -> None:
    job = Job(wide, tmp_path / "out.webp", "in.png")
    part = replace(work, max_memory=limit, crop=(WIDE - 100, 0, 100, 2))
    assert part.size(part.read(job))[0] == 2 * WIDE


@pytest.mark.usefixtures("nothing_is_decoded")
@LIMITS
def test_a_crop_that_leaves_the_picture_is_refused_before_it_is_decoded(
    tmp_path: Path, wide: Path, work: Denoising, limit: int | None
) -> None:
    part = replace(work, max_memory=limit, crop=(WIDE - 100, 0, 101, 2))
    with pytest.raises(InputError, match="The crop leaves the picture"):
        part.read(Job(wide, tmp_path / "out.png", "in.png"))


def test_the_size_of_tiles_is_no_option(work: Denoising) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'tile'"):
        replace(work, tile=64)
