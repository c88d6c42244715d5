"""The pictures and noises that `grainless inspect` is set by and measured on, shared by two scripts.

    python scripts/diagnosis_pictures.py DATA

writes scripts/diagnosis_pictures.sha256: every third training picture in DATA/train by its name, without
those that the recipe `universal` validates on. `sha256sum -c` reads it in DATA/train.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import grainless
from grainless.metrics import to_gray
from grainless.picture import read_picture

SIDE = 384
"""Pictures are cropped to this side, so that one takes little time."""
LIST = Path(__file__).with_suffix(".sha256")
KIND_OF = {
    "clean": "clean",
    "gaussian": "gaussian",
    "salt-pepper": "salt-pepper",
    "poisson": "signal-dependent",
    "speckle": "signal-dependent",
    "camera": "signal-dependent",
    "grain": "correlated",
    "jpeg": "jpeg",
}
"""What the noises of one step are called."""


def kind_of(noise: str, *, gray: bool = False) -> str:
    """Return what `inspect` is to call a noise.

    Impulses among others are mixed, and noise in a JPEG is correlated. So is that of a camera in a gray
    picture, which shows no mosaic of colours.
    """
    steps = [step.split(":")[0] for step in noise.split("+")]
    if gray and steps == ["camera"]:
        return "correlated"
    if len(steps) == 1:
        return KIND_OF[steps[0]]
    return "mixed" if "salt-pepper" in steps else "correlated"


def validation_names() -> list[str]:
    """Return the names of the pictures that the recipe validates on."""
    recipe = Path(grainless.__file__).parent / "recipes" / "universal.toml"
    names: list[str] = tomllib.loads(recipe.read_text(encoding="utf-8"))["data"]["validation"]
    return names


def listed(train: Path) -> list[Path]:
    """Return the pictures of the committed list; stop if one is missing or another file."""
    paths = []
    for line in LIST.read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        if name in validation_names():
            sys.exit(f"{name} is a validation picture")
        if hashlib.sha256((train / name).read_bytes()).hexdigest() != digest:
            sys.exit(f"{name} is not the listed file")
        paths.append(train / name)
    return paths


def read_8bit(path: Path) -> NDArray[np.uint8]:
    """Return the pixels `(H, W, C)` of an 8-bit picture."""
    pixels: NDArray[np.uint8] = read_picture(path).pixels
    return pixels


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture at half its size, which hides the coding noise of its file."""
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    parts = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return np.rint(parts.mean(axis=(1, 3))).astype(np.uint8)


def sharpened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with half of what its mean of 3 x 3 takes away added: as cameras hand them out."""
    values = pixels.astype(np.float32)
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows, columns = values.shape[:2]
    mean = sum(padded[down : down + rows, right : right + columns] for down in range(3) for right in range(3))
    return np.rint(np.clip(values + 0.5 * (values - mean / 9), 0, 255)).astype(np.uint8)


def draw_patch(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a patch `(H, W, C)` on the grid of JPEG's blocks, at full or half size, some sharpened or gray."""
    clean = halved(pixels) if rng.random() < 0.5 else pixels
    clean = sharpened(clean) if rng.random() < 0.3 else clean
    clean = to_gray(clean) if rng.random() < 0.1 else clean
    clean = clean[..., None] if clean.ndim == 2 else clean
    top, left = (int(rng.integers(0, max(1, side - SIDE + 1))) // 8 * 8 for side in clean.shape[:2])
    return clean[top : top + SIDE, left : left + SIDE]


def main() -> None:
    """Write the list."""
    train = Path(sys.argv[1]) / "train"
    names = sorted(path.relative_to(train).as_posix() for path in train.rglob("*.jpg"))
    chosen = [name for name in names if name not in validation_names()][::3]
    lines = [f"{hashlib.sha256((train / name).read_bytes()).hexdigest()}  {name}\n" for name in chosen]
    LIST.write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} pictures in {LIST}")


if __name__ == "__main__":
    main()
