"""Pictures for the tests of the doctor: smooth scenes with edges, clean and unlike each other."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from grainless.noise import corrupt, parse_noise

Pixels = NDArray[np.uint8]


def scene(seed: int, *, height: int = 160, width: int = 208, channels: int = 3) -> Pixels:
    """A light that varies slowly, with shapes of one colour before it."""
    return _drawn(seed, height, width, channels).copy()


@lru_cache(maxsize=256)
def _drawn(seed: int, height: int, width: int, channels: int) -> Pixels:
    rng = np.random.default_rng([7, seed])
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    rows, columns = rows / height, columns / width
    light = np.zeros((height, width, channels))
    for _ in range(12):
        down, right = rng.normal(0, 3, 2)
        wave = np.sin(2 * np.pi * (down * rows + right * columns + rng.random()))
        light += wave[..., None] * rng.normal(0, 12, channels)
    light += rng.uniform(100, 150, channels)
    for _ in range(40):
        top, left, turn = rng.random(3) * (1, 1, np.pi)
        size = 0.02 + 0.2 * rng.random() ** 3
        down, right = (rows - top) / size, (columns - left) / size
        across = np.abs(down * np.cos(turn) + right * np.sin(turn))
        along = np.abs(right * np.cos(turn) - down * np.sin(turn))
        shape = across + along < 1 if rng.random() < 0.5 else np.hypot(down, right) < 1
        light[shape] += rng.normal(0, 30, channels)
    return np.rint(np.clip(light, 12, 243)).astype(np.uint8)


def spoilt(pixels: Pixels, noise: str, *, seed: int = 1) -> Pixels:
    """Pixels with a noise, in 8 bits."""
    noisy: Pixels = corrupt(pixels, parse_noise(noise), seed=seed)
    return noisy


def save(path: Path, pixels: Pixels, **options: Any) -> Path:
    """Write pixels in the format that the name tells, with Pillow; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, **options)
    return path


def clean_folder(folder: Path, *, count: int = 12, first: int = 0) -> Path:
    """A folder of scenes in which nothing is wrong."""
    for seed in range(first, first + count):
        save(folder / f"{seed:02d}.png", scene(seed))
    return folder
