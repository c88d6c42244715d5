"""Corrupt a photograph, clean it with the bundled model, show the gain: `python scripts/demo.py [FOLDER]`.

The photograph is Chelsea the cat (Stéfan van der Walt, CC0), which scikit-image ships. Every step runs the
same command that a user would type. FOLDER (default: demo) then holds clean.png, noisy.png, denoised.png and
before-after.png.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from grainless import Picture, read_picture, write_picture
from grainless.picture import Metadata

NOISE = "gaussian:15+salt-pepper:0.1"


def grainless(*arguments: str) -> None:
    """Run one command and show it."""
    print("$ grainless", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "grainless", *arguments], check=True)


def main() -> None:
    """Run the demonstration."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    folder.mkdir(parents=True, exist_ok=True)
    clean, noisy, denoised = (folder / f"{name}.png" for name in ("clean", "noisy", "denoised"))

    write_picture(Picture(data.chelsea(), None, Metadata(), "png"), clean)
    grainless("corrupt", str(clean), "-o", str(noisy), "--noise", NOISE, "--seed", "7", "--overwrite")
    grainless("denoise", str(noisy), "-o", str(denoised), "--overwrite")

    truth, before, after = (read_picture(path).pixels for path in (clean, noisy, denoised))
    beside = folder / "before-after.png"
    write_picture(Picture(np.concatenate([before, after], axis=1), None, Metadata(), "png"), beside)
    print(f"PSNR before: {peak_signal_noise_ratio(truth, before, data_range=255):.2f} dB")
    print(f"PSNR after:  {peak_signal_noise_ratio(truth, after, data_range=255):.2f} dB")
    print(f"Before and after, side by side: {beside}")


if __name__ == "__main__":
    main()
