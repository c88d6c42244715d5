"""What a run says about how far it is: while its pictures are decoded, and while it trains."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from grainless.training.callbacks import RunClock

logger = logging.getLogger("grainless")


@contextmanager
def decoding_bar() -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how much of the pictures is decoded; call the result with what is done and in total.

    Nothing is shown where nothing has to be decoded, as then it is never called.
    """
    columns = (TextColumn("decoding"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def progress_text(place: str, *, loss: float, psnr: float | None, seconds_left: float | None) -> str:
    """Return one line on a run: where it is, loss, validation PSNR in dB and time left, as far as known."""
    text = f"{place}  loss {loss:.5f}"
    if psnr is not None:
        text += f"  PSNR {psnr:.2f} dB"
    if seconds_left is not None:
        minutes, seconds = divmod(int(seconds_left), 60)
        text += f"  {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
    return text


class ProgressLine(Callback):
    """One bar over the whole run: loss, validation PSNR and time left."""

    def __init__(self, clock: RunClock, *, steps: int) -> None:
        self._clock, self._steps = clock, steps
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._first: tuple[float, float] | None = None
        self._loss = float("nan")
        self._spoken = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar; without a terminal a line is logged every minute instead."""
        self._first = (time.monotonic(), self._clock.progress(trainer.global_step, self._steps))
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        bar = Progress(*columns, console=Console(stderr=True), refresh_per_second=2)
        if bar.console.is_terminal and trainer.is_global_zero:
            self._bar = bar
            self._task = bar.add_task("starting", total=1.0)
            bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Move the bar."""
        now = time.monotonic()
        due = self._bar is not None and trainer.global_step % 10 == 0
        if not due and now - self._spoken < 60:
            return
        loss = float(trainer.callback_metrics.get("loss", float("nan")))
        if math.isfinite(loss):
            # A bar shows ten steps a line, which would flicker; a line a minute shows the last step.
            smooth = 0.9 if self._bar is not None and math.isfinite(self._loss) else 0.0
            self._loss = (smooth * self._loss if smooth else 0.0) + (1 - smooth) * loss
        done = self._clock.progress(trainer.global_step, self._steps)
        text = progress_text(
            f"step {trainer.global_step}/{self._steps}",
            loss=self._loss,
            psnr=float(trainer.callback_metrics["psnr"]) if "psnr" in trainer.callback_metrics else None,
            seconds_left=self._seconds_left(done, now),
        )
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, description=text)
        elif trainer.is_global_zero:
            logger.info("%s", text)
        self._spoken = now

    def _seconds_left(self, done: float, now: float) -> float | None:
        """Return how long the rest takes at the pace since this part of the run began."""
        if self._first is None or done <= self._first[1]:
            return None
        return max(0.0, (now - self._first[0]) / (done - self._first[1]) * (1 - done))

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
