"""Work on pictures: taking noise out of them, and putting it in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from grainless.atomic import copy_file
from grainless.batch.journal import Settings
from grainless.batch.large import MAX_MEGAPIXELS, Large, Limit, goes_to_disk, read_large, sampled
from grainless.batch.outcomes import Tick
from grainless.batch.plans import Job
from grainless.batch.removal import Removal, Shown, part_of, removed_picture, write_any
from grainless.batch.treatment import Treated, Treatment
from grainless.blend import Blend
from grainless.denoiser import Denoiser, crop_box
from grainless.diagnosis import ADVISED, diagnose_picture
from grainless.errors import BrokenAnswerError, ModelError, PictureError
from grainless.memory import give_back
from grainless.model_file import find_model
from grainless.noise import corrupt, parse_noise, seed_for
from grainless.picture import (
    EXTENSIONS,
    AnyPicture,
    Picture,
    StoredPicture,
    check_output,
    look_at,
    read_picture,
)
from grainless.runtime import Precision, Runtime
from grainless.source import check_linear

AUTO = "auto"
"""Stands for the model that the diagnosis of each picture advises."""
_MODELS = 4
"""So many stay loaded: one does for a run over files, a service is asked for several by turns."""


@dataclass(frozen=True, kw_only=True)
class _PictureWork:
    """Reading and writing of pictures, the same for all work on them."""

    quality: int = 95
    """Of JPEG outputs, 1 to 100."""
    max_megapixels: float | None = None
    """Larger pictures are refused; None: those that would not fit into memory."""

    def read(self, job: Job) -> Any:
        """Decode the source; refuse first an output format that cannot hold it."""
        facts = look_at(job.source, max_megapixels=self._most())
        check_output(job.target, (facts.height, facts.width, facts.colours), quality=self.quality)
        return read_picture(job.source, max_megapixels=self._most())

    def size(self, value: Any) -> tuple[int, int]:
        """Return pixels and bytes of a picture."""
        height, width = value.pixels.shape[:2]
        return height * width, value.nbytes

    def write(self, value: Any, job: Job) -> tuple[str, ...]:
        """Encode a result; say what was converted and what was lost. Folders come with their first file."""
        _make_folder(job.target.parent)
        return (*value.notes, *write_any(value, job.target, quality=self.quality))

    def _most(self) -> float:
        return MAX_MEGAPIXELS if self.max_megapixels is None else self.max_megapixels


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(
            f"the folder {folder} cannot be made",
            got=error.strerror or str(error),
            remedy="Name another output",
        ) from error


@dataclass(frozen=True)
class _PassedThrough:
    """A picture whose file is copied, so that nothing at all changes."""

    picture: AnyPicture


@dataclass(frozen=True, kw_only=True)
class Denoising(_PictureWork):
    """Takes the noise out of pictures; options as in `Denoiser.load` and `Denoiser.denoise_picture`."""

    model: str | Path = ADVISED
    """Name or file, one that the workers of a cluster can see too; AUTO goes by each picture's diagnosis."""
    strength: float | None = None
    """None: 1, or what the diagnosis advises."""
    removal: Removal = field(default_factory=Removal)
    """Of luma, of chroma and where; whether the guard looks at the result."""
    crop: tuple[int, int, int, int] | None = None
    linear: bool = False
    threads: int | None = None
    runtime: Runtime = "onnxruntime"
    precision: Precision = "exact"
    checksum: str | None = None
    """Of the model that is expected; a worker whose model is another one refuses. None: any."""
    max_memory: int | None = None
    """Bytes that this process never exceeds; None: pictures that are large beside the free memory are worked
    on from the disk."""
    _tile: int | None = None
    """Largest side of the tiles, which `read` finds for each picture; None for the usual one."""

    def settings(self) -> Settings:
        """Return model and options; the model is loaded, and a bad one raises ModelError before any file."""
        card = self._denoiser().card
        name = f"{card.name} {card.checksum[:12]}"
        return {
            "command": "denoise",
            "model": f"{AUTO}, {name}" if self.auto else name,
            "strength": "advised" if self.auto and self.strength is None else self._strength(),
            **self.removal.settings(limited=self.max_memory is not None),
            "crop": None if self.crop is None else list(self.crop),
            "linear": self.linear,
            "quality": self.quality,
            "runtime": self.runtime,
            "precision": self.precision,
        }

    def pinned(self) -> Denoising:
        """Return the same work for other machines: this very model, by a path that holds there too."""
        file = find_model(self._model())
        # A name is looked up there: the package may lie elsewhere.
        named = self.auto or str(self.model) == file.stem
        model = self.model if named else file.absolute()
        checksum = self._denoiser().card.checksum
        return replace(
            self,
            model=model,
            removal=self.removal.pinned(limited=self.max_memory is not None),
            checksum=checksum,
        )

    @property
    def auto(self) -> bool:
        """Whether the diagnosis of each picture decides."""
        return str(self.model) == AUTO

    def read(self, job: Job) -> Any:
        """Decode the source into memory, or onto the disk; refuse first what cannot be done."""
        most = np.inf if self.max_megapixels is None else self.max_megapixels
        facts = look_at(job.source, max_megapixels=most)
        part = crop_box(self.crop, (facts.height, facts.width))
        check_output(job.target, (part.height, part.width, facts.colours), quality=self.quality)
        if self.max_memory is None and not goes_to_disk(facts, job.target):
            return read_picture(job.source, max_megapixels=self._most())
        _make_folder(job.target.parent)
        limit = None
        if self.max_memory is not None:
            limit = Limit(self.max_memory, self._denoiser(), self.removal.mask, diagnosed=self.auto)
        beside = self.removal.disk_bytes(facts)
        return read_large(job.source, job.target, facts, limit=limit, beside=beside)

    def size(self, value: Any) -> tuple[int, int]:
        """Return pixels and bytes of a picture, or of what `compute` made of it."""
        if isinstance(value, Treated):
            return self.size(value.value)
        if isinstance(value, Shown):
            pixels, nbytes = self.size(value.result)
            return pixels, nbytes + value.removed.nbytes
        return super().size(value.picture if isinstance(value, (Large, _PassedThrough)) else value)

    def compute(self, value: AnyPicture | Large, job: Job, tick: Tick) -> Treated:
        """Return the clean picture, or what was clean before or would have become worse; and which it is."""
        if isinstance(value, Large):
            return replace(self, _tile=value.tile).compute(value.picture, job, tick)
        if not self.auto:
            treatment = Treatment(model=find_model(self._model()).stem, strength=self._strength())
            return self._guarded(value, job, treatment, tick)
        told = diagnose_picture(sampled(value), file=job.source, linear=self.linear)
        tick(0.0)
        if told.model is None:
            treatment = Treatment(model=None, strength=0.0, diagnosis=told)
            return Treated(self._shown(self._unchanged(value, job), value), treatment)
        strength = told.strength if self.strength is None else self.strength
        treatment = Treatment(model=told.model, strength=strength, diagnosis=told)
        return self._guarded(value, job, treatment, tick)

    def write(self, value: Treated, job: Job) -> tuple[str, ...]:
        """Write a result as `save` does; say what was done, converted and lost."""
        return (*value.treatment.notes, *self.save(value, job))

    def save(self, value: Treated, job: Job) -> tuple[str, ...]:
        """Encode a result, or copy the file that is one already; say what was converted and lost."""
        _make_folder(job.target.parent)
        return self._save(value.value, job)

    def _save(self, value: Any, job: Job) -> tuple[str, ...]:
        if isinstance(value, Shown):
            # The result last: it is what the journal goes by.
            said = value.write(job)
            return (*self._save(value.result, job), said)
        if not isinstance(value, _PassedThrough):
            return super().write(value, job)
        copy_file(job.source, job.target)
        return ()

    def _guarded(self, picture: AnyPicture, job: Job, treatment: Treatment, tick: Tick) -> Treated:
        """Return the clean picture, or the original where that is worse; with what was removed if wanted."""
        on_disk = isinstance(picture, StoredPicture)
        blend = self.removal.blend(treatment.strength, folder=job.target.parent if on_disk else None)
        try:
            clean = self._cleaned(picture, blend, tick)
        except BrokenAnswerError as error:
            if not self.removal.guard:
                raise
            made = self._shown(self._unchanged(picture, job), picture)
            return Treated(made, _kept(treatment, str(error)))
        if on_disk:
            give_back()
        reason = self.removal.why_worse(picture, clean, mask=blend.mask, crop=self.crop, linear=self.linear)
        if on_disk:
            give_back()
        made = self._shown(self._unchanged(picture, job) if reason else clean, picture, clean)
        return Treated(made, _kept(treatment, reason) if reason else treatment)

    def _shown(
        self, result: AnyPicture | _PassedThrough, picture: AnyPicture, clean: AnyPicture | None = None
    ) -> AnyPicture | _PassedThrough | Shown:
        """Return a result with what was removed from its picture, or would have been, if that is wanted."""
        if not self.removal.show:
            return result
        return Shown(result, removed_picture(picture, clean, crop=self.crop, linear=self.linear))

    def _unchanged(self, picture: AnyPicture, job: Job) -> AnyPicture | _PassedThrough:
        """Return what leaves a picture as it is: its file, where that is what would be written."""
        same_format = EXTENSIONS.get(job.target.suffix.lower()) == picture.format
        if same_format and self.crop is None and not self.linear:
            return _PassedThrough(picture)
        check_linear(picture.pixels.dtype, linear=self.linear)
        return part_of(picture, self.crop)

    def _cleaned(self, picture: AnyPicture, blend: Blend, tick: Tick) -> AnyPicture:
        denoiser = self._denoiser() if self._tile is None else self._denoiser().with_tile(self._tile)

        def progress(done: int, total: int) -> None:
            tick(done / total)

        options: dict[str, Any] = {"blend": blend, "crop": self.crop, "linear": self.linear}
        if isinstance(picture, Picture):
            return denoiser.denoise_picture(picture, progress=progress, **options)
        return denoiser.denoise_stored(picture, progress=progress, **options)

    def _strength(self) -> float:
        return 1.0 if self.strength is None else self.strength

    def _model(self) -> str | Path:
        return ADVISED if self.auto else self.model

    def _denoiser(self) -> Denoiser:
        options = (self.threads, self.runtime, self.precision)
        denoiser = _load(find_model(self._model()), *options, checksum=self.checksum)
        if self.checksum not in {None, denoiser.card.checksum}:
            raise ModelError(
                f"The model {self._model()} is another one here",
                got=f"checksum {denoiser.card.checksum[:12]}",
                expected=str(self.checksum)[:12],
                remedy="Give all machines the same grainless and the same model file",
            )
        return denoiser


def _kept(treatment: Treatment, reason: str) -> Treatment:
    """Return what was done where the original was kept instead."""
    return replace(treatment, model=None, strength=0.0, kept=reason)


@lru_cache(maxsize=_MODELS)
def _load(
    model: Path, threads: int | None, runtime: Runtime, precision: Precision, *, checksum: str | None
) -> Denoiser:
    """Load a model once for all files of this process; another checksum loads the file again."""
    return Denoiser.load(model, threads=threads, runtime=runtime, precision=precision)


@dataclass(frozen=True, kw_only=True)
class Corrupting(_PictureWork):
    """Puts noise into clean pictures, each by the seed, its name and the noise."""

    noise: str
    """As `parse_noise` reads it."""
    seed: int = 0
    clip: bool = True
    quantise: bool = True

    def settings(self) -> Settings:
        """Return noise and options; raises NoiseError for a noise that is not valid."""
        return {
            "command": "corrupt",
            "noise": str(parse_noise(self.noise)),
            "seed": self.seed,
            "clip": self.clip,
            "quantise": self.quantise,
            "quality": self.quality,
        }

    def compute(self, value: Picture, job: Job, tick: Tick) -> Picture:
        """Return the noisy picture."""
        model = parse_noise(self.noise)
        # Clipping and rounding belong to whole numbers; only float files leave a choice.
        whole = value.pixels.dtype.kind != "f"
        noisy = corrupt(
            value.pixels,
            model,
            seed=seed_for(self.seed, f"{job.name}|{model}"),
            clip=self.clip or whole,
            quantise=self.quantise or whole,
        )
        tick(0.9)
        return value.with_pixels(noisy)
