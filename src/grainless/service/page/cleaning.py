"""One picture: read as it is, cleaned, written as it was, and made ready to be looked at."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grainless.batch import Job
from grainless.batch.outcomes import Tick
from grainless.batch.pictures import AUTO, Denoising
from grainless.batch.work import in_words
from grainless.diagnosis import Diagnosis, diagnose_picture
from grainless.errors import GrainlessError, InputError, ModelError, PictureError, PictureTooLargeError
from grainless.picture import Picture, read_picture
from grainless.picture.formats import FORMATS
from grainless.picture.inspection import HEAD_BYTES, format_of
from grainless.removed import show_removed
from grainless.service.cleaning import offered_models
from grainless.service.page import names, views
from grainless.service.refusals import TimeLimitError, TooManyBytesError, TooManyPixelsError
from grainless.service.settings import ServiceSettings

Progress = Callable[[float, str], None]
"""Told the finished share, 0 to 1, and what is being done."""

_GONE = "Files are deleted an hour after they were used: drop it again"
_TOO_MUCH = "Clean it with the command `grainless denoise`"


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
    facts: str
    """Size, depth and format in a few words."""
    diagnosis: Diagnosis
    notes: tuple[str, ...]
    """What was done, converted or lost."""
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

    def compute(self, value: Any, job: Job, tick: Tick) -> Any:
        """Return what `Denoising` does; raises TimeLimitError, between two tiles, where that takes long."""
        end = time.monotonic() + self.seconds

        def limited(share: float) -> None:
            if time.monotonic() > end:
                raise TimeLimitError(
                    "The picture takes too long here",
                    got=f"{share:.0%} done after {self.seconds:g} seconds",
                    remedy=f"Try the model fast. {_TOO_MUCH}",
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
            remedy=_TOO_MUCH,
        )


def clean_file(
    source: Path, folder: Path, *, order: Order, settings: ServiceSettings, progress: Progress
) -> Cleaned:
    """Clean one file into a folder, and make all that is shown of it.

    Raises GrainlessError, whose text names the file without its folders, for whatever is wrong with it.
    """
    with naming(source, folder):
        work = work_for(order, settings)
        target = folder / names.clean_name(source.name, check_file(source, settings))
        job = Job(source, target, source.name)
        try:
            progress(0.0, "Reading")
            picture = work.read(job)
            progress(0.05, "Looking at the noise")
            diagnosis = diagnose_picture(picture, file=source)
            made = work.compute(picture, job, lambda share: progress(0.1 + 0.8 * share, "Cleaning"))
            notes = (*_chosen(order), *work.write(made, job))
            progress(0.9, "Preparing the views")
            after = read_picture(target, max_megapixels=settings.max_megapixels)
            return _viewed(picture, after, target, diagnosis=diagnosis, notes=notes)
        except PictureTooLargeError as error:
            raise TooManyPixelsError(
                f"{source.name} is too large", got=error.got, expected=error.expected, remedy=_TOO_MUCH
            ) from error
        except (OSError, MemoryError) as error:
            if isinstance(error, GrainlessError):
                raise
            raise in_words(error, job) from error


def _chosen(order: Order) -> Iterator[str]:
    """Say what was chosen, which the work takes for known."""
    if order.model != AUTO:
        yield f"cleaned with the model {order.model}"
    if order.strength is not None and order.strength < 1:
        yield f"strength {order.strength:.0%}"


@contextlib.contextmanager
def naming(*paths: Path) -> Iterator[None]:
    """Take the folders of files out of the texts of errors: they are nobody's business."""
    try:
        yield
    except GrainlessError as error:
        text = str(error)
        for path in paths:
            for folder in (path, path.parent):
                text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
        error.args = (text,)
        raise


def _viewed(
    picture: Picture, after: Picture, target: Path, *, diagnosis: Diagnosis, notes: tuple[str, ...]
) -> Cleaned:
    """Write all that is shown into the folder of the result."""
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
        facts=_facts(picture),
        diagnosis=diagnosis,
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


def part_of(cleaned: Cleaned, folder: Path, *, place: tuple[float, float]) -> Part:
    """Write the part around a place, down and across from 0 to 1, pixel for pixel, into a new folder.

    Raises PictureError where the picture was deleted meanwhile.
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
    return Part(
        before=views.save_view(before, folder / "before.png", icc=cleaned.icc),
        after=views.save_view(after, folder / "after.png", icc=cleaned.icc),
        map=views.save_view(framed, folder / "map.png", icc=cleaned.icc),
    )


def _facts(picture: Picture) -> str:
    height, width, channels = picture.pixels.shape
    depth = {"uint8": "8 bit", "uint16": "16 bit", "float32": "32-bit float"}[picture.pixels.dtype.name]
    kind = "gray" if channels == 1 else "colour"
    alpha = " with transparency" if picture.alpha is not None else ""
    return f"{width} x {height}, {depth} {kind}{alpha}, {FORMATS[picture.format].title}"
