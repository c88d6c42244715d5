"""The measuring itself: picture by picture, so that memory stays flat however many there are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.baselines import BASELINES, estimate_sigma
from grainless.denoiser import Denoiser
from grainless.errors import DataError, InputError
from grainless.evaluation.results import (
    RECORDED,
    Evaluation,
    Kind,
    MethodInfo,
    PictureScores,
    Row,
    Run,
)
from grainless.evaluation.sources import (
    Intake,
    PictureSource,
    Pixels,
    RecordedPairs,
    Sample,
    to_float,
)
from grainless.foreign import ForeignModel, is_foreign
from grainless.metrics import (
    FILE_8BIT,
    PROTOCOLS,
    Protocol,
    average_scores,
    check_metrics,
    mean_scores,
    scores,
    to_8bit,
)
from grainless.noise import Gaussian, Noise, corrupt, parse_noise, seed_for
from grainless.version import __version__

DEFAULT_METHODS = ("median", "mask_interpolate")
"""Shown beside every model; the noisy pictures themselves always are."""


@dataclass(frozen=True)
class Method:
    """Something that takes noise out of pixels: a row of the results."""

    name: str
    restore: Callable[..., NDArray[Any]]
    """Called with (H, W, C), and with `sigma=` if it needs one; gives pixels of the same shape.

    The pixels are uint8 or float32, as the protocol's `noisy_form` says.
    """
    kind: Kind = "function"
    needs_sigma: bool = False
    """Told the level of Gaussian noise; for any other noise the level is estimated from the noisy picture.

    On the 0-255 scale for float pixels too.
    """
    about: str = ""
    checksum: str = ""
    takes_unclipped: bool = False
    """Whether it takes floats outside [0, 1]; others are handed clipped ones where noise is not clipped."""

    def level_from(self, noise: Noise | None) -> Literal["none", "told", "estimated"]:
        """Say where the method has the noise level from."""
        if not self.needs_sigma:
            return "none"
        return "told" if isinstance(noise, Gaussian) else "estimated"

    def run(self, noisy: Pixels, noise: Noise | None) -> NDArray[Any]:
        """Restore one picture; its noise is None where it was recorded."""
        if not self.needs_sigma:
            return self.restore(noisy)
        if isinstance(noise, Gaussian):
            return self.restore(noisy, sigma=noise.sigma)
        return self.restore(noisy, sigma=estimate_sigma(_inside(noisy)))

    def handed(self, noisy: Pixels) -> Pixels:
        """Return a copy of noisy pixels as the method takes them."""
        return noisy.copy() if self.takes_unclipped else _inside(noisy).copy()


def as_method(method: str | Path | Method) -> Method:
    """Find a method: a filter of `BASELINES` by its name, else a model by its name or file.

    A file beside which a sidecar lies is run as the sidecar says.

    Raises ModelError for what is neither, MissingExtraError for a filter whose packages are not installed.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, str) and method in BASELINES:
        filter_ = BASELINES[method]
        missing = filter_.packages.missing()
        if missing is not None:
            raise missing
        return Method(
            method, filter_.run, kind="filter", needs_sigma=filter_.needs_sigma, about=filter_.about
        )
    if is_foreign(method):
        foreign = ForeignModel.load(method)
        return Method(
            foreign.name,
            foreign,
            kind="model",
            needs_sigma=foreign.needs_sigma,
            about=foreign.about,
            checksum=foreign.checksum,
        )
    return method_of(Denoiser.load(method))


def method_of(denoiser: Denoiser) -> Method:
    """Return a model that is loaded as a method of its name."""
    card = denoiser.card
    return Method(
        card.name,
        partial(denoiser, unclipped=True),
        kind="model",
        about=card.description,
        checksum=card.checksum,
        takes_unclipped=True,
    )


def evaluate(  # noqa: PLR0913  # all but the first two have a default that most callers keep
    data: str | Path | RecordedPairs | PictureSource,
    noises: Sequence[str | Noise] = (),
    *,
    methods: Sequence[str | Path | Method] = (*DEFAULT_METHODS, "universal"),
    protocol: Protocol = FILE_8BIT,
    metrics: Collection[str] = (),
    seed: int = 0,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Corrupt every picture with every noise, restore it by every method, and score the results.

    `data` is a folder, in which pictures are found in subfolders too, or a `PictureSource`. Of
    `RecordedPairs` the noisy pictures are taken as they are, there are no `noises`, and the rows' noise is
    called "recorded". `methods` are names of `baselines.BASELINES`, names or files of models, or `Method`
    objects; the noisy pictures themselves are always the first row. `metrics` names some of
    `metrics.EXTRA_METRICS` to measure besides. `limit` takes the first pictures, in a folder by name. Every
    method gets the same noisy pixels, which depend on nothing but `seed`, the picture's (relative) name, the
    noise and the protocol; where noise is not clipped, those that take no values outside [0, 1] get them
    clipped, and the rows say so. `progress` is told how many pictures are done, of how many.

    Noisy pictures are uint8 or float32 as the protocol's `noisy_form` says. Clean ones are uint8 under an
    8-bit protocol, else float32 in [0, 1], and answers are compared as they are, or clipped if the protocol
    says so. Files are brought to 8 bit first in any case, and their alpha is ignored.

    Raises DataError where no picture can be measured or a source yields what is none, NoiseError and
    ModelError for names that are not valid, InputError for two methods of one name, unknown metrics, a limit
    under 1, and recorded pairs under a protocol whose noise is not clipped.
    """
    if limit is not None and limit < 1:
        raise InputError("The number of pictures is not valid", got=limit, expected="1 or more")
    check_metrics(metrics)
    recorded = isinstance(data, RecordedPairs)
    if recorded:
        _check_recorded(protocol)
        # Nothing is drawn: results that were asked for with two seeds are of the same noise.
        seed = 0
    chosen = named_methods(methods, noisy="as recorded" if recorded else "as corrupted")
    session = _Session(chosen, _noises(noises, recorded), protocol, seed, metrics)
    pictures = Intake(data, protocol)
    for sample in pictures.samples(limit):
        session.measure(sample)
        if progress is not None:
            progress(pictures.done, pictures.expected(limit))
    if not pictures.done:
        raise DataError(
            f"No picture in {pictures.place} can be measured",
            got="; ".join(f"{item.name}: {item.reason}" for item in pictures.skipped[:5]) or "none at all",
            expected=f"readable pictures, {protocol.min_side} pixels or more each way",
        )
    return Evaluation(
        protocol=protocol,
        stamp=protocol.stamp,
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

    def __init__(
        self,
        methods: Sequence[Method],
        noises: Mapping[str, Noise | None],
        protocol: Protocol,
        seed: int,
        metrics: Collection[str],
    ) -> None:
        self.methods = methods
        self.noises = noises
        self.protocol = protocol
        self.seed = seed
        self.metrics = metrics
        self.tallies = {(text, method.name): _Tally() for text in noises for method in methods}

    def measure(self, sample: Sample) -> None:
        """Score every method on every noise for one picture."""
        clean = sample.clean
        for text, noise in self.noises.items():
            noisy = noisy_pixels(sample, noise, self.protocol, seed=self.seed)
            for method in self.methods:
                tally = self.tallies[text, method.name]
                own = method.handed(noisy)
                start = time.perf_counter()
                restored = method.run(own, noise)
                tally.seconds += time.perf_counter() - start
                tally.megapixels += clean.shape[0] * clean.shape[1] / 1e6
                found = scores(clean, restored, self.protocol, metrics=self.metrics)
                tally.pictures.append(PictureScores(sample.name, found))

    def rows(self) -> tuple[Row, ...]:
        """Return the results, noise by noise."""
        return tuple(self._row(text, method) for text in self.noises for method in self.methods)

    def _row(self, text: str, method: Method) -> Row:
        tally = self.tallies[text, method.name]
        each = [picture.scores for picture in tally.pictures]
        mean = average_scores(each, self.protocol)
        return Row(
            method=method.name,
            noise=text,
            mean=mean,
            psnr_per_image=None if self.protocol.psnr_over == 1 else mean_scores(each).psnr,
            exact=sum(math.isinf(item.psnr) for item in each),
            sigma=method.level_from(self.noises[text]),
            handed_clipped=self.protocol.noisy_form == "unclipped" and not method.takes_unclipped,
            seconds_per_megapixel=tally.seconds / tally.megapixels,
            pictures=tuple(tally.pictures),
        )


def noisy_pixels(sample: Sample, noise: Noise | None, protocol: Protocol, *, seed: int) -> Pixels:
    """Return what the methods see of a picture: as it was recorded, or with a noise."""
    if sample.noisy is not None:
        return sample.noisy
    if noise is None:
        raise InputError("This picture was not recorded with noise", expected="a noise to put into it")
    return corrupted(sample.clean, noise, protocol, seed=seed, name=sample.name)


def corrupted(clean: Pixels, noise: Noise, protocol: Protocol, *, seed: int, name: str) -> Pixels:
    """Return what the methods see of a picture: uint8 or float32, as the protocol's `noisy_form` says.

    What is drawn depends on `seed`, the `name` of the picture and the noise, and on nothing else.
    """
    form, own_seed = protocol.noisy_form, seed_for(seed, f"{name}|{noise}")
    if form == "8-bit":
        return corrupt(to_8bit(clean), noise, seed=own_seed)
    return corrupt(to_float(clean), noise, seed=own_seed, clip=form == "clipped", quantise=False)


def _inside(pixels: Pixels) -> Pixels:
    """Return the pixels clipped to [0, 1], whole numbers as they are."""
    return pixels if pixels.dtype.kind == "u" else np.clip(pixels, 0, 1)


def _check_recorded(protocol: Protocol) -> None:
    """Raise InputError for a protocol that is about noise that no file holds."""
    if protocol.noisy_form == "unclipped":
        fitting = [name for name, known in PROTOCOLS.items() if known.noisy_form != "unclipped"]
        raise InputError(
            "The noise of recorded pairs was clipped when they were saved",
            got=f"the protocol {protocol.name}, whose noise is not",
            expected=f"one of {', '.join(fitting)}",
        )


def _noises(noises: Sequence[str | Noise], recorded: bool) -> Mapping[str, Noise | None]:
    if recorded:
        if noises:
            raise InputError(
                "Recorded pairs have their own noise",
                got=", ".join(map(str, noises)),
                remedy="Leave the noises out, or pass the folder of the clean pictures alone",
            )
        return {RECORDED: None}
    parsed = [parse_noise(noise) if isinstance(noise, str) else noise for noise in noises]
    if not parsed:
        raise InputError("There is no noise to measure with", expected="at least one, such as gaussian:25")
    return {str(noise): noise for noise in parsed}


def named_methods(methods: Sequence[str | Path | Method], *, noisy: str = "as corrupted") -> list[Method]:
    """Return the methods, the noisy picture itself before them, about which `noisy` is said.

    Raises InputError where two have one name.
    """
    before = Method("noisy", lambda pixels: pixels, kind="none", about=noisy, takes_unclipped=True)
    chosen = [before, *(as_method(method) for method in methods)]
    names = [method.name for method in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            "Two methods have one name", got=", ".join(twice), expected="a name of its own for each"
        )
    return chosen
