"""The supervised task: noisy patch in, clean patch expected."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from grainless.errors import RecipeError, TrainingError
from grainless.metrics import EXACT_PSNR
from grainless.nets import PictureNet, build_net
from grainless.training.muon import Muon, split_kernels
from grainless.training.patches import OWN_NOISE, Batch
from grainless.training.recipe import OptimiserSection, Recipe
from grainless.training.teacher import Teacher

logger = logging.getLogger("grainless")


def charbonnier(answer: Tensor, clean: Tensor) -> Tensor:
    """Return the mean of sqrt(difference² + 1e-6) (Charbonnier et al. 1994): L1, smooth at zero."""
    return torch.sqrt((answer - clean) ** 2 + 1e-6).mean()


def log_l1(answer: Tensor, clean: Tensor, *, floor: float = 1e-3) -> Tensor:
    """Return the mean over the patches of ln(L1 + floor), so that weak noise counts as strong noise does.

    PSNR averages logarithms too; a plain mean is little but the strongest noise. What is far below `floor`,
    in [0, 1] units, counts as clean enough. As the PSNR loss of Chen et al. 2021 (HINet), with L1 in place of
    the squared error.
    """
    return torch.log((answer - clean).abs().mean(dim=(1, 2, 3)) + floor).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "charbonnier": charbonnier,
    "log-l1": log_l1,
    "bce": F.binary_cross_entropy_with_logits,
}
"""`bce` compares logits with the clean patch, the others the answer itself."""


def learning_rate(optimiser: OptimiserSection, step: int, progress: float) -> float:
    """Return the rate at a step: a rise over `warm_up` steps times the schedule at `progress` in [0, 1]."""
    rise = min(1.0, (step + 1) / max(1, optimiser.warm_up))
    if optimiser.schedule == "constant":
        return optimiser.rate * rise
    left = 1 - min(1.0, progress)
    height = min(1.0, left / optimiser.fall)
    if optimiser.schedule == "cosine":
        height = (1 - math.cos(math.pi * left)) / 2
    return optimiser.rate * rise * (optimiser.final_rate + (1 - optimiser.final_rate) * height)


def build_optimiser(optimiser: OptimiserSection, net: nn.Module, *, rate: float) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the parameters of a network."""
    if optimiser.name == "muon":
        kernels, others = split_kernels(net)
        return Muon(kernels, others, lr=rate, betas=optimiser.betas, weight_decay=optimiser.weight_decay)
    if optimiser.name == "adam":
        return torch.optim.Adam(net.parameters(), lr=rate, betas=optimiser.betas)
    return torch.optim.AdamW(
        net.parameters(), lr=rate, betas=optimiser.betas, weight_decay=optimiser.weight_decay
    )


class SupervisedTask(L.LightningModule):
    """Trains one network on pairs; validates PSNR per noise on clipped 8-bit answers."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = build_net(recipe.net.name, recipe.net.settings)
        # Convolutions run fastest on the CPU with the channels last in memory.
        for parameter in self.net.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.progress: Callable[[int], float] = lambda step: step / recipe.schedule.steps
        """Share of the run that is done at a step; the run's clock replaces it where time is limited."""
        self._loss = LOSSES[recipe.optimiser.loss]
        if recipe.optimiser.loss == "log-l1":
            self._loss = functools.partial(log_l1, floor=recipe.optimiser.floor)
        self._teacher = Teacher(recipe.optimiser.teacher, self.net) if recipe.optimiser.teacher else None
        _check_fit(self.net, recipe, self._teacher)
        self._noises = recipe.validation_noise or (OWN_NOISE,)
        self._squared_errors: dict[int, list[Tensor]] = {}

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the recipe's optimiser; the rate is set before each step."""
        optimiser = self.recipe.optimiser
        return [build_optimiser(optimiser, self.net, rate=optimiser.rate)]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the rate, and seed torch by the step so that a resumed run draws the same dropout."""
        step = self.global_step
        torch.manual_seed(self.recipe.schedule.seed * 1_000_003 + step)
        self.set_rates(learning_rate(self.recipe.optimiser, step, self.progress(step)))
        if self.progress(step) >= self.recipe.optimiser.freeze_norms:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def set_rates(self, rate: float) -> None:
        """Give all parameters the learning rate of this step."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def answer(self, batch: Batch) -> Tensor:
        """Return the network's answer to a batch, `(batch, channels, height, width)` float32."""
        answer: Tensor = self.net(*self._inputs(batch))
        return answer.float()

    def reconstruct(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the answer to a batch as `answer` does, and its loss against the clean patches."""
        optimiser, clean = self.recipe.optimiser, batch["clean"]
        if optimiser.loss == "bce":
            logits = self.net.logits(*self._inputs(batch)).float()
            answer, loss = torch.sigmoid(logits), self._loss(logits, clean)
        else:
            answer = self.answer(batch)
            loss = self._loss(answer, clean)
        if self._teacher is not None:
            taught = self._teacher.answer(batch["noisy"], batch["levels"])
            loss = (1 - optimiser.teaching) * loss + optimiser.teaching * self._loss(answer, taught)
        if optimiser.ssim:
            # Variances are differences of near values: half precision would leave little of them.
            with torch.autocast(answer.device.type, enabled=False):
                likeness = structural_similarity_index_measure(answer, clean, data_range=1.0)
            loss = loss + optimiser.ssim * (1 - cast(Tensor, likeness))
        return answer, loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of one batch."""
        _, loss = self.reconstruct(batch)
        self.log("loss", loss, prog_bar=True)
        return loss

    def _inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        noisy = batch["noisy"].contiguous(memory_format=torch.channels_last)
        return self.net.select_inputs(noisy, batch["levels"])

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Collect the squared errors of the 8-bit answers, by noise; returns the answers, clipped."""
        answer = (self.answer(batch).clamp(0, 1) * 255).round() / 255
        errors = ((answer - batch["clean"]) ** 2).mean(dim=(1, 2, 3))
        for kind, error in zip(batch["noise"].tolist(), errors, strict=True):
            self._squared_errors.setdefault(kind, []).append(error)
        return answer

    def on_validation_epoch_end(self) -> None:
        """Log the mean PSNR of each noise, and their mean as `psnr`."""
        means = []
        for kind, errors in sorted(self._squared_errors.items()):
            psnr = (-10 * torch.log10(torch.stack(errors))).clamp(max=EXACT_PSNR).mean()
            self.log(f"psnr/{self._noises[kind]}", psnr, sync_dist=True)
            means.append(psnr)
        self._squared_errors.clear()
        if means:
            self.log("psnr", torch.stack(means).mean(), prog_bar=True, sync_dist=True)


def _check_fit(net: PictureNet, recipe: Recipe, teacher: Teacher | None) -> None:
    """Raise RecipeError unless the network, and its teacher, take the patches that the recipe cuts."""
    channels = 1 if recipe.data.channels == 1 else 3
    if net.channels != channels:
        raise RecipeError(
            "net.settings and data.channels do not fit together",
            got=f"a network for {net.channels} channel(s), pictures of {channels}",
        )
    if recipe.optimiser.loss == "bce" and not net.gives_logits:
        raise RecipeError(
            "optimiser.loss does not fit the network",
            got=f"bce for {recipe.net.name}, which gives no logits in this form",
            expected="a network that ends in a sigmoid, or another loss",
        )
    if recipe.optimiser.loss == "bce" and teacher is not None:
        raise RecipeError(
            "optimiser.teacher does not go with the loss",
            got="bce",
            expected="a loss of answers, not of logits",
        )
    sides = [*recipe.data.patch, recipe.data.validation_patch]
    stride = math.lcm(net.stride, 1 if teacher is None else teacher.stride)
    if any(side % stride for side in sides):
        raise RecipeError(
            "data.patch or data.validation_patch does not fit the network",
            got=str(sides),
            expected=f"multiples of {stride}",
        )


def load_weights(net: PictureNet, checkpoint: dict[str, Any]) -> None:
    """Put the weights of a checkpoint (the average where there is one) into a network of the same shape.

    Raises TrainingError if they do not fit.
    """
    weights = {
        key.removeprefix("net."): value
        for key, value in checkpoint["state_dict"].items()
        if key.startswith("net.")
    }
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(
            "The checkpoint does not fit the recipe's network", got=" ".join(str(error).split())
        ) from error
