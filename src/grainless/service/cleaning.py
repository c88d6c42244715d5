"""What a worker does with the file of one request: diagnose it, or clean it and write the result."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from grainless.batch import Job
from grainless.batch.pictures import AUTO, KEPT, Denoising
from grainless.batch.removal import Removal
from grainless.batch.work import in_words
from grainless.diagnosis import ADVISED, Diagnosis, diagnose_picture
from grainless.errors import GrainlessError, ModelError, PictureTooLargeError
from grainless.model_file import ModelCard, list_models
from grainless.picture import EXTENSIONS, Picture, read_picture
from grainless.picture.formats import FORMATS
from grainless.service.refusals import NoSpaceError, TooManyPixelsError

if TYPE_CHECKING:
    from grainless.service.pool import Check
    from grainless.service.settings import ServiceSettings

SOURCE = "picture"
"""Name of the file that came in; without an ending, as its format is told by its bytes."""
_RESULT = "result"

OutputFormat = Literal["png", "jpg", "jpeg", "tif", "tiff", "webp", "avif", "bmp"]


class DenoiseOptions(BaseModel):
    """Options of one request, as `grainless denoise` has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default=AUTO,
        description="Name of a model that `/v1/models` lists; auto looks at the picture first, and leaves "
        "it as it is where it is clean.",
    )
    strength: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="1 removes all the noise that the model finds, 0 none; without it 1, or what the "
        "diagnosis advises.",
    )
    luma: float = Field(
        default=1.0, ge=0, le=1, description="Share that is taken of what changes brightness."
    )
    chroma: float = Field(default=1.0, ge=0, le=1, description="Share that is taken of what changes colour.")
    guard: bool = Field(
        default=True,
        description="Whether the original is kept where the result is worse, as far as can be told.",
    )
    format: OutputFormat | None = Field(
        default=None, description="Format of the answer; without it that of the picture."
    )
    quality: int = Field(default=95, ge=1, le=100, description="Quality of a JPEG.")


@dataclass(frozen=True)
class Cleaned:
    """A result in its file, and what was done."""

    file: Path
    format: str
    model: str | None
    """None where the picture was passed through unchanged, or kept by the guard."""
    strength: float
    diagnosis: Diagnosis | None
    """None where a model was named."""
    notes: tuple[str, ...]
    """What was converted and what was lost, in words."""
    pixels: int


@dataclass(frozen=True)
class Cleaner:
    """The models that are offered, and what is done with them; may be used from several threads."""

    max_megapixels: float
    threads: int | None
    cards: Mapping[str, ModelCard] = field(repr=False)
    """By name."""

    @classmethod
    def of(cls, settings: ServiceSettings) -> Cleaner:
        """Look for the models that are offered and load the one that is advised; raises ModelError."""
        cleaner = cls(settings.max_megapixels, settings.threads, offered_models(settings.models))
        cleaner._work(ADVISED).settings()
        return cleaner

    def check_model(self, name: str) -> None:
        """Raise ModelError for what is no name of an offered model; a path never is."""
        if name != AUTO and name not in self.cards:
            raise ModelError(
                f"There is no model named {name!r} here", expected=f"one of {', '.join([AUTO, *self.cards])}"
            )

    def diagnose(self, source: Path, check: Check) -> Diagnosis:
        """Tell which noise the picture in a file has."""
        with _named(source):
            picture = read_picture(source, max_megapixels=self.max_megapixels)
            check()
            return diagnose_picture(picture, file=source)

    def clean(self, source: Path, options: DenoiseOptions, check: Check) -> Cleaned:
        """Clean the picture in a file and write the result beside it."""
        with _named(source):
            picture = read_picture(source, max_megapixels=self.max_megapixels)
            name = FORMATS[EXTENSIONS[f".{options.format}"]].name if options.format else picture.format
            job = Job(source, source.with_name(_RESULT + FORMATS[name].suffixes[0]), "the picture")
            check()
            told = diagnose_picture(picture, file=source) if options.model == AUTO else None
            check()
            done = self._plan(picture, options, told)
            removal = Removal(luma=options.luma, chroma=options.chroma, guard=options.guard)
            work = replace(
                self._work(done.model or ADVISED),
                strength=done.strength,
                quality=options.quality,
                removal=removal,
            )
            if done.model is None and name == picture.format:
                return replace(done, file=source)
            value = picture if done.model is None else work.compute(picture, job, lambda _share: check())
            check()
            notes = work.write(value, job)
            kept = any(note.startswith(KEPT) for note in notes)
            return replace(
                done,
                file=job.target,
                format=name,
                model=None if kept else done.model,
                notes=(*done.notes, *notes),
            )

    def _plan(self, picture: Picture, options: DenoiseOptions, told: Diagnosis | None) -> Cleaned:
        """Decide on model and strength."""
        model = options.model if told is None else told.model
        advised = 1.0 if told is None else told.strength
        strength = advised if options.strength is None or model is None else options.strength
        notes = () if model is not None else ("passed through unchanged: the picture is clean",)
        height, width = picture.pixels.shape[:2]
        return Cleaned(Path(), picture.format, model, strength, told, notes, height * width)

    def _work(self, model: str) -> Denoising:
        return Denoising(model=model, threads=self.threads, max_megapixels=self.max_megapixels)


def offered_models(names: tuple[str, ...] | None) -> dict[str, ModelCard]:
    """Return the cards of the models that a service offers, by name: all, or these.

    Files that are refused, and names that stand for two files, are left out. Raises ModelError for a name
    that is not found, and where the model that a diagnosis advises is missing.
    """
    problems: list[ModelError] = []
    found = list_models(problems=problems)
    stems = [path.stem for path, _ in found]
    cards = {path.stem: card for path, card in found if stems.count(path.stem) == 1 and path.stem != AUTO}
    wanted = list(cards) if names is None else names
    for name in (*wanted, ADVISED):
        if name not in cards:
            raise ModelError(
                f"There is no model named {name!r} to offer",
                expected=f"one of {', '.join(cards)}" if cards else None,
                remedy="`grainless models` lists the models by name, and says why a file is refused.",
            )
    if ADVISED not in wanted:
        raise ModelError(f"The model {ADVISED!r} has to be offered, as the diagnosis advises it")
    return {name: cards[name] for name in wanted}


@contextlib.contextmanager
def _named(source: Path) -> Iterator[None]:
    """Have errors speak of the picture, and not of files of the server that nobody outside has seen."""
    try:
        yield
    except PictureTooLargeError as error:
        raise TooManyPixelsError(
            "The picture is too large", got=error.got, expected=error.expected, remedy="Send a smaller one"
        ) from error
    except (GrainlessError, OSError, MemoryError) as error:
        said = in_words(error, Job(source, source, ""))
        raise _reworded(said, source.parent) from error


def _reworded(error: Exception, folder: Path) -> Exception:
    """Return an error without the names of files in `folder`."""
    if not isinstance(error, GrainlessError):
        return error
    if _is_full(error):
        return NoSpaceError("The disk of the service is full", remedy="Try again later")
    file = re.compile(re.escape(f"{folder}{os.sep}") + r"[\w.-]*\w(: )?")
    words = file.sub(lambda found: "" if found[1] else "the picture", str(error))
    told = type(error).__new__(type(error), words[:1].upper() + words[1:])
    told.__dict__.update(error.__dict__)
    return told


def _is_full(error: BaseException | None) -> bool:
    """Tell whether a full disk is behind an error; libvips hands on only the system's words."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    full = {errno.ENOSPC, errno.EDQUOT}
    return error is not None and (error.errno in full or os.strerror(errno.ENOSPC) in str(error))
