"""A picture to try the page with, drawn by formulas: a lake below mountains in the evening."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.noise import corrupt
from grainless.picture import Metadata, Picture, write_picture
from grainless.service.wording import worded

Values = NDArray[Any]
"""Floats."""

HEIGHT, WIDTH = 720, 1080
HORIZON = 450
EXAMPLES = {
    "grain": ("Grain", "gaussian:30"),
    "specks": ("Specks", "salt-pepper:0.12"),
    "clean": ("Clean", "clean"),
}
"""Label and noise of the pictures that can be tried, by name."""


def write_example(name: str, folder: Path) -> Path:
    """Write the example of that name of `EXAMPLES` as a PNG into a folder, and return its path."""
    path = folder / f"example-{name}.png"
    noisy = corrupt(draw_lake(), EXAMPLES[name][1], seed=5)
    with worded(path, remedy="Try another"):
        write_picture(Picture(noisy, None, Metadata(), "png"), path)
    return path


@lru_cache(maxsize=1)
def draw_lake() -> NDArray[np.uint8]:
    """Return the picture without noise, uint8 (720, 1080, 3), always the same."""
    rng = np.random.default_rng(11)
    land = _sky(rng)
    tones = ((150, 120, 150), (104, 92, 132), (66, 68, 108), (36, 44, 76))
    for number, tone in enumerate(tones):
        _mountains(land, number, np.array(tone, float), rng)
    picture = np.concatenate([land, _water(land, rng)])
    _boat(picture)
    _trees(picture, rng)
    levels: NDArray[np.uint8] = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    return levels


def _blend(values: Values, share: Values, colour: tuple[float, ...] | Values) -> None:
    """Lay a colour over values (H, W, 3), as much of it as `share` (H, W) says."""
    values += share[..., None] * (np.asarray(colour, float) - values)


def _sky(rng: np.random.Generator) -> Values:
    """Evening colours, the sun, thin clouds and some stars."""
    rows = np.linspace(0, 1, HORIZON)
    stops = np.array([0.0, 0.35, 0.65, 0.85, 1.0])
    colours = np.array([(24, 34, 78), (70, 74, 132), (190, 120, 130), (246, 168, 110), (255, 214, 150)])
    column = np.stack([np.interp(rows, stops, colours[:, channel]) for channel in range(3)], axis=1)
    sky = np.repeat(column[:, None], WIDTH, axis=1)
    y, x = np.mgrid[:HORIZON, :WIDTH]
    distance = np.hypot(x - 700, y - 330)
    _blend(sky, 0.55 * np.exp(-((distance / 170) ** 2)), (255, 226, 160))
    _blend(sky, np.clip(46 - distance, 0, 1), (255, 246, 214))
    for _ in range(9):
        top, left, length = rng.uniform(120, 330), rng.uniform(0, WIDTH), rng.uniform(90, 260)
        streak = np.exp(-(((x - left) / length) ** 2) - (((y - top) / rng.uniform(3, 8)) ** 2))
        _blend(sky, 0.4 * streak, (255, 190, 160))
    for _ in range(70):
        top, left = int(rng.integers(0, 150)), int(rng.integers(0, WIDTH))
        sky[top, left] += rng.uniform(40, 150) * (1 - top / 150)
    return sky


def _ridge(rng: np.random.Generator, roughness: float) -> Values:
    """Return heights along the width from about -1 to 1: waves that get shorter and lower."""
    x = np.arange(WIDTH)
    waves: Values = np.sum(
        [
            np.sin(2 * np.pi * (x * 2.0**octave / WIDTH / 1.3 + rng.uniform())) * roughness**octave
            for octave in range(8)
        ],
        axis=0,
    )
    return waves


def _mountains(land: Values, number: int, tone: Values, rng: np.random.Generator) -> None:
    """Draw one chain of mountains, nearer and darker with each number."""
    top = HORIZON - (190 - 42 * number) + _ridge(rng, 0.52) * (46 - 7 * number)
    y = np.arange(HORIZON)[:, None]
    depth = (y - top) / 160
    light = 1.16 - 0.3 * np.clip(depth, 0, 1) + 0.06 * _texture(rng)
    _blend(land, np.clip(y - top, 0, 1), tone * light[..., None])


def _texture(rng: np.random.Generator) -> Values:
    """Return soft patches about 0, (HORIZON, WIDTH)."""
    coarse = rng.normal(size=(HORIZON // 6 + 2, WIDTH // 6 + 2))
    fine: Values = np.kron(coarse, np.ones((6, 6)))[:HORIZON, :WIDTH]
    for axis in (0, 1):
        fine = (fine + np.roll(fine, 2, axis) + np.roll(fine, 4, axis) + np.roll(fine, 6, axis)) / 4
    return fine


def _water(land: Values, rng: np.random.Generator) -> Values:
    """Mirror the land, shaken by waves that grow towards the shore, and darker there."""
    depth = HEIGHT - HORIZON
    rows = np.arange(depth)
    waves = np.sin(rows**0.8 * 1.7) + 0.6 * np.sin(rows**0.9 * 0.7 + 1)
    source = np.clip(HORIZON - 1 - rows * 1.25 + waves * (1 + rows / 40), 0, HORIZON - 1).astype(int)
    shift = np.rint(waves * (1 + rows / 45) + rng.normal(size=depth) * 0.6).astype(int)
    mirrored = np.stack([np.roll(land[row], move, axis=0) for row, move in zip(source, shift, strict=True)])
    water: Values = mirrored * np.linspace(0.82, 0.5, depth)[:, None, None] + np.array([0, 6, 16])
    glitter = np.exp(-(((np.arange(WIDTH) - 700) / (14 + rows[:, None] * 0.35)) ** 2))
    _blend(water, np.clip(glitter * (waves[:, None] > 0.4) * 0.75, 0, 1), (255, 220, 160))
    return water


def _boat(picture: Values) -> None:
    """Draw a small boat with two sails."""
    mast, keel = 330, 545
    part = picture[keel - 130 : keel + 12, mast - 80 : mast + 90]
    y, x = np.mgrid[keel - 130 : keel + 12, mast - 80 : mast + 90]
    main = np.clip(np.minimum(x - mast - 2, (y - (keel - 118)) * 0.52 - (x - mast)), 0, 1)
    main *= np.clip(keel - 12 - y, 0, 1)
    jib = np.clip(np.minimum(mast - 3 - x, (y - (keel - 96)) * 0.36 - (mast - x)), 0, 1)
    jib *= np.clip(keel - 14 - y, 0, 1)
    _blend(part, main, (250, 236, 214))
    _blend(part, jib, (236, 206, 186))
    hull = np.clip(np.minimum(62 - abs(x - mast - 6) - (y - keel) * 1.5, y - keel + 9), 0, 1)
    hull *= np.clip(keel + 9 - y, 0, 1)
    _blend(part, hull, (58, 30, 34))
    _blend(part, np.clip(2 - abs(x - mast), 0, 1) * (y > keel - 124) * (y < keel), (40, 26, 34))


def _trees(picture: Values, rng: np.random.Generator) -> None:
    """Draw dark firs at both sides of the shore."""
    for _ in range(16):
        side = rng.random() < 0.6
        foot = rng.uniform(0, 170) if side else rng.uniform(930, WIDTH)
        height = rng.uniform(130, 330) * (1 - 0.5 * abs(foot - (0 if side else WIDTH)) / 170)
        left = max(0, int(foot) - 80)
        part = picture[HEIGHT - 340 :, left : int(foot) + 80]
        y, x = np.mgrid[HEIGHT - 340 : HEIGHT, left : left + part.shape[1]]
        below = (y - (HEIGHT - height)) / height
        teeth = 0.72 + 0.28 * ((below * 11) % 1.0)
        half = np.clip(below, 0, 1) * teeth * height * 0.2
        _blend(part, np.clip(half - abs(x - foot), 0, 1) * 0.97, (14, 18, 30))
