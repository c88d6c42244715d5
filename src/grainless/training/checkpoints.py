"""Checkpoint files of a run: written whole or not at all, read with an error in words."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from grainless.atomic import replace_file
from grainless.errors import TrainingError


class WholeFiles(TorchCheckpointIO):
    """Writes each checkpoint beside its place and then renames it, so that a kill never leaves half a file.

    Lightning's own writer moves the file in from the system's temporary folder, which is a slow copy where
    that lies on another disk. Raises TrainingError where the file cannot be written.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write the state of a run to `path`; there are no storage options."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            replace_file(Path(path), buffer.getvalue())
        except OSError as error:
            raise TrainingError(
                f"The checkpoint {path} cannot be written",
                got=error.strerror or str(error),
                remedy="Free some disk and go on with --resume",
            ) from error


def read_checkpoint(path: Path, *, whole: bool = False) -> dict[str, Any]:
    """Return what lies in a checkpoint, tensors on the CPU; raises TrainingError where that is no checkpoint.

    Nothing in the file is run: only tensors and plain values are loaded. A `whole` one has all that a run
    needs to go on, else weights are enough.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises depends on the bytes that it meets
        # Behind the first sentence stands advice for those who write loaders.
        reason = [line.split(". ")[0] for line in str(error).strip().splitlines()[:1]]
        raise TrainingError(
            f"{path} cannot be read as a checkpoint",
            got=reason[0] if reason else type(error).__name__,
            remedy="It is damaged; without it the run goes on from its other checkpoint, or begins anew",
        ) from error
    held = {"state_dict", "global_step", *({"pytorch-lightning_version"} if whole else ())}
    if not isinstance(state, dict) or not held <= state.keys():
        raise TrainingError(f"{path} is not a checkpoint of a training run")
    return state


class TimedCheckpoint(Callback):
    """Writes the state every so many minutes, at the end of a step.

    Lightning's own does so only where it makes the optimiser's steps itself, not for a GAN. It has to stand
    behind the average of the weights, which is updated at the end of a step, too.
    """

    def __init__(self, path: Path, *, minutes: float) -> None:
        self._path, self._seconds = path, minutes * 60
        self._written = time.monotonic()

    def on_train_start(self, *_: Any) -> None:
        """Start to count."""
        self._written = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Write it if the time is over, on the first of several processes."""
        if trainer.strategy.broadcast(time.monotonic() - self._written >= self._seconds):
            trainer.save_checkpoint(self._path)
            self._written = time.monotonic()


class FinalCheckpoint(Callback):
    """Writes the state at the regular end of a run, which no time interval would catch.

    It has to stand before the average of the weights, which replaces the weights at the end of training: the
    run could not go on from there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write it."""
        trainer.save_checkpoint(self._path)


class MovedRun(Callback):
    """Lets a run go on in a folder that was moved: the record of the best checkpoint moves with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Replace the old folder in the states of what writes checkpoints."""
        for state in checkpoint["callbacks"].values():
            if "dirpath" not in state:
                continue
            state["dirpath"] = str(self._folder)
            for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                state[key] = self._moved(state[key])
            state["best_k_models"] = {
                self._moved(path): score for path, score in state["best_k_models"].items()
            }

    def _moved(self, path: str) -> str:
        return str(self._folder / Path(path).name) if path else path
