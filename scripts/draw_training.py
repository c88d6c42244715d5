"""Draw validation PSNR over the pixels seen: `python scripts/draw_training.py CURVE.csv OUTPUT.png [RUN]`.

With a RUN folder its curve is written into CURVE.csv first: a row a validation, PSNR in dB for each noise.
The csv is kept in the repository, so that the picture can be drawn again without the run.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

from grainless.training.run_folder import load_run_recipe

PREFIX = "psnr/"
PIXELS = "megapixels"


def main() -> None:
    """Write the curve, if there is a run, and draw it."""
    curve, output, *runs = (Path(argument) for argument in sys.argv[1:])
    for run in runs:
        write_curve(run, curve)
    with curve.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in rows[0]:
        if name != PIXELS:
            axes.plot([float(row[PIXELS]) for row in rows], [float(row[name]) for row in rows], label=name)
    axes.set_xlabel("megapixels of patches seen")
    axes.set_ylabel("validation PSNR, dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(output, dpi=120)
    print(f"wrote {output}")


def write_curve(run: Path, curve: Path) -> None:
    """Write the validations of all parts of a run, by the pixels seen."""
    recipe = load_run_recipe(run)
    pixels = recipe.schedule.batch * recipe.data.patch[0] ** 2 / 1e6
    rows: dict[int, dict[str, str]] = {}
    for part in sorted((run / "csv").glob("part-*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with part.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("psnr"):
                    # What was trained twice, after a stop, counts as it was the second time.
                    rows[int(row["step"]) + 1] = row
    noises = recipe.validation_noise
    with curve.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([PIXELS, *noises])
        for step, row in sorted(rows.items()):
            writer.writerow(
                [f"{step * pixels:.1f}", *(f"{float(row[PREFIX + noise]):.2f}" for noise in noises)]
            )


if __name__ == "__main__":
    main()
