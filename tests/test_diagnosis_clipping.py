"""Clipped and truncated normal noise, against draws and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from grainless.diagnosis.clipping import kept_share, tail, untruncated


def test_tails_are_those_of_scipy() -> None:
    distances = np.linspace(-5, 5, 313)
    np.testing.assert_allclose(tail(distances), stats.norm.sf(distances), atol=1e-5)


@pytest.mark.parametrize("sigma", [5.0, 25.0, 60.0])
@pytest.mark.parametrize("level", [0.0, 20.0, 128.0, 250.0])
def test_clipping_leaves_what_draws_have_left(rng: np.random.Generator, sigma: float, level: float) -> None:
    drawn = np.clip(level + sigma * rng.standard_normal(200_000), 0, 255)
    share = kept_share(sigma, np.array([drawn.mean()]))
    assert share[0] == pytest.approx(drawn.std() / sigma, rel=0.02)


def test_no_noise_is_not_clipped() -> None:
    np.testing.assert_array_equal(kept_share(0.0, np.array([0.0, 128.0, 255.0])), 1)


@pytest.mark.parametrize(("level", "sigma"), [(128.0, 50.0), (60.0, 40.0), (200.0, 25.0), (100.0, 5.0)])
def test_the_whole_distribution_is_found_from_what_lies_inside(level: float, sigma: float) -> None:
    low, high = (0 - level) / sigma, (255 - level) / sigma
    inside = stats.truncnorm(low, high, loc=level, scale=sigma)
    centre, spread = untruncated(np.array([inside.mean()]), np.array([inside.std()]))
    assert centre[0] == pytest.approx(level, abs=4)
    assert spread[0] == pytest.approx(sigma, rel=0.08)


def test_what_no_normal_distribution_explains_stays_finite() -> None:
    # Uniform values, and two heaps at the ends.
    centre, spread = untruncated(np.array([127.0, 127.0]), np.array([73.6, 127.0]))
    assert np.isfinite(centre).all()
    assert (spread <= 128).all()
