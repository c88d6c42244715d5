"""The adversarial task: a generator that cleans, and a discriminator that learns to tell its answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from grainless.errors import RecipeError
from grainless.nets import build_discriminator
from grainless.nets.discriminators import Discriminator
from grainless.training.patches import Batch
from grainless.training.recipe import AdversarySection, Recipe
from grainless.training.task import SupervisedTask, build_optimiser


def _check_fit(discriminator: Discriminator, channels: int, *, side: int) -> None:
    """Raise RecipeError unless the discriminator can judge patches of so many channels and that side."""
    if discriminator.channels != channels:
        raise RecipeError(
            "adversary.settings.channels does not fit what the discriminator sees",
            got=discriminator.channels,
            expected=f"{channels}, or no such key",
        )
    if discriminator.min_side > side:
        raise RecipeError(
            "The patches are too small for the discriminator",
            got=f"data.patch of {side} pixels",
            expected=f"{discriminator.min_side} or more",
        )


class AdversarialTask(SupervisedTask):
    """Trains a generator and a discriminator in turns, one step of each per batch.

    The discriminator's loss is the binary cross-entropy of its logits on clean patches (1) and answers (0);
    the generator's is the recipe's loss, weighted, plus the weighted cross-entropy of calling its answers
    clean. Goodfellow et al. 2014, with the generator's non-saturating loss; reconstruction beside it as in
    Isola et al. 2017 (pix2pix).
    """

    def __init__(self, recipe: Recipe, adversary: AdversarySection) -> None:
        super().__init__(recipe)
        self.adversary = adversary
        channels = self.net.channels * (2 if adversary.conditional else 1)
        self.discriminator = build_discriminator(adversary.name, {"channels": channels, **adversary.settings})
        _check_fit(self.discriminator, channels, side=min(recipe.data.patch))
        # Lightning knows one loss a step; here are two, each with its own optimiser.
        self.automatic_optimization = False

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimisers of generator and discriminator."""
        section = self.recipe.optimiser
        rate = self.adversary.rate or section.rate
        return [
            build_optimiser(section, self.net, rate=section.rate),
            build_optimiser(section, self.discriminator, rate=rate),
        ]

    def set_rates(self, rate: float) -> None:
        """Give the generator the rate of this step, and the discriminator its own in the same proportion."""
        share = (self.adversary.rate or self.recipe.optimiser.rate) / self.recipe.optimiser.rate
        for optimiser, factor in zip(self.trainer.optimizers, (1.0, share), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Make one step of the discriminator, then one of the generator."""
        answer, reconstruction = self.reconstruct(batch)
        self._train_discriminator(batch, answer.detach())
        self._train_generator(batch, answer, reconstruction)

    def judge(self, batch: Batch, candidate: Tensor) -> Tensor:
        """Return the discriminator's logits of answers or clean patches, `(batch, 1)` float32."""
        seen = torch.cat([batch["noisy"], candidate], dim=1) if self.adversary.conditional else candidate
        logits: Tensor = self.discriminator(seen)
        return logits.float()

    def adversarial_loss(self, batch: Batch, answer: Tensor) -> Tensor:
        """Return the cross-entropy of calling the answers clean; its gradient reaches the generator alone."""
        with self._frozen_discriminator():
            logits = self.judge(batch, answer)
        return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))

    def _train_discriminator(self, batch: Batch, answer: Tensor) -> None:
        optimiser = self.trainer.optimizers[1]
        real, fake = self.judge(batch, batch["clean"]), self.judge(batch, answer)
        loss = (
            F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        ) / 2
        optimiser.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.discriminator.parameters(), self.recipe.optimiser.clip_norm)
        # Stepped behind Lightning's back, which would count it as a step of the run.
        optimiser.step()
        right = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
        self.log_dict({"discriminator/loss": loss, "discriminator/right": right})

    def _train_generator(self, batch: Batch, answer: Tensor, reconstruction: Tensor) -> None:
        optimisers = self.optimizers()
        optimiser = optimisers[0] if isinstance(optimisers, list) else optimisers
        adversarial = self.adversarial_loss(batch, answer)
        loss = self.adversary.reconstruction * reconstruction + self.adversary.weight * adversarial
        optimiser.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optimiser.clip_norm)
        optimiser.step()
        self.log("loss", loss.detach(), prog_bar=True)
        self.log_dict({"generator/adversarial": adversarial, "generator/reconstruction": reconstruction})

    @contextmanager
    def _frozen_discriminator(self) -> Iterator[None]:
        """Keep the gradient of the generator's loss away from the discriminator's weights."""
        self.discriminator.requires_grad_(False)
        try:
            yield
        finally:
            self.discriminator.requires_grad_(True)


def build_task(recipe: Recipe) -> SupervisedTask:
    """Return the task of a recipe; a GAN whose adversarial term weighs nothing needs no discriminator.

    Raises RecipeError for networks that cannot be built or do not fit the recipe.
    """
    if recipe.adversary is not None and recipe.adversary.weight > 0:
        return AdversarialTask(recipe, recipe.adversary)
    return SupervisedTask(recipe)
