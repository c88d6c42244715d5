from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grainless.errors import PictureError
from grainless.picture import Metadata, Picture


def picture(shape=(2, 3, 3), dtype=np.uint8, alpha=None):
    return Picture(np.zeros(shape, dtype), alpha, Metadata(), "png")


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2), (2, 3, 4), (0, 3, 3), (1, 2, 3, 3)])
def test_refuses_pixels_that_are_no_picture(shape):
    with pytest.raises(PictureError, match=r"no picture; got shape .*expected \(height, width, channels\)"):
        picture(shape)


@pytest.mark.parametrize("dtype", [np.float64, np.int16, bool])
def test_refuses_other_types(dtype):
    with pytest.raises(PictureError, match="expected uint8, uint16 or float32"):
        picture(dtype=dtype)


@pytest.mark.parametrize("alpha", [np.zeros((3, 2), np.uint8), np.zeros((2, 3), np.uint16)])
def test_refuses_alpha_that_does_not_fit(alpha):
    with pytest.raises(PictureError, match=r"alpha does not fit.*expected uint8 \(2, 3\)"):
        picture(alpha=alpha)


@pytest.mark.parametrize("dpi", [(0.0, 72.0), (72.0, -1.0), (float("nan"), 72.0), (1e9, 72.0)])
def test_refuses_a_density_that_no_file_holds(dpi):
    with pytest.raises(PictureError, match="density is out of range"):
        Metadata(dpi=dpi)


def test_with_pixels_keeps_everything_else():
    old = dataclasses.replace(picture(alpha=np.ones((2, 3), np.uint8)), associated_alpha=True, notes=("a",))
    new = old.with_pixels(np.full((2, 3, 3), 7, np.uint8))
    assert (new.pixels == 7).all()
    assert new.alpha is old.alpha
    assert (new.metadata, new.format, new.associated_alpha, new.notes) == (old.metadata, "png", True, ("a",))
    with pytest.raises(PictureError, match="alpha does not fit"):
        old.with_pixels(np.zeros((5, 5, 3), np.uint8))


def test_pictures_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        picture().format = "jpeg"
