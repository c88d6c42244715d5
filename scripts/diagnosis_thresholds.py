"""Set the weights by which `grainless inspect` decides, on the pictures of diagnosis_pictures.sha256.

    python scripts/diagnosis_thresholds.py DATA [--noises 6] [--evidence FILE]

Each picture gets that many noises, drawn at random from the families below, at full or half size, some of
them sharpened, some gray. What is measured on them is kept in the evidence file, so that a stopped run goes
on; then the weights are fitted (logistic regression with an L2 penalty, Newton's method) and written to
src/grainless/diagnosis/weights.json. Test and validation pictures are never read.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from diagnosis_pictures import draw_patch, kind_of, listed, read_8bit
from evidence_file import keep_rows, read_rows
from numpy.typing import NDArray

import grainless
from grainless.diagnosis.decision import FEWEST, IMPULSE_FEATURES, KINDS, SMOOTH, impulse_features
from grainless.diagnosis.evidence import FEATURES, gather
from grainless.noise import corrupt

PENALTY = 1.0
OUT = Path(grainless.__file__).parent / "diagnosis" / "weights.json"


def draw_noise(rng: np.random.Generator) -> str:
    """Draw a kind, then a noise of that kind."""

    def between(low: float, high: float, digits: int = 3) -> str:
        return f"{np.exp(rng.uniform(np.log(low), np.log(high))):.{digits}g}"

    grain = f"grain:{between(5, 25)}:size={rng.uniform(0.6, 2):.2f}:chroma={rng.uniform(0, 1):.2f}"
    families = {
        "clean": ["clean"],
        "gaussian": [f"gaussian:{between(4, 60)}"],
        "salt-pepper": [
            f"salt-pepper:{between(0.01, 0.95)}",
            f"salt-pepper:{between(0.01, 0.95)}:channel",
            f"salt-pepper:{rng.uniform(0.01, 0.95):.3f}:salt={rng.uniform(0, 1):.2f}",
        ],
        "signal-dependent": [
            f"poisson:{between(15, 300)}",
            f"speckle:{between(0.01, 0.2)}",
            f"camera:{between(0.2, 1.2)}",
        ],
        "correlated": [
            grain,
            f"{grain}+jpeg:{rng.integers(80, 97)}",
            f"camera:{between(0.25, 1)}+jpeg:{rng.integers(80, 97)}",
            f"gaussian:{between(8, 40)}+jpeg:{rng.integers(75, 97)}",
        ],
        "jpeg": [f"jpeg:{rng.integers(10, 86)}"],
        "mixed": [
            f"gaussian:{between(7, 50)}+salt-pepper:{between(0.03, 0.6)}",
            f"gaussian:{between(7, 50)}+salt-pepper:{between(0.03, 0.6)}:channel",
        ],
    }
    members = families[str(rng.choice(list(families)))]
    return str(rng.choice(members))


def measure(path: Path, noises: int, seed: int) -> list[dict[str, Any]]:
    """Return the evidence of one picture under some noises."""
    rng = np.random.default_rng(seed)
    pixels = read_8bit(path)
    rows = []
    for _ in range(noises):
        clean = draw_patch(pixels, rng)
        noise = draw_noise(rng)
        noisy = corrupt(clean, noise, rng=rng)
        rows.append({"picture": path.name, "noise": noise, **asdict(gather(noisy))})
    return rows


def collect(data: Path, noises: int, file: Path) -> list[dict[str, Any]]:
    """Return the evidence of all pictures, from the file as far as it is there."""
    rows = read_rows(file)
    done = {row["picture"] for row in rows}
    for seed, path in enumerate(listed(data / "train")):
        if path.name in done:
            continue
        found = measure(path, noises, seed)
        keep_rows(file, found)
        rows += found
    return rows


def fit(features: NDArray[np.float64], labels: NDArray[np.intp], count: int) -> dict[str, Any]:
    """Return limits, scale and weights of a multinomial logistic regression on features and squares."""
    low, high = np.quantile(features, (0.01, 0.99), axis=0)
    clipped = np.clip(features, low, high)
    centre, scale = clipped.mean(axis=0), clipped.std(axis=0) + 1e-6
    scaled = (clipped - centre) / scale
    inputs = np.hstack([scaled, scaled**2, np.ones((len(scaled), 1))])
    share = np.bincount(labels, minlength=count)
    importance = (len(labels) / count / share)[labels]
    weights = np.zeros((inputs.shape[1], count))
    wanted = np.eye(count)[labels]
    penalty = np.full(inputs.shape[1], PENALTY)
    penalty[-1] = 1e-3
    for _ in range(60):
        scores = inputs @ weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        slope = inputs.T @ ((chances - wanted) * importance[:, None]) + penalty[:, None] * weights
        # One class after the other: the blocks on the diagonal of the Hessian are enough, with half steps.
        for kind in range(count):
            spread = importance * chances[:, kind] * (1 - chances[:, kind])
            hessian = (inputs * spread[:, None]).T @ inputs + np.diag(penalty)
            weights[:, kind] -= 0.5 * np.linalg.solve(hessian, slope[:, kind])
    return {
        "low": low.round(4).tolist(),
        "high": high.round(4).tolist(),
        "centre": centre.round(4).tolist(),
        "scale": scale.round(4).tolist(),
        "weights": weights.T.round(4).tolist(),
    }


def stages(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the three regressions: impulses or none, alone or mixed, and kinds without impulses."""
    kinds = np.array([kind_of(row["noise"], gray=row["features"][-1] == 1) for row in rows])
    hit = np.isin(kinds, ("salt-pepper", "mixed"))
    told = np.array([row["density"] >= FEWEST for row in rows])
    impulses = np.array([impulse_features(row["density"], row["balance"], row["rest"]) for row in rows])
    smooth = np.array([row["features"] for row in rows])
    mixed = (kinds == "mixed").astype(int)
    labels = np.array([SMOOTH.index(kind) if kind in SMOOTH else -1 for kind in kinds])
    # A JPEG that left no trace, as in drawings in black and white, is never told as such.
    traced = np.array([row["trace"]["strength"] > 0 for row in rows])
    some = ~hit & (traced | (kinds != "jpeg"))
    return {
        "impulses": {"features": IMPULSE_FEATURES, **fit(impulses[told], hit[told].astype(int), 2)},
        "mixed": {"features": IMPULSE_FEATURES, **fit(impulses[hit & told], mixed[hit & told], 2)},
        "smooth": {"features": FEATURES, "kinds": SMOOTH, **fit(smooth[some], labels[some], len(SMOOTH))},
    }


def main() -> None:
    """Measure, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--noises", type=int, default=6)
    parser.add_argument("--evidence", type=Path, default=Path("diagnosis-evidence.jsonl"))
    options = parser.parse_args()
    rows = collect(options.data, options.noises, options.evidence)
    OUT.write_text(json.dumps(stages(rows), indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} noisy pictures of {len(KINDS)} kinds; wrote {OUT}")


if __name__ == "__main__":
    main()
