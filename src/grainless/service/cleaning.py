"""What a worker does with the file of one request: diagnose it, or clean it and write the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from grainless.batch import Job
from grainless.batch.pictures import AUTO, Denoising
from grainless.batch.removal import Removal
from grainless.batch.treatment import Treatment
from grainless.diagnosis import ADVISED, Diagnosis, diagnose_picture
from grainless.errors import InputError, ModelError, PictureError
from grainless.model_file import ModelCard, list_models
from grainless.picture import EXTENSIONS, Picture, check_output, read_picture
from grainless.picture.formats import FORMATS
from grainless.service.wording import worded

if TYPE_CHECKING:
    from grainless.service.pool import Check
    from grainless.service.settings import ServiceSettings

SOURCE = "picture"
"""Name of the file that came in; without an ending, as its format is told by its bytes."""
_RESULT = "result"
_NAME, _REMEDY = "the picture", "Send a smaller one"

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
    treatment: Treatment
    notes: tuple[str, ...]
    """What was done, converted and lost, in words."""
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
        with worded(source, name=_NAME, remedy=_REMEDY):
            picture = read_picture(source, max_megapixels=self.max_megapixels)
            check()
            return diagnose_picture(picture, file=source)

    def clean(self, source: Path, options: DenoiseOptions, check: Check) -> Cleaned:
        """Clean the picture in a file and write the result beside it."""
        with worded(source, name=_NAME, remedy=_REMEDY):
            picture = read_picture(source, max_megapixels=self.max_megapixels)
            name = FORMATS[EXTENSIONS[f".{options.format}"]].name if options.format else picture.format
            job = Job(source, source.with_name(_RESULT + FORMATS[name].suffixes[0]), "the picture")
            _check_format(picture, job)
            check()
            work = replace(
                self._work(options.model),
                strength=options.strength,
                quality=options.quality,
                removal=Removal(luma=options.luma, chroma=options.chroma, guard=options.guard),
            )
            made = work.compute(picture, job, lambda _share: check())
            check()
            notes = work.write(made, job)
            return Cleaned(job.target, name, made.treatment, notes, work.size(made)[0])

    def _work(self, model: str) -> Denoising:
        return Denoising(model=model, threads=self.threads, max_megapixels=self.max_megapixels)


def _check_format(picture: Picture, job: Job) -> None:
    """Raise InputError for a picture that the format that is asked for cannot hold."""
    try:
        check_output(job.target, picture.pixels.shape, quality=100)
    except PictureError as error:
        raise InputError(
            error.problem,
            got=error.got,
            expected=error.expected,
            remedy="Ask for another format, such as png or tif",
        ) from error


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
