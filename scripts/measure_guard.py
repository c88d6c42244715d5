"""Measure how often the guard is right, and write docs/guard.md.

    python scripts/measure_guard.py DATA [--first N] [--evidence FILE]

The pictures are those of DATA/test/kodak24, those that the recipe `universal` validates on, and the roughest
part of each, as textures; the thresholds were set on others (scripts/guard_thresholds.py). Each gets each of
the noises below, in 8 bits, by the seed of its name, and each noisy picture the product's own results and a
part of the models at fault, in turn. Better and worse are told by the PSNR. What was found is kept in the
evidence file, so that a stopped run goes on and other thresholds need no new run. `--first N` takes N
pictures of each set, to try.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from diagnosis_pictures import read_8bit, validation_names
from evidence_file import keep_rows, read_rows
from guard_cases import (
    HONEST,
    TIE,
    Pixels,
    Treatments,
    altered,
    evidence_of,
    look,
    rise,
    roughest,
    said,
)

from grainless.guard import decibels
from grainless.noise import corrupt, seed_for

PAGE = Path(__file__).parent.parent / "docs" / "guard.md"
MARK = "<!-- measured: below this line everything is written by scripts/measure_guard.py -->"
SETS = ("kodak24", "validation", "textures")
SIDE, ROUGH_SIDE = 512, 256
"""The middle of a picture is taken, and of textures the roughest part, so that one takes little time."""
PLAIN = 0.5
NOISES = (
    "clean", "gaussian:2", "gaussian:5", "gaussian:15", "gaussian:30", "gaussian:50",
    "salt-pepper:0.02", "salt-pepper:0.1:channel", "salt-pepper:0.5", "poisson:60", "speckle:0.05",
    "camera:0.3", "camera:0.6", "grain:10", "camera:0.3+jpeg:90", "jpeg:20", "jpeg:50", "jpeg:80",
    "gaussian:15+salt-pepper:0.1",
)  # fmt: skip
WRONG = (
    "blur:1", "blur:2.5", "universal+blur:1.5", "universal+blur:3", "universal+universal", "median:3",
    "median:5", "tv:40", "bilateral:40", "universal+sharpen:1.5", "universal+further:2", "universal+tint:12",
    "universal+darken:0.1", "universal+gamma:1.15", "universal+shift:1", "universal+grain:10",
    "universal+steps:24", "dim:0.1", "universal+hole:64",
)  # fmt: skip
"""Some of which are better than nothing under strong noise; what counts is the PSNR."""
WRONG_EACH = 4
"""So many of them for each noisy picture."""


def pictures(data: Path, first: int | None) -> Iterator[tuple[str, str, Path]]:
    """Give set, name and file of each picture."""
    kodak = sorted((data / "test" / "kodak24").glob("*.png"))[:first]
    validation = [data / "train" / name for name in validation_names()][:first]
    for name, paths in zip(
        SETS, (kodak, validation, [*kodak, *validation][:: 1 if first is None else 2]), strict=True
    ):
        for path in paths:
            yield name, path.name, path


def part(name: str, path: Path) -> Pixels:
    """Return what is looked at of a picture."""
    pixels = read_8bit(path)
    if name == "textures":
        return roughest(pixels, ROUGH_SIDE)
    top, left = (max(0, (side - SIDE) // 2) // 8 * 8 for side in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE]


def treatments(title: str, noise: str) -> list[str]:
    """Return the treatments of a noisy picture: models at fault in turn, begun elsewhere in each picture."""
    start = NOISES.index(noise) * WRONG_EACH + zlib.crc32(title.encode())
    return [*HONEST, *(WRONG[(start + step) % len(WRONG)] for step in range(WRONG_EACH))]


def measure(data: Path, first: int | None, file: Path) -> list[dict[str, Any]]:
    """Return what is told of each result."""
    rows = read_rows(file)
    done = {(row["set"], row["picture"], row["noise"]) for row in rows}
    wanted = list(product(pictures(data, first), NOISES))
    for (name, title, path), noise in wanted:
        if (name, title, noise) in done:
            continue
        clean = part(name, path)
        noisy = corrupt(clean, noise, seed=seed_for(0, f"{name}|{title}|{noise}"))
        results = Treatments(noisy)
        found = []
        for treatment in treatments(title, noise):
            after, seconds = timed(results.apply, treatment)
            told, own = timed(look, clean, noisy, after)
            row = {"set": name, "picture": title, "noise": noise, "treatment": treatment, **told}
            found.append(row | {"seconds": [seconds, own], "pixels": clean.shape[0] * clean.shape[1]})
        keep_rows(file, found)
        rows += found
    keys = {(name, title) for (name, title, _), _ in wanted}
    return [row for row in rows if (row["set"], row["picture"]) in keys]


def timed(call: Any, *arguments: Any) -> tuple[Any, float]:
    """Return an answer and the processor seconds that it took."""
    began = time.process_time()
    return call(*arguments), time.process_time() - began


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the measured part."""
    own = [row for row in rows if row["treatment"] in HONEST]
    shifted = [row for row in rows if altered(row["treatment"])]
    others = [row for row in rows if row not in own and row not in shifted]
    titles = (
        ("the product's own results", own),
        ("models at fault, and filters", others),
        ("shifted colours, and holes", shifted),
    )
    sets = [
        (f"{name}: {title}", [row for row in some if row["set"] == name])
        for name in SETS
        for title, some in titles
    ]
    lines = ["## By pictures", "", *table("pictures", sets), ""]
    lines += ["Shifted colours and holes are meant to be called worse whatever the PSNR says.", ""]
    lines += ["## The product's own results, by noise", ""]
    lines += [
        *table("noise", [(f"`{noise}`", [row for row in own if row["noise"] == noise]) for noise in NOISES]),
        "",
    ]
    lines += ["## By treatment", ""]
    cases = [(f"`{case}`", [row for row in rows if row["treatment"] == case]) for case in (*HONEST, *WRONG)]
    lines += [
        *table("treatment", cases),
        "",
        "## What is missed of clean pictures",
        "",
        missed_of_clean(own),
        "",
    ]
    return [
        *lines,
        "## Reasons",
        "",
        *reasons(rows),
        "",
        "## Estimate of the gain",
        "",
        *estimates(rows),
        "",
        "## Time",
        "",
        speed(own),
    ]


def table(head: str, parts: list[tuple[str, list[dict[str, Any]]]]) -> list[str]:
    """Return false alarms and misses of some parts."""
    plain = f"by more than {PLAIN} dB"
    lines = [
        f"| {head} | better | false alarms | {plain} | worse | missed | {plain} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in parts:
        cells = []
        for sign in (1, -1):
            for least in (TIE, PLAIN):
                some = [row for row in rows if sign * rise(row) > least]
                wrong = sum(bool(said(row)) == (sign > 0) for row in some)
                if least == TIE:
                    cells.append(str(len(some)))
                cells.append(f"{wrong} of {len(some)}, {wrong / len(some):.1%}" if some else "none")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def missed_of_clean(rows: list[dict[str, Any]]) -> str:
    """Say how much harm was done to pictures without noise."""
    missed = sorted(
        10 * float(np.log10(255**2 / (row["errors"][1] + 1e-9)))
        for row in rows
        if row["noise"] == "clean" and rise(row) < -TIE and not said(row)
    )
    if not missed:
        return "Nothing."
    return (
        f"{len(missed)} results that differ from the clean picture were passed; their PSNR: median"
        f" {missed[len(missed) // 2]:.1f} dB, least {missed[0]:.1f} dB."
    )


def reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Return how often each check spoke, and how often it was right."""
    kinds = {
        "black or another picture": "became",
        "shift": "shifted by",
        "structure": "structure",
        "gain": "can be noise",
    }
    lines = ["| check | said worse | of these truly worse |", "|---|---|---|"]
    for name, words in kinds.items():
        some = [row for row in rows if words in said(row)]
        lines.append(f"| {name} | {len(some)} | {sum(rise(row) < 0 for row in some)} |")
    return lines


def estimates(rows: list[dict[str, Any]]) -> list[str]:
    """Return how near the estimate of the gain is, by the true one."""
    lines = [
        "| rise of the PSNR, dB | results | estimate less truth, dB: median | a tenth below | above |",
        "|---|---|---|---|---|",
    ]
    limits = (-100, -3, -1, 0, 1, 3, 6, 10, 100)
    for low, high in zip(limits, islice(limits, 1, None), strict=False):
        own = [(decibels(evidence_of(row)), rise(row)) for row in rows if low <= rise(row) < high]
        off = [told - true for told, true in own if told is not None]
        if off:
            middle, least, most = np.quantile(off, (0.5, 0.1, 0.9))
            name = f"{low} to {high}".replace("-100 to", "below").replace("10 to 100", "from 10 on")
            lines.append(f"| {name} | {len(off)} | {middle:+.1f} | {least:+.1f} | {most:+.1f} |")
    counts = Counter(decibels(evidence_of(row)) is None for row in rows)
    return [*lines, "", f"Of {counts[True]} results there was too little to see for an estimate."]


def speed(rows: list[dict[str, Any]]) -> str:
    """Return the processor time."""
    some = [row for row in rows if row["treatment"] == "universal" and row["set"] != "textures"]
    shares = sorted(row["seconds"][1] / max(row["seconds"][0], 1e-9) for row in some)
    seconds = sorted(row["seconds"][1] for row in some)
    middle = len(some) // 2
    return (
        f"On one thread, for parts of up to {SIDE} x {SIDE} pixels: median {seconds[middle]:.2f} processor"
        f" seconds, {shares[middle]:.0%} of those of the model `universal`. A larger picture takes little"
        " longer: at most 384 x 384 pixels are looked at closely."
    )


def main() -> None:
    """Measure and write the page below its mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--first", type=int)
    parser.add_argument("--evidence", type=Path, default=Path("guard-measured.jsonl"))
    options = parser.parse_args()
    rows = measure(options.data, options.first, options.evidence)
    head = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    command = "Made by `python scripts/measure_guard.py DATA`."
    if options.first is not None:
        command = f"**A trial** by `python scripts/measure_guard.py DATA --first {options.first}`."
    PAGE.write_text("\n".join([head + MARK, "", command, "", *page(rows), ""]), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
