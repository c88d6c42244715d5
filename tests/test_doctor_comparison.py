"""Which of two pictures of one scene is the noisier one."""

from __future__ import annotations

import numpy as np
import pytest

from doctor_pictures import scene, spoilt
from grainless.doctor.comparison import compare_noise


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "noise", ["gaussian:8", "gaussian:25", "poisson:30", "camera:0.5", "gaussian:20+jpeg:30", "speckle:0.05"]
)
def test_the_noisier_one_is_told_and_the_other_is_not(noise: str, channels: int) -> None:
    for seed in range(3):
        clean = scene(seed, channels=channels)
        noisy = spoilt(clean, noise)
        found = compare_noise(noisy, clean)
        assert found is not None
        assert found.sure
        assert compare_noise(clean, noisy) is None


def test_the_levels_are_those_of_the_noise() -> None:
    found = compare_noise(spoilt(scene(0), "gaussian:12"), spoilt(scene(0), "gaussian:4", seed=9))
    assert found is not None
    own, partner = (float(word.strip(",")) for word in found.found.split() if word[0].isdigit())
    assert own == pytest.approx(12, rel=0.1)
    # What the blocks show beside the noise counts too.
    assert 4 <= partner < 6


def test_a_slope_is_no_noise() -> None:
    ramp = np.add.outer(np.arange(160), np.arange(200))[..., None] // 2 + 20
    steep = ramp.astype(np.uint8)
    assert compare_noise(steep, np.full_like(steep, 100)) is None


def test_weak_noise_is_likely_and_not_sure() -> None:
    found = compare_noise(spoilt(scene(1), "gaussian:5"), scene(1))
    assert found is not None
    assert not found.sure
    assert compare_noise(spoilt(scene(1), "gaussian:1.4"), scene(1)) is None


def test_equal_noise_is_no_difference() -> None:
    one, other = (spoilt(scene(1), "gaussian:10", seed=seed) for seed in (1, 2))
    assert compare_noise(one, other) is None
    assert compare_noise(one, one) is None


def test_impulses_decide_where_there_are_any() -> None:
    clean, weak, strong = (scene(2), *(spoilt(scene(2), f"salt-pepper:{share}") for share in (0.02, 0.2)))
    found = compare_noise(weak, clean)
    assert found is not None
    assert found.sure
    assert "black or white" in found.found
    assert compare_noise(strong, weak) is not None
    assert compare_noise(spoilt(clean, "gaussian:20"), strong) is None
    assert compare_noise(clean, weak) is None


@pytest.mark.parametrize("quality", [10, 20, 40, 80])
def test_what_jpeg_smoothed_is_not_the_clean_one(quality: int) -> None:
    for seed in range(4):
        clean = spoilt(scene(seed), "gaussian:2")
        found = compare_noise(clean, spoilt(clean, f"jpeg:{quality}"))
        assert found is None or not found.sure


def test_nothing_is_told_of_small_and_of_clipped_pictures() -> None:
    small = scene(3)[:30, :40]
    assert compare_noise(spoilt(small, "gaussian:30"), small) is None
    white = np.full((160, 160, 1), 255, np.uint8)
    assert compare_noise(spoilt(white, "gaussian:3"), white) is None
