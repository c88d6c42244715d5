"""Work on pictures: taking noise out of them, and putting it in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from grainless.batch.journal import Settings
from grainless.batch.outcomes import Tick
from grainless.batch.plans import Job
from grainless.denoiser import Denoiser
from grainless.errors import ModelError, PictureError
from grainless.model_file import find_model
from grainless.noise import corrupt, parse_noise, seed_for
from grainless.picture import Picture, losses, read_picture, write_picture
from grainless.runtime import Precision, Runtime


@dataclass(frozen=True, kw_only=True)
class _PictureWork:
    """Reading and writing of pictures, the same for all work on them."""

    quality: int = 95
    """Of JPEG outputs, 1 to 100."""
    max_megapixels: float = 500.0
    """Larger pictures are refused."""

    def read(self, job: Job) -> Picture:
        """Decode the source; refuse first an output format that cannot hold it."""
        picture = read_picture(job.source, max_megapixels=self.max_megapixels)
        losses(picture, job.target)
        return picture

    def size(self, value: Picture) -> tuple[int, int]:
        """Return pixels and bytes of a picture."""
        height, width = value.pixels.shape[:2]
        return height * width, value.pixels.nbytes + (0 if value.alpha is None else value.alpha.nbytes)

    def write(self, value: Picture, job: Job) -> tuple[str, ...]:
        """Encode a result; say what was converted and what was lost. Folders come with their first file."""
        folder = job.target.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PictureError(
                f"the folder {folder} cannot be made",
                got=error.strerror or str(error),
                remedy="Name another output",
            ) from error
        return (*value.notes, *write_picture(value, job.target, quality=self.quality))


@dataclass(frozen=True, kw_only=True)
class Denoising(_PictureWork):
    """Takes the noise out of pictures; options as in `Denoiser.load` and `Denoiser.denoise_picture`."""

    model: str | Path = "universal"
    """Name or file; a file that the workers of a cluster can see too."""
    strength: float = 1.0
    crop: tuple[int, int, int, int] | None = None
    linear: bool = False
    threads: int | None = None
    runtime: Runtime = "onnxruntime"
    precision: Precision = "exact"
    checksum: str | None = None
    """Of the model that is expected; a worker whose model is another one refuses. None: any."""

    def settings(self) -> Settings:
        """Return model and options; the model is loaded, and a bad one raises ModelError before any file."""
        card = self._denoiser().card
        return {
            "command": "denoise",
            "model": f"{card.name} {card.checksum[:12]}",
            "strength": self.strength,
            "crop": None if self.crop is None else list(self.crop),
            "linear": self.linear,
            "quality": self.quality,
            "runtime": self.runtime,
            "precision": self.precision,
        }

    def pinned(self) -> Denoising:
        """Return the same work for other machines: this very model, by a path that holds there too."""
        file = find_model(self.model)
        # A name is looked up there: the package may lie elsewhere.
        model = self.model if str(self.model) == file.stem else file.absolute()
        return replace(self, model=model, checksum=self._denoiser().card.checksum)

    def compute(self, value: Picture, job: Job, tick: Tick) -> Picture:
        """Return the clean picture."""
        return self._denoiser().denoise_picture(
            value,
            strength=self.strength,
            crop=self.crop,
            linear=self.linear,
            progress=lambda done, total: tick(done / total),
        )

    def _denoiser(self) -> Denoiser:
        options = (self.threads, self.runtime, self.precision)
        denoiser = _load(find_model(self.model), *options, checksum=self.checksum)
        if self.checksum not in {None, denoiser.card.checksum}:
            raise ModelError(
                f"The model {self.model} is another one here",
                got=f"checksum {denoiser.card.checksum[:12]}",
                expected=str(self.checksum)[:12],
                remedy="Give all machines the same grainless and the same model file",
            )
        return denoiser


@lru_cache(maxsize=1)
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
