"""The FER2013 csv: blank faces, copies in and across the Usage splits, and damage."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import faces_csv
from doctor_pictures import Pixels, scene, spoilt
from grainless.doctor import Report, check_faces
from grainless.errors import DataError


def face(seed: int) -> Pixels:
    return scene(seed, height=48, width=48, channels=1)


def written(path: Path, rows: list[tuple[Pixels, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(faces_csv.HEADER.split(","))
        writer.writerows([0, faces_csv.field(pixels), usage] for pixels, usage in rows)
    return path


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    black = np.zeros((48, 48, 1), np.uint8)
    rows = [(face(seed), "Training") for seed in range(8)]
    rows += [(black, "Training"), (face(2), "Training"), (spoilt(face(3), "jpeg:80"), "Training")]
    rows += [(face(20), "PublicTest"), (face(1), "PublicTest"), (black, "PublicTest")]
    rows += [(face(30), "PrivateTest"), (spoilt(face(20)[:, ::-1], "jpeg:80"), "PrivateTest")]
    return written(tmp_path / "faces.csv", rows)


def told(report: Report) -> list[tuple[str, str, str | None]]:
    return [(finding.file, finding.kind, finding.other) for finding in report.findings]


EXACT = [
    ("PublicTest/00013", "blank", None),
    ("Training/00008", "blank", None),
    ("Training/00009", "duplicate", "Training/00002"),
    ("PublicTest/00012", "leak", "Training/00001"),
]


def test_blank_faces_and_copies_are_named_by_usage_and_row(planted: Path) -> None:
    report = check_faces(planted)
    near = [
        ("PrivateTest/00015", "leak", "PublicTest/00011"),
        ("Training/00010", "near-duplicate", "Training/00003"),
    ]
    assert sorted(told(report)) == sorted(EXACT + near)
    assert report.pictures == 16
    assert report.path == str(planted)


def test_quick_compares_pixels_only(planted: Path) -> None:
    assert sorted(told(check_faces(planted, quick=True))) == sorted(EXACT)


@pytest.mark.parametrize("packed", ["gzip", "zip"])
def test_packed_files_give_the_same(planted: Path, packed: str) -> None:
    other = faces_csv.gzipped(planted) if packed == "gzip" else faces_csv.zipped(planted, "fer2013.csv")
    assert check_faces(other).findings == check_faces(planted).findings


def test_good_faces_give_nothing_and_bytes_are_told(tmp_path: Path) -> None:
    file = written(tmp_path / "good.csv", [(face(seed), "Training") for seed in range(12)])
    steps: list[tuple[int, int]] = []
    report = check_faces(str(file), progress=lambda *step: steps.append(step))
    assert report.findings == ()
    assert report.pictures == 12
    assert steps[-13] == (file.stat().st_size, file.stat().st_size)
    assert steps[-12:] == [(number, 12) for number in range(1, 13)]


def test_damage_is_found_and_the_faces_before_it_are_checked(planted: Path) -> None:
    text = planted.read_text(encoding="utf-8")
    planted.write_text(text[: text.index("PrivateTest") - 500], encoding="utf-8")
    report = check_faces(planted, quick=True)
    (damage,) = [finding for finding in report.findings if finding.kind == "unreadable"]
    assert damage.file == "faces.csv"
    assert "Line 16" in damage.found
    assert damage.found.endswith("14 faces before it were checked.")
    assert report.pictures == 14
    assert set(EXACT) <= set(told(report))


def test_a_file_that_is_no_csv_of_faces_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    report = check_faces(file)
    assert report.pictures == 0
    assert "is not the header of a faces file" in report.findings[0].found
    assert "before it" not in report.findings[0].found


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check_faces(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="is a folder"):
        check_faces(tmp_path)
