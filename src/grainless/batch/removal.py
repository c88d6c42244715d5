"""What is removed from pictures: how much and where, whether that is for the better, and a picture of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.batch.journal import Mark, Settings
from grainless.batch.plans import Job
from grainless.blend import Blend, mask_plane, read_mask, store_mask
from grainless.denoiser import crop_box
from grainless.errors import InputError
from grainless.guard import compare_planes
from grainless.picture import (
    AnyPicture,
    Metadata,
    Picture,
    PictureFacts,
    StoredPicture,
    look_at,
    write_picture,
    write_stored,
)
from grainless.planes import ArrayPlane, Part, Plane, strips
from grainless.removed import show_removed
from grainless.tiling import Box

Crop = tuple[int, int, int, int] | None
"""Left, top, width and height in pixels."""
GAIN = 4
"""How many times stronger than it is what was removed is shown."""
SHOWN = ".removed.png"
"""What is put behind the name of a result for the picture of what was removed."""

_SINGLE = 4
"""Bytes of a float in single precision."""
_MASK_BYTES = 500 * 10**6
"""A larger mask is not read into memory to be checked before the first picture."""


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
    checksum: str | None = None
    """Of the mask's file, if it is known; another mask is refused."""

    def settings(self, *, limited: bool = False) -> Settings:
        """Return what decides the bytes of a result; raises what is wrong with the mask before any file.

        Where memory is `limited` only the head of the mask is looked at.
        """
        mask = None
        if self.mask is not None:
            mask = _checked_mask(self.mask, Mark.of(self.mask), limited=limited)
            if self.checksum not in {None, mask}:
                raise InputError(
                    f"The mask {self.mask} is another one here",
                    got=f"checksum {mask[:12]}",
                    expected=str(self.checksum)[:12],
                    remedy="Give all machines the same mask, and leave it alone while a run goes on",
                )
        Blend(luma=self.luma, chroma=self.chroma)
        return {
            "luma": self.luma,
            "chroma": self.chroma,
            "mask": mask,
            "guard": self.guard,
            "show_removed": self.show,
        }

    def pinned(self, *, limited: bool = False) -> Removal:
        """Return the same for other machines: this very mask, by a path that holds there too."""
        if self.mask is None:
            return self
        checksum = _checked_mask(self.mask, Mark.of(self.mask), limited=limited)
        return replace(self, mask=self.mask.absolute(), checksum=checksum)

    def disk_bytes(self, facts: PictureFacts) -> int:
        """Return how many bytes the mask, and the picture of what was removed, take on the disk."""
        mask = 0 if self.mask is None else look_at(self.mask).nbytes
        colours = facts.height * facts.width * facts.colours
        return mask + (2 * colours if self.show else 0)

    def blend(self, strength: float, *, folder: Path | None = None) -> Blend:
        """Return the blend for one picture; raises as `Blend` and `read_mask` do.

        With a `folder` the mask lies in a scratch file in it, else in memory.
        """
        mask: NDArray[Any] | Plane | None = None
        if self.mask is not None:
            mask = _read(self.mask, Mark.of(self.mask)) if folder is None else store_mask(self.mask, folder)
        return Blend(strength=strength, luma=self.luma, chroma=self.chroma, mask=mask)

    def why_worse(
        self,
        before: AnyPicture,
        after: AnyPicture,
        *,
        mask: NDArray[Any] | Plane | None = None,
        crop: Crop = None,
        linear: bool = False,
    ) -> str:
        """Say why a result is worse than the part `crop` of its picture; nothing if it is not, or not asked.

        Where nothing is cleaned, by the mask of the whole picture, nothing is looked at.
        """
        if not self.guard:
            return ""
        (old, alpha), (new, _) = planes_of(before, crop), planes_of(after)
        shown = None if mask is None else _cropped_plane(mask_plane(mask), crop)
        return compare_planes(old, new, alpha=alpha, mask=shown, linear=linear).reason


@dataclass(frozen=True)
class Shown:
    """A result, and what was removed for it or would have been."""

    result: Any
    removed: AnyPicture
    """A gray or RGB picture of 8 bits."""

    def write(self, job: Job) -> str:
        """Write the picture of what was removed; say where it is."""
        path = place_of_removed(job)
        write_any(self.removed, path)
        return f"what was removed, {GAIN} times as strong: {path}"


def write_any(picture: AnyPicture, path: Path, *, quality: int = 95) -> tuple[str, ...]:
    """Write a picture, wherever its values are, as `write_picture` does."""
    if isinstance(picture, Picture):
        return write_picture(picture, path, quality=quality)
    return write_stored(picture, path, quality=quality)


def place_of_removed(job: Job) -> Path:
    """Return where what was removed is written: beside the result, under its whole name."""
    return job.target.with_name(job.target.name + SHOWN)


def removed_picture(
    before: AnyPicture, after: AnyPicture | None, *, crop: Crop = None, linear: bool = False
) -> AnyPicture:
    """Return what was removed from the part `crop`, as `show_removed` does, in memory or on the disk.

    Where there is nothing `after`, nothing was removed.
    """
    old = planes_of(before, crop)[0]
    new = old if after is None else planes_of(after)[0]
    height, width, channels = old.shape
    if isinstance(before, Picture):
        whole = Box(0, 0, height, width)
        shown = show_removed(old.read(whole), new.read(whole), gain=GAIN, linear=linear)
        return Picture(shown, None, Metadata(), "png")
    plane = before.new((height, width, channels), np.dtype(np.uint8))
    for strip in strips(old, itemsize=_SINGLE):
        plane.write(strip, show_removed(old.read(strip), new.read(strip), gain=GAIN, linear=linear))
    return StoredPicture(plane, None, Metadata(), "png", associated_alpha=False, notes=(), new=before.new)


def planes_of(picture: AnyPicture, crop: Crop = None) -> tuple[Plane, Plane | None]:
    """Return the part `crop` of the pixels `(h, w, C)` and of the alpha `(h, w, 1)` of a picture."""
    if isinstance(picture, StoredPicture):
        pixels, alpha = picture.pixels, picture.alpha
    else:
        pixels = ArrayPlane(picture.pixels)
        alpha = None if picture.alpha is None else ArrayPlane(picture.alpha[..., None])
    return _cropped_plane(pixels, crop), None if alpha is None else _cropped_plane(alpha, crop)


def part_of(picture: AnyPicture, crop: Crop) -> AnyPicture:
    """Return the part `crop` of a picture; on the disk nothing is copied. Raises as `crop_box` does."""
    if crop is None:
        return picture
    pixels, alpha = planes_of(picture, crop)
    if isinstance(picture, StoredPicture):
        return replace(picture, pixels=pixels, alpha=alpha)
    whole = Box(0, 0, *pixels.shape[:2])
    cover = None if alpha is None else alpha.read(whole)[..., 0].copy()
    return replace(picture, pixels=pixels.read(whole).copy(), alpha=cover)


def _cropped_plane(plane: Plane, crop: Crop) -> Plane:
    return plane if crop is None else Part(plane, crop_box(crop, plane.shape))


@lru_cache(maxsize=1)
def _checked_mask(path: Path, mark: Mark, *, limited: bool) -> str:
    """Return the checksum of a mask's file, which is looked at once for all files while it stays the same."""
    _check_there(path, mark)
    # Under a limit too: a pipe or a device would be read for ever.
    facts = look_at(path)
    if not limited and facts.nbytes <= _MASK_BYTES:
        _read(path, mark)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _read(path: Path, mark: Mark) -> NDArray[Any]:
    """Read a mask once for all files; one that has changed since is read again."""
    _check_there(path, mark)
    return read_mask(path)


def _check_there(path: Path, mark: Mark) -> None:
    if mark.size < 0:
        raise InputError(f"The mask {path} cannot be read", remedy="Check the spelling of the path")
