"""What is removed from pictures: how much and where, whether that is for the better, and a picture of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.batch.journal import Mark, Settings, journal_file
from grainless.batch.plans import Job, Plan
from grainless.blend import Blend, read_mask
from grainless.diagnosis.sampling import to_levels
from grainless.errors import InputError, OutputExistsError
from grainless.guard import compare
from grainless.picture import Metadata, Picture, write_picture
from grainless.tone import encode_srgb

Crop = tuple[int, int, int, int] | None
"""Left, top, width and height in pixels."""
GRAY, AMPLIFICATION = 128, 4
"""What nothing removed looks like, and how many times stronger the rest is shown."""
SHOWN = ".removed.png"
"""What is put behind the name of a result for the picture of what was removed."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """How much of what the model finds is removed, and what is done with the rest of the knowledge."""

    luma: float = 1.0
    chroma: float = 1.0
    mask: Path | None = None
    """Gray picture, as large as each of the pictures: white is cleaned, black is left as it is."""
    guard: bool = True
    """Keep the original where the result is worse."""
    show: bool = False
    """Write what was removed beside each result."""

    def settings(self) -> Settings:
        """Return what decides the bytes of a result; raises what is wrong with the mask before any file."""
        self.blend(1.0)
        return {
            "luma": self.luma,
            "chroma": self.chroma,
            "mask": None if self.mask is None else sha256(self.mask.read_bytes()).hexdigest(),
            "guard": self.guard,
            "show_removed": self.show,
        }

    def pinned(self) -> Removal:
        """Return the same for other machines."""
        return self if self.mask is None else replace(self, mask=self.mask.absolute())

    def blend(self, strength: float) -> Blend:
        """Return the blend for one picture; raises as `Blend` and `read_mask` do."""
        mask = None if self.mask is None else _read(self.mask, Mark.of(self.mask))
        return Blend(strength=strength, luma=self.luma, chroma=self.chroma, mask=mask)

    def why_worse(self, before: Picture, after: Picture, *, crop: Crop = None, linear: bool = False) -> str:
        """Say why a result is worse than the part `crop` of its picture; nothing if it is not, or not asked.

        With a mask only what is cleaned by more than half of the most is looked at: what is left as it is
        would pass for flat and clean.
        """
        if not self.guard:
            return ""
        pixels = cropped(before.pixels, crop)
        visible = np.ones(pixels.shape[:2], dtype=bool)
        if before.alpha is not None:
            visible &= cropped(before.alpha, crop) > 0
        if self.mask is not None:
            mask = _read(self.mask, Mark.of(self.mask))
            visible &= cropped(mask, crop) > mask.max() / 2
        return compare(pixels, after.pixels, alpha=visible, linear=linear).reason


@dataclass(frozen=True)
class Shown:
    """A result, and what was removed for it or would have been."""

    result: Any
    removed: NDArray[np.uint8]

    def write(self, job: Job) -> str:
        """Write the picture of what was removed; say where it is."""
        path = place_of_removed(job)
        write_picture(Picture(self.removed, None, Metadata(), "png"), path)
        return f"what was removed, {AMPLIFICATION} times as strong: {path}"


def place_of_removed(job: Job) -> Path:
    """Return where what was removed is written: beside the result, under its whole name."""
    return job.target.with_name(job.target.name + SHOWN)


def check_places_of_removed(planned: Plan, *, overwrite: bool) -> None:
    """Refuse to write what was removed over an input, a result, or a file that no earlier run can have made.

    Raises OutputExistsError.
    """
    sources = {os.path.realpath(job.source) for job in planned.jobs}
    targets = {job.target for job in planned.jobs}
    begun = not planned.single and journal_file(planned.out).exists()
    for job in planned.jobs:
        path = place_of_removed(job)
        if os.path.realpath(path) in sources:
            raise OutputExistsError(
                f"{path} would replace an input", remedy="Name another output, or leave out --show-removed"
            )
        if path in targets:
            raise OutputExistsError(f"{path} would be written twice", remedy="Leave out --show-removed")
        if path.exists() and not (overwrite or begun):
            raise OutputExistsError(f"{path} exists already", remedy="Add --overwrite to replace it")


def show_removed(before: NDArray[Any], after: NDArray[Any], *, linear: bool = False) -> NDArray[np.uint8]:
    """Return what was removed, on gray: 128 + 4 * (before - after) in levels of 255, clipped, as uint8.

    Both `(h, w, C)`, in a picture's dtype: lighter where the picture was lighter before.
    """
    old, new = (to_levels(_as_shown(values, linear=linear)) for values in (before, after))
    shown: NDArray[np.uint8] = np.clip(np.rint(GRAY + AMPLIFICATION * (old - new)), 0, 255).astype(np.uint8)
    return shown


def cropped(values: NDArray[Any], crop: Crop) -> NDArray[Any]:
    """Return a part (x, y, width, height) of `(H, W, ...)`, all for None."""
    if crop is None:
        return values
    x, y, width, height = crop
    return values[y : y + height, x : x + width]


def _as_shown(values: NDArray[Any], *, linear: bool) -> NDArray[Any]:
    if linear and values.dtype.kind == "f":
        return encode_srgb(np.clip(values, 0, 1).astype(np.float32))
    return values


@lru_cache(maxsize=1)
def _read(path: Path, mark: Mark) -> NDArray[Any]:
    """Read a mask once for all files; one that has changed since is read again."""
    if mark.size < 0:
        raise InputError(f"The mask {path} cannot be read", remedy="Check the spelling of the path")
    return read_mask(path)
