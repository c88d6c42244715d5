"""The picture on which time is taken, and what is said of the machine."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.baselines import estimate_sigma
from grainless.benchmark import machine
from grainless.benchmark.picture import SIGMA, draw_picture, picture_sides
from grainless.noise import Gaussian, parse_noise


@given(st.floats(1e-3, 500))
def test_sides_are_three_to_two_and_give_the_size(megapixels):
    height, width = picture_sides(megapixels)
    assert height * width == pytest.approx(megapixels * 1e6, rel=0.03)
    assert width / height == pytest.approx(1.5, rel=0.06)


def test_known_sizes_and_the_smallest():
    assert picture_sides(12) == (2828, 4243)
    assert picture_sides(1e-9) == (1, 1)


def test_the_same_seed_gives_the_same_picture():
    one = draw_picture(150, 90, seed=1)
    assert (one.shape, one.dtype) == ((150, 90, 3), np.uint8)
    np.testing.assert_array_equal(one, draw_picture(150, 90, seed=1))
    assert (one != draw_picture(150, 90, seed=2)).mean() > 0.9
    # Noise does not repeat from strip to strip.
    assert (one[:22] != one[128:150]).mean() > 0.9


def test_the_picture_has_content_and_the_noise_that_it_says():
    picture = draw_picture(300, 300)
    assert parse_noise("gaussian:25") == Gaussian(SIGMA)
    assert estimate_sigma(picture) == pytest.approx(SIGMA, rel=0.25)
    assert picture.std() > 1.3 * SIGMA
    # Filters of impulses must not find a picture of pure black and white.
    assert np.isin(picture, (0, 255)).mean() < 0.1


def test_what_is_said_of_the_machine():
    found = machine.describe_machine()
    assert found.cores == machine.usable_cores() >= 1
    assert found.packages["numpy"] == np.__version__
    assert found.python == sys.version.split()[0]
    assert os.uname().nodename not in (found.system, found.processor)


def test_systems_that_do_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda _name: tmp_path / "none")
    assert machine.describe_machine().processor
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert machine.load_average() is None
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_cores() == 1
