"""A study from start to end: its forms trained, and measured on the test pictures that no run has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.datasets import PixelStore, resize_values, take_evenly
from grainless.denoiser import Denoiser
from grainless.evaluation import Evaluation, as_method, corrupted, evaluate, to_float
from grainless.metrics import PROTOCOLS, sharpness, to_8bit
from grainless.noise import parse_noise
from grainless.reproduce.forms import FormResult, train_forms
from grainless.reproduce.study import Measurement, Study, load_study
from grainless.reproduce.writing import StudyResult, check_packages, write_study
from grainless.training.sources import reopen_source

SHARPNESS_PICTURES, EXAMPLES = 200, 2
"""So many test pictures tell how sharp the answers are, and so many are shown for each noise."""

Pixels = NDArray[Any]
Progress = Callable[[int, int], None]
"""Told how many pictures are measured, of how many."""


@contextmanager
def _unseen() -> Iterator[Progress]:
    """Show nothing."""
    yield lambda _done, _total: None


@dataclass(frozen=True)
class ReproduceOptions:
    """How a study is carried out."""

    max_minutes: float | None = None
    """Minutes of training for each form; the whole schedule of its recipe unless told."""
    pictures: int | None = None
    """Measure on so many of the test pictures, at even steps; on all unless told."""
    devices: int = 1
    """Processors or graphics cards to train on."""


@dataclass(frozen=True)
class TestPictures:
    """The test pictures of a run in the shape that a measurement asks for, as `evaluate` takes them."""

    name: str
    store: PixelStore
    indices: tuple[int, ...]
    measurement: Measurement

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[str, Pixels]]:
        for index in self.indices:
            yield self.store.names[index], self.read(index)

    def sample(self, count: int) -> TestPictures:
        """Return so many of the pictures, at even steps, or all where there are no more."""
        return replace(self, indices=tuple(take_evenly(list(self.indices), count)))

    def read(self, index: int) -> Pixels:
        """Return one picture: uint8, or float32 in [0, 1] where it was resized."""
        pixels: Pixels = self.store[index]
        side = self.measurement.crop
        if side is not None:
            top, left = ((length - side) // 2 for length in pixels.shape[:2])
            pixels = pixels[top : top + side, left : left + side]
        if self.measurement.resize is not None:
            pixels = resize_values(pixels.astype(np.float32) / np.float32(255), self.measurement.resize)
        if self.measurement.colour and pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        return np.ascontiguousarray(pixels)


def reproduce(
    name: str,
    *,
    data: Path,
    output: Path,
    command: str = "",
    options: ReproduceOptions | None = None,
    measuring: Callable[[], AbstractContextManager[Progress]] = _unseen,
) -> StudyResult:
    """Carry out a study in the folder `output`, and return what it found.

    The forms have their runs in `output/runs` and their models beside it; the study is `NAME.md`, `NAME.json`
    and two pictures. The same call goes on where an earlier one was stopped: what is trained already stays as
    it is. `measuring` is opened while the test pictures are measured, and told how many are done of how many.
    Raises RecipeError for an unknown study, MissingExtraError, and what `train_forms` raises.
    """
    options = options or ReproduceOptions()
    study = load_study(name)
    check_packages()
    forms = train_forms(
        study, data=data, output=output, max_minutes=options.max_minutes, devices=options.devices
    )
    tests = _test_pictures(study, forms["faithful"], options)
    with measuring() as progress:
        evaluations = {
            part: _measure(source, study, forms, progress).with_command(command)
            for part, source in tests.items()
        }
        sample = tests["seed"].sample(SHARPNESS_PICTURES)
        result = StudyResult(
            study=study,
            command=command,
            max_minutes=options.max_minutes,
            forms=forms,
            evaluations=evaluations,
            sharpness=_sharpness(sample, forms, progress),
            sharpness_pictures=len(sample),
            examples=_examples(study, tests["seed"].sample(EXAMPLES), forms),
        )
    write_study(result, output)
    return result


def _test_pictures(study: Study, form: FormResult, options: ReproduceOptions) -> dict[str, TestPictures]:
    """Return the pictures of each measurement: those that the run of a form leaves for the test."""
    source = reopen_source(form.run, form.recipe)
    indices = take_evenly(source.test, options.pictures)
    measurements = {"seed": study.seed} | ({"native": study.native} if study.native else {})
    return {
        part: TestPictures(f"{study.name}-{part}", source.store, tuple(indices), measurement)
        for part, measurement in measurements.items()
    }


def _measure(
    source: TestPictures, study: Study, forms: dict[str, FormResult], progress: Progress
) -> Evaluation:
    """Score filters and forms under one protocol."""
    networks = [replace(as_method(result.model), name=form) for form, result in forms.items()]
    return evaluate(
        source,
        source.measurement.noise,
        methods=[*study.filters, *networks],
        protocol=PROTOCOLS[source.measurement.protocol],
        progress=progress,
    )


def _sharpness(
    source: TestPictures, forms: dict[str, FormResult], progress: Progress
) -> dict[str, dict[str, float]]:
    """Return the median over test pictures of how sharp noisy ones and each form's answers are, by noise."""
    denoisers = {form: Denoiser.load(result.model) for form, result in forms.items()}
    ratios: dict[str, dict[str, list[float]]] = {
        noise: {form: [] for form in ("noisy", *forms)} for noise in source.measurement.noise
    }
    for done, (name, pixels) in enumerate(source, start=1):
        for noise, found in ratios.items():
            clean, noisy = _spoilt(pixels, name, noise, source.measurement)
            found["noisy"].append(sharpness(clean, noisy))
            for form, denoiser in denoisers.items():
                found[form].append(sharpness(clean, denoiser(noisy)))
        progress(done, len(source))
    return {
        noise: {form: float(np.median(values)) for form, values in found.items()}
        for noise, found in ratios.items()
    }


def _spoilt(pixels: Pixels, name: str, noise: str, measurement: Measurement) -> tuple[Pixels, Pixels]:
    """Return a test picture clean and with its noise, as the protocol of the measurement has them."""
    protocol = PROTOCOLS[measurement.protocol]
    clean = to_8bit(pixels) if protocol.eight_bit else to_float(pixels)
    return clean, corrupted(clean, parse_noise(noise), protocol, seed=0, name=name)


def _examples(
    study: Study, source: TestPictures, forms: dict[str, FormResult]
) -> list[tuple[str, dict[str, Pixels]]]:
    """Return some test pictures clean, noisy and restored by each method, by name and noise."""
    methods = {name: as_method(name) for name in study.filters}
    methods |= {form: as_method(result.model) for form, result in forms.items()}
    rows = []
    pictures = list(source)
    for noise in source.measurement.noise:
        for name, pixels in pictures:
            clean, noisy = _spoilt(pixels, name, noise, source.measurement)
            parts = {"clean": clean, "noisy": noisy}
            parts |= {
                key: method.run(method.handed(noisy), parse_noise(noise)) for key, method in methods.items()
            }
            rows.append((f"{name}, {noise}", parts))
    return rows
