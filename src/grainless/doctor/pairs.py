"""Folders of noisy pictures and their clean ones: what belongs together, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from grainless.datasets import find_pictures
from grainless.doctor.alignment import align
from grainless.doctor.copies import Kept
from grainless.doctor.findings import Finding
from grainless.doctor.grain import IMPULSE_SHARE, impulse_share, measure_grain
from grainless.doctor.likeness import checksum, thumbnail
from grainless.doctor.pictures import Looked, look, odd_findings
from grainless.errors import DataError

Pixels = NDArray[np.uint8]

NOISIER, NOISIER_BY = 1.5, 0.5
"""The clean picture is the noisier one from so many times the noise of its partner, and levels on top."""
ALL_SWAPPED = 0.8
"""Share of the pairs from which the folders are swapped, which is said once."""


@dataclass(frozen=True)
class PairFolders:
    """The two folders, and what each file is called in the report."""

    noisy: Path
    clean: Path
    noisy_label: str
    clean_label: str

    @property
    def sides(self) -> tuple[tuple[Path, str], ...]:
        """Folder and label of either side, noisy before clean."""
        return (self.noisy, self.noisy_label), (self.clean, self.clean_label)


def pair_folders(path: Path, pairs: Sequence[Path | str] | None) -> PairFolders | None:
    """Return the folders of pairs: those named, below `path` or anywhere, else `noisy` and `clean` if there.

    Raises DataError where a named one does not exist, holds no picture, or lies in the other.
    """
    if pairs is None:
        if not all((path / part).is_dir() for part in ("noisy", "clean")):
            return None
        pairs = ("noisy", "clean")
    noisy, clean = (path / part for part in pairs)
    check_apart(noisy, clean, "The folders of noisy and clean pictures overlap")
    return PairFolders(noisy, clean, *(_label(path, part) for part in (noisy, clean)))


def check_apart(one: Path, other: Path, problem: str) -> None:
    """Raise DataError where two folders are one, or one lies in the other."""
    first, second = one.resolve(), other.resolve()
    if first == second or first in second.parents or second in first.parents:
        raise DataError(
            problem,
            got=f"{one} and {other}",
            expected="two folders, neither inside the other",
            remedy="Name two folders apart",
        )


def _label(path: Path, folder: Path) -> str:
    """Return what a folder is called: its name below `path`, else as it was given."""
    return folder.relative_to(path).as_posix() if folder.is_relative_to(path) else str(folder)


class PairCheck:
    """The check of all pairs, one after the other; memory holds one pair."""

    def __init__(self, folders: PairFolders, *, min_side: int, quick: bool) -> None:
        """List the files of both folders; raises DataError where one holds no picture."""
        self.findings: list[Finding] = []
        self.kept_pairs: list[Kept] = []
        self.kept_clean: list[Kept] = []
        self._folders = folders
        self._min_side = min_side
        self._quick = quick
        self._swapped: list[Finding] = []
        self._compared = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._files = [self._by_stem(folder, label) for folder, label in folders.sides]

    @property
    def pictures(self) -> int:
        """How many files there are."""
        return sum(map(len, self._files))

    def run(self, step: Callable[[], None]) -> None:
        """Look at all files; what was found is in `findings`, what tells copies is kept."""
        noisy, clean = self._files
        for stem in sorted(noisy.keys() | clean.keys()):
            if stem in noisy and stem in clean:
                self._check_pair(noisy[stem], clean[stem])
                step()
            else:
                self._check_single(noisy.get(stem) or clean[stem], stem in clean)
            step()
        self._judge_swapped()
        names = list(self._shapes)
        said = {finding.file for finding in self.findings if finding.kind == "pair-size"}
        odd = odd_findings(names, [self._shapes[name] for name in names])
        self.findings += [finding for finding in odd if finding.file not in said]

    def _by_stem(self, folder: Path, label: str) -> dict[str, tuple[Path, str]]:
        """Return path and name of the files by what pairs them: their path in the folder without suffix."""
        files: dict[str, tuple[Path, str]] = {}
        for file in find_pictures(folder):
            stem = PurePosixPath(file).with_suffix("").as_posix()
            name = f"{label}/{file}"
            if stem in files:
                found = f"{files[stem][1]} has the same name but for the suffix"
                self.findings.append(Finding(name, "pair-name", found, files[stem][1]))
            else:
                files[stem] = folder / file, name
        return files

    def _check_single(self, file: tuple[Path, str], clean: bool) -> None:
        path, name = file
        missing = self._folders.noisy_label if clean else self._folders.clean_label
        self.findings.append(Finding(name, "pair-name", f"nothing in {missing} has its name"))
        looked = self._look(path, name, clean=clean)
        self.findings += looked.findings

    def _look(self, path: Path, name: str, *, clean: bool) -> Looked:
        looked = look(path, name, min_side=self._min_side, quick=self._quick, clean=clean)
        if looked.pixels is not None:
            self._shapes[name] = looked.pixels.shape
        return looked

    def _check_pair(self, noisy: tuple[Path, str], clean: tuple[Path, str]) -> None:
        first, second = self._look(*noisy, clean=False), self._look(*clean, clean=True)
        own = list(second.findings)
        if first.pixels is not None and second.pixels is not None:
            fault = self._compare(first.name, first.pixels, second.name, second.pixels)
            if fault is not None and fault.kind == "pair-swapped":
                self._swapped.append(fault)
                # It is noisy because it is the noisy one: said once.
                own = [finding for finding in own if finding.kind not in {"noisy", "impulses", "texture"}]
            elif fault is not None:
                self.findings.append(fault)
            # Several noisy pictures may share a clean one: only the pair as a whole can be there twice.
            small = None if self._quick else thumbnail(second.pixels)
            self.kept_pairs.append(Kept(second.name, "", checksum(first.pixels, second.pixels)))
            self.kept_clean.append(Kept(second.name, "", checksum(second.pixels), small))
        self.findings += [*first.findings, *own]

    def _compare(self, noisy_name: str, noisy: Pixels, clean_name: str, clean: Pixels) -> Finding | None:
        """Return what is wrong with a pair, or None."""
        if noisy.shape != clean.shape:
            found = f"{_described(noisy)}, {clean_name} has {_described(clean)}"
            return Finding(noisy_name, "pair-size", found, clean_name)
        if np.array_equal(noisy, clean):
            return Finding(noisy_name, "pair-equal", f"equal to {clean_name}", clean_name)
        if self._quick or noisy.min() == noisy.max() or clean.min() == clean.max():
            return None
        self._compared += 1
        lying = align(noisy, clean)
        if not lying.same_scene:
            return Finding(noisy_name, "pair-scene", f"not what {clean_name} shows", clean_name)
        if lying.shift is not None and lying.shift != (0, 0):
            found = f"{_moved(*lying.shift)} against {clean_name}"
            return Finding(noisy_name, "pair-shifted", found, clean_name)
        found = noisier(clean, noisy)
        return Finding(clean_name, "pair-swapped", found, noisy_name) if found else None

    def _judge_swapped(self) -> None:
        """Say once that the folders are swapped where most pairs are, else name the pairs."""
        count = len(self._swapped)
        if count < 2 or count < ALL_SWAPPED * self._compared:
            self.findings += self._swapped
            return
        found = f"in {count} of {self._compared} pairs the clean picture is the noisier one"
        folders = self._folders
        self.findings.append(Finding(folders.clean_label, "pair-swapped", found, folders.noisy_label))


def noisier(one: Pixels, other: Pixels) -> str:
    """Say how much noisier uint8 `(H, W, C)` pixels are than others of the same scene; empty if not."""
    lonely = impulse_share(one), impulse_share(other)
    if lonely[0] >= IMPULSE_SHARE and lonely[0] > 2 * lonely[1]:
        shares = [f"{100 * share:.1f} %" for share in lonely]
        return f"{shares[0]} of its values are black or white among others, {shares[1]} of its partner's"
    grains = measure_grain(one), measure_grain(other)
    if grains[0] is None or grains[1] is None or lonely[1] >= IMPULSE_SHARE:
        return ""
    levels = grains[0].sigma, grains[1].sigma
    if levels[0] <= NOISIER * levels[1] + NOISIER_BY:
        return ""
    return f"noise of {levels[0]:.1f} levels, its partner has {levels[1]:.1f}"


def _described(pixels: Pixels) -> str:
    height, width, channels = pixels.shape
    return f"{width}x{height} pixels in {channels} channel{'s' if channels > 1 else ''}"


def _moved(down: int, right: int) -> str:
    """Say a shift in words."""
    parts = [
        f"{abs(count)} pixel{'s' if abs(count) > 1 else ''} {way[count > 0]}"
        for count, way in ((down, ("up", "down")), (right, ("to the left", "to the right")))
        if count
    ]
    return f"moved {' and '.join(parts)}"
