"""Draw docs/contact-sheet.png, before, after, removed under eight noises: `python scripts/contact_sheet.py`.

The photographs are those that scikit-image ships: the coffee cup (Rachel Michetti, CC0) and Chelsea the cat
(Stéfan van der Walt, CC0). Noise, cleaning and drawing are the product's own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage import data

from grainless import Denoiser, Picture, corrupt, parse_noise, write_picture
from grainless.picture import Metadata
from grainless.report import SheetRow, contact_sheet

NOISES = (
    "gaussian:15",
    "gaussian:50",
    "salt-pepper:0.3",
    "salt-pepper:0.7:channel",
    "impulse:0.2:channel",
    "poisson:30",
    "camera:0.4+grain:5:size=1.5:chroma=0.8+jpeg:85",
    "jpeg:25",
)


def main() -> None:
    """Draw and write the sheet."""
    denoiser = Denoiser.load("universal")
    rows = []
    for number, spec in enumerate(NOISES):
        clean = (data.coffee(), data.chelsea())[number % 2]
        noisy = corrupt(clean, parse_noise(spec), seed=7)
        rows.append(SheetRow(label=spec, before=noisy, after=denoiser(noisy)))
    sheet = contact_sheet(rows, size=(320, 240))
    path = Path(__file__).parent.parent / "docs" / "contact-sheet.png"
    write_picture(Picture(np.ascontiguousarray(sheet), None, Metadata(), "png"), path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
