"""Measure how often `grainless inspect` is right, and write docs/inspect.md.

    python scripts/measure_diagnosis.py DATA [--first N] [--evidence FILE]

The pictures are those of DATA/test/kodak24 and those that the recipe `universal` validates on; the weights
were set on others (scripts/diagnosis_thresholds.py). Each gets each of the noises below, in 8 bits, by the
seed of its name. What was found is kept in the evidence file, so that a stopped run goes on. `--first N`
takes N pictures of each set, to try.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

from diagnosis_pictures import kind_of, read_8bit, validation_names
from evidence_file import keep_rows, read_rows

from grainless.diagnosis import KINDS, diagnose
from grainless.noise import corrupt, seed_for

PAGE = Path(__file__).parent.parent / "docs" / "inspect.md"
MARK = "<!-- measured: below this line everything is written by scripts/measure_diagnosis.py -->"
NOISES = (
    "clean",
    "gaussian:5", "gaussian:10", "gaussian:15", "gaussian:25", "gaussian:50",
    "salt-pepper:0.02", "salt-pepper:0.1:channel", "salt-pepper:0.3", "salt-pepper:0.5:channel",
    "salt-pepper:0.9:channel",
    "poisson:30", "poisson:100", "speckle:0.05", "camera:0.3", "camera:0.6",
    "grain:10", "grain:8:size=1.5:chroma=0.8", "camera:0.3+jpeg:90", "grain:8:size=1.5:chroma=0.8+jpeg:90",
    "jpeg:20", "jpeg:40", "jpeg:60", "jpeg:80",
    "gaussian:10+salt-pepper:0.05", "gaussian:15+salt-pepper:0.1:channel", "gaussian:25+salt-pepper:0.3",
)  # fmt: skip


def pictures(data: Path, first: int | None) -> dict[str, list[Path]]:
    """Return the pictures of both sets."""
    sets = {
        "kodak24": sorted((data / "test" / "kodak24").glob("*.png")),
        "validation": [data / "train" / name for name in validation_names()],
    }
    return {name: paths[:first] for name, paths in sets.items()}


def measure(data: Path, first: int | None, file: Path) -> list[dict[str, Any]]:
    """Return what is said of each picture under each noise."""
    rows = read_rows(file)
    done = {(row["set"], row["picture"], row["noise"]) for row in rows}
    for name, paths in pictures(data, first).items():
        for path in paths:
            missing = [noise for noise in NOISES if (name, path.name, noise) not in done]
            pixels = read_8bit(path) if missing else None
            for noise in missing:
                noisy = corrupt(pixels, noise, seed=seed_for(0, f"{path.name}|{noise}"))
                began = time.process_time()
                told = diagnose(noisy)
                seconds = (time.process_time() - began) / (noisy.shape[0] * noisy.shape[1] / 1e6)
                row = {
                    "set": name,
                    "picture": path.name,
                    "noise": noise,
                    "seconds": seconds,
                    **told.as_json(),
                }
                keep_rows(file, [row])
                rows.append(row)
    wanted = {(name, path.name) for name, paths in pictures(data, first).items() for path in paths}
    return [row for row in rows if (row["set"], row["picture"]) in wanted]


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the measured part."""
    lines = []
    for name in ("kodak24", "validation"):
        own = [row for row in rows if row["set"] == name]
        count = len({row["picture"] for row in own})
        lines += [f"## {name}: {count} pictures, {len(NOISES)} noises each", "", *bars(own), ""]
        lines += ["Rows are what was put in, columns what was said:", "", *matrix(own), ""]
        lines += ["By noise:", "", *by_noise(own), ""]
    lines += ["## Confidence", "", *calibration(rows), ""]
    lines += ["## Time", "", speed(rows), "", "## Noises and the kinds they count as", ""]
    lines += [f"- {kind}: " + ", ".join(f"`{n}`" for n in NOISES if kind_of(n) == kind) for kind in KINDS]
    return lines


def bars(rows: list[dict[str, Any]]) -> list[str]:
    """Return the three shares that are asked for, all of 90 %."""
    right = sum(row["kind"] == kind_of(row["noise"]) for row in rows)
    sigmas = [row for row in rows if kind_of(row["noise"]) == "gaussian"]
    near = sum(sigma_off(row) <= 0.1 for row in sigmas)
    hits = [row for row in rows if kind_of(row["noise"]) in {"salt-pepper", "mixed"}]
    close = sum(density_off(row) <= 0.02 for row in hits)
    balanced = sum(recall(rows, kind) for kind in KINDS) / len(KINDS)
    return [
        "| | right | of | share | asked for |",
        "|---|---|---|---|---|",
        f"| kind | {right} | {len(rows)} | {right / len(rows):.1%} | 90 % |",
        f"| kind, each kind weighing alike | | | {balanced:.1%} | |",
        f"| sigma of Gaussian noise within 10 % | {near} | {len(sigmas)} | {near / len(sigmas):.1%} | 90 % |",
        f"| density within 2 points | {close} | {len(hits)} | {close / len(hits):.1%} | 90 % |",
    ]


def recall(rows: list[dict[str, Any]], kind: str) -> float:
    """Return the share of the pictures of a kind that are told as such."""
    own = [row["kind"] == kind for row in rows if kind_of(row["noise"]) == kind]
    return sum(own) / len(own)


def number(noise: str, name: str) -> float:
    """Return the first number of a step of a noise."""
    step = next(step for step in noise.split("+") if step.startswith(name))
    return float(step.split(":")[1])


def sigma_off(row: dict[str, Any]) -> float:
    """Return the relative error of sigma, infinite where none is told."""
    wanted = number(row["noise"], "gaussian")
    return float("inf") if row["sigma"] is None else abs(row["sigma"] - wanted) / wanted


def density_off(row: dict[str, Any]) -> float:
    """Return the error of the density, of 0 where none is told."""
    return abs((row["density"] or 0.0) - number(row["noise"], "salt-pepper"))


def matrix(rows: list[dict[str, Any]]) -> list[str]:
    """Return the confusion matrix."""
    counts = Counter((kind_of(row["noise"]), row["kind"]) for row in rows)
    lines = ["| | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for true in KINDS:
        cells = (f"**{counts[true, said]}**" if said == true else str(counts[true, said]) for said in KINDS)
        lines.append(f"| {true} | " + " | ".join(cells) + " |")
    return lines


def by_noise(rows: list[dict[str, Any]]) -> list[str]:
    """Return for each noise how often the kind is right, what else was said, and the levels."""
    lines = ["| noise | kind right | else | level told: median, least to most |", "|---|---|---|---|"]
    for noise in NOISES:
        own = [row for row in rows if row["noise"] == noise]
        right = [row for row in own if row["kind"] == kind_of(noise)]
        others = Counter(row["kind"] for row in own if row["kind"] != kind_of(noise))
        levels = sorted(row["level"] for row in right if row["level"] is not None)
        told = f"{levels[len(levels) // 2]:g}, {levels[0]:g} to {levels[-1]:g}" if levels else ""
        wrong = ", ".join(f"{kind} {count}" for kind, count in others.most_common())
        lines.append(f"| `{noise}` | {len(right)} of {len(own)} | {wrong} | {told} |")
    return lines


def calibration(rows: list[dict[str, Any]]) -> list[str]:
    """Return how often answers of a confidence are right."""
    lines = ["| confidence | answers | right |", "|---|---|---|"]
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01)):
        own = [row for row in rows if low <= row["confidence"] < high]
        right = sum(row["kind"] == kind_of(row["noise"]) for row in own)
        share = f"{right / len(own):.0%}" if own else ""
        lines.append(f"| {low:.0%} to {min(high, 1):.0%} | {len(own)} | {share} |")
    return lines


def speed(rows: list[dict[str, Any]]) -> str:
    """Return the processor time."""
    seconds = sorted(row["seconds"] for row in rows)
    return (
        f"Processor seconds per megapixel on one thread: median {seconds[len(seconds) // 2]:.2f}, "
        f"at most {seconds[-1]:.2f}. Of pictures with more than 1024 pixels a side a megapixel is read."
    )


def main() -> None:
    """Measure and write the page below its mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--first", type=int)
    parser.add_argument("--evidence", type=Path, default=Path("diagnosis-measured.jsonl"))
    options = parser.parse_args()
    rows = measure(options.data, options.first, options.evidence)
    head = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    command = "Made by `python scripts/measure_diagnosis.py DATA`."
    if options.first is not None:
        command = f"**A trial** by `python scripts/measure_diagnosis.py DATA --first {options.first}`."
    PAGE.write_text("\n".join([head + MARK, "", command, "", *page(rows), ""]), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
