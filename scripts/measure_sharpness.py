"""Print what a model does to soft and sharp pictures: `python scripts/measure_sharpness.py DATA [MODEL]`.

DATA is the folder of training pictures, MODEL a name or file (universal). The recipe's validation pictures
are measured as they are, averaged down by two, and sharpened after that by three amounts of an unsharp mask:
PSNR in dB, mean and least, without noise and with Gaussian noise of sigma 15, on centre crops of 256 pixels.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grainless import Denoiser, corrupt
from grainless.metrics import psnr
from grainless.picture import read_picture
from grainless.training import load_recipe

SIDE = 256
AMOUNTS = (0.0, 0.5, 1.0, 2.0)
BINOMIAL = np.outer([1, 2, 1], [1, 2, 1])[..., None] / 16


def main() -> None:
    """Measure and print."""
    data, *model = sys.argv[1:]
    denoiser = Denoiser.load(model[0] if model else "universal")
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, name in enumerate(load_recipe("universal").data.validation):
        for kind, clean in kinds(read_picture(Path(data, name)).pixels):
            for noise in ("clean", "gaussian:15"):
                restored = denoiser(corrupt(clean, noise, seed=number))
                found[kind, noise].append(min(100.0, psnr(clean, restored)))
    for (kind, noise), values in found.items():
        print(f"{kind:>32} {noise:>12}: {np.mean(values):6.2f} dB, least {min(values):6.2f}")


def kinds(pixels: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return crops of a picture as it is, averaged down, and sharpened after that."""
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    height, width = (side // 2 * 2 for side in colour.shape[:2])
    down = colour[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    detail = down - ndimage.convolve(down, BINOMIAL)
    crops = [("as it is", centre(colour))]
    for amount in AMOUNTS:
        sharp = np.rint(np.clip(down + amount * detail, 0, 255)).astype(np.uint8)
        words = f"averaged down, sharpened by {amount:g}" if amount else "averaged down"
        crops.append((words, centre(sharp)))
    return crops


def centre(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a picture."""
    top, left = (max(0, (side - SIDE) // 2) for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


if __name__ == "__main__":
    main()
