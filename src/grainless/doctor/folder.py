"""The check of a folder of pictures, and of the decoded pictures of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grainless.datasets import PixelStore, check_apart, find_pictures
from grainless.doctor.copies import Kept, find_copies
from grainless.doctor.findings import Finding, Report, part_of_name, report_of
from grainless.doctor.likeness import checksum, thumbnail
from grainless.doctor.pairs import PairCheck, Sides, find_sides
from grainless.doctor.pictures import look, odd_findings, plain_findings
from grainless.errors import InputError

Progress = Callable[[int, int], None]

MIN_SIDE = 96
"""Shortest side that is not too small, in pixels: as far as a network looks. Recipes ask for more."""


class Steps:
    """Counts what is done, and tells."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def step(self) -> None:
        """Count one more."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def check_folder(
    path: str | Path,
    *,
    pairs: Sequence[str | Path] | None = None,
    against: Sequence[str | Path] = (),
    quick: bool = False,
    min_side: int = MIN_SIDE,
    progress: Progress | None = None,
) -> Report:
    """Look for what spoils a folder of clean pictures, or of noisy and clean pairs, for training and tests.

    `pairs` names the folders of the noisy and of the clean pictures, below `path` or anywhere, or the
    pictures with a star, as `datasets.match_pairs` takes them; without it they are `path/noisy` and
    `path/clean` where both are there. `against` are folders that must share no picture with `path`. `quick`
    looks at no more than decoding shows, and finds copies by equal pixels only.
    `progress` is told how many steps are done, of how many. Memory stays flat but for 3 KB a picture.

    Raises DataError for a folder that does not exist, holds no picture or overlaps with one of the others,
    InputError for a `min_side` under 1 and for other than two sides.
    """
    path = Path(path)
    if min_side < 1:
        raise InputError("The shortest side is not valid", got=min_side, expected="1 or more pixels")
    if pairs is not None and len(pairs) != 2:
        raise InputError("Pairs have two sides", got=len(pairs), expected="the noisy and the clean one")
    files = [] if pairs is not None else find_pictures(path)
    sides = find_sides(path, pairs)
    others = _list_others(path, sides, [Path(folder) for folder in against])
    if sides is None:
        return _check_single(path, files, others, min_side=min_side, quick=quick, progress=progress)
    check = PairCheck(sides, min_side=min_side, quick=quick)
    steps = Steps(check.pictures + _count(others) + check.pairs, progress)
    check.run(steps.step)
    for _ in range(check.pairs - len(check.kept_clean)):
        steps.step()
    findings = check.findings
    elsewhere, faults = _keep_others(others, quick=quick, steps=steps)
    findings += faults
    # Several noisy pictures may share a clean one; with another part or folder they must not.
    copies = find_copies(check.kept_clean, elsewhere, step=steps.step)
    leaks = {finding.file: finding for finding in copies if finding.kind == "leak"}
    twice = [finding for finding in find_copies(check.kept_pairs) if finding.file not in leaks]
    findings += [*leaks.values(), *twice]
    return report_of(path, check.pictures, findings)


def check_store(
    store: PixelStore,
    *,
    noisy: PixelStore | None = None,
    name: str = "",
    parts: Mapping[str, Sequence[int]] | None = None,
) -> Report:
    """Do what a quick `check_folder` does, for pictures that are decoded already.

    `noisy` holds the partners of pairs, in the same order; then only whole pairs are copies. `parts` are
    positions in the store by what they are for; parts must share no picture. What the store left out is not
    said again: it is in `store.skipped`. `name` is what the report calls it.
    """
    part_of = {place: part for part, places in (parts or {}).items() for place in places}
    findings: list[Finding] = []
    kept = []
    for place, picture in enumerate(store.names):
        pixels = store[place]
        findings += plain_findings(picture, pixels)
        partner = () if noisy is None else (noisy[place],)
        kept.append(Kept(picture, part_of.get(place, ""), checksum(pixels, *partner)))
    findings += odd_findings(store.names, store.shapes)
    findings += _without_blank(find_copies(kept), findings)
    return report_of(name or store.folder, len(store), findings)


def _check_single(
    path: Path,
    files: Sequence[str],
    others: Sequence[tuple[Path, list[str]]],
    *,
    min_side: int,
    quick: bool,
    progress: Progress | None,
) -> Report:
    """Check a folder of clean pictures."""
    steps = Steps(2 * len(files) + _count(others), progress)
    findings: list[Finding] = []
    kept, shapes = [], []
    for file in files:
        looked = look(path / file, file, min_side=min_side, quick=quick)
        findings += looked.findings
        if looked.pixels is not None:
            small = None if quick else thumbnail(looked.pixels)
            kept.append(Kept(file, part_of_name(file), checksum(looked.pixels), small))
            shapes.append(looked.pixels.shape)
        else:
            # It will not be compared.
            steps.step()
        steps.step()
    findings += odd_findings([picture.name for picture in kept], shapes)
    elsewhere, faults = _keep_others(others, quick=quick, steps=steps)
    findings += faults
    findings += _without_blank(find_copies(kept, elsewhere, step=steps.step), findings)
    return report_of(path, len(files), findings)


def _list_others(path: Path, sides: Sides | None, against: Sequence[Path]) -> list[tuple[Path, list[str]]]:
    """Return the other folders with their files; raises DataError where one overlaps or holds none."""
    own = [path] if sides is None else list(sides.folders)
    for other in against:
        for folder in own:
            check_apart(folder, other, "A folder cannot be checked against a part of itself")
    return [(other, find_pictures(other)) for other in against]


def _count(others: Sequence[tuple[Path, list[str]]]) -> int:
    return sum(len(files) for _, files in others)


def _keep_others(
    others: Sequence[tuple[Path, list[str]]], *, quick: bool, steps: Steps
) -> tuple[list[Kept], list[Finding]]:
    """Return what is kept of the pictures of other folders, and which of them cannot be read."""
    kept: list[Kept] = []
    findings: list[Finding] = []
    for folder, files in others:
        for file in files:
            name = str(folder / file)
            looked = look(folder / file, name, min_side=1, quick=True)
            if looked.pixels is None:
                findings += looked.findings
            else:
                small = None if quick else thumbnail(looked.pixels)
                kept.append(Kept(name, str(folder), checksum(looked.pixels), small))
            steps.step()
    return kept, findings


def _without_blank(copies: Sequence[Finding], findings: Sequence[Finding]) -> list[Finding]:
    """Return copies but for pictures of one single value, which is said of them already."""
    blank = {finding.file for finding in findings if finding.kind == "blank"}
    return [finding for finding in copies if finding.file not in blank]
