"""The measuring itself: picture by picture, so that memory stays flat however large the folder is."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.baselines import BASELINES, estimate_sigma
from grainless.datasets import PictureRequirement, Skipped, decode_8bit, find_pictures
from grainless.denoiser import Denoiser
from grainless.errors import DataError, InputError
from grainless.evaluation.results import (
    Data,
    Evaluation,
    Kind,
    MethodInfo,
    PictureScores,
    Row,
    Run,
)
from grainless.metrics import FILE_8BIT, mean_scores, scores
from grainless.noise import Gaussian, Noise, corrupt, parse_noise, seed_for
from grainless.version import __version__

DEFAULT_METHODS = ("median", "mask_interpolate")
"""Shown beside every model; the noisy pictures themselves always are."""

_MEASURABLE = PictureRequirement(min_side=FILE_8BIT.ssim_window)
"""Smaller pictures have no SSIM."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Method:
    """Something that takes noise out of 8-bit pixels: a row of the results."""

    name: str
    restore: Callable[..., NDArray[Any]]
    """Called with uint8 (H, W, C), and with `sigma=` if it needs one; gives pixels of the same shape."""
    kind: Kind = "function"
    needs_sigma: bool = False
    """Told the level of Gaussian noise; for any other noise the level is estimated from the noisy picture."""
    about: str = ""
    checksum: str = ""

    def level_from(self, noise: Noise) -> Literal["none", "told", "estimated"]:
        """Say where the method has the noise level from."""
        if not self.needs_sigma:
            return "none"
        return "told" if isinstance(noise, Gaussian) else "estimated"

    def run(self, noisy: Pixels, noise: Noise) -> NDArray[Any]:
        """Restore one picture."""
        if not self.needs_sigma:
            return self.restore(noisy)
        return self.restore(
            noisy, sigma=noise.sigma if isinstance(noise, Gaussian) else estimate_sigma(noisy)
        )


def as_method(method: str | Path | Method) -> Method:
    """Find a method: a filter of `BASELINES` by its name, else a model by its name or file.

    Raises ModelError for what is neither.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in BASELINES:
        filter_ = BASELINES[method]
        return Method(
            method, filter_.run, kind="filter", needs_sigma=filter_.needs_sigma, about=filter_.about
        )
    denoiser = Denoiser.load(method)
    card = denoiser.card
    return Method(card.name, denoiser, kind="model", about=card.description, checksum=card.checksum)


def evaluate(
    data: str | Path,
    noises: Sequence[str | Noise],
    *,
    methods: Sequence[str | Path | Method] = (*DEFAULT_METHODS, "universal"),
    seed: int = 0,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Corrupt every picture of a folder with every noise, restore it by every method, and score the results.

    `methods` are names of `baselines.BASELINES`, names or files of models, or `Method` objects; the noisy
    pictures themselves are always the first row. Pictures are found in subfolders too; their alpha is
    ignored, and 16-bit or float ones are brought to 8 bit, as the protocol `metrics.FILE_8BIT` asks. `limit`
    takes the first pictures by name. Every method gets the same noisy pixels, which depend on nothing but
    `seed`, the picture's relative name and the noise. `progress` is told how many pictures are done, of how
    many.

    Raises DataError for a folder without a picture that can be measured, NoiseError and ModelError for names
    that are not valid, InputError for two methods of one name or a limit under 1.
    """
    if limit is not None and limit < 1:
        raise InputError("The number of pictures is not valid", got=limit, expected="1 or more")
    folder = Path(data)
    session = _Session(_methods(methods), _noises(noises), seed)
    pictures = _Folder(folder, find_pictures(folder))
    for name, clean in pictures.clean(limit):
        session.measure(name, clean)
        if progress is not None:
            progress(pictures.done, pictures.expected(limit))
    if not pictures.done:
        raise DataError(
            f"No picture in {folder} can be measured",
            got="; ".join(f"{item.name}: {item.reason}" for item in pictures.skipped[:5]),
            expected=f"readable pictures, {FILE_8BIT.ssim_window} pixels or more each way",
        )
    return Evaluation(
        protocol=FILE_8BIT,
        stamp=FILE_8BIT.stamp,
        seed=seed,
        data=pictures.described(),
        methods=tuple(
            MethodInfo(item.name, item.kind, item.about, item.checksum) for item in session.methods
        ),
        rows=session.rows(),
        runs=(Run(command="", grainless=__version__),),
    )


@dataclass
class _Tally:
    """What a method did so far on one noise."""

    seconds: float = 0.0
    megapixels: float = 0.0
    pictures: list[PictureScores] = field(default_factory=list)


class _Session:
    """All methods on all noises, one picture after the other."""

    def __init__(self, methods: Sequence[Method], noises: Mapping[str, Noise], seed: int) -> None:
        self.methods = methods
        self.noises = noises
        self.seed = seed
        self.tallies = {(text, method.name): _Tally() for text in noises for method in methods}

    def measure(self, name: str, clean: Pixels) -> None:
        """Score every method on every noise for one picture."""
        for text, noise in self.noises.items():
            noisy = corrupt(clean, noise, seed=seed_for(self.seed, f"{name}|{text}"))
            for method in self.methods:
                tally = self.tallies[text, method.name]
                own = noisy.copy()
                start = time.perf_counter()
                restored = method.run(own, noise)
                tally.seconds += time.perf_counter() - start
                tally.megapixels += clean.shape[0] * clean.shape[1] / 1e6
                tally.pictures.append(PictureScores(name, scores(clean, restored, FILE_8BIT)))

    def rows(self) -> tuple[Row, ...]:
        """Return the results, noise by noise."""
        return tuple(self._row(text, method) for text in self.noises for method in self.methods)

    def _row(self, text: str, method: Method) -> Row:
        tally = self.tallies[text, method.name]
        each = [picture.scores for picture in tally.pictures]
        return Row(
            method=method.name,
            noise=text,
            mean=mean_scores(each),
            exact=sum(math.isinf(item.psnr) for item in each),
            sigma=method.level_from(self.noises[text]),
            seconds_per_megapixel=tally.seconds / tally.megapixels,
            pictures=tuple(tally.pictures),
        )


class _Folder:
    """The pictures of a folder on their way to 8 bit, and what became of them."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = names
        self.done = 0
        self.skipped: list[Skipped] = []
        self._digest = hashlib.sha256()

    def expected(self, limit: int | None) -> int:
        """Return how many pictures there will be, as far as is known by now."""
        left = len(self.names) - len(self.skipped)
        return left if limit is None else min(limit, left)

    def clean(self, limit: int | None) -> Iterator[tuple[str, Pixels]]:
        """Yield name and uint8 (H, W, C) of the first pictures that can be measured, all without a limit."""
        for name in self.names:
            if self.done == limit:
                return
            pixels, fault = decode_8bit(self.folder / name, _MEASURABLE)
            if pixels is None:
                # Results travel, the way to the folder stays here.
                self.skipped.append(Skipped(name, fault.replace(str(self.folder / name), name)))
                continue
            self._digest.update(f"{name}\n{pixels.shape}\n".encode() + pixels.tobytes())
            self.done += 1
            yield name, pixels

    def described(self) -> Data:
        """Return what the results keep of the folder."""
        return Data(self.folder.resolve().name, self.done, self._digest.hexdigest(), tuple(self.skipped))


def _noises(noises: Sequence[str | Noise]) -> dict[str, Noise]:
    parsed = [parse_noise(noise) if isinstance(noise, str) else noise for noise in noises]
    if not parsed:
        raise InputError("There is no noise to measure with", expected="at least one, such as gaussian:25")
    return {str(noise): noise for noise in parsed}


def _methods(methods: Sequence[str | Path | Method]) -> list[Method]:
    noisy = Method("noisy", lambda pixels: pixels, kind="none", about="as corrupted")
    chosen = [noisy, *(as_method(method) for method in methods)]
    names = [method.name for method in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            "Two methods have one name", got=", ".join(twice), expected="a name of its own for each"
        )
    return chosen
