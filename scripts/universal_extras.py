"""Measure what no test set tells of the bundled models, and write RESULTS/extras.json.

    python scripts/universal_extras.py RESULTS

Mean colour errors on plain and graded pictures, energy at the period of the tiles in flat noise, a JPEG of 12
megapixels through the command, and what 16 bits save and cost. Speeds relative to others are taken from
RESULTS/speed.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from grainless import Denoiser, Picture, corrupt, parse_noise, write_picture
from grainless.benchmark import load
from grainless.benchmark.picture import draw_picture
from grainless.errors import ModelError
from grainless.picture import Metadata

NOISES = ("gaussian:15", "gaussian:25", "gaussian:50")
COLOURS = ((96, 96, 96), (160, 160, 160), (170, 110, 90), (90, 120, 170))
SIDE, TILE = 768, 128
PRECISION, PATIENCE = "precision", 180.0
"""Word for the part that is measured in a process of its own, and the seconds that it may take."""


def main() -> None:
    """Measure each model that is there."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == PRECISION:
        print(json.dumps(precision(sys.argv[2])))
        return
    results = Path(sys.argv[1])
    extras: dict[str, Any] = {}
    for name in ("fast", "universal"):
        try:
            denoiser = Denoiser.load(name)
        except ModelError:
            continue
        extras[name] = {
            "model": denoiser.card.checksum,
            "colour": colour_error(denoiser),
            "tile": tile_energy(name),
            **through_the_command(name),
            "precision": precision_in_time(name),
            **speeds(results / "speed.json", name),
        }
        print(name, extras[name], flush=True)
    (results / "extras.json").write_text(json.dumps(extras, indent=1) + "\n", encoding="utf-8")


def colour_error(denoiser: Denoiser) -> float:
    """Return the largest mean error of a channel over plain and graded pictures, in levels of 255."""
    ramp = np.linspace(64, 192, SIDE)[None, :, None]
    pictures = [np.full((256, 256, 3), colour, np.uint8) for colour in COLOURS]
    pictures += [np.tile(ramp, (256, 1, 3)).round().astype(np.uint8)]
    worst = 0.0
    for picture in pictures:
        for noise in NOISES:
            values = picture.astype(np.float32) / 255
            noisy = corrupt(values, parse_noise(noise), seed=3, clip=False, quantise=False)
            # The noise's own mean is no fault of the model; that of clipping is for it to undo.
            error = denoiser(np.clip(noisy, 0, 1)) - noisy
            worst = max(worst, float(np.abs(error.mean(axis=(0, 1))).max()) * 255)
    return worst


def tile_energy(name: str) -> float:
    """Return the energy at the tiles' period, and its multiples, over that of the frequencies beside."""
    flat = np.full((SIDE, SIDE, 3), 128, np.uint8)
    noisy = corrupt(flat, parse_noise("gaussian:25"), seed=5)
    clean = Denoiser.load(name, tile=TILE)(noisy).astype(np.float64)[..., 1]
    return max(period_energy(clean), period_energy(clean.T))


def period_energy(plane: NDArray[np.float64]) -> float:
    """Return the ratio along the rows of one channel."""
    energy = (np.abs(np.fft.rfft(plane - plane.mean(), axis=1)) ** 2).mean(axis=0)
    period = SIDE // TILE
    at = np.arange(period, len(energy) - 2, period)
    beside = np.concatenate([energy[at - 2], energy[at - 1], energy[at + 1], energy[at + 2]])
    return float(energy[at].mean() / beside.mean())


def through_the_command(name: str) -> dict[str, float]:
    """Return seconds and peak memory in MB of cleaning a JPEG of 12 megapixels by the command."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "noisy.jpg")
        write_picture(Picture(draw_picture(3000, 4000), None, Metadata(), "jpeg"), source)
        command = [sys.executable, "-m", "grainless", "denoise", str(source), "-o", f"{folder}/clean.jpg"]
        began = time.perf_counter()
        with subprocess.Popen([*command, "--model", name], stderr=subprocess.DEVNULL) as running:
            # Of this process alone: what Python itself tells is the most of all that ever ran.
            _, status, used = os.wait4(running.pid, 0)
            running.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
    if running.returncode:
        sys.exit(f"{name}: exit code {running.returncode}")
    return {"seconds": round(seconds, 2), "megabytes": round(used.ru_maxrss * 1024 / 1e6)}


def seconds_of(denoiser: Denoiser, noisy: NDArray[np.uint8]) -> float:
    """Return what one run takes."""
    began = time.perf_counter()
    denoiser(noisy)
    return time.perf_counter() - began


def precision_in_time(name: str) -> dict[str, float | None]:
    """Return what `precision` tells, from a process of its own; nothing where that takes too long."""
    command = [sys.executable, __file__, PRECISION, name]
    try:
        told = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout
    except subprocess.TimeoutExpired:
        return {"over_default": None, "over_openvino": None, "loss": None}
    result: dict[str, float | None] = json.loads(told)
    return result


def precision(name: str) -> dict[str, float | None]:
    """Return how many times faster 16 bits are than the default, and than OpenVINO's 32, and the loss in dB.

    The time is that of a megapixel, the runtimes in turns; the loss the mean over two photographs of
    scikit-image and three noises.
    """
    exact = Denoiser.load(name)
    wide = Denoiser.load(name, runtime="openvino")
    narrow = Denoiser.load(name, runtime="openvino", precision="fast")
    noisy = corrupt(draw_picture(1000, 1000), parse_noise("gaussian:25"), seed=1)
    seconds: dict[Denoiser, float] = {}
    for denoiser in 3 * (exact, wide, narrow):
        took = seconds_of(denoiser, noisy)
        seconds[denoiser] = min(seconds.get(denoiser, took), took)
    losses = []
    for clean in (data.astronaut(), data.chelsea()):
        for noise in NOISES:
            noisy = corrupt(clean, parse_noise(noise), seed=2)
            best, other = (peak_signal_noise_ratio(clean, one(noisy)) for one in (exact, narrow))
            losses.append(best - other)
    return {
        "over_default": round(seconds[exact] / seconds[narrow], 2),
        "over_openvino": round(seconds[wide] / seconds[narrow], 2),
        "loss": round(float(np.mean(losses)), 4),
    }


def speeds(file: Path, name: str) -> dict[str, Any]:
    """Return how many times faster than others a model is at 1 MP, and its share of the CPU's peak."""
    if not file.is_file():
        return {}
    cells = {cell.row: cell for cell in load(file).cells if cell.megapixels == 1}
    if name not in cells or cells[name].seconds_per_megapixel is None:
        return {}
    own = cells[name].seconds_per_megapixel
    others = {
        row.removeprefix("peers:"): round(cell.seconds_per_megapixel / own, 3)
        for row, cell in cells.items()
        if cell.seconds_per_megapixel is not None
    }
    return {"speed": others, "peak": cells[name].share_of_peak}


if __name__ == "__main__":
    main()
