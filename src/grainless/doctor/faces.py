"""The check of the FER2013 csv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grainless.datasets.fer2013 import open_faces, read_faces
from grainless.doctor.copies import Kept, find_copies
from grainless.doctor.findings import Finding, Report, report_of
from grainless.doctor.folder import Steps
from grainless.doctor.likeness import checksum, thumbnail
from grainless.errors import DataError


def check_faces(
    file: str | Path, *, quick: bool = False, progress: Callable[[int, int], None] | None = None
) -> Report:
    """Look for what spoils a FER2013 csv (.csv, .csv.gz, .zip): damage, blank faces, copies.

    Faces are named as `store_faces` names them: the Usage and the number of the row from 0 in the whole file.
    Those of two Usages must not be the same. Reading ends at the first row that is no face, which is said;
    the faces before it are checked. `quick` finds copies by equal pixels only. `progress` is told how many
    bytes are read, of how many, and then how many faces are compared. Raises DataError where the file cannot
    be opened.
    """
    file = Path(file)
    open_faces(file).close()
    findings: list[Finding] = []
    kept = []
    count = 0
    try:
        for number, (usage, pixels) in enumerate(read_faces(file, progress=progress)):
            count += 1
            name = f"{usage}/{number:05d}"
            if pixels.min() == pixels.max():
                findings.append(Finding(name, "blank", f"all values are {pixels.flat[0]}"))
            else:
                small = None if quick else thumbnail(pixels)
                kept.append(Kept(name, usage, checksum(pixels), small))
    except DataError as error:
        rest = f" {count} faces before it were checked." if count else ""
        findings.append(Finding(file.name, "unreadable", f"{error}{rest}"))
    findings += find_copies(kept, step=Steps(len(kept), progress).step)
    return report_of(file, count, findings)
