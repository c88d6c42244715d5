"""The networks of a study, each trained in a run of its own and exported."""

from __future__ import annotations

import csv
import logging
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grainless.errors import DataError, OutputExistsError, TrainingError
from grainless.reproduce.study import Study
from grainless.training import Recipe, RunOptions, export_run, load_recipe, train_run
from grainless.training.run_folder import RECIPE_FILE, SUMMARY_FILE, alone_in, check_outside, load_run_recipe
from grainless.training.sources import check_data, check_same_pictures, load_run_data, open_source, read_json

logger = logging.getLogger("grainless")


@dataclass(frozen=True)
class FormResult:
    """One trained form of a study."""

    form: str
    recipe: Recipe
    summary: dict[str, Any]
    run: Path
    model: Path

    @property
    def cut(self) -> bool:
        """Whether the time ended before the recipe's steps did."""
        return not self.summary["finished"]

    @property
    def parameters(self) -> int:
        """How many weights the exported model holds."""
        import onnx

        graph = onnx.load(str(self.model)).graph
        return sum(
            int(np.prod(item.dims)) for item in graph.initializer if item.name.endswith(("weight", "bias"))
        )

    def pictures(self) -> dict[str, int]:
        """Return how many pictures the run trains on, validates on, leaves for the test and skipped."""
        data = load_run_data(self.run)
        return {part: len(data.get(part, ())) for part in ("training", "validation", "test", "skipped")}

    def curve(self, noises: Sequence[str]) -> list[tuple[int, float]]:
        """Return step and validation PSNR in dB, the mean over these noises, at each validation."""
        points: dict[int, float] = {}
        files = self.run.glob("csv/part-*/metrics.csv")
        for path in sorted(files, key=lambda path: int(path.parent.name.removeprefix("part-"))):
            with path.open(newline="", encoding="utf-8") as file:
                # The last line of a log may be cut, as by a full disk.
                rows = [row for row in csv.DictReader(file) if row.get("psnr") and row.get("step")]
            # What a part does again, as the one before was killed, is what the weights come from.
            points |= {
                int(row["step"]) + 1: float(np.mean([float(row[f"psnr/{noise}"]) for noise in noises]))
                for row in rows
                if all(row.get(f"psnr/{noise}") for noise in noises)
            }
        return sorted(points.items())

    def best(self, noises: Sequence[str]) -> float | None:
        """Return the highest PSNR of the curve in dB, None without any validation."""
        return max((psnr for _, psnr in self.curve(noises)), default=None)


def train_forms(
    study: Study, *, data: Path, output: Path, max_minutes: float | None = None, devices: int = 1
) -> dict[str, FormResult]:
    """Train and export every form of a study that is not there yet, and return them by name.

    A run lies in `output/runs`, its model in `output`, both named after the recipe, so that studies with one
    folder share them. One that was stopped, or cut shorter than `max_minutes`, is gone on with. Raises
    OutputExistsError where a run is of another recipe, DataError for data that do not fit, and what
    `train_run` and `export_run` raise.
    """
    for form in study.forms:
        _check_run(study, form, output)
    _check_test(study, data, output)
    for form in study.forms:
        _train(study, form, data=data, output=output, max_minutes=max_minutes, devices=devices)
    return {form: _export(study, form, output) for form in study.forms}


def _check_run(study: Study, form: str, output: Path) -> None:
    """Raise OutputExistsError where the run of a form was made by other settings."""
    run, wanted = _run_folder(study, form, output), load_recipe(*study.recipe(form))
    if (run / RECIPE_FILE).is_file() and load_run_recipe(run) != wanted:
        raise OutputExistsError(
            f"{run} was trained by other settings than those of {wanted.name}",
            remedy="Pass another folder with -o, or remove this one",
        )


def _check_test(study: Study, data: Path, output: Path) -> None:
    """Raise DataError before hours of training where no picture would be left to measure on."""
    recipe = load_recipe(*study.recipe(study.forms[0]))
    check_data(data, recipe)
    run = _run_folder(study, study.forms[0], output)
    check_outside(run, data)
    run.mkdir(parents=True, exist_ok=True)
    # Another study may be decoding into it.
    with alone_in(run):
        source = open_source(data, recipe, run)
    if not source.test:
        raise DataError(
            "No picture is left for the test",
            got=f"{len(source.store)} picture(s) in all",
            remedy="Add pictures: about one in five is set apart by its name",
        )


def _run_folder(study: Study, form: str, output: Path) -> Path:
    return output / "runs" / study.run_name(form)


def _train(
    study: Study, form: str, *, data: Path, output: Path, max_minutes: float | None, devices: int
) -> None:
    """Train one form, going on with a run that was stopped, unless it is done."""
    recipe, changes = study.recipe(form)
    run = _run_folder(study, form, output)
    if _is_done(run, max_minutes):
        # One recipe may have been trained on other data, under names that are the same.
        with alone_in(run):
            check_same_pictures(open_source(data, load_run_recipe(run), run), run)
        return
    resume = (run / RECIPE_FILE).is_file()
    logger.info("%s: %s the %s form", study.name, "going on with" if resume else "training", form)
    # A run that goes on keeps its limit unless told; here none means none.
    minutes = math.inf if max_minutes is None else max_minutes
    options = RunOptions(resume=resume, max_minutes=minutes, devices=devices)
    train = train_run if devices == 1 else _train_apart
    train(recipe, data=data, output=run, changes=() if resume else changes, options=options)


def _is_done(run: Path, max_minutes: float | None) -> bool:
    """Return whether a run reached the end of its recipe, or of at least so many minutes."""
    if not (run / SUMMARY_FILE).is_file():
        return False
    summary = read_json(run / SUMMARY_FILE)
    limit = summary.get("max_minutes")
    return bool(
        summary["finished"] or (max_minutes is not None and limit is not None and limit >= max_minutes)
    )


def _train_apart(
    recipe: str, *, data: Path, output: Path, changes: tuple[str, ...], options: RunOptions
) -> None:
    """Train in processes of their own: those that share one run's work cannot begin another's."""
    words = [sys.executable, "-m", "grainless", "train", recipe, "--data", str(data), "-o", str(output)]
    words += ["--devices", str(options.devices), "--max-minutes", str(options.max_minutes)]
    words += [word for change in changes for word in ("--set", change)]
    words += ["--resume"] if options.resume else []
    with subprocess.Popen(words) as training:  # noqa: S603  # our own program
        try:
            code = training.wait()
        except KeyboardInterrupt:
            # The training heard of it too, and ends its step to write a checkpoint; a second one ends it.
            training.wait()
            raise
    if code:
        raise TrainingError(
            f"{output} was not trained to its end",
            got=f"exit code {code}",
            remedy="The reason stands above",
        )


def _export(study: Study, form: str, output: Path) -> FormResult:
    """Export one form unless its model is newer than the end of its training; return what became of it."""
    run, model = _run_folder(study, form, output), output / f"{study.run_name(form)}.onnx"
    summary = run / SUMMARY_FILE
    if not model.is_file() or model.stat().st_mtime < summary.stat().st_mtime:
        export_run(run, model)
    return FormResult(
        form=form, recipe=load_run_recipe(run), summary=read_json(summary), run=run, model=model
    )
