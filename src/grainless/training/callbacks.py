"""What happens around the steps of a run: the clock, counts, waiting time, roll-back, sample pictures."""

from __future__ import annotations

import copy
import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor

from grainless.errors import TrainingError
from grainless.picture import Metadata, Picture, write_picture
from grainless.training.task import SupervisedTask

logger = logging.getLogger("grainless")


class AverageOfWeights(WeightAveraging):
    """Validates and keeps an exponential moving average of the weights (Polyak, Juditsky 1992).

    The decay begins low, at step n it is at most (1 + n) / (10 + n), so that the average of a short run is
    not that of its first steps. Buffers are those of the network itself: statistics of norms are averages
    already, and averaged once more they would lag behind the weights that were trained with newer ones.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
            held = min(decay, (1 + int(count)) / (10 + int(count)))
            return averaged.lerp(current, 1 - held)

        super().__init__(use_buffers=False, avg_fn=average)


class RunClock(Callback):
    """Counts the minutes of a run over all its resumptions, and ends it when they are spent."""

    def __init__(self, max_minutes: float | None) -> None:
        self.max_seconds = None if max_minutes is None else max_minutes * 60
        self._before = 0.0
        self._started: float | None = None
        self._agreed = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training so far, earlier parts of a resumed run counted in."""
        return self._before + (0.0 if self._started is None else time.monotonic() - self._started)

    @property
    def max_minutes(self) -> float | None:
        """The limit that holds, None where there is none."""
        if self.max_seconds is None or math.isinf(self.max_seconds):
            return None
        return self.max_seconds / 60

    def progress(self, step: int, steps: int) -> float:
        """Return the share of the run that is done, by steps or by time, whichever is further.

        Time is that at the end of the last step, on the first of several processes: all must go on at the
        same rate, or their weights would drift apart.
        """
        by_steps = step / steps
        return by_steps if self.max_seconds is None else max(by_steps, self._agreed / self.max_seconds)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start to count."""
        self._started = time.monotonic()
        self._agreed = self._before

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Ask the trainer to stop once the steps are done or the time is spent."""
        if trainer.global_step >= trainer.max_steps:
            # Lightning stops by itself, but without a validation where the last pass is shorter than others.
            trainer.should_stop = True
        if self.max_seconds is None:
            return
        self._agreed = float(trainer.strategy.broadcast(self.seconds))
        if self._agreed >= self.max_seconds:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, float | None]:
        """Return the seconds so far, and the limit."""
        return {"seconds": self.seconds, "max_seconds": self.max_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the seconds of an earlier part, under its limit unless there is a new one."""
        self._before = self._agreed = state_dict["seconds"]
        if self.max_seconds is None:
            self.max_seconds = state_dict.get("max_seconds")


class PictureCount(Callback):
    """Counts the pictures (patches of them) that a run has learned from, over all its resumptions."""

    def __init__(self) -> None:
        self.pictures = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add what went in, on each of the processes."""
        self.pictures += len(batch["noisy"]) * trainer.world_size

    def state_dict(self) -> dict[str, int]:
        """Return the count."""
        return {"pictures": self.pictures}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from the count of an earlier part."""
        self.pictures = state_dict["pictures"]


class WaitingTime(Callback):
    """Logs the share of time in which the trainer waited for data, as `waiting`."""

    def __init__(self) -> None:
        self._last_end: float | None = None
        self._last_start = 0.0
        self.waited = self.worked = 0.0

    @property
    def share(self) -> float:
        """Seconds waited per second of stepping and waiting; 0 before the first step."""
        return self.waited / max(1e-9, self.waited + self.worked)

    def on_train_batch_start(self, *_: Any) -> None:
        """Close a waiting time."""
        self._last_start = time.perf_counter()
        if self._last_end is not None:
            self.waited += self._last_start - self._last_end

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Open a waiting time."""
        self._last_end = time.perf_counter()
        self.worked += self._last_end - self._last_start
        pl_module.log("waiting", self.share)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Open a waiting time behind a validation, which is left out of the count."""
        if self._last_end is not None:
            self._last_end = time.perf_counter()


class RollBack(Callback):
    """Restores the last good weights when the loss or the gradient is not a number, and says so.

    A copy of weights and optimiser is kept every `every` steps. More than `patience` roll-backs within that
    many steps end the run with TrainingError: then the recipe is at fault, not one batch.
    """

    def __init__(self, *, every: int = 100, patience: int = 5) -> None:
        self._every, self._patience = every, patience
        self._good: tuple[int, dict[str, Any], list[dict[str, Any]]] | None = None
        self._rolled_back: list[int] = []
        self._loss = torch.zeros(())

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the first good state."""
        self._keep(trainer, pl_module)

    def on_before_backward(
        self, trainer: L.Trainer, pl_module: L.LightningModule, loss: torch.Tensor
    ) -> None:
        """Take the loss down: that of L1 has a gradient even where it is not a number itself."""
        self._loss = loss.detach()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check the loss and the gradient before they reach the weights."""
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
        # One process with a bad loss stops all: they must keep the same weights.
        if trainer.strategy.reduce_boolean_decision(bool(torch.isfinite(norm + self._loss)), all=True):
            if trainer.global_step % self._every == 0:
                self._keep(trainer, pl_module)
            return
        self._restore(trainer, pl_module)
        optimizer.zero_grad(set_to_none=True)

    def _keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy weights and optimiser."""
        self._good = (
            trainer.global_step,
            copy.deepcopy(pl_module.state_dict()),
            [copy.deepcopy(optimiser.state_dict()) for optimiser in trainer.optimizers],
        )

    def _restore(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the copy back, or give up."""
        step = trainer.global_step
        self._rolled_back = [past for past in self._rolled_back if step - past <= self._every] + [step]
        if self._good is None or len(self._rolled_back) > self._patience:
            raise TrainingError(
                "The loss is not a number again and again",
                got=f"{len(self._rolled_back)} times within {self._every} steps, last at step {step}",
                remedy="Lower optimiser.rate, or set schedule.precision=32-true",
            )
        kept, weights, states = self._good
        pl_module.load_state_dict(weights)
        for optimiser, state in zip(trainer.optimizers, states, strict=True):
            optimiser.load_state_dict(copy.deepcopy(state))
        if not trainer.is_global_zero:
            return
        logger.warning(
            "Step %d: the loss or its gradient is not a number; "
            "weights rolled back to step %d, this batch is left out.",
            step,
            kept,
        )


class SamplePictures(Callback):
    """Writes a grid of noisy, cleaned and clean validation crops at each validation.

    It has to stand before the average of the weights, which is what is validated: at the end of a validation
    that puts the weights themselves back.
    """

    def __init__(self, folder: Path, *, rows: int = 6) -> None:
        self._folder, self._rows = folder, rows

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Clean one crop of each noise and write the grid as PNG."""
        loaders = trainer.val_dataloaders
        if not trainer.is_global_zero or loaders is None or not isinstance(pl_module, SupervisedTask):
            return
        patches = loaders.dataset
        rows = min(self._rows, len(patches.noises))
        pictures = len(patches) // len(patches.noises)
        lines = []
        for kind in range(rows):
            item = patches[kind * pictures + kind % pictures]
            batch = {key: value[None].to(pl_module.device) for key, value in item.items()}
            with torch.no_grad():
                restored = pl_module.answer(batch)[0].clamp(0, 1).cpu()
            parts = (item["noisy"].clamp(0, 1), restored, item["clean"])
            lines.append(np.concatenate([part.numpy() for part in parts], axis=2))
        grid = np.rint(np.concatenate(lines, axis=1).transpose(1, 2, 0) * 255).astype(np.uint8)
        self._folder.mkdir(parents=True, exist_ok=True)
        picture = Picture(pixels=grid, alpha=None, metadata=Metadata(), format="png")
        write_picture(picture, self._folder / f"step-{trainer.global_step:07d}.png")
