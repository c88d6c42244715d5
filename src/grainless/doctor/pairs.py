"""Folders of noisy pictures and their clean ones: what belongs together, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainless.datasets import check_apart, describe_size, list_side, side_folder
from grainless.doctor.alignment import align
from grainless.doctor.comparison import compare_noise
from grainless.doctor.copies import Kept
from grainless.doctor.findings import Finding, part_of_name
from grainless.doctor.likeness import checksum, thumbnail
from grainless.doctor.pictures import Looked, look, odd_findings

Pixels = NDArray[np.uint8]

NOISE = {"noisy", "impulses", "texture"}
"""What is said of a noisy picture where a clean one is to be."""
ALL_SWAPPED = 0.8
"""Share of the pairs from which the folders are swapped, which is said once."""


@dataclass(frozen=True)
class Side:
    """The noisy or the clean pictures of pairs."""

    path: Path
    """As `datasets.match_pairs` takes it."""
    name: str
    """What the report calls it: its place below the folder that is checked, else as it was given."""
    prefix: str
    """What comes before the names of its files in the report."""


@dataclass(frozen=True)
class Sides:
    """Both sides of pairs."""

    noisy: Side
    clean: Side

    @property
    def folders(self) -> tuple[Path, Path]:
        """The folders that the pictures are in; with names for either side this may be one."""
        return side_folder(self.noisy.path), side_folder(self.clean.path)


def find_sides(path: Path, pairs: Sequence[Path | str] | None) -> Sides | None:
    """Return the sides of pairs: those named, below `path` or anywhere, else `noisy` and `clean` if there.

    Raises DataError where they overlap.
    """
    if pairs is None:
        if not all((path / part).is_dir() for part in ("noisy", "clean")):
            return None
        pairs = ("noisy", "clean")
    noisy, clean = (path / part for part in pairs)
    check_apart(noisy, clean, "Noisy and clean pictures overlap")
    return Sides(*(Side(side, _below(path, side), _prefix(path, side)) for side in (noisy, clean)))


def _below(path: Path, place: Path) -> str:
    """Return what a place is called: its name below `path`, else as it was given."""
    return place.relative_to(path).as_posix() if place.is_relative_to(path) else str(place)


def _prefix(path: Path, side: Path) -> str:
    folder = side_folder(side)
    return "" if folder == path else f"{_below(path, folder)}/"


class PairCheck:
    """The check of all pairs, one after the other; memory holds one pair."""

    def __init__(self, sides: Sides, *, min_side: int, quick: bool) -> None:
        """List the files of both sides; raises DataError where one holds no picture."""
        self.findings: list[Finding] = []
        self.kept_pairs: list[Kept] = []
        self.kept_clean: list[Kept] = []
        self._sides = sides
        self._min_side = min_side
        self._quick = quick
        self._swapped: list[tuple[Finding, bool]] = []
        self._compared = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._files = [self._by_name(side) for side in (sides.noisy, sides.clean)]

    @property
    def pictures(self) -> int:
        """How many files there are."""
        return sum(map(len, self._files))

    @property
    def pairs(self) -> int:
        """How many of them have a partner."""
        return len(self._files[0].keys() & self._files[1].keys())

    def run(self, step: Callable[[], None]) -> None:
        """Look at all files; what was found is in `findings`, what tells copies is kept."""
        noisy, clean = self._files
        for name in sorted(noisy.keys() | clean.keys()):
            if name in noisy and name in clean:
                self._check_pair(noisy[name], clean[name])
                step()
            else:
                self._check_single(noisy.get(name) or clean[name], name in clean)
            step()
        self._judge_swapped()
        names = list(self._shapes)
        said = {finding.file for finding in self.findings if finding.kind == "pair-size"}
        odd = odd_findings(names, [self._shapes[name] for name in names])
        self.findings += [finding for finding in odd if finding.file not in said]

    def _by_name(self, side: Side) -> dict[str, tuple[Path, str]]:
        """Return path and name of the files of a side by what pairs them."""
        files: dict[str, tuple[Path, str]] = {}
        for name, (first, *others) in list_side(side.path).items():
            files[name] = side_folder(side.path) / first, f"{side.prefix}{first}"
            for other in others:
                found = f"{files[name][1]} has the same name but for the suffix"
                self.findings.append(Finding(f"{side.prefix}{other}", "pair-name", found, files[name][1]))
        return files

    def _check_single(self, file: tuple[Path, str], clean: bool) -> None:
        path, name = file
        missing = self._sides.noisy if clean else self._sides.clean
        self.findings.append(Finding(name, "pair-name", f"nothing in {missing.name} has its name"))
        looked = self._look(path, name, clean=clean)
        self.findings += looked.findings

    def _look(self, path: Path, name: str, *, clean: bool) -> Looked:
        looked = look(path, name, min_side=self._min_side, quick=self._quick, clean=clean)
        if looked.pixels is not None:
            self._shapes[name] = looked.pixels.shape
        return looked

    def _check_pair(self, noisy: tuple[Path, str], clean: tuple[Path, str]) -> None:
        first, second = self._look(*noisy, clean=False), self._look(*clean, clean=True)
        if first.pixels is not None and second.pixels is not None:
            fault = self._compare(first.name, first.pixels, second.name, second.pixels)
            if fault is not None:
                self.findings.append(fault)
            # Several noisy pictures may share a clean one: only the pair as a whole can be there twice.
            small = None if self._quick else thumbnail(second.pixels)
            part = part_of_name(second.name.removeprefix(self._sides.clean.prefix))
            self.kept_pairs.append(Kept(second.name, part, checksum(first.pixels, second.pixels)))
            self.kept_clean.append(Kept(second.name, part, checksum(second.pixels), small))
        self.findings += [*first.findings, *second.findings]

    def _compare(self, noisy_name: str, noisy: Pixels, clean_name: str, clean: Pixels) -> Finding | None:
        """Return what is wrong with a pair, or None."""
        if noisy.shape != clean.shape:
            found = f"{describe_size(noisy)}, {clean_name} has {describe_size(clean)}"
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
        noisier = compare_noise(clean, noisy)
        if noisier is not None:
            finding = Finding(clean_name, "pair-swapped", noisier.found, noisy_name)
            self._swapped.append((finding, noisier.sure))
        return None

    def _judge_swapped(self) -> None:
        """Say once that the folders are swapped where most pairs are, else name those that surely are."""
        count, sides = len(self._swapped), self._sides
        swapped = [finding for finding, sure in self._swapped if sure]
        names = {finding.file for finding in swapped}
        whole = count >= 2 and count >= ALL_SWAPPED * self._compared
        if whole:
            found = f"in {count} of {self._compared} pairs the clean picture is the noisier one"
            swapped = [Finding(sides.clean.name, "pair-swapped", found, sides.noisy.name)]
            names = {name for _, name in self._files[1].values()}
        # They are noisy because they are the noisy ones: said once.
        self.findings = swapped + [
            finding for finding in self.findings if finding.kind not in NOISE or finding.file not in names
        ]


def _moved(down: int, right: int) -> str:
    """Say a shift in words."""
    parts = [
        f"{abs(count)} pixel{'s' if abs(count) > 1 else ''} {way[count > 0]}"
        for count, way in ((down, ("up", "down")), (right, ("to the left", "to the right")))
        if count
    ]
    return f"moved {' and '.join(parts)}"
