"""Try check-data on real folders and on planted faults, and write docs/check-data-tried.md.

Usage: python scripts/check_data.py DATA FACES.csv (needs the evaluate extra). DATA is a folder with test/,
train/, leaf/ and real_noise/; FACES.csv is that of FER2013.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from grainless.doctor import KINDS, Report, check_faces, check_folder
from grainless.noise import corrupt

SINGLE = (
    "test/cbsd68", "test/kodak24", "test/set12", "test/set5", "test/bsd68_gray",
    "train/cid22", "train/clic2025", "train/gb82", "train/photos", "leaf/coffee",
    "real_noise/rni15", "real_noise/rni6",
)  # fmt: skip
NOISY, FACES = ("real_noise/rni15", "real_noise/rni6"), "FER2013"
LISTED = 12
"""So many faults of a folder are listed."""


def main() -> None:
    """Write the page."""
    data, faces = Path(sys.argv[1]), Path(sys.argv[2])
    reports = dict(real_folders(data, faces))
    with tempfile.TemporaryDirectory() as folder:
        planted = plant(data / "test/kodak24", Path(folder) / "planted")
        found = check_folder(Path(folder) / "planted")
        pairs = plant_pairs(data / "test/kodak24", Path(folder) / "pairs")
        found_pairs = check_folder(Path(folder) / "pairs")
    page = Path(__file__).parent.parent / "docs" / "check-data-tried.md"
    lines = ["# check-data, tried", "", *summary(reports, faces), "", *real_table(reports), ""]
    lines += ["## Planted faults", ""]
    lines += [*planted_table(planted, found), "", "### In pairs", "", *planted_table(pairs, found_pairs), ""]
    lines += ["Made again by `python scripts/check_data.py DATA FACES.csv`.", ""]
    page.write_text("\n".join(lines), encoding="utf-8")
    print(f"wrote {page}")


def real_folders(data: Path, faces: Path) -> Iterator[tuple[str, Report]]:
    """Check every folder by itself, PolyU as pairs, and the faces."""
    for name in SINGLE:
        yield name, check_folder(data / name)
    yield (
        "real_noise/polyu_crops",
        check_folder(data / "real_noise/polyu_crops", pairs=("*_real.JPG", "*_mean.JPG")),
    )
    yield FACES, check_faces(faces)


def summary(reports: dict[str, Report], faces: Path) -> list[str]:
    """Return how often folders of clean pictures are blamed, and what the faces hold, counted another way."""
    clean = [report for name, report in reports.items() if name not in (*NOISY, FACES)]
    blamed = sum(len({finding.file for finding in report.faults}) for report in clean)
    total = sum(report.pictures for report in clean)
    copies, blank = count_copies(faces)
    counts = reports[FACES].counts
    leaks = [finding for finding in reports[FACES].faults if finding.kind == "leak"]
    equal = sum(finding.found.startswith("the same picture") for finding in leaks)
    return [
        f"In the folders of clean pictures {blamed} of {total} files are blamed. Those of "
        f"{' and '.join(NOISY)} are photographs with noise of their own, which is what is said of them.",
        "",
        f"{FACES} holds {copies} rows whose pixels are, digit for digit, those of an earlier row, "
        f"{blank - 1} of them of one single value. Said of it: {counts['duplicate']} faces twice in a part, "
        f"and {equal} equal ones in two parts; {len(leaks) - equal} more in two parts differ a little.",
    ]


def count_copies(faces: Path) -> tuple[int, int]:
    """Return how many rows repeat the pixels of an earlier one, and how many are of one value."""
    with faces.open(newline="", encoding="utf-8") as file:
        pixels = [row["pixels"] for row in csv.DictReader(file)]
    return len(pixels) - len(set(pixels)), sum(len(set(text.split())) == 1 for text in pixels)


def real_table(reports: dict[str, Report]) -> list[str]:
    """Return a table of what was found in each folder, and the faults below."""
    lines = ["| folder | pictures | faults | of the pictures | notes | kinds |", "|---|---|---|---|---|---|"]
    for name, report in reports.items():
        files = {finding.file for finding in report.faults}
        kinds = ", ".join(f"{KINDS[kind].title.lower()} {count}" for kind, count in report.counts.items())
        share = f"{len(files) / report.pictures:.1%}"
        lines.append(
            f"| {name} | {report.pictures} | {len(files)} | {share} | {len(report.notes)} | {kinds} |"
        )
    for name, report in reports.items():
        faults = report.faults
        lines += ["", f"**{name}**", ""] if faults else []
        lines += [f"- {finding.file}: {finding.found}" for finding in faults[:LISTED]]
        lines += [f"- and {len(faults) - LISTED} more"] if len(faults) > LISTED else []
    return lines


def planted_table(planted: dict[str, str], report: Report) -> list[str]:
    """Return which planted faults were found as what, and what else was said."""
    said: dict[str, list[str]] = {}
    for finding in report.findings:
        said.setdefault(finding.file, []).append(finding.kind)
    lines = ["| planted in | fault | found as |", "|---|---|---|"]
    lines += [
        f"| {file} | {what} | {', '.join(said.get(file, ['**not found**']))} |"
        for file, what in planted.items()
    ]
    others = {file: kinds for file, kinds in said.items() if file not in planted}
    told = "; ".join(f"{file} ({', '.join(kinds)})" for file, kinds in others.items())
    return [*lines, "", f"Of {report.pictures} files; said of others: {told or 'nothing'}."]


def pixels_of(source: Path) -> list[np.ndarray]:
    """Return the pictures of a folder."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(source.glob("*.png"))]


def save(path: Path, pixels: np.ndarray, **options: int) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def plant(source: Path, folder: Path) -> dict[str, str]:
    """Make a folder of good pictures with a fault of each kind; return the faults by file."""
    pictures = pixels_of(source)
    for number, pixels in enumerate(pictures[:16]):
        save(folder / f"good{number:02}.png", pixels)
    save(folder / "cut-off.png", pictures[16])
    (folder / "cut-off.png").write_bytes((folder / "cut-off.png").read_bytes()[:50_000])
    (folder / "text.jpg").write_text("This is no picture.", encoding="utf-8")
    (folder / "empty.png").touch()
    save(folder / "small.png", pictures[17][:64, :80])
    save(folder / "noisy.png", corrupt(pictures[18], "gaussian:15", seed=1))
    save(folder / "specks.png", corrupt(pictures[19], "salt-pepper:0.02", seed=1))
    save(folder / "white.png", np.full_like(pictures[0], 255))
    save(folder / "gray.png", np.repeat(pictures[20].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2))
    save(folder / "pressed.jpg", pictures[21], quality=15)
    shutil.copy(folder / "good01.png", folder / "same.png")
    save(folder / "saved-again.jpg", pictures[2], quality=85)
    save(folder / "mirrored.png", np.ascontiguousarray(pictures[3][:, ::-1]))
    save(folder / "train/in-both.png", pictures[22])
    save(folder / "test/in-both.png", pictures[22])
    return {
        "cut-off.png": "the first 50,000 bytes", "text.jpg": "text", "empty.png": "no bytes",
        "small.png": "80 x 64 pixels", "noisy.png": "gaussian:15", "specks.png": "salt-pepper:0.02",
        "white.png": "all white", "gray.png": "gray in three channels", "pressed.jpg": "JPEG of quality 15",
        "same.png": "a copy of good01.png", "saved-again.jpg": "good02.png as JPEG of quality 85",
        "mirrored.png": "good03.png mirrored",
        "train/in-both.png": "in train/ and in test/",
    }  # fmt: skip


def plant_pairs(source: Path, folder: Path) -> dict[str, str]:
    """Make folders of noisy and clean pictures with a fault of each kind; return the faults by file."""
    pictures = pixels_of(source)
    for number, pixels in enumerate(pictures[:20]):
        save(folder / f"clean/{number:02}.png", pixels)
        save(folder / f"noisy/{number:02}.png", corrupt(pixels, "gaussian:20", seed=number))
    save(folder / "clean/03.png", corrupt(pictures[3], "gaussian:20", seed=3))
    save(folder / "noisy/03.png", pictures[3])
    save(folder / "noisy/05.png", corrupt(np.roll(pictures[5], (3, -2), axis=(0, 1)), "gaussian:20", seed=5))
    save(folder / "noisy/07.png", pictures[7])
    save(folder / "noisy/09.png", corrupt(pictures[18], "gaussian:20", seed=9))
    save(folder / "noisy/11.png", corrupt(pictures[11][:-8], "gaussian:20", seed=11))
    (folder / "noisy/13.png").unlink()
    save(folder / "clean/15.png", corrupt(pictures[15], "gaussian:8", seed=99))
    return {
        "clean/03.png": "noisy and clean exchanged",
        "noisy/05.png": "moved by 3 and 2 pixels",
        "noisy/07.png": "the clean picture itself",
        "noisy/09.png": "another scene",
        "noisy/11.png": "8 rows missing",
        "clean/13.png": "no partner",
        "clean/15.png": "gaussian:8 in the clean one",
    }


if __name__ == "__main__":
    main()
