"""Noisy pictures with their clean ones, in two folders: `noisy/a/1.jpg` belongs to `clean/a/1.png`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grainless.datasets.folder import PictureRequirement, decode_8bit, find_pictures
from grainless.datasets.store import (
    Pixels,
    PixelStore,
    StoreWriter,
    cannot_be_stored,
    fingerprint_files,
    first_reasons,
    take_evenly,
    take_up,
)
from grainless.errors import DataError

_LISTED = 10
"""So many names are listed in a message."""


def store_pairs(
    noisy: Path,
    clean: Path,
    folder: Path,
    *,
    requirement: PictureRequirement,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PixelStore, PixelStore]:
    """Decode noisy/clean pairs into `folder/noisy` and `folder/clean`, or take up what lies there already.

    Returns the noisy and the clean store, with the same names, order and shapes. Pictures belong together if
    their paths inside the two folders are the same but for the suffix; the name of a pair is that path
    without it. A pair is skipped, with the reason, if one of its pictures is unreadable or misses the
    requirement. `limit` takes that many pairs at even steps through the sorted names. 16-bit and float
    pictures are rounded to 8 bit. Raises DataError for pictures without a counterpart, for pairs of different
    size or channel count, for two pictures of one name, if no pair is left, and if the disk is full.
    """
    _check_apart(noisy, clean)
    sources = {"noisy": noisy, "clean": clean}
    files = {part: _files_by_name(source) for part, source in sources.items()}
    _check_counterparts(noisy, clean, files)
    names = take_evenly(sorted(files["noisy"]), limit)
    pairs = _Pairs(
        names, {part: [sources[part] / files[part][name] for name in names] for part in sources}, requirement
    )
    fingerprint = "-".join(
        fingerprint_files(sources[part], [files[part][name] for name in names], requirement)
        for part in sources
    )
    stored = _take_up_both(folder, fingerprint)
    if stored is not None:
        return stored
    try:
        _decode_pairs(pairs, folder, fingerprint, progress=progress)
    except OSError as error:
        raise cannot_be_stored(error) from error
    return PixelStore(folder / "noisy"), PixelStore(folder / "clean")


@dataclass(frozen=True)
class _Pairs:
    """The pairs to decode: names, the files of either side in the same order, and what they must be."""

    names: list[str]
    paths: dict[str, list[Path]]
    requirement: PictureRequirement

    def decode(self, position: int) -> tuple[Pixels, Pixels] | str:
        """Return the noisy and the clean pixels of a pair, or why it is skipped."""
        decoded = []
        for part, paths in self.paths.items():
            pixels, fault = decode_8bit(paths[position], self.requirement)
            if pixels is None:
                return f"the {part} picture: {fault}"
            decoded.append(pixels)
        return decoded[0], decoded[1]


def _check_apart(noisy: Path, clean: Path) -> None:
    """Refuse folders that are one, or of which one lies in the other."""
    first, second = noisy.resolve(), clean.resolve()
    if first == second or first in second.parents or second in first.parents:
        raise DataError(
            "The folders of noisy and clean pictures overlap",
            got=f"{noisy} and {clean}",
            expected="two folders, neither inside the other",
            remedy="Move the clean pictures to a folder of their own, under the same names",
        )


def _files_by_name(source: Path) -> dict[str, str]:
    """Return the picture files under a folder by their relative path without the suffix."""
    files: dict[str, str] = {}
    for file in find_pictures(source):
        name = PurePosixPath(file).with_suffix("").as_posix()
        if name in files:
            raise DataError(
                f"Two pictures in {source} have the name {name}",
                got=f"{files[name]} and {file}",
                remedy="Keep one of the two: the name without the suffix tells which pictures are a pair",
            )
        files[name] = file
    return files


def _check_counterparts(noisy: Path, clean: Path, files: dict[str, dict[str, str]]) -> None:
    """Refuse folders in which a picture of one has none in the other."""
    alone = {
        "noisy": sorted(files["noisy"].keys() - files["clean"].keys()),
        "clean": sorted(files["clean"].keys() - files["noisy"].keys()),
    }
    lacking = [
        f"{len(names)} only in {source} ({_list_some([files[part][name] for name in names])})"
        for (part, names), source in zip(alone.items(), (noisy, clean), strict=True)
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


def _list_some(names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _take_up_both(folder: Path, fingerprint: str) -> tuple[PixelStore, PixelStore] | None:
    """Return both stores if both are whole and hold these pairs, else None."""
    noisy, clean = take_up(folder / "noisy", fingerprint), take_up(folder / "clean", fingerprint)
    return None if noisy is None or clean is None else (noisy, clean)


def _decode_pairs(
    pairs: _Pairs, folder: Path, fingerprint: str, *, progress: Callable[[int, int], None] | None
) -> None:
    """Write both stores; raises DataError, and leaves none, where pairs do not match or none can be used."""
    unequal: list[str] = []
    with StoreWriter(folder / "noisy") as noisy, StoreWriter(folder / "clean") as clean:
        for position, name in enumerate(pairs.names):
            decoded = pairs.decode(position)
            if isinstance(decoded, str):
                noisy.skip(name, decoded)
                clean.skip(name, decoded)
            elif decoded[0].shape != decoded[1].shape:
                paths = [paths[position] for paths in pairs.paths.values()]
                sizes = [_size(pixels) for pixels in decoded]
                unequal.append(f"{paths[0]} has {sizes[0]}, {paths[1]} has {sizes[1]}")
            else:
                noisy.add(name, decoded[0])
                clean.add(name, decoded[1])
            if progress is not None:
                progress(position + 1, len(pairs.names))
        _check_equal(unequal)
        if not noisy.names:
            raise DataError(
                f"None of the {len(pairs.names)} pairs can be used ({first_reasons(noisy.skipped)})",
                remedy="Pass pictures that the recipe can use, or change what it asks for",
            )
        noisy.finish(fingerprint)
        clean.finish(fingerprint)


def _size(pixels: Pixels) -> str:
    """Return the size of `(H, W, C)` pixels in words."""
    height, width, channels = pixels.shape
    return f"{width}x{height} pixels in {channels} channel{'s' if channels > 1 else ''}"


def _check_equal(unequal: Sequence[str]) -> None:
    """Raise DataError that lists the pairs of different size, if there are any."""
    if not unequal:
        return
    count, more = len(unequal), len(unequal) - _LISTED
    shown = "; ".join(unequal[:_LISTED]) + (f"; and {more} more" if more > 0 else "")
    raise DataError(
        f"{count} {'pair is' if count == 1 else 'pairs are'} not of one size and channel count ({shown})",
        remedy="Cut or convert the pictures so that each clean one fits its noisy one pixel by pixel, "
        "or remove the pair",
    )
