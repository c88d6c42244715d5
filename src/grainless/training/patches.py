"""Noisy and clean patches for training: each is a pure function of the run's seed and the patch's number.

So a run that was killed goes on with exactly the patches that it would have seen.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from grainless.datasets import resize_values
from grainless.errors import DataError
from grainless.noise import corrupt, parse_noise, parse_noise_range, seed_for
from grainless.training.recipe import DataSection, Recipe
from grainless.training.sources import TrainingSource

Batch = dict[str, Tensor]
Values = NDArray[np.float32]
Key = tuple[int, int]
"""Number of the patch in the run, and its side in pixels."""

KEPT_BYTES = 2**28
"""Memory for resized pictures in each process that cuts patches: resizing a large one may outlast a step."""

OWN_NOISE = "as paired"
"""What stands for the noise of pairs where noises are named."""

MOST_CLIPPED, LEAST_CONTRAST = 0.3, 0.25
"""How much `saturated` clips at each end, as a share, and the range of values that it stretches at least."""

MOST_SHARPENED = 1.5
"""How often over `sharpened` adds fine detail at most: a gain of up to 2.5 at the finest scale."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of ITU-R BT.601, as JPEG has them."""


class TrainingPatches(Dataset[Batch]):
    """Patches of the training pictures, with noise drawn from the recipe's mixture or with their own."""

    def __init__(self, source: TrainingSource, recipe: Recipe) -> None:
        self._source = source
        self._indices = np.array(source.training)
        # A picture is drawn as often as it is large, so that each place is as likely as any other; resized
        # ones are all alike.
        areas = np.array(
            [1 if recipe.data.resize else math.prod(source.store.shapes[i][:2]) for i in source.training],
            dtype=np.float64,
        )
        self._chances = areas / areas.sum()
        self._data = recipe.data
        self._ranges = [parse_noise_range(section.spec) for section in recipe.noise]
        weights = np.array([section.weight for section in recipe.noise])
        self._weights = weights / weights.sum()
        self._seed = recipe.schedule.seed

    def __getitem__(self, key: Key) -> Batch:
        """Return one patch: `noisy` and `clean` `(channels, side, side)` float32, `levels` `(2,)`."""
        number, side = key
        rng = np.random.default_rng([self._seed, number])
        index = self._pick(number, rng)
        clean = cut_patch(self._picture(index), side, data=self._data, rng=rng)
        if self._source.noisy is not None:
            clean, noisy = np.split(clean, 2, axis=2)
        else:
            # Drawn only where it is asked for: other recipes' patches stay what they were.
            if self._data.saturate and rng.random() < self._data.saturate:
                clean = saturated(clean, rng)
            if self._data.fixed_noise:
                rng = np.random.default_rng([self._seed, index])
            clean, noisy = self._corrupt(clean, rng)
        clean, noisy = (widen(part, self._data.channels) for part in (clean, noisy))
        levels = np.array([0.0, 1.0], dtype=np.float32)
        if rng.random() < self._data.narrow_range:
            levels = np.array([rng.uniform(0, 0.2), rng.uniform(0.8, 1)], dtype=np.float32)
            clean, noisy = (levels[0] + (levels[1] - levels[0]) * part for part in (clean, noisy))
        if rng.random() < 0.5:
            # What the picture's own smallest and largest values are, as they are measured when it is cleaned.
            levels = np.array([noisy.min(), noisy.max()], dtype=np.float32)
        return as_batch_item(noisy, clean, levels)

    @functools.cached_property
    def _picture(self) -> Callable[[int], NDArray[Any]]:
        """What reads a picture in the size that patches are cut from; some of the resized ones are kept."""
        side = self._data.resize
        # Floats of three channels, or six where noisy and clean are paired.
        kept = 0 if side is None else KEPT_BYTES // (4 * 6 * side**2)
        return functools.lru_cache(kept)(lambda index: resized(self._source.read(index), side))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process reads for itself."""
        return {key: value for key, value in vars(self).items() if key != "_picture"}

    def _pick(self, number: int, rng: np.random.Generator) -> int:
        """Return which picture a patch is cut from."""
        if not self._data.epochs:
            return int(rng.choice(self._indices, p=self._chances))
        epoch, place = divmod(number, len(self._indices))
        return int(self._indices[_shuffled(self._seed, epoch, len(self._indices))[place]])

    def _corrupt(self, clean: Values, rng: np.random.Generator) -> tuple[Values, Values]:
        """Return a clean patch, made gray at times, and its noisy copy."""
        kind = self._ranges[int(rng.choice(len(self._ranges), p=self._weights))]
        rounded = rng.random() >= self._data.raw_noise
        if self._data.channels == "any":
            clean = widen(clean, "any")
        if clean.shape[2] == 3 and rng.random() < self._data.gray:
            clean = (clean @ LUMA)[..., None]
        return clean, corrupt(clean, kind.sample(rng), rng=rng, clip=bool(rounded), quantise=bool(rounded))


@functools.lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order of `count` pictures in one pass through them."""
    return np.random.default_rng([seed, epoch, count]).permutation(count)


class ValidationPatches(Dataset[Batch]):
    """Centre crops of the validation pictures, each with each validation noise, the same in every run."""

    def __init__(self, source: TrainingSource, recipe: Recipe, *, stride: int = 8) -> None:
        """Look the sizes up; raises DataError where a picture is smaller than the network's stride."""
        self._source = source
        self._indices = source.validation
        # All crops have one size, so that they fit into one batch.
        sides = [recipe.data.resize or min(source.store.shapes[index][:2]) for index in self._indices]
        self.side = min(recipe.data.validation_patch, *sides) // stride * stride
        if self.side == 0:
            raise DataError(
                "A validation picture is too small for the network",
                got=f"a side of {min(sides)} pixels",
                expected=f"{stride} or more",
                remedy=f"Set data.min_side to {stride} or more",
            )
        self._data = recipe.data
        self.noises = recipe.validation_noise or (OWN_NOISE,)

    def __len__(self) -> int:
        return len(self._indices) * len(self.noises)

    def __getitem__(self, number: int) -> Batch:
        """Return crop `number % pictures` under noise `number // pictures`, whose number is `noise`."""
        kind, position = divmod(number, len(self._indices))
        index = self._indices[position]
        picture = resized(self._source.read(index), self._data.resize)
        top, left = (picture.shape[0] - self.side) // 2, (picture.shape[1] - self.side) // 2
        clean = as_values(picture[top : top + self.side, left : left + self.side])
        if self._source.noisy is not None:
            clean, noisy = (widen(part, self._data.channels) for part in np.split(clean, 2, axis=2))
        else:
            clean = widen(clean, self._data.channels)
            seed = seed_for(0, f"{self._source.store.names[index]}|{self.noises[kind]}")
            rounded = self._data.raw_noise < 1
            noisy = corrupt(clean, parse_noise(self.noises[kind]), seed=seed, clip=rounded, quantise=rounded)
        levels = np.array([noisy.min(), noisy.max()], dtype=np.float32)
        return as_batch_item(noisy, clean, levels) | {"noise": torch.tensor(kind)}


def cut_patch(picture: NDArray[Any], side: int, *, data: DataSection, rng: np.random.Generator) -> Values:
    """Return a random `(side, side, C)` float32 patch in [0, 1], mirrored and turned as the recipe says."""
    height, width, _ = picture.shape
    halved = rng.random() < data.halve and min(height, width) >= 2 * side
    reach = 2 * side if halved else min(side, height, width)
    top, left = (int(rng.integers(length - reach + 1)) for length in (height, width))
    patch = as_values(picture[top : top + reach, left : left + reach])
    if halved:
        patch = patch.reshape(side, 2, side, 2, -1).mean(axis=(1, 3), dtype=np.float32)
        # Drawn only where it is asked for: other recipes' patches stay what they were.
        if data.sharpen and rng.random() < data.sharpen:
            patch = sharpened(patch, rng)
    if reach < side:
        patch = np.pad(patch, ((0, side - reach), (0, side - reach), (0, 0)), mode="reflect")
    if data.flips:
        patch = np.rot90(patch, int(rng.integers(4)))
        patch = patch[:, ::-1] if rng.random() < 0.5 else patch
    # A copy in any case: the picture is used again.
    return np.array(patch, order="C")


def sharpened(patch: Values, rng: np.random.Generator) -> Values:
    """Return a patch plus up to MOST_SHARPENED times what a 3 x 3 binomial blur takes away (unsharp mask).

    Free photographs are soft at full size: a network that has seen no others takes the fine texture of sharp
    scans and sharpened camera files for noise.
    """
    rows = (2 * patch + np.roll(patch, 1, axis=0) + np.roll(patch, -1, axis=0)) / 4
    rows[[0, -1]] = patch[[0, -1]]
    blurred = (2 * rows + np.roll(rows, 1, axis=1) + np.roll(rows, -1, axis=1)) / 4
    blurred[:, [0, -1]] = rows[:, [0, -1]]
    crisp: Values = np.clip(patch + np.float32(rng.uniform(0, MOST_SHARPENED)) * (patch - blurred), 0, 1)
    return crisp


def saturated(patch: Values, rng: np.random.Generator) -> Values:
    """Return a patch stretched until up to MOST_CLIPPED of its values are black, and as many white.

    Photographs with blown highlights and deep shadows are rare among those that one trains on; against salt
    and pepper they are the hard ones. A patch with little contrast stays as it is.
    """
    dark, bright = rng.uniform(0, MOST_CLIPPED, 2) * rng.integers(0, 2, 2)
    low, high = np.quantile(patch, [dark, 1 - bright]).astype(np.float32)
    if high - low < LEAST_CONTRAST:
        return patch
    stretched: Values = np.clip((patch - low) / (high - low), 0, 1, dtype=np.float32)
    return stretched


def as_values(pixels: NDArray[Any]) -> Values:
    """Return 8-bit pixels as float32 in [0, 1]; values that are floats already stay as they are."""
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels


def resized(picture: NDArray[np.uint8], side: int | None) -> NDArray[Any]:
    """Return a picture as float32 squares of `side` pixels; as it is (uint8) where there is no side."""
    return picture if side is None else resize_values(as_values(picture), side)


def widen(patch: Values, channels: Any) -> Values:
    """Turn one channel into three equal ones unless the recipe is for gray pictures."""
    return np.repeat(patch, 3, axis=2) if channels != 1 and patch.shape[2] == 1 else patch


def as_batch_item(noisy: Values, clean: Values, levels: NDArray[np.float32]) -> Batch:
    """Return tensors with channels first."""
    return {
        "noisy": torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1), dtype=np.float32)),
        "clean": torch.from_numpy(np.ascontiguousarray(clean.transpose(2, 0, 1), dtype=np.float32)),
        "levels": torch.from_numpy(levels),
    }


class StepBatches(Sampler[list[Key]]):
    """Keys of the patches of each step, from the step that the run has reached.

    One pass is `length` steps, up to the next validation. Patches grow with the run's progress; batches
    shrink so that a step costs about the same. Every patch number is used once in a run, on whatever rank.
    """

    def __init__(
        self,
        recipe: Recipe,
        progress: Callable[[int], float],
        *,
        step: Callable[[], int],
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._recipe = recipe
        self._progress = progress
        self._step = step
        self._rank, self._ranks = rank, ranks

    def __len__(self) -> int:
        every = self._recipe.schedule.validate_every
        return min(every, self._recipe.schedule.steps - self._step() // every * every)

    def __iter__(self) -> Iterator[list[Key]]:
        every = self._recipe.schedule.validate_every
        first_step = self._step()
        stop = min((first_step // every + 1) * every, self._recipe.schedule.steps)
        for step in range(first_step, stop):
            side = self.patch_side(self._progress(step))
            batch = max(1, round(self._recipe.schedule.batch * (self._recipe.data.patch[0] / side) ** 2))
            first = (step * self._ranks + self._rank) * self._recipe.schedule.batch
            yield [(first + i, side) for i in range(batch)]

    def patch_side(self, progress: float) -> int:
        """Return the patch side at a share of the run, in pixels."""
        data = self._recipe.data
        return data.patch[sum(progress >= phase for phase in data.phases)]


def start_worker(worker: int) -> None:
    """Let a worker live exactly as long as its run.

    Ctrl-C reaches all processes of a terminal; the run stops its workers itself when it is done. And torch
    sees the death of a run that was killed only where the run is the worker's parent, which with a fork
    server it is not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (run := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(run,), daemon=True).start()


def _end_with(run: Any) -> None:
    """End this process once that of the run has ended."""
    run.join()
    os._exit(1)


class ResumableLoader(DataLoader[Batch]):
    """A DataLoader that Lightning can ask for, and set to, its place in the run."""

    batch_sampler: StepBatches

    def state_dict(self) -> dict[str, int]:
        """Return nothing of its own: the place is the trainer's step count."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take nothing: `StepBatches` asks the trainer for its step before each pass."""
