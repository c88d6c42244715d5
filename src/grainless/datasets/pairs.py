"""Noisy pictures with their clean ones, decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from grainless.datasets.folder import PictureRequirement, decode_8bit
from grainless.datasets.pairing import PairFiles, list_some, match_pairs, side_folder
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

    Returns the noisy and the clean store, with the same names, order and shapes. `noisy` and `clean` are
    sides, as `match_pairs` takes them. A pair is skipped, with the reason, if one of its pictures is
    unreadable or misses the requirement. `limit` takes that many pairs at even steps through the sorted
    names. 16-bit and float pictures are rounded to 8 bit. Raises DataError for pairs of different size or
    channel count, if no pair is left, if the disk is full, and as `match_pairs` does.
    """
    pairs = take_evenly(match_pairs(noisy, clean), limit)
    sides = (noisy, [pair.noisy for pair in pairs]), (clean, [pair.clean for pair in pairs])
    fingerprint = "-".join(
        fingerprint_files(source, [path.relative_to(source).as_posix() for path in paths], requirement)
        for source, paths in ((side_folder(side), paths) for side, paths in sides)
    )
    stored = _take_up_both(folder, fingerprint)
    if stored is not None:
        return stored
    try:
        _decode_pairs(pairs, folder, fingerprint, requirement=requirement, progress=progress)
    except OSError as error:
        raise cannot_be_stored(error) from error
    return PixelStore(folder / "noisy"), PixelStore(folder / "clean")


def decode_pair(pair: PairFiles, requirement: PictureRequirement) -> tuple[Pixels, Pixels] | str:
    """Return the noisy and the clean pixels of a pair, uint8 `(H, W, C)`, or why it cannot be used."""
    decoded = []
    for part, path in (("noisy", pair.noisy), ("clean", pair.clean)):
        pixels, fault = decode_8bit(path, requirement)
        if pixels is None:
            return f"the {part} picture: {fault}"
        decoded.append(pixels)
    return decoded[0], decoded[1]


def unequal_sizes(pair: PairFiles, noisy: Pixels, clean: Pixels) -> str | None:
    """Say which sizes the pictures of a pair have where these differ, or their channels; None if not."""
    if noisy.shape == clean.shape:
        return None
    return f"{pair.noisy} has {describe_size(noisy)}, {pair.clean} has {describe_size(clean)}"


def _take_up_both(folder: Path, fingerprint: str) -> tuple[PixelStore, PixelStore] | None:
    """Return both stores if both are whole and hold these pairs, else None."""
    noisy, clean = take_up(folder / "noisy", fingerprint), take_up(folder / "clean", fingerprint)
    return None if noisy is None or clean is None else (noisy, clean)


def _decode_pairs(
    pairs: Sequence[PairFiles],
    folder: Path,
    fingerprint: str,
    *,
    requirement: PictureRequirement,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write both stores; raises DataError, and leaves none, where pairs do not match or none can be used."""
    unequal: list[str] = []
    with StoreWriter(folder / "noisy") as noisy, StoreWriter(folder / "clean") as clean:
        for position, pair in enumerate(pairs):
            decoded = decode_pair(pair, requirement)
            if isinstance(decoded, str):
                noisy.skip(pair.name, decoded)
                clean.skip(pair.name, decoded)
            elif (fault := unequal_sizes(pair, *decoded)) is not None:
                unequal.append(fault)
            else:
                noisy.add(pair.name, decoded[0])
                clean.add(pair.name, decoded[1])
            if progress is not None:
                progress(position + 1, len(pairs))
        _check_equal(unequal)
        if not noisy.names:
            raise DataError(
                f"None of the {len(pairs)} pairs can be used ({first_reasons(noisy.skipped)})",
                remedy="Pass pictures that the recipe can use, or change what it asks for",
            )
        noisy.finish(fingerprint)
        clean.finish(fingerprint)


def describe_size(pixels: Pixels) -> str:
    """Return the size of `(H, W, C)` pixels in words."""
    height, width, channels = pixels.shape
    return f"{width}x{height} pixels in {channels} channel{'s' if channels > 1 else ''}"


def _check_equal(unequal: Sequence[str]) -> None:
    """Raise DataError that lists the pairs of different size, if there are any."""
    if not unequal:
        return
    count = len(unequal)
    shown = list_some(unequal, between="; ")
    raise DataError(
        f"{count} {'pair is' if count == 1 else 'pairs are'} not of one size and channel count ({shown})",
        remedy="Cut or convert the pictures so that each clean one fits its noisy one pixel by pixel, "
        "or remove the pair",
    )
