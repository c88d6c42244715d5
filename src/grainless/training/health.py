"""What goes wrong in training without stopping it, said in words while there is time to act."""

from __future__ import annotations

import logging
import math
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from grainless.baselines import median
from grainless.errors import MissingExtraError
from grainless.metrics import EXACT_PSNR, psnr, to_8bit
from grainless.training.patches import ValidationPatches

logger = logging.getLogger("grainless")

WON = 0.98
"""Share of right verdicts from which on a discriminator teaches the generator nothing any more."""
UNCHANGED = 0.05
"""A generator that changes less than this share of the noise passes pictures through."""
MEDIAN_PATCHES = 32
"""So many validation patches of each noise tell what a median filter reaches."""


class TrainingHealth(Callback):
    """Says at each validation what is not as it should be; each finding once while it lasts.

    Three are known: a discriminator that has won (its share of right verdicts, averaged over about a hundred
    steps, is near one), a network that gives its input back, and a PSNR below that of a 3 x 3 median filter
    on the same patches.
    """

    def __init__(self) -> None:
        self.findings: dict[str, str] = {}
        self._right: float | None = None
        self._changes: dict[int, list[tuple[float, float]]] = {}
        self._median: list[float] | None = None

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Follow the discriminator."""
        right = trainer.callback_metrics.get("discriminator/right")
        if right is not None:
            self._right = float(right) if self._right is None else 0.99 * self._right + 0.01 * float(right)

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Begin to count changes."""
        self._changes = {}

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Count how much the answers, which `validation_step` returns, change, and how much the noise did."""
        sizes = [
            (other - batch["noisy"]).abs().mean(dim=(1, 2, 3)).tolist() for other in (outputs, batch["clean"])
        ]
        for kind, *size in zip(batch["noise"].tolist(), *sizes, strict=True):
            self._changes.setdefault(kind, []).append((size[0], size[1]))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what was found since the last validation."""
        loaders = trainer.val_dataloaders
        if not trainer.is_global_zero or loaders is None:
            return
        if self._median is None:
            try:
                self._median = median_psnr(loaders.dataset)
            except MissingExtraError:
                # Filters are an extra of their own: without it this one finding is left out.
                self._median = [-math.inf] * len(loaders.dataset.noises)
        found = self._diagnose(loaders.dataset, trainer.callback_metrics)
        for kind, text in found.items():
            if kind not in self.findings:
                logger.warning("Step %d: %s", trainer.global_step, text)
        self.findings = found

    def _diagnose(self, patches: ValidationPatches, metrics: dict[str, torch.Tensor]) -> dict[str, str]:
        """Return what is wrong now, by kind."""
        found = {}
        if self._right is not None and self._right > WON:
            found["discriminator"] = (
                f"the discriminator has won: it is right in {self._right:.0%} of its verdicts, and teaches "
                "the generator nothing; lower adversary.rate, or adversary.settings.width"
            )
        unchanged = [
            f"{patches.noises[kind]} {change / noise:.1%}"
            for kind, sizes in sorted(self._changes.items())
            if (noise := sum(size for _, size in sizes)) > 0
            and (change := sum(size for size, _ in sizes)) < UNCHANGED * noise
        ]
        if unchanged:
            found["identity"] = (
                f"the network gives its input back, it changes so much of the noise: {', '.join(unchanged)}; "
                "train longer, raise optimiser.rate, or take the loss l1"
            )
        behind = [
            f"{noise} {float(metrics[f'psnr/{noise}']):.2f} dB against {level:.2f}"
            for noise, level in zip(patches.noises, self._median or (), strict=True)
            if f"psnr/{noise}" in metrics and float(metrics[f"psnr/{noise}"]) < level
        ]
        if behind:
            found["median"] = f"a 3 x 3 median filter is still better on {', '.join(behind)}"
        return found


def median_psnr(patches: ValidationPatches) -> list[float]:
    """Return the mean PSNR in dB that a 3 x 3 median filter reaches on each noise, 8-bit, clipped."""
    pictures = len(patches) // len(patches.noises)
    used = min(pictures, MEDIAN_PATCHES)
    levels = []
    for kind in range(len(patches.noises)):
        values = []
        for position in range(used):
            item = patches[kind * pictures + position * pictures // used]
            clean, noisy = (
                to_8bit(np.ascontiguousarray(item[part].numpy().transpose(1, 2, 0)))
                for part in ("clean", "noisy")
            )
            values.append(min(EXACT_PSNR, psnr(clean, median(noisy))))
        levels.append(float(np.mean(values)))
    return levels
