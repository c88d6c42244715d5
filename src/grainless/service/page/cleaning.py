"""One picture: read as it is, cleaned, written as it was, and made ready to be looked at."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grainless.batch import Job
from grainless.batch.outcomes import Tick
from grainless.batch.pictures import AUTO, Denoising
from grainless.batch.treatment import Treated, Treatment
from grainless.denoiser import Denoiser
from grainless.diagnosis import Diagnosis, diagnose_picture
from grainless.errors import InputError, ModelError, PictureError
from grainless.picture import Picture, read_picture
from grainless.picture.formats import FORMATS
from grainless.picture.inspection import HEAD_BYTES, format_of
from grainless.removed import show_removed
from grainless.service.cleaning import offered_models
from grainless.service.page import names, views
from grainless.service.refusals import TimeLimitError, TooManyBytesError
from grainless.service.settings import ServiceSettings
from grainless.service.wording import worded

Progress = Callable[[float, str], None]
"""Told the finished share, 0 to 1, and what is being done."""

_GONE = "Files are deleted an hour after they were used: drop it again"
_PARTS_KEPT = 3
TOO_MUCH = "Clean it with the command `grainless denoise`"


@dataclass(frozen=True, kw_only=True)
class Order:
    """How pictures are to be cleaned."""

    model: str = AUTO
    """Name of a model that the service offers, or AUTO."""
    strength: float | None = None
    """0 to 1; None for what the diagnosis advises."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A picture that was cleaned, and what there is to see of it."""

    file: Path
    """The result, in the format, depth and with the metadata of what was dropped."""
    size: int
    """Pixels."""
    facts: str
    """Size, depth and format in a few words."""
    diagnosis: Diagnosis
    """Whether it was asked for or not."""
    treatment: Treatment
    """What was done."""
    notes: tuple[str, ...]
    """What was converted or lost."""
    gain: int
    """How many times as strong `removed` shows what was removed."""
    place: tuple[float, float]
    """Where most was removed, down and across from 0 to 1."""
    before: Path
    """PNG of the whole picture, made to fit; so are the next two."""
    after: Path
    removed: Path
    map_size: tuple[int, int]
    """Width and height of the map that `part_of` draws."""
    pixels: tuple[Path, Path]
    """Before and after, arrays of uint8 (H, W, C), for `part_of`."""
    icc: bytes | None


@dataclass(frozen=True)
class Part:
    """A part of a picture, pixel for pixel."""

    before: Path
    after: Path
    map: Path
    """The whole picture, small, with a frame around the part."""


@dataclass(frozen=True)
class TimedDenoising(Denoising):
    """Takes the noise out of pictures, each within a time."""

    seconds: float = math.inf
    done: list[tuple[Treatment, int]] = field(default_factory=list, compare=False)
    """Of each result that was written what was done, and its pixels."""

    def denoiser(self) -> Denoiser:
        """Return the model, which stays loaded; raises ModelError."""
        return self._denoiser()

    def save(self, value: Treated, job: Job) -> tuple[str, ...]:
        """Do what `Denoising` does, and note it down."""
        said = super().save(value, job)
        self.done.append((value.treatment, self.size(value)[0]))
        return said

    def compute(self, value: Any, job: Job, tick: Tick) -> Treated:
        """Return what `Denoising` does; raises TimeLimitError, between two tiles, where that takes long."""
        end = time.monotonic() + self.seconds

        def limited(share: float) -> None:
            if time.monotonic() > end:
                raise TimeLimitError(
                    "The picture takes too long here",
                    got=f"{share:.0%} done after {self.seconds:g} seconds",
                    remedy=f"Try the model fast. {TOO_MUCH}",
                )
            tick(share)

        return super().compute(value, job, limited)


def work_for(order: Order, settings: ServiceSettings) -> TimedDenoising:
    """Return what is done to each picture; raises ModelError for a model that is not offered."""
    offered = [AUTO, *offered_models(settings.models)]
    if order.model not in offered:
        raise ModelError(
            "This model is not offered", got=repr(order.model), expected=f"one of {', '.join(offered)}"
        )
    if order.strength is not None and not 0 <= order.strength <= 1:
        raise InputError("The strength is out of range", got=order.strength, expected="0 to 1")
    return TimedDenoising(
        seconds=settings.max_seconds,
        model=order.model,
        strength=order.strength,
        max_megapixels=settings.max_megapixels,
        threads=settings.threads,
    )


def check_file(source: Path, settings: ServiceSettings) -> str:
    """Return the format that a file's bytes tell.

    Raises PictureError for what is no picture or not there any more, TooManyBytesError for what is too large.
    """
    try:
        size = source.stat().st_size
        with source.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise PictureError(f"{source} is not here any more", remedy=_GONE) from error
    check_bytes(source.name, size, settings)
    if not head:
        raise PictureError(f"{source} is empty", remedy="Get the file from its source again")
    return format_of(head, source)


def check_bytes(name: str, size: int, settings: ServiceSettings) -> None:
    """Raise TooManyBytesError for a file of more bytes than are taken."""
    if size > settings.max_bytes:
        raise TooManyBytesError(
            f"{name} is too large",
            got=f"{size / 1e6:,.1f} MB",
            expected=f"at most {settings.max_bytes / 1e6:,.1f} MB",
            remedy=TOO_MUCH,
        )


def clean_file(
    source: Path, folder: Path, *, order: Order, settings: ServiceSettings, progress: Progress
) -> Cleaned:
    """Clean one file into a folder, and make all that is shown of it.

    Raises GrainlessError, whose text names the file without its folders, for whatever is wrong with it.
    """
    with worded(source, folder, remedy=TOO_MUCH):
        work = work_for(order, settings)
        target = folder / names.clean_name(source.name, check_file(source, settings))
        job = Job(source, target, source.name)
        progress(0.0, "Reading")
        # Not as the work reads: what is looked at has to be in memory, and the service has a limit for that.
        picture = read_picture(source, max_megapixels=settings.max_megapixels)
        progress(0.05, "Looking at the noise")
        made = work.compute(picture, job, lambda share: progress(0.1 + 0.8 * share, "Cleaning"))
        notes = work.save(made, job)
        progress(0.9, "Preparing the views")
        after = read_picture(target, max_megapixels=settings.max_megapixels)
        diagnosis = made.treatment.diagnosis or diagnose_picture(picture, file=source)
        return _viewed((picture, after), target, diagnosis=diagnosis, treatment=made.treatment, notes=notes)


def slider_strength(order: Order, cleaned: Cleaned) -> int:
    """Return the strength in % that is shown as the setting: what was asked for, else what was applied."""
    if order.strength is not None:
        return round(100 * order.strength)
    # Where the picture is as it was, all of what is tried next is to be seen.
    return 100 if cleaned.treatment.model is None else round(100 * cleaned.treatment.strength)


def _viewed(
    both: tuple[Picture, Picture],
    target: Path,
    *,
    diagnosis: Diagnosis,
    treatment: Treatment,
    notes: tuple[str, ...],
) -> Cleaned:
    """Write all that is shown of a picture before and after into the folder of the result."""
    picture, after = both
    icc, folder = picture.metadata.icc, target.parent / "views"
    folder.mkdir()
    one, two = views.shown(picture), views.shown(after)
    # Some formats keep no gray: the result then has three equal channels.
    channels = max(one.shape[2], two.shape[2])
    one, two = (np.broadcast_to(part, (*part.shape[:2], channels)) for part in (one, two))
    pixels = folder / "before.npy", folder / "after.npy"
    for path, part in zip(pixels, (one, two), strict=True):
        np.save(path, part)
    small = views.fitted(np.ascontiguousarray(one)), views.fitted(np.ascontiguousarray(two))
    small_map = views.fitted(small[1], views.MAP_SIDE)
    np.save(folder / "map.npy", small_map)
    gain = views.gain_for(*small)
    return Cleaned(
        file=target,
        size=picture.pixels.shape[0] * picture.pixels.shape[1],
        facts=_facts(picture),
        diagnosis=diagnosis,
        treatment=treatment,
        notes=notes,
        gain=gain,
        place=views.busiest_place(one, two),
        before=views.save_view(small[0], folder / "before.png", icc=icc),
        after=views.save_view(small[1], folder / "after.png", icc=icc),
        removed=views.save_view(show_removed(*small, gain=gain), folder / "removed.png"),
        map_size=(small_map.shape[1], small_map.shape[0]),
        pixels=pixels,
        icc=icc,
    )


def part_of(cleaned: Cleaned, *, place: tuple[float, float]) -> Part:
    """Write the part around a place, down and across from 0 to 1, pixel for pixel, beside the result.

    Of the parts before it the latest are kept: a browser may still be loading them. Raises PictureError where
    the picture was deleted meanwhile.
    """
    try:
        both = [np.load(path, mmap_mode="r") for path in cleaned.pixels]
        whole = np.load(cleaned.pixels[0].with_name("map.npy"))
    except OSError as error:
        raise PictureError(f"{cleaned.file.name} is not here any more", remedy=_GONE) from error
    size = both[0].shape[:2]
    rows, columns = views.part_around(size, place)
    before, after = (np.ascontiguousarray(pixels[rows, columns]) for pixels in both)
    framed = views.with_frame(whole, size, (rows, columns))
    folder = _new_folder(cleaned.pixels[0].with_name("parts"))
    with worded(cleaned.file, folder, remedy=TOO_MUCH):
        return Part(
            before=views.save_view(before, folder / "before.png", icc=cleaned.icc),
            after=views.save_view(after, folder / "after.png", icc=cleaned.icc),
            map=views.save_view(framed, folder / "map.png", icc=cleaned.icc),
        )


def _new_folder(parent: Path) -> Path:
    """Make a folder with a name that is not taken; of those before it the latest are left."""
    parent.mkdir(exist_ok=True)
    # Another click may have deleted one of them meanwhile.
    with contextlib.suppress(FileNotFoundError):
        for old in sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime)[: 1 - _PARTS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    # A new name each time: what a browser has seen under a name it does not ask for again.
    return Path(tempfile.mkdtemp(dir=parent))


def _facts(picture: Picture) -> str:
    height, width, channels = picture.pixels.shape
    depth = {"uint8": "8 bit", "uint16": "16 bit", "float32": "32-bit float"}[picture.pixels.dtype.name]
    kind = "gray" if channels == 1 else "colour"
    alpha = " with transparency" if picture.alpha is not None else ""
    return f"{width} x {height}, {depth} {kind}{alpha}, {FORMATS[picture.format].title}"
