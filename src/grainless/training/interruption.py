"""Ctrl-C in a run: it stops at the end of a step, where the state is whole, and saves that."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class Interruption(Callback):
    """Saves and stops between two steps once Ctrl-C was pressed; a second Ctrl-C does not wait.

    In the middle of a step weights and optimiser may be half updated, and in a validation the average stands
    in for the weights: neither is a state to go on from. So the state is also saved before each validation.
    It has to stand behind the average of the weights, which is updated at the end of a step, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted = False

    def request(self, *_: Any) -> None:
        """Ask for the stop: the handler of the signal."""
        if self._wanted:
            raise KeyboardInterrupt
        self._wanted = True

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save and stop if asked to."""
        stop = self._agreed(trainer)
        if stop or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            trainer.save_checkpoint(self._path)
        if stop:
            raise KeyboardInterrupt

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Stop if asked to."""
        if self._agreed(trainer):
            raise KeyboardInterrupt

    def _agreed(self, trainer: L.Trainer) -> bool:
        """Return whether any of the processes was asked to stop, so that all stop at the same step."""
        if trainer.world_size == 1:
            return self._wanted
        return bool(trainer.strategy.reduce_boolean_decision(self._wanted, all=False))

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Take Ctrl-C over while Lightning fits, and raise KeyboardInterrupt when that was the end of it."""
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, self.request) if main else None
        try:
            yield
        except SystemExit as stop:
            # Lightning answers a KeyboardInterrupt with an exit of its own.
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        finally:
            if main:
                signal.signal(signal.SIGINT, before)
