"""Draw docs/pictures/before-after.jpg, at the top of the README: `python scripts/readme_pictures.py`.

The photographs are those that scikit-image ships: Eileen Collins (NASA, public domain), Chelsea the cat
(Stéfan van der Walt, CC0) and the coffee cup (Rachel Michetti, CC0). Noise and cleaning are the product's
own, as `grainless corrupt` and `grainless denoise --model universal` do them; nothing is retouched.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from grainless import Denoiser, Picture, corrupt, parse_noise, write_picture
from grainless.picture import Metadata

SIDE, GAP, BAND = 300, 8, 30
PANELS = (
    ("black and white specks, 30 %", "salt-pepper:0.3", data.astronaut, (0, 80)),
    ("even noise, sigma 30 of 255", "gaussian:30", data.chelsea, (0, 100)),
    (
        "like a phone in the dark, as JPEG",
        "camera:0.8+grain:6:size=1.5:chroma=0.8+jpeg:85",
        data.coffee,
        (60, 180),
    ),
)
"""Caption, noise, photograph, and the top and left of the square that is shown."""


def panel(denoiser: Denoiser, number: int) -> NDArray[np.uint8]:
    """Return a square whose left half is noisy and whose right half is cleaned, `(SIDE, SIDE, 3)` uint8."""
    _, noise, photograph, (top, left) = PANELS[number]
    noisy = corrupt(photograph(), parse_noise(noise), seed=7)
    # Cleaned as a whole, then cut: so does a user.
    clean = denoiser(noisy)
    shown = noisy[top : top + SIDE, left : left + SIDE].copy()
    half = SIDE // 2
    shown[:, half:] = clean[top : top + SIDE, left + half : left + SIDE]
    shown[:, half - 1 : half + 1] = 255
    return shown


def captioned(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the panels beside each other, each with its caption below."""
    width = len(panels) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, SIDE + BAND), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for number, pixels in enumerate(panels):
        left = number * (SIDE + GAP)
        sheet.paste(Image.fromarray(pixels), (left, 0))
        place = (left + SIDE / 2, SIDE + BAND / 2)
        draw.text(place, PANELS[number][0], fill="black", font=font, anchor="mm")
    return np.asarray(sheet)


def main() -> None:
    """Draw and write the strip."""
    denoiser = Denoiser.load("universal")
    sheet = captioned([panel(denoiser, number) for number in range(len(PANELS))])
    path = Path(__file__).parent.parent / "docs" / "pictures" / "before-after.jpg"
    path.parent.mkdir(exist_ok=True)
    write_picture(Picture(np.ascontiguousarray(sheet), None, Metadata(), "jpeg"), path, quality=88)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
