"""What is said while training: a discriminator that has won, an identity, a median filter that is better."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from skimage.metrics import peak_signal_noise_ratio

import tiny_runs
from grainless.datasets import PictureRequirement, store_pixels
from grainless.training.health import TrainingHealth, median_psnr
from grainless.training.patches import ValidationPatches
from grainless.training.recipe import load_recipe
from grainless.training.sources import TrainingSource


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("health")
    store = store_pixels(
        tiny_runs.pictures(folder / "p", count=4), folder / "s", requirement=PictureRequirement()
    )
    recipe = load_recipe(tiny_runs.recipe_file(folder))
    return ValidationPatches(TrainingSource(store, None, [0], [1, 2, 3], []), recipe)


def a_trainer(patches, step=100, **metrics):
    values = {"psnr/gaussian:25": 90.0, "psnr/salt-pepper:0.3": 90.0} | metrics
    return SimpleNamespace(
        is_global_zero=True,
        global_step=step,
        val_dataloaders=SimpleNamespace(dataset=patches),
        callback_metrics={name: torch.tensor(value) for name, value in values.items()},
    )


def validate(health, trainer, *, answer=0.5):
    """One validation in which the answers take so much of the noise away."""
    noisy, clean = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    answers = noisy + torch.as_tensor(answer).reshape(-1, 1, 1, 1)
    health.on_validation_epoch_start()
    batch = {"noisy": noisy, "clean": clean, "noise": torch.tensor([0, 1])}
    health.on_validation_batch_end(trainer, None, answers, batch, 0)
    health.on_validation_end(trainer, None)


def test_a_median_filter_is_the_yardstick(patches):
    levels = median_psnr(patches)
    expected = []
    for kind in range(2):
        values = []
        for position in range(3):
            item = patches[kind * 3 + position]
            clean, noisy = (np.rint(item[part].numpy().clip(0, 1) * 255) for part in ("clean", "noisy"))
            filtered = np.stack([median_filter(plane, size=3, mode="reflect") for plane in noisy])
            values.append(peak_signal_noise_ratio(clean, filtered, data_range=255))
        expected.append(np.mean(values))
    assert levels == pytest.approx(expected, abs=1e-6)


def test_nothing_is_said_of_a_run_that_is_well(patches, caplog):
    with caplog.at_level(logging.WARNING):
        validate(TrainingHealth(), a_trainer(patches))
    assert not caplog.records


def test_worse_than_a_median_filter(patches, caplog):
    level = median_psnr(patches)[1]
    health = TrainingHealth()
    with caplog.at_level(logging.WARNING):
        validate(health, a_trainer(patches, **{"psnr/salt-pepper:0.3": level - 1}))
    assert (
        f"median filter is still better on salt-pepper:0.3 {level - 1:.2f} dB against {level:.2f}"
        in caplog.text
    )
    assert "gaussian" not in caplog.text


def test_a_finding_is_said_once_and_again_after_it_was_over(patches, caplog):
    health, bad = TrainingHealth(), a_trainer(patches, **{"psnr/gaussian:25": 1.0})
    for trainer in (bad, bad, a_trainer(patches), bad):
        validate(health, trainer)
    assert len(caplog.records) == 2


def test_a_network_that_gives_its_input_back(patches, caplog):
    validate(TrainingHealth(), a_trainer(patches), answer=0.01)
    assert "changes so much of the noise: gaussian:25 1.0%, salt-pepper:0.3 1.0%; train" in caplog.text


def test_a_network_that_gives_one_kind_of_noise_back(patches, caplog):
    validate(TrainingHealth(), a_trainer(patches), answer=(0.02, 0.9))
    assert "gives its input back, it changes so much of the noise: gaussian:25 2.0%; train" in caplog.text


def test_a_discriminator_that_has_won(patches, caplog):
    health, trainer = TrainingHealth(), a_trainer(patches, **{"discriminator/right": 0.5})
    health.on_train_batch_end(trainer)
    validate(health, trainer)
    assert not caplog.records
    trainer.callback_metrics["discriminator/right"] = torch.tensor(1.0)
    for _ in range(600):
        health.on_train_batch_end(trainer)
    validate(health, trainer)
    assert "the discriminator has won: it is right in 100% of its verdicts" in caplog.text


def test_it_speaks_in_a_real_run(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="grainless"):
        tiny_runs.train(tiny_runs.pictures(tmp_path / "p"), tmp_path / "run", "optimiser.rate=1e-9")
    assert "a 3 x 3 median filter is still better on" in caplog.text
