"""Write the list of the validation pictures: `python scripts/validation_list.py DATA [RECIPE]`.

DATA is the folder of training pictures; docs/RECIPE-validation.csv gets name, SHA-256 of the file, width and
height of each picture that the recipe (universal) validates on, so that others can tell whether they have the
same ones.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

from grainless.picture import read_picture
from grainless.training import load_recipe

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Write the list."""
    data = Path(sys.argv[1])
    recipe = load_recipe(sys.argv[2] if len(sys.argv) > 2 else "universal")
    output = DOCS / f"{recipe.name}-validation.csv"
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "sha256", "width", "height"])
        for name in recipe.data.validation:
            height, width = read_picture(data / name).pixels.shape[:2]
            writer.writerow([name, hashlib.sha256((data / name).read_bytes()).hexdigest(), width, height])
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
