"""One training run: from a recipe and a folder of pictures to checkpoints, logs and samples."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from grainless import __version__
from grainless.datasets import PictureRequirement, PixelStore, split_names, store_pixels
from grainless.errors import OutputExistsError, TrainingError
from grainless.training.callbacks import (
    FinalCheckpoint,
    ProgressLine,
    RollBack,
    RunClock,
    SamplePictures,
    WaitingTime,
)
from grainless.training.patches import ResumableLoader, StepBatches, TrainingPatches, ValidationPatches
from grainless.training.recipe import Recipe, check_recipe, load_recipe
from grainless.training.task import SupervisedTask

logger = logging.getLogger("grainless")

RECIPE_FILE, DATA_FILE = "recipe.json", "data.json"
LAST, BEST = "last.ckpt", "best.ckpt"
PIXELS = "pixels"


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out, beyond its recipe."""

    resume: bool = False
    """Go on from the last checkpoint in the run folder."""
    max_minutes: float | None = None
    """End after so many minutes, all parts of a resumed run counted; the rate falls to its end by then."""
    limit_train: int | None = None
    """Use only so many pictures."""
    devices: int = 1
    """Processors or graphics cards to train on."""


def train_run(
    recipe: str | Path,
    *,
    data: Path,
    output: Path,
    changes: Sequence[str] = (),
    options: RunOptions | None = None,
) -> dict[str, Any]:
    """Train by a recipe, and return a summary: steps, minutes, best PSNR in dB, share of time waiting.

    `output` becomes the run folder: the resolved recipe, the split, `last.ckpt` and `best.ckpt`, CSV and
    TensorBoard logs, sample pictures. A resumed run goes on where its last checkpoint was, by the recipe that
    lies in the run folder. Raises RecipeError, DataError, OutputExistsError, TrainingError.
    """
    options = options or RunOptions()
    resolved = _prepare_folder(recipe, output, changes=changes, resume=options.resume)
    store = _store(resolved, data, output, options.limit_train)
    _write_split(resolved, store, output, data)
    L.seed_everything(resolved.schedule.seed, verbose=False)
    task = SupervisedTask(resolved)
    clock = RunClock(options.max_minutes)
    task.progress = lambda step: clock.progress(step, resolved.schedule.steps)
    waiting = WaitingTime()
    best, last = _checkpoints(resolved, output)
    around = [clock, waiting, *_callbacks(resolved, output, clock)]
    trainer = _trainer(
        resolved, output, options.devices, [*around, best, last, FinalCheckpoint(output / LAST)]
    )
    training, validation = _loaders(resolved, store, task, trainer)
    checkpoint = output / LAST
    trainer.fit(
        task,
        training,
        validation,
        ckpt_path=checkpoint if options.resume and checkpoint.is_file() else None,
        # The run's own checkpoint holds settings and paths beside tensors.
        weights_only=False,
    )
    summary = {
        "version": 1,
        "grainless": __version__,
        "recipe": resolved.name,
        "steps": trainer.global_step,
        "minutes": round(clock.seconds / 60, 2),
        "finished": trainer.global_step >= resolved.schedule.steps,
        "best_psnr": None if best.best_model_score is None else round(float(best.best_model_score), 3),
        "waiting": round(waiting.share, 4),
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def load_run_recipe(run: Path) -> Recipe:
    """Return the resolved recipe of a run folder; raises TrainingError if the folder is no run."""
    file = run / RECIPE_FILE
    if not file.is_file():
        raise TrainingError(
            f"{run} is not the folder of a training run",
            got=f"no {RECIPE_FILE} in it",
            remedy="Pass the folder that was given to `grainless train -o`",
        )
    return check_recipe(json.loads(file.read_text(encoding="utf-8")), source=str(file))


def _prepare_folder(recipe: str | Path, output: Path, *, changes: Sequence[str], resume: bool) -> Recipe:
    """Return the recipe of the run: the one in the folder when it is resumed, else the one asked for."""
    if resume:
        if changes:
            raise TrainingError(
                "A resumed run keeps its recipe", got=f"--set {' '.join(changes)}", remedy="Leave out --set"
            )
        return load_run_recipe(output)
    resolved = load_recipe(recipe, changes)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputExistsError(
            f"The run folder {output} is not empty",
            remedy="Pass --resume to go on with the run in it, or another folder",
        )
    output.mkdir(parents=True, exist_ok=True)
    (output / RECIPE_FILE).write_text(resolved.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return resolved


def _store(recipe: Recipe, data: Path, output: Path, limit: int | None) -> PixelStore:
    """Decode the pictures into the run folder and say which were skipped."""
    requirement = PictureRequirement(min_side=recipe.data.min_side, channels=recipe.data.channels)
    store = store_pixels(data, output / PIXELS, requirement=requirement, limit=limit)
    for skipped in store.skipped:
        logger.warning("Skipped %s: %s", skipped.name, skipped.reason)
    logger.info("%d pictures from %s, %d skipped", len(store), data, len(store.skipped))
    return store


def _split(recipe: Recipe, store: PixelStore) -> tuple[list[int], list[int]]:
    """Return the positions of training and validation pictures in the store."""
    training, validation = split_names(
        store.names, listed=recipe.data.validation, share=recipe.data.validation_share
    )
    position = {name: i for i, name in enumerate(store.names)}
    return [position[name] for name in training], [position[name] for name in validation]


def _write_split(recipe: Recipe, store: PixelStore, output: Path, data: Path) -> None:
    """Write which pictures the run trains on, validates on and skipped."""
    training, validation = _split(recipe, store)
    content = {
        "version": 1,
        "folder": data.name,
        "training": [store.names[i] for i in training],
        "validation": [store.names[i] for i in validation],
        "skipped": [vars(skipped) for skipped in store.skipped],
    }
    (output / DATA_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _callbacks(recipe: Recipe, output: Path, clock: RunClock) -> list[Callback]:
    """Return what goes on around the steps; the average comes before the checkpoints that hold it."""
    callbacks: list[Callback] = [RollBack(), ProgressLine(clock, steps=recipe.schedule.steps)]
    if recipe.optimiser.ema > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.optimiser.ema))
    return [*callbacks, SamplePictures(output / "samples")]


def _checkpoints(recipe: Recipe, output: Path) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """Return what writes the best and the last state; both replace their file in one step."""
    best = ModelCheckpoint(
        dirpath=output,
        filename="best",
        monitor="psnr",
        mode="max",
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        dirpath=output,
        filename="last",
        train_time_interval=timedelta(minutes=recipe.schedule.checkpoint_minutes),
        save_on_exception=True,
        enable_version_counter=False,
    )
    return best, last


def _trainer(recipe: Recipe, output: Path, devices: int, callbacks: list[Callback]) -> L.Trainer:
    """Return Lightning's Trainer, set up by the recipe."""
    return L.Trainer(
        max_steps=recipe.schedule.steps,
        max_epochs=-1,
        precision=recipe.schedule.precision,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        use_distributed_sampler=False,
        gradient_clip_val=recipe.optimiser.clip_norm,
        callbacks=callbacks,
        logger=[
            CSVLogger(output, name="", version="csv"),
            TensorBoardLogger(output, name="", version="tensorboard"),
        ],
        log_every_n_steps=min(50, recipe.schedule.validate_every),
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _loaders(
    recipe: Recipe, store: PixelStore, task: SupervisedTask, trainer: L.Trainer
) -> tuple[ResumableLoader, DataLoader[Any]]:
    """Return the loaders of both splits."""
    training, validation = _split(recipe, store)
    batches = StepBatches(recipe, task.progress, step=lambda: trainer.global_step, rank=trainer.global_rank)
    workers = recipe.schedule.workers
    return (
        ResumableLoader(
            TrainingPatches(store, training, recipe),
            batch_sampler=batches,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            multiprocessing_context="forkserver" if workers else None,
            persistent_workers=workers > 0,
        ),
        DataLoader(ValidationPatches(store, validation, recipe), batch_size=4),
    )
