"""Folders of pictures: what lies in them, what can be used, and how they are split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.errors import DataError, GrainlessError
from grainless.metrics import to_8bit
from grainless.picture import is_picture_name, read_picture

_MOST = 4.0
"""Floats above it were not meant to be white at 1: highlights of a linear picture seldom go so far."""


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureRequirement:
    """What a training picture must be."""

    min_side: int = 1
    """Shortest side allowed, in pixels."""
    channels: Literal["any", 1, 3] = "any"

    def fault(self, pixels: NDArray[Any]) -> str | None:
        """Return in words why `(H, W, C)` pixels cannot be used, or None."""
        height, width, channels = pixels.shape
        if min(height, width) < self.min_side:
            return f"too small: {width}x{height} pixels, each side must be at least {self.min_side}"
        if self.channels not in {"any", channels}:
            return f"{channels} channel(s), this recipe needs {self.channels}"
        return None


def find_pictures(folder: Path) -> list[str]:
    """Return the relative names (with `/`) of all picture files under a folder, without hidden ones, sorted.

    Raises DataError if the folder does not exist or holds no file with a picture's name.
    """
    if not folder.is_dir():
        raise DataError("The data folder does not exist", got=str(folder), remedy="Pass a folder of pictures")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and is_picture_name(path)
        # Hidden files are no pictures, above all those that macOS leaves beside each picture.
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not names:
        raise DataError(
            "The data folder holds no picture", got=str(folder), remedy="Pass a folder of pictures"
        )
    return names


def split_names(
    names: Sequence[str], *, listed: Iterable[str] = (), share: float = 0.05
) -> tuple[list[str], list[str]]:
    """Return training and validation names that never overlap and never depend on order or on other files.

    `listed` names are the validation set if any of them exists in `names`; otherwise a hash of each name puts
    about `share` of them there, at least one. Raises DataError where one of the two would be empty.
    """
    if not names:
        raise DataError(
            "No picture is left for training and validation",
            remedy="Add pictures, or set fewer apart for the test",
        )
    chosen = set(listed) & set(names)
    if not chosen:
        ranks = {
            name: int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2**64
            for name in names
        }
        chosen = {name for name in names if ranks[name] < share} or {min(names, key=lambda name: ranks[name])}
    training = [name for name in names if name not in chosen]
    if not training:
        raise DataError(
            "No picture is left for training after the validation pictures were set apart",
            got=f"{len(names)} picture(s)",
            remedy="Add pictures; two are the least",
        )
    return training, sorted(chosen)


def beyond_white(pixels: NDArray[Any]) -> str | None:
    """Return in words why float pixels would be ruined by rounding to 8 bits, or None.

    A little beyond is what editing leaves.
    """
    if pixels.dtype.kind != "f" or pixels.max() <= _MOST:
        return None
    return f"float values up to {pixels.max():g}, where white is to be 1"


def decode_8bit(path: Path, requirement: PictureRequirement) -> tuple[NDArray[np.uint8] | None, str]:
    """Return uint8 pixels `(H, W, C)` without alpha, or None and why the picture cannot be used."""
    try:
        pixels = read_picture(path).pixels
    except GrainlessError as error:
        return None, str(error)
    fault = beyond_white(pixels) or requirement.fault(pixels)
    if fault is not None:
        return None, fault
    return np.ascontiguousarray(to_8bit(pixels)), ""
