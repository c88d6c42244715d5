"""Where the pictures come from: clean files, recorded pairs, or anything that yields them by name."""

from __future__ import annotations

import hashlib
import os
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.datasets import (
    PairFiles,
    PictureRequirement,
    Skipped,
    decode_8bit,
    decode_pair,
    find_pictures,
    match_pairs,
    side_folder,
    unequal_sizes,
)
from grainless.errors import DataError, InputError
from grainless.evaluation.results import Data
from grainless.metrics import Protocol, to_8bit, to_gray

Pixels = NDArray[Any]
"""uint8, or float32 in [0, 1]."""


@dataclass(frozen=True)
class RecordedPairs:
    """Noisy pictures with their clean ones, as files; the two sides are those of `datasets.match_pairs`."""

    noisy: Path
    clean: Path


@dataclass(frozen=True)
class Sample:
    """A picture to measure on."""

    name: str
    clean: Pixels
    """(H, W, C): uint8 under an 8-bit protocol, else float32 in [0, 1]."""
    noisy: Pixels | None = None
    """The same of a picture that was noisy when it was taken."""


_Offer = tuple[str, tuple[Pixels, ...], str]
"""A picture's name, its pixels (H, W, C), clean before noisy, or none, and why there are none."""


@typing.runtime_checkable
class PictureSource(typing.Protocol):
    """Clean pictures by name, such as faces that are resized on the way."""

    @property
    def name(self) -> str:
        """What the results call these pictures; two sources with different pictures need two names."""

    def __len__(self) -> int:
        """Return how many pictures there are."""

    def __iter__(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and pixels, uint8 or float32 in [0, 1], (H, W) or (H, W, C); each name once."""


class Intake:
    """The clean pictures on their way into a measurement, and what became of them."""

    def __init__(self, data: str | Path | RecordedPairs | PictureSource, protocol: Protocol) -> None:
        """Look the pictures up; raises DataError for a folder without any, InputError for none of these."""
        self.done = 0
        self.skipped: list[Skipped] = []
        self._protocol = protocol
        self._digest = hashlib.sha256()
        # Smaller pictures have no SSIM.
        requirement = PictureRequirement(min_side=protocol.min_side)
        if isinstance(data, str | Path):
            folder = Path(data)
            names = find_pictures(folder)
            self.place, self.name, self._count = str(folder), folder.resolve().name, len(names)
            self._offers = _from_folder(folder, names, requirement)
        elif isinstance(data, RecordedPairs):
            pairs, folder = match_pairs(data.noisy, data.clean), side_folder(data.noisy)
            self.place, self.name, self._count = str(folder), folder.resolve().name, len(pairs)
            self._offers = _from_pairs(pairs, requirement)
        elif not isinstance(data, PictureSource):
            raise InputError(
                "There are no pictures to measure on",
                got=type(data).__name__,
                expected="a folder, recorded pairs, or a source with a name, a length and pictures by name",
            )
        else:
            self.place, self.name, self._count = data.name, data.name, len(data)
            self._offers = _from_source(data, requirement)

    def expected(self, limit: int | None) -> int:
        """Return how many pictures there will be, as far as is known by now."""
        left = self._count - len(self.skipped)
        return left if limit is None else min(limit, left)

    def samples(self, limit: int | None) -> Iterator[Sample]:
        """Yield the first pictures that can be measured, all without a limit; gray if the protocol says so.

        Raises DataError for a source's wrong pixels.
        """
        while self.done != limit:
            offer = next(self._offers, None)
            if offer is None:
                return
            name, pixels, fault = offer
            if not pixels:
                self.skipped.append(Skipped(name, fault))
                continue
            for part in pixels:
                self._digest.update(os.fsencode(f"{name}\n{part.shape}\n") + part.tobytes())
            self.done += 1
            yield Sample(name, *(self._as_measured(part) for part in pixels))

    def _as_measured(self, pixels: Pixels) -> Pixels:
        """Return pixels as the protocol compares them."""
        if self._protocol.colour == "gray":
            pixels = to_gray(pixels)
        return to_8bit(pixels) if self._protocol.eight_bit else to_float(pixels)

    def described(self) -> Data:
        """Return what the results keep of the pictures."""
        return Data(self.name, self.done, self._digest.hexdigest(), tuple(self.skipped))


def _from_folder(folder: Path, names: Sequence[str], requirement: PictureRequirement) -> Iterator[_Offer]:
    for name in names:
        pixels, fault = decode_8bit(folder / name, requirement)
        # Results travel, the way to the folder stays here.
        yield name, () if pixels is None else (pixels,), fault.replace(str(folder / name), name)


def _from_pairs(pairs: Sequence[PairFiles], requirement: PictureRequirement) -> Iterator[_Offer]:
    for pair in pairs:
        decoded = decode_pair(pair, requirement)
        if isinstance(decoded, str):
            fault = decoded
        else:
            noisy, clean = decoded
            unequal = unequal_sizes(pair, noisy, clean)
            if unequal is None:
                yield pair.name, (clean, noisy), ""
                continue
            fault = unequal
        for path in (pair.noisy, pair.clean):
            fault = fault.replace(str(path), path.name)
        yield pair.name, (), fault


def _from_source(source: PictureSource, requirement: PictureRequirement) -> Iterator[_Offer]:
    for name, pixels in source:
        stacked = _checked(name, pixels)
        fault = requirement.fault(stacked)
        yield name, (stacked,) if fault is None else (), fault or ""


def _checked(name: str, pixels: Pixels) -> Pixels:
    """Return a picture of a source as (H, W, C); raises DataError for what is none."""
    if pixels.dtype not in (np.uint8, np.float32) or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise DataError(
            f"The picture {name} cannot be measured",
            got=f"{pixels.dtype} of shape {pixels.shape}",
            expected="uint8 or float32 of shape (H, W) or (H, W, C)",
        )
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise DataError(
            f"The picture {name} cannot be measured",
            got=f"values from {pixels.min():g} to {pixels.max():g}",
            expected="finite values in [0, 1]",
        )
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])


def to_float(pixels: Pixels) -> NDArray[np.float32]:
    """Return the pixels as float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels
