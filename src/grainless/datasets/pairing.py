"""Which noisy picture belongs to which clean one: `noisy/a/1.jpg` to `clean/a/1.png`.

Noisy and clean pictures are each a side: a folder, or names in a folder with a star for what a pair has in
common, such as `photos/*_real.JPG` and `photos/*_mean.JPG`. A pair is called by its path in the folder, less
the suffix, or less all but what the star stands for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from grainless.datasets.folder import find_pictures
from grainless.errors import DataError

_LISTED = 10
"""So many names are listed in a message."""

STAR = "*"


@dataclass(frozen=True)
class PairFiles:
    """The files of a pair."""

    name: str
    noisy: Path
    clean: Path


def side_folder(side: Path) -> Path:
    """Return the folder in which the pictures of a side are sought."""
    return side.parent if STAR in side.name else side


def list_side(side: Path) -> dict[str, list[str]]:
    """Return the picture files of a side, relative to its folder with `/`, by the name of their pair, sorted.

    More than one file of a name is a fault that is left to the caller. Raises DataError for a folder that
    does not exist or holds no picture, names with two stars, and names that no picture has.
    """
    files: dict[str, list[str]] = {}
    for file in find_pictures(side_folder(side)):
        path = PurePosixPath(file)
        if STAR not in side.name:
            files.setdefault(_spelled(path.with_suffix("")), []).append(file)
        elif fnmatchcase(path.name, _pattern(side)):
            before, after = side.name.split(STAR)
            own = path.name[len(before) : len(path.name) - len(after)]
            files.setdefault(_spelled(path.parent / own), []).append(file)
    if not files:
        raise DataError(
            f"No picture in {side_folder(side)} is called {side.name}",
            expected="names as they are, large and small letters too, with one star for what a pair shares",
        )
    return dict(sorted(files.items()))


def _spelled(path: PurePosixPath) -> str:
    """Return a name in one spelling: macOS and others write accents in two ways."""
    return unicodedata.normalize("NFC", path.as_posix())


def _pattern(side: Path) -> str:
    """Return the pattern of a side's names, in which nothing but the star has a meaning."""
    before, *after = side.name.split(STAR)
    if len(after) != 1:
        raise DataError("The names of a side have one star", got=side.name, expected="such as *_real.JPG")
    return f"{_plain(before)}{STAR}{_plain(after[0])}"


def _plain(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "?[" else letter for letter in text)


def check_apart(one: Path, other: Path, problem: str) -> None:
    """Raise DataError where two sides are one, or the folder of one lies in that of the other."""
    if STAR in one.name and STAR in other.name:
        if one.resolve() == other.resolve():
            raise DataError(problem, got=f"{one} and {other}", expected="two sides")
        return
    first, second = side_folder(one).resolve(), side_folder(other).resolve()
    if first == second or first in second.parents or second in first.parents:
        raise DataError(
            problem,
            got=f"{one} and {other}",
            expected="two folders, neither inside the other",
            remedy="Move the pictures of one to a folder of their own",
        )


def match_pairs(noisy: Path, clean: Path) -> list[PairFiles]:
    """Return the pairs of two sides, sorted by name.

    Raises DataError for sides that overlap, two pictures of one name, and pictures without a counterpart.
    """
    check_apart(noisy, clean, "Noisy and clean pictures overlap")
    sides = {"noisy": noisy, "clean": clean}
    files = {part: _one_of_each(side) for part, side in sides.items()}
    _check_counterparts(sides, files)
    folders = {part: side_folder(side) for part, side in sides.items()}
    return [
        PairFiles(name, folders["noisy"] / file, folders["clean"] / files["clean"][name])
        for name, file in files["noisy"].items()
    ]


def _one_of_each(side: Path) -> dict[str, str]:
    """Return the files of a side by the name of their pair; raises DataError where a name has two."""
    files = list_side(side)
    for name, found in files.items():
        if len(found) > 1:
            raise DataError(
                f"Two pictures in {side_folder(side)} have the name {name}",
                got=" and ".join(found[:2]),
                remedy="Keep one of the two: the name without the suffix tells which pictures are a pair",
            )
    return {name: found[0] for name, found in files.items()}


def _check_counterparts(sides: Mapping[str, Path], files: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse sides in which a picture of one has none in the other."""
    alone = {
        "noisy": sorted(files["noisy"].keys() - files["clean"].keys()),
        "clean": sorted(files["clean"].keys() - files["noisy"].keys()),
    }
    lacking = [
        f"{len(names)} only in {sides[part]} ({list_some([files[part][name] for name in names])})"
        for part, names in alone.items()
        if names
    ]
    if lacking:
        raise DataError(
            "Noisy and clean pictures do not pair up",
            got=" and ".join(lacking),
            expected="the same names in both folders, but for the suffix",
            remedy="Add the pictures that are missing, or remove these; a pair has one name: "
            "noisy/a/1.jpg, clean/a/1.png",
        )


def list_some(names: Sequence[str], *, between: str = ", ") -> str:
    """Return the first names and how many more there are."""
    more = len(names) - _LISTED
    return between.join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
