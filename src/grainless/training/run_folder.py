"""The folder of a run: what lies in it, who may train in it, and by which recipe."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from grainless.atomic import TEMPORARY, remove_unfinished
from grainless.errors import OutputExistsError, RecipeError, TrainingError
from grainless.training.recipe import Recipe, check_recipe, load_recipe
from grainless.training.sources import DATA_FILE, PIXELS, read_json, write_json

logger = logging.getLogger("grainless")

RECIPE_FILE, SUMMARY_FILE = "recipe.json", "summary.json"
LAST, BEST = "last.ckpt", "best.ckpt"
LOCK = ".lock"
"""Held by the training that is at work in a run folder."""
LIMITS_FILE = "limits.json"
"""Holds the limits of time and pictures under which the run goes on."""
UNTRAINED = {RECIPE_FILE, DATA_FILE, PIXELS, LOCK, LIMITS_FILE}
"""What lies in a run folder before its training begins."""


def leads() -> bool:
    """Return whether this is the first of the processes that train together: it alone writes and speaks."""
    told = "LOCAL_RANK"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # torchrun, on several machines perhaps: only one process of all leads.
        told = "RANK"
    elif told not in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        told = "SLURM_PROCID"
    return os.environ.get(told, "0") == "0"


@contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Hold the run folder for one training and those that share its work; TrainingError if it is taken."""
    if not leads():
        yield
        return
    # The system lets go of it when the process ends, however that happens.
    lock = FileLock(output / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrainingError(
            f"Another training is at work in {output}", remedy="Wait for its end, or train in another folder"
        ) from error
    try:
        # What a training that was killed left half-written.
        remove_unfinished(output)
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Limits:
    """What ends a run before its recipe does, and what it leaves out."""

    minutes: float | None = None
    """Infinity lifts a limit, also one that a checkpoint holds."""
    pictures: int | None = None


def keep_limits(output: Path, limits: Limits, *, resume: bool) -> Limits:
    """Note the limits of a run, and return them; a resumed run without new ones gets those noted.

    The state of a run holds its minutes too, but none is saved in its first minutes. All processes that share
    the work get the same, or they would wait for each other.
    """
    file = output / LIMITS_FILE
    if resume and file.is_file():
        table = read_json(file)
        noted = Limits(
            math.inf if table.get("max_minutes") is None else float(table["max_minutes"]),
            table.get("limit_train"),
        )
        limits = Limits(
            noted.minutes if limits.minutes is None else limits.minutes,
            noted.pictures if limits.pictures is None else limits.pictures,
        )
    elif resume and limits.minutes is None:
        # A run from before limits were noted: its last state has them.
        return limits
    if leads():
        minutes = None if limits.minutes is None or math.isinf(limits.minutes) else limits.minutes
        write_json(file, {"version": 1, "max_minutes": minutes, "limit_train": limits.pictures})
    return limits


def load_run_recipe(run: Path) -> Recipe:
    """Return the resolved recipe of a run folder; raises TrainingError if the folder is no run."""
    file = run / RECIPE_FILE
    if not file.is_file():
        raise TrainingError(
            f"{run} is not the folder of a training run",
            got=f"no {RECIPE_FILE} in it",
            remedy="Pass the folder that was given to `grainless train -o`",
        )
    return check_recipe(read_json(file), source=str(file))


def check_outside(output: Path, data: Path) -> None:
    """Raise TrainingError for a run folder among the pictures: what the run writes would be trained on."""
    if data.resolve() in (output.resolve(), *output.resolve().parents):
        raise TrainingError(
            "The run folder lies in the data", got=f"{output} in {data}", remedy="Pass a folder elsewhere"
        )


def resolve_recipe(recipe: str | Path, output: Path, *, changes: Sequence[str], resume: bool) -> Recipe:
    """Return the recipe of the run: the one in the folder when it is resumed, else the one asked for."""
    if not leads():
        return load_run_recipe(output)
    if not resume:
        return load_recipe(recipe, changes)
    if changes:
        raise TrainingError(
            "A resumed run keeps its recipe", got=f"--set {' '.join(changes)}", remedy="Leave out --set"
        )
    kept = load_run_recipe(output)
    if _name_of(recipe) != kept.name:
        logger.warning(
            "The run in %s goes on by its own recipe, %s, and not by %s", output, kept.name, recipe
        )
    return kept


def _name_of(recipe: str | Path) -> str:
    """Return the name of a recipe, also of one whose file is there no more."""
    try:
        return load_recipe(recipe).name
    except RecipeError:
        return Path(recipe).stem


def check_free(output: Path) -> None:
    """Raise OutputExistsError for a folder with files in it; one in which no training began is free."""
    if output.exists() and not output.is_dir():
        raise OutputExistsError(f"{output} is a file", expected="a folder for the run")
    names = {entry.name for entry in output.iterdir()} if output.is_dir() else set()
    if {name for name in names if not name.startswith(TEMPORARY)} - UNTRAINED:
        raise OutputExistsError(
            f"The run folder {output} is not empty",
            remedy="Pass --resume to go on with the run in it, or another folder",
        )
