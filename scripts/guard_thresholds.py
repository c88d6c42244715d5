"""Set the thresholds by which the guard decides, on the pictures of diagnosis_pictures.sha256.

    python scripts/guard_thresholds.py DATA [--noises 24] [--first N] [--evidence FILE]

Each picture gets that many noises, drawn at random, and each noisy picture one treatment, half of them those
of the product itself and half of them models at fault (scripts/guard_cases.py). What is measured on them is
kept in the evidence file, so that a stopped run goes on and another choice of thresholds takes seconds. Then
those thresholds are written to src/grainless/guard/thresholds.json that miss least of what is worse by more
than 0.5 dB or has plainly other colours, while of the product's own results that are better by more than
0.5 dB no more than 1.5 % are called worse. `--first N` takes N pictures, to try. Test and validation pictures
are never read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from diagnosis_pictures import draw_patch, listed, read_8bit
from diagnosis_thresholds import draw_noise
from evidence_file import keep_rows, read_rows
from guard_cases import HONEST, Treatments, altered, evidence_of, look, rise
from numpy.typing import NDArray

import grainless
from grainless.guard import LEAST, Thresholds, judge
from grainless.guard.evidence import Evidence
from grainless.noise import corrupt

OUT = Path(grainless.__file__).parent / "guard" / "thresholds.json"
PLAIN = 0.5
"""Decibels: differences that are plain to see in numbers."""
MOST_ALARMS = 0.015
GRID = {
    "gain": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0),
    "share": (0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5),
    "alike": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "alike_gain": (0.2, 0.4, 0.6, 0.8, 0.9),
    "shift": (1.0, 2.0, 3.0, 4.0, 6.0, 8.0),
    "shift_noise": (0.0, 0.1, 0.2, 0.4, 0.6),
}


def draw_treatment(rng: np.random.Generator) -> str:
    """Draw a treatment, half of them honest."""

    def between(low: float, high: float) -> str:
        return f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}"

    if rng.random() < 0.5:
        return str(rng.choice(["universal", "fast", f"universal:{rng.uniform(0.2, 0.9):.2f}"]))
    wrong = [
        f"blur:{between(0.4, 3)}",
        f"universal+blur:{between(0.4, 3)}",
        "median:3",
        f"tv:{between(5, 60)}",
        f"universal+sharpen:{between(0.5, 3)}",
        f"universal+further:{rng.uniform(1.5, 3):.2f}",
        f"universal+tint:{between(3, 40)}",
        f"universal+darken:{between(0.02, 0.3)}",
        f"universal+gamma:{rng.choice([0.8, 0.9, 1.1, 1.25])}",
        f"universal+shift:{rng.integers(1, 3)}",
        f"universal+grain:{between(3, 30)}",
        f"universal+steps:{between(8, 48)}",
    ]
    return str(rng.choice(wrong))


def measure(path: Path, noises: int, seed: int) -> list[dict[str, Any]]:
    """Return what is told of one picture under some noises."""
    rng = np.random.default_rng(seed)
    pixels = read_8bit(path)
    rows = []
    for _ in range(noises):
        clean = draw_patch(pixels, rng)
        # Weak noise is where good and bad lie close together.
        noise = f"gaussian:{rng.uniform(1, 5):.1f}" if rng.random() < 0.15 else draw_noise(rng)
        noisy = corrupt(clean, noise, rng=rng)
        treatment = draw_treatment(rng)
        told = look(clean, noisy, Treatments(noisy).apply(treatment))
        rows.append({"picture": path.name, "noise": noise, "treatment": treatment, **told})
    return rows


def collect(data: Path, noises: int, first: int | None, file: Path) -> list[dict[str, Any]]:
    """Return the evidence of all pictures, from the file as far as it is there."""
    rows = read_rows(file)
    done = {row["picture"] for row in rows}
    for seed, path in enumerate(listed(data / "train")[:first]):
        if path.name not in done:
            found = measure(path, noises, seed)
            keep_rows(file, found)
            rows += found
    return rows


def choose(rows: list[dict[str, Any]]) -> tuple[Thresholds, str]:
    """Return the thresholds and, in words, how they do on what they were set by."""
    rises = np.array([rise(row) for row in rows])
    told = [evidence_of(row) for row in rows]
    harmed = np.array([altered(row["treatment"]) for row in rows])
    better, worse = (rises > PLAIN) & ~harmed, (rises < -PLAIN) | harmed
    honest = np.array([row["treatment"].split(":")[0] in HONEST for row in rows])
    best: tuple[float, float, Thresholds] | None = None
    flag = flags(told)
    for values in product(*GRID.values()):
        limits = Thresholds(**dict(zip(GRID, values, strict=True)))
        flagged = flag(limits)
        alarms = float(flagged[better & honest].mean())
        missed = float((~flagged)[worse].mean()) + 0.5 * float(flagged[better].mean())
        if alarms <= MOST_ALARMS and (best is None or (missed, alarms) < best[:2]):
            best = missed, alarms, limits
    if best is None:
        sys.exit("No thresholds give so few false alarms")
    flagged = np.array([bool(judge(evidence, best[2])) for evidence in told])
    if (flagged != flag(best[2])).any():
        sys.exit("The guard judges otherwise than this script thinks")
    words = (
        f"better by {PLAIN} dB: {np.count_nonzero(better)}, called worse {flagged[better].mean():.1%}"
        f" (of the product's own {flagged[better & honest].mean():.1%}); worse by {PLAIN} dB or shifted:"
        f" {np.count_nonzero(worse)}, missed {(~flagged)[worse].mean():.1%}"
    )
    return best[2], words


def flags(told: list[Evidence]) -> Callable[[Thresholds], NDArray[np.bool_]]:
    """Return what does `judge` for all at once, as there are thousands of thresholds to try."""
    gain, share, alike, noise, removed = (
        np.array([getattr(evidence, name) for evidence in told], dtype=np.float64)
        for name in ("gain", "share", "alike", "noise", "removed")
    )
    shift = np.array([max(abs(value) for value in evidence.shift) for evidence in told])

    def flag(limits: Thresholds) -> NDArray[np.bool_]:
        shifted = shift > limits.shift + limits.shift_noise * noise
        structured = (np.abs(alike) > limits.alike) & (gain < limits.alike_gain)
        lost = (gain < limits.gain) & (share < limits.share)
        return (removed >= LEAST) & (shifted | structured | lost)

    return flag


def main() -> None:
    """Measure, choose and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--noises", type=int, default=24)
    parser.add_argument("--first", type=int)
    parser.add_argument("--evidence", type=Path, default=Path("guard-evidence.jsonl"))
    options = parser.parse_args()
    rows = collect(options.data, options.noises, options.first, options.evidence)
    limits, words = choose(rows)
    OUT.write_text(json.dumps(asdict(limits), indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} results; {words}; wrote {OUT}")


if __name__ == "__main__":
    main()
