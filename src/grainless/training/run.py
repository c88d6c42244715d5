"""One training run: from a recipe and a folder of pictures to checkpoints, logs and samples."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, default_collate

from grainless.errors import TrainingError
from grainless.training.adversarial import build_task
from grainless.training.callbacks import (
    AverageOfWeights,
    PictureCount,
    RollBack,
    RunClock,
    SamplePictures,
    WaitingTime,
)
from grainless.training.checkpoints import (
    FinalCheckpoint,
    MovedRun,
    TimedCheckpoint,
    WholeFiles,
    read_checkpoint,
)
from grainless.training.health import TrainingHealth
from grainless.training.interruption import Interruption
from grainless.training.patches import (
    ResumableLoader,
    StepBatches,
    TrainingPatches,
    ValidationPatches,
    start_worker,
)
from grainless.training.progress import ProgressLine, decoding_bar
from grainless.training.recipe import Recipe
from grainless.training.run_folder import (
    BEST,
    LAST,
    RECIPE_FILE,
    SUMMARY_FILE,
    Limits,
    alone_in,
    check_free,
    check_outside,
    keep_limits,
    leads,
    resolve_recipe,
)
from grainless.training.sources import (
    DATA_FILE,
    TrainingSource,
    check_data,
    describe_source,
    open_source,
    reopen_source,
    report_faults,
    write_json,
    write_split,
)
from grainless.training.starting import load_exported, read_start, settle_norms, write_start
from grainless.training.task import SupervisedTask
from grainless.training.team import Team, joined
from grainless.version import __version__

logger = logging.getLogger("grainless")

SETTLING_BATCHES = 16
"""So many batches tell a network that was taken over the statistics of its norms."""
HARMLESS = (
    # The run folder holds recipe and pixels by then, and checkpoints that are meant to be replaced.
    r"Checkpoint directory .* exists and is not empty",
    # Lightning calls a part of torch that is to change; neither is the caller's.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # A finished run that is resumed has no step left, and its last part may be shorter than the others.
    r"Total length of `\w+` across ranks is zero",
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    # How many workers are enough is seen in the logged share of waiting, not by the number of processors.
    r"The '\w+' does not have many workers",
)
"""How warnings begin that say nothing to somebody who trains; each with its reason."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out, beyond its recipe."""

    resume: bool = False
    """Go on from the last checkpoint in the run folder."""
    max_minutes: float | None = None
    """End after so many minutes, all parts of a resumed run counted; the rate falls to its end by then.

    A resumed run without a limit of its own keeps the one that it had; infinity lifts it.
    """
    start_from: str | None = None
    """Begin with the weights of this exported model, by name or path, instead of random ones."""
    limit_train: int | None = None
    """Use only so many pictures; a resumed run uses as many as before."""
    devices: int = 1
    """Processors or graphics cards to train on, on each machine."""
    nodes: int = 1
    """Machines; torchrun or SLURM starts the processes on them."""


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
    if options.max_minutes is not None and not options.max_minutes > 0:
        raise TrainingError("A run needs time", got=f"{options.max_minutes} minutes", expected="more than 0")
    if options.start_from is not None and options.resume:
        raise TrainingError(
            "A resumed run keeps the weights that it has",
            got=f"--start-from {options.start_from}",
            remedy="Leave it out, or begin a new run in another folder",
        )
    with joined(devices=options.devices, nodes=options.nodes) as team:
        resolved = resolve_recipe(recipe, output, changes=changes, resume=options.resume)
        L.seed_everything(resolved.schedule.seed, verbose=False)
        # Built before anything is written: what is wrong with the network's settings shows here.
        task = build_task(resolved)
        if leads():
            check_data(data, resolved)
            check_outside(output, data)
        begins = leads() and not options.resume
        if begins:
            # Nothing is left in a folder that is not taken.
            check_free(output)
            output.mkdir(parents=True, exist_ok=True)
        with alone_in(output):
            if begins:
                # Another training may have begun in it meanwhile.
                check_free(output)
                write_json(output / RECIPE_FILE, resolved.model_dump(mode="json"))
                # What an earlier attempt noted there, such as the model that it was to begin with, is over.
                (output / DATA_FILE).unlink(missing_ok=True)
                if options.start_from is not None:
                    write_start(output, options.start_from)
            limits = keep_limits(
                output, Limits(options.max_minutes, options.limit_train), resume=options.resume
            )
            options = replace(options, max_minutes=limits.minutes, limit_train=limits.pictures)
            summary = _carry_out(task, data, output, options, team)
    if not leads():
        # This process was started by the first one to share the work; what follows is the first one's.
        sys.exit(0)
    return summary


def _carry_out(
    task: SupervisedTask, data: Path, output: Path, options: RunOptions, team: Team
) -> dict[str, Any]:
    """Decode the pictures, train, and write the summary."""
    if not leads():
        source = reopen_source(output, task.recipe)
    else:
        with decoding_bar() as progress:
            source = open_source(data, task.recipe, output, limit=options.limit_train, progress=progress)
        describe_source(source, data)
        write_split(source, output, data=data, resume=options.resume)
        if not options.resume:
            section = task.recipe.data
            report_faults(source, data, pairs=section.pairs if section.kind == "pairs" else ())
        # Until this part ends, nothing says how far the run is: a part that is killed leaves no summary.
        (output / SUMMARY_FILE).unlink(missing_ok=True)
        team.meet()
    # A run that was killed before its first checkpoint begins once more.
    begins = _checkpoint_to_go_on_from(output) is None
    if leads() and options.resume and begins:
        logger.info("Nothing was saved before the run in %s stopped: it begins anew", output)
    if begins and (start := read_start(output)) is not None:
        _start_from(start, task, source)
    summary = _fit(task, source, output, options, team)
    if leads():
        write_json(output / SUMMARY_FILE, summary)
    return summary


def _start_from(model: str, task: SupervisedTask, source: TrainingSource) -> None:
    """Give the task's network the weights of an exported model, and its norms their statistics."""
    load_exported(task.net, model)
    patches, section = TrainingPatches(source, task.recipe), task.recipe.schedule
    side = task.recipe.data.patch[0]
    # Numbers behind those of the run: no patch is seen twice.
    first = section.steps * section.batch
    batches = [
        default_collate([patches[first + step * section.batch + i, side] for i in range(section.batch)])
        for step in range(SETTLING_BATCHES)
    ]
    settle_norms(task.net, batches)
    logger.info("The weights of %s were taken over", model)


def _start_method() -> str:
    """Return how workers are started: by forks of a clean process where the system has them."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _start_server() -> None:
    """Start what workers are forked from so that it, and they, never see Ctrl-C.

    `start_worker` comes too late for that: a worker that is still importing would die of it, and the run.
    """
    if _start_method() != "forkserver" or threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _fit(
    task: SupervisedTask, source: TrainingSource, output: Path, options: RunOptions, team: Team
) -> dict[str, Any]:
    """Train, and return the summary."""
    recipe = task.recipe
    clock, count, waiting = RunClock(options.max_minutes), PictureCount(), WaitingTime()
    task.progress = lambda step: clock.progress(step, recipe.schedule.steps)
    best = _best_checkpoint(output)
    timed = TimedCheckpoint(output / LAST, minutes=recipe.schedule.checkpoint_minutes)
    interruption = Interruption(output / LAST)
    # Waiting is counted from behind what the others do at the end of a step.
    around = [clock, count, *_callbacks(recipe, output, clock), interruption, timed, best, waiting]
    if recipe.schedule.workers:
        _start_server()
    with _quiet_lightning(), interruption.handling():
        trainer = _trainer(task, output, team, around)
        training, validation = _loaders(recipe, source, task, trainer)
        checkpoint = _checkpoint_to_go_on_from(output) if options.resume else None
        if checkpoint is not None:
            # Lightning's own errors are not for users.
            read_checkpoint(checkpoint, whole=True)
        trainer.fit(task, training, validation, ckpt_path=checkpoint, weights_only=True)
    return {
        "version": 1,
        "grainless": __version__,
        "recipe": recipe.name,
        "steps": trainer.global_step,
        "pictures": count.pictures,
        "minutes": round(clock.seconds / 60, 2),
        "max_minutes": clock.max_minutes,
        "finished": trainer.global_step >= recipe.schedule.steps,
        "best_psnr": None if best.best_model_score is None else round(float(best.best_model_score), 3),
        "waiting": round(waiting.share, 4),
    }


def _checkpoint_to_go_on_from(output: Path) -> Path | None:
    """Return the run's last checkpoint, or else its best; None where there is none yet."""
    return next((file for file in (output / LAST, output / BEST) if file.is_file()), None)


def _callbacks(recipe: Recipe, output: Path, clock: RunClock) -> list[Callback]:
    """Return what goes on around the steps; the average of the weights comes last, as the others ask for."""
    callbacks: list[Callback] = [
        RollBack(),
        TrainingHealth(),
        ProgressLine(clock, steps=recipe.schedule.steps),
        SamplePictures(output / "samples"),
        MovedRun(output),
        FinalCheckpoint(output / LAST),
    ]
    if recipe.optimiser.ema > 0:
        callbacks.append(AverageOfWeights(recipe.optimiser.ema))
    return callbacks


def _best_checkpoint(output: Path) -> ModelCheckpoint:
    """Return what keeps the state with the best validation."""
    return ModelCheckpoint(
        dirpath=output,
        filename="best",
        monitor="psnr",
        mode="max",
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep to ourselves what Lightning and torch say about things that are meant to be as they are."""
    talk = logging.getLogger("lightning.pytorch")
    before = talk.level
    # Which accelerators there are, why training stopped, tips for products: the run says what matters itself.
    talk.setLevel(max(before, logging.WARNING))
    try:
        with warnings.catch_warnings():
            for harmless in HARMLESS:
                warnings.filterwarnings("ignore", message=harmless)
            yield
    finally:
        talk.setLevel(before)


def _trainer(task: SupervisedTask, output: Path, team: Team, callbacks: list[Callback]) -> L.Trainer:
    """Return Lightning's Trainer, set up by the task's recipe."""
    recipe, automatic = task.recipe, task.automatic_optimization
    every = min(50, recipe.schedule.validate_every)
    # Lightning's CSV logger empties the folder that it is given: each part of a resumed run has its own.
    part = len(list((output / "csv").glob("part-*")))
    try:
        return L.Trainer(
            max_steps=recipe.schedule.steps,
            max_epochs=-1,
            precision=recipe.schedule.precision,
            devices=team.devices,
            num_nodes=team.nodes,
            strategy="auto" if team.alone else "ddp" if automatic else "ddp_find_unused_parameters_true",
            use_distributed_sampler=False,
            # A GAN clips by itself, as it makes two steps of each batch.
            gradient_clip_val=recipe.optimiser.clip_norm if automatic else None,
            callbacks=callbacks,
            plugins=[WholeFiles(), *([team.environment] if team.environment else [])],
            logger=[
                CSVLogger(output, name="csv", version=f"part-{part}", flush_logs_every_n_steps=1),
                TensorBoardLogger(output, name="", version="tensorboard"),
            ],
            log_every_n_steps=every,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise TrainingError(
            "Training cannot be set up on this machine", got=f"{team.devices} device(s): {error}"
        ) from error


def _loaders(
    recipe: Recipe, source: TrainingSource, task: SupervisedTask, trainer: L.Trainer
) -> tuple[ResumableLoader, DataLoader[Any]]:
    """Return the loaders of both splits."""
    batches = StepBatches(
        recipe,
        task.progress,
        step=lambda: trainer.global_step,
        rank=trainer.global_rank,
        ranks=trainer.world_size,
    )
    workers = recipe.schedule.workers
    return (
        ResumableLoader(
            TrainingPatches(source, recipe),
            batch_sampler=batches,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            multiprocessing_context=_start_method() if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=start_worker,
        ),
        DataLoader(ValidationPatches(source, recipe, stride=task.net.stride), batch_size=4),
    )
