"""A folder of small pictures under the names that the how-to pages use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces_csv import write_faces
from grainless import Picture, corrupt, write_picture
from grainless.noise import seed_for
from grainless.picture import Metadata
from picture_files import RGB_PROFILE, exif_block

KINDS = {".jpg": "jpeg", ".tif": "tiff", ".png": "png"}
LARGE = ("scans/postcard.jpg", "noisy.png")
"""Pages cut 512 by 512 pixels out of these."""


def furnish(folder: Path) -> Path:
    """Write everything that the pages take as given into `folder`, and return it."""
    noisy = {
        "scans/album/page-1.tif": "gaussian:15",
        "scans/album/page-2.tif": "grain:10:size=1.5",
        "scans/postcard.jpg": "gaussian:20",
        "roll1/1.jpg": "gaussian:10",
        "roll2/1.png": "poisson:60",
        "extra.tif": "gaussian:15",
        "scan.png": "gaussian:25",
        "specks.png": "salt-pepper:0.1",
        "noisy.jpg": "gaussian:20",
        "noisy.png": "gaussian:25",
        "noisy.tif": "gaussian:25",
        "scan.tif": "gaussian:15",
        "huge.tif": "gaussian:15",
        "maps/1.tif": "gaussian:15",
        "shared/scans/1.png": "gaussian:25",
    }
    for name, noise in noisy.items():
        write(folder / name, noise, deep=name.endswith(".tif"), side=520 if name in LARGE else 208)
    write(folder / "scans" / "letter.png", "salt-pepper:0.05", channels=1)
    write(folder / "sky.png", channels=1, side=520)
    for name in ("scans/snapshot.png", "photo.png", *(f"clean-photos/{n}.png" for n in "ab")):
        write(folder / name)
    for place, count in (("pictures", 6), ("test", 2)):
        for number in range(count):
            write(folder / place / f"{place}-{number}.png")
    for place, count in (("shots", 4), ("shots-test", 2)):
        for number in range(count):
            write(folder / place / "clean" / f"{place}-{number}.png")
            write(folder / place / "noisy" / f"{place}-{number}.png", "gaussian:15")
    write_faces(folder / "fer2013.csv")
    return folder


def photograph(name: str, *, side: int = 208, channels: int = 3) -> NDArray[np.uint8]:
    """Return a clean picture of plain parts, edges and slopes, `(side, side + 16, channels)` uint8."""
    rng = np.random.default_rng(seed_for(3, name))
    height, width = side, side + 16
    down, right = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, channels)
    picture = 120 + 40 * np.sin(down[..., None] / 41 + phases) + 30 * np.cos(right[..., None] / 29 - phases)
    for _ in range(12):
        top, left = rng.integers(0, height - 30), rng.integers(0, width - 30)
        tall, wide = rng.integers(12, 80, 2)
        picture[top : top + tall, left : left + wide] = rng.uniform(40, 215, channels)
    return np.rint(picture.clip(8, 247)).astype(np.uint8)


def write(
    path: Path, noise: str = "clean", *, deep: bool = False, channels: int = 3, side: int = 208
) -> None:
    """Write a picture with noise, of 16 bits if `deep`; those in colour have a colour profile and EXIF."""
    pixels: NDArray[np.uint8] | NDArray[np.uint16] = photograph(path.stem, side=side, channels=channels)
    if deep:
        pixels = pixels.astype(np.uint16) * np.uint16(257)
    metadata = Metadata(icc=RGB_PROFILE, exif=exif_block()) if channels == 3 else Metadata()
    pixels = corrupt(pixels, noise, seed=seed_for(4, path.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture(pixels, None, metadata, KINDS[path.suffix]), path)
