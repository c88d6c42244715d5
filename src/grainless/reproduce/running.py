"""Train the forms of a study, export them, and measure them on the test pictures that no run has seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.baselines import BASELINES
from grainless.datasets import PixelStore, resize_values
from grainless.denoiser import Denoiser
from grainless.errors import DataError, OutputExistsError
from grainless.evaluation import Evaluation, evaluate
from grainless.metrics import PROTOCOLS, sharpness, to_8bit
from grainless.noise import corrupt, seed_for
from grainless.reproduce.study import Measurement, Study, load_study
from grainless.reproduce.writing import FormResult, StudyResult, write_study
from grainless.training import RunOptions, export_run, load_recipe, train_run
from grainless.training.run import RECIPE_FILE, SUMMARY_FILE, load_run_recipe
from grainless.training.sources import check_data, open_source, read_json, reopen_source

logger = logging.getLogger("grainless")

SHARPNESS_PICTURES = 200
"""So many test pictures tell how sharp the answers are."""

Pixels = NDArray[Any]


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
    progress: Callable[[int, int], None] | None = None,
) -> StudyResult:
    """Carry out a study in the folder `output`, and return what it found.

    Each form has its run in `output/runs`, its model beside it, and the study is `NAME.md`, `NAME.json` and
    two pictures. The same call goes on where an earlier one was stopped: what is trained already stays as it
    is. Raises RecipeError for an unknown study, DataError for data that do not fit, and what
    `train_run` and `export_run` raise.
    """
    options = options or ReproduceOptions()
    study = load_study(name)
    _check_output(study, output)
    _check_test(study, data, output)
    forms = {form: _train(study, form, data=data, output=output, options=options) for form in study.forms}
    tests = _test_pictures(study, output, options)
    evaluations = {
        part: _measure(study, source, forms, command=command, progress=progress)
        for part, source in tests.items()
    }
    result = StudyResult(
        study=study,
        command=command,
        forms=forms,
        evaluations=evaluations,
        sharpness=_sharpness(study, tests["seed"], forms),
        examples=_examples(study, tests["seed"], forms),
    )
    write_study(result, output)
    return result


def _check_output(study: Study, output: Path) -> None:
    """Raise OutputExistsError where the folder holds the runs of another study."""
    for form in study.forms:
        run = output / "runs" / form
        if not (run / RECIPE_FILE).is_file():
            continue
        there, wanted = load_run_recipe(run), load_recipe(*study.recipe(form))
        if there != wanted:
            raise OutputExistsError(
                f"{run} holds another run than {study.name} needs",
                got=f"the recipe {there.name}" if there.name != wanted.name else "other settings",
                remedy="Pass another folder with -o, or remove this one",
            )


def _check_test(study: Study, data: Path, output: Path) -> None:
    """Raise DataError before hours of training where no picture would be left to measure on."""
    form = study.forms[0]
    recipe = load_recipe(*study.recipe(form))
    check_data(data, recipe)
    source = open_source(data, recipe, output / "runs" / form)
    if not source.test:
        raise DataError(
            "No picture is left for the test",
            got=f"{len(source.store)} picture(s) in all",
            remedy="Add pictures: about one in five is set apart by its name",
        )


def _train(study: Study, form: str, *, data: Path, output: Path, options: ReproduceOptions) -> FormResult:
    """Train and export one form, going on with a run that was stopped; return what became of it."""
    recipe, changes = study.recipe(form)
    run, model = output / "runs" / form, output / f"{form}.onnx"
    summary = run / SUMMARY_FILE
    if not summary.is_file():
        resume = (run / RECIPE_FILE).is_file()
        logger.info("%s: %s the %s form", study.name, "going on with" if resume else "training", form)
        train_run(
            recipe,
            data=data,
            output=run,
            changes=() if resume else changes,
            options=RunOptions(resume=resume, max_minutes=options.max_minutes, devices=options.devices),
        )
    if not model.is_file():
        export_run(run, model)
    return FormResult(
        form=form,
        recipe=load_run_recipe(run),
        summary=read_json(summary),
        run=run,
        model=model,
        parameters=_parameters(model),
    )


def _parameters(model: Path) -> int:
    """Return how many weights an exported model holds."""
    import onnx

    graph = onnx.load(str(model)).graph
    return sum(
        int(np.prod(item.dims)) for item in graph.initializer if item.name.endswith(("weight", "bias"))
    )


def _test_pictures(study: Study, output: Path, options: ReproduceOptions) -> dict[str, TestPictures]:
    """Return the pictures of each measurement, from the run of the faithful form."""
    run = output / "runs" / study.forms[0]
    source = reopen_source(run, load_run_recipe(run))
    indices = source.test
    if options.pictures is not None and options.pictures < len(indices):
        indices = [indices[i * len(indices) // options.pictures] for i in range(options.pictures)]
    measurements = {"seed": study.seed} | ({"native": study.native} if study.native else {})
    return {
        part: TestPictures(f"{study.name}-{part}", source.store, tuple(indices), measurement)
        for part, measurement in measurements.items()
    }


def _measure(
    study: Study,
    source: TestPictures,
    forms: dict[str, FormResult],
    *,
    command: str,
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    """Score filters and forms under one protocol."""
    result = evaluate(
        source,
        source.measurement.noise,
        methods=[*study.filters, *(form.model for form in forms.values())],
        protocol=PROTOCOLS[source.measurement.protocol],
        progress=progress,
    )
    return result.with_command(command)


def _sharpness(
    study: Study, source: TestPictures, forms: dict[str, FormResult]
) -> dict[str, dict[str, float]]:
    """Return the median over test pictures of each form's sharpness, by noise and form."""
    denoisers = {form: Denoiser.load(result.model) for form, result in forms.items()}
    step = max(1, len(source) // SHARPNESS_PICTURES)
    ratios: dict[str, dict[str, list[float]]] = {
        noise: {form: [] for form in forms} for noise in source.measurement.noise
    }
    for index in source.indices[::step]:
        clean = source.read(index)
        for noise, found in ratios.items():
            noisy = _noisy(source, index, noise)
            for form, denoiser in denoisers.items():
                found[form].append(sharpness(clean, denoiser(noisy)))
    return {
        noise: {form: float(np.median(values)) for form, values in found.items()}
        for noise, found in ratios.items()
    }


def _noisy(source: TestPictures, index: int, noise: str) -> Pixels:
    """Return a test picture with its noise, as the protocol of the measurement makes it."""
    rounded = PROTOCOLS[source.measurement.protocol].eight_bit
    clean = source.read(index)
    if rounded:
        clean = to_8bit(clean)
    elif clean.dtype == np.uint8:
        clean = clean.astype(np.float32) / np.float32(255)
    seed = seed_for(0, f"{source.store.names[index]}|{noise}")
    if clean.dtype == np.uint8:
        return corrupt(clean, noise, seed=seed)
    return corrupt(clean, noise, seed=seed, quantise=False)


def _examples(
    study: Study, source: TestPictures, forms: dict[str, FormResult]
) -> list[tuple[str, dict[str, Pixels]]]:
    """Return some test pictures clean, noisy and restored by each method, by name and noise."""
    methods: dict[str, Callable[..., Pixels]] = {
        name: BASELINES[name].run for name in study.filters if not BASELINES[name].needs_sigma
    }
    methods |= {form: Denoiser.load(result.model) for form, result in forms.items()}
    rows = []
    chosen = source.indices[:: max(1, len(source) // 2)][:2]
    for noise in source.measurement.noise:
        for index in chosen:
            noisy = _noisy(source, index, noise)
            parts = {"clean": source.read(index), "noisy": noisy}
            parts |= {name: method(noisy) for name, method in methods.items()}
            rows.append((f"{source.store.names[index]}, {noise}", parts))
    return rows
