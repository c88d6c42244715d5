"""How noisy a picture is: known noise on known scenes, and what is no noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.restoration import estimate_sigma

from doctor_pictures import scene, spoilt
from grainless.doctor.grain import (
    FEWEST_BLOCKS,
    IMPULSE_SHARE,
    NOISY_FLOOR,
    impulse_share,
    measure_grain,
)


def texture(rng: np.random.Generator, *, channels: int = 3) -> np.ndarray:
    """Blurred grain of one colour: fine, but with as much left at half the size."""
    grain = rng.normal(0, 60, (200, 200))
    for axis in (0, 1):
        grain = (np.roll(grain, 1, axis) + 2 * grain + np.roll(grain, -1, axis)) / 4
    grain *= 30 / grain.std()
    return np.rint(np.clip(grain + 128, 1, 254)).astype(np.uint8)[..., None].repeat(channels, axis=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [3, 5, 10, 25, 40])
def test_known_noise_is_measured_on_scenes_with_edges(sigma: int, channels: int) -> None:
    grain = measure_grain(spoilt(scene(3, channels=channels), f"gaussian:{sigma}"))
    assert grain is not None
    # Weak noise comes with some of the edges.
    assert grain.sigma == pytest.approx(sigma, rel=0.1 if sigma >= 5 else 0.2)
    assert grain.floor < grain.sigma
    assert grain.noisy == (sigma >= 5)
    assert not grain.texture


def test_pure_noise_is_measured_as_scikit_image_measures_it(rng: np.random.Generator) -> None:
    noise = np.rint(rng.normal(128, 12, (320, 320, 3))).astype(np.uint8)
    grain = measure_grain(noise)
    assert grain is not None
    # Each on its own scale of trust: a median of wavelets, and a median of blocks.
    assert grain.sigma == pytest.approx(
        estimate_sigma(noise / 1.0, channel_axis=2, average_sigmas=True), rel=0.04
    )


@pytest.mark.parametrize("seed", range(6))
def test_clean_scenes_have_next_to_no_noise_and_no_impulses(seed: int) -> None:
    grain = measure_grain(scene(seed))
    assert grain is not None
    assert grain.sigma < 1.5
    assert not grain.noisy
    assert impulse_share(scene(seed)) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_texture_is_told_from_noise(rng: np.random.Generator, channels: int) -> None:
    grain = measure_grain(texture(rng, channels=channels))
    assert grain is not None
    assert grain.noisy
    assert grain.texture
    white = measure_grain(np.rint(rng.normal(128, 12, (200, 200, channels))).astype(np.uint8))
    assert white is not None
    assert white.noisy
    assert not white.texture


def test_coarse_noise_is_no_texture_if_each_channel_has_its_own(rng: np.random.Generator) -> None:
    own = np.concatenate([texture(rng, channels=1) for _ in range(3)], axis=2)
    grain = measure_grain(own)
    assert grain is not None
    assert grain.noisy
    assert not grain.texture


def test_nothing_is_told_of_drawings_and_of_small_pictures() -> None:
    drawing = np.full((300, 300, 1), 255, np.uint8)
    drawing[40:260:9, 40:260] = 0
    drawing[40:260, 100] = 120
    assert measure_grain(drawing) is None
    side = 16 * 2 + 2
    assert FEWEST_BLOCKS > 4
    assert measure_grain(scene(0)[:side, :side]) is None
    assert measure_grain(scene(0)[:8, :8]) is None


def test_the_middle_of_a_large_picture_tells() -> None:
    row = np.tile(scene(1), (1, 15, 1))
    assert row.shape[1] > 2048
    noisy = spoilt(row, "gaussian:20")
    assert measure_grain(noisy) == measure_grain(noisy[:, (row.shape[1] - 2048) // 2 :][:, :2048])


@settings(deadline=None, max_examples=20)
@given(
    density=st.floats(0.005, 0.3),
    seed=st.integers(0, 2**16),
    each=st.sampled_from(["", ":channel"]),
)
def test_most_impulses_are_counted(density: float, seed: int, each: str) -> None:
    share = impulse_share(spoilt(scene(2), f"salt-pepper:{density}{each}", seed=seed))
    assert 0.4 * density < share < 1.3 * density
    assert share > IMPULSE_SHARE


def test_impulses_show_at_any_density_and_on_the_border() -> None:
    for density in (0.5, 0.9):
        assert impulse_share(spoilt(scene(2), f"salt-pepper:{density}")) > 10 * IMPULSE_SHARE
    corner = scene(4, channels=1)
    corner[0, 0] = 255
    assert impulse_share(corner) == pytest.approx(1 / corner.size)
    # Lines and areas of black and white are what a picture shows.
    corner[20, :] = 0
    corner[40:60, 50:90] = 255
    assert impulse_share(corner) == pytest.approx(1 / corner.size)


def test_many_black_values_are_counted_at_even_steps() -> None:
    black = np.zeros((700, 700, 1), np.uint8)
    black[::10, ::10] = 255
    assert impulse_share(black) == pytest.approx(0.01, rel=0.2)
    assert impulse_share(black[:1]) == 0


def test_impulses_do_not_count_as_noise() -> None:
    grain = measure_grain(spoilt(scene(5), "salt-pepper:0.01"))
    assert grain is not None
    assert grain.sigma < 1.5
    assert grain.floor < NOISY_FLOOR
