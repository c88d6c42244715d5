"""The GAN: both networks learn, each from its own loss, and the twin has no discriminator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny_runs
from grainless.errors import RecipeError
from grainless.training import export_run
from grainless.training.adversarial import AdversarialTask, build_task
from grainless.training.recipe import load_recipe
from grainless.training.task import SupervisedTask

GAN = (
    "adversary.name=strided",
    "adversary.settings={width=4}",
    "adversary.weight=0.5",
    "adversary.reconstruction=2.0",
)


@pytest.fixture
def recipe(tmp_path):
    path = tiny_runs.recipe_file(tmp_path)
    return lambda *changes: load_recipe(path, changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.pictures(tmp_path_factory.mktemp("pictures"))


def batch(seed=0, side=16):
    values = torch.tensor(np.random.default_rng(seed).random((2, 4, 3, side, side)), dtype=torch.float32)
    return {"noisy": values[0], "clean": values[1], "levels": torch.tensor([[0.0, 1.0]] * 4)}


def gradients(net):
    return torch.cat(
        [parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None]
    )


def test_the_adversarial_term_moves_the_generator_and_not_the_discriminator(recipe):
    task, values = build_task(recipe(*GAN)), batch()
    assert isinstance(task, AdversarialTask)
    task.adversarial_loss(values, task.answer(values)).backward()
    assert float(gradients(task.net).abs().max()) > 0
    assert all(parameter.grad is None for parameter in task.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in task.discriminator.parameters())


def test_both_networks_and_both_losses_are_there_after_a_run(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", *GAN)
    state = tiny_runs.checkpoint(tmp_path / "run/last.ckpt")["current_model_state"]
    first = build_task(load_recipe(tiny_runs.recipe_file(tmp_path), GAN))
    assert all(any(name.startswith(part) for name in state) for part in ("net.", "discriminator."))
    states = tiny_runs.checkpoint(tmp_path / "run/last.ckpt")["optimizer_states"]
    assert len(states) == 2
    assert len(states[0]["state"]) == len(list(first.net.parameters()))
    assert len(states[1]["state"]) == len(list(first.discriminator.parameters()))
    assert {int(entry["step"]) for part in states for entry in part["state"].values()} == {8}
    rows = tiny_runs.log_rows(tmp_path / "run")
    for name in (
        "discriminator/loss",
        "discriminator/right",
        "generator/adversarial",
        "generator/reconstruction",
    ):
        assert any(name in row for row in rows)


def test_a_step_changes_the_discriminator_and_counts_once(data, tmp_path, monkeypatch):
    weights = []
    original = AdversarialTask.training_step

    def remembered(self, *arguments):
        before = torch.cat([part.detach().flatten().clone() for part in self.discriminator.parameters()])
        original(self, *arguments)
        after = torch.cat([part.detach().flatten() for part in self.discriminator.parameters()])
        weights.append(float((after - before).abs().max()))

    monkeypatch.setattr(AdversarialTask, "training_step", remembered)
    summary = tiny_runs.train(data, tmp_path / "run", *GAN)
    assert summary["steps"] == 8 == len(weights)
    assert min(weights) > 0


def test_without_the_term_the_generator_learns_otherwise(data, tmp_path):
    for name, changes in (("gan", GAN), ("weak", (*GAN[:2], "adversary.weight=1e-9", GAN[3]))):
        tiny_runs.train(data, tmp_path / name, *changes)
    first, second = (
        tiny_runs.checkpoint(tmp_path / name / "last.ckpt")["current_model_state"] for name in ("gan", "weak")
    )
    net = [name for name in first if name.startswith("net.") and first[name].dtype.is_floating_point]
    assert max(float((first[name] - second[name]).abs().max()) for name in net) > 1e-6


def test_the_twin_is_one_setting(data, tmp_path, recipe):
    assert type(build_task(recipe(*GAN, "adversary.weight=0"))) is SupervisedTask
    assert type(build_task(recipe())) is SupervisedTask
    tiny_runs.train(data, tmp_path / "run", *GAN, "adversary.weight=0")
    state = tiny_runs.checkpoint(tmp_path / "run/last.ckpt")["state_dict"]
    assert not any(name.startswith("discriminator") for name in state)


def test_a_resumed_gan_ends_as_if_uninterrupted(data, tmp_path):
    tiny_runs.train(data, tmp_path / "whole", *GAN)
    with pytest.raises(RuntimeError, match="stopped here"):
        _train_until(data, tmp_path / "parts", step=5)
    tiny_runs.train(data, tmp_path / "parts", resume=True)
    first, second = (tiny_runs.checkpoint(tmp_path / name / "last.ckpt") for name in ("whole", "parts"))
    assert tiny_runs.weight_difference(first, second) < 1e-5
    states = [part["optimizer_states"][1]["state"] for part in (first, second)]
    for number in states[0]:
        assert torch.allclose(states[0][number]["exp_avg"], states[1][number]["exp_avg"], atol=1e-6)


def _train_until(data, run, *, step):
    original = AdversarialTask.training_step

    def stopping(self, *arguments):
        if self.global_step == step:
            raise RuntimeError("stopped here")
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdversarialTask, "training_step", stopping)
        tiny_runs.train(data, run, *GAN)


def test_a_conditional_discriminator_sees_the_noisy_patch(recipe):
    values = batch()
    other = values | {"noisy": 1 - values["noisy"]}
    for setting, differs in (("false", False), ("true", True)):
        task = build_task(recipe(*GAN, f"adversary.conditional={setting}")).eval()
        first, second = task.judge(values, values["clean"]), task.judge(other, values["clean"])
        assert torch.equal(first, second) != differs


def test_the_discriminator_keeps_its_own_rate(recipe, monkeypatch):
    task = build_task(recipe(*GAN, "adversary.rate=1e-4", "optimiser.rate=1e-3"))
    optimisers = task.configure_optimizers()
    assert [part.param_groups[0]["lr"] for part in optimisers] == [1e-3, 1e-4]
    task._trainer = type("Trainer", (), {"optimizers": optimisers})()
    monkeypatch.setattr(type(task), "trainer", property(lambda self: self._trainer))
    task.set_rates(5e-4)
    assert [part.param_groups[0]["lr"] for part in optimisers] == pytest.approx([5e-4, 5e-5])


@pytest.mark.slow
def test_the_generator_is_exported_alone(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", *GAN)
    card = export_run(tmp_path / "run", tmp_path / "gan.onnx")
    assert card.architecture.startswith("universal")


def test_unknown_discriminators_are_refused(recipe):
    with pytest.raises(RecipeError, match=r"no discriminator of this name.*'judge'"):
        build_task(recipe(*GAN[1:], "adversary.name=judge"))


def test_discriminators_that_cannot_judge_the_patches_are_refused(recipe):
    with pytest.raises(
        RecipeError, match=r"adversary\.settings\.channels does not fit.*; got 3; expected 6, or no such key"
    ):
        build_task(recipe(*GAN, "adversary.conditional=true", "adversary.settings.channels=3"))
    small = (*GAN[1:], "adversary.name=dropout")
    with pytest.raises(RecipeError, match=r"too small for the discriminator; got data\.patch of 16 pixels"):
        build_task(recipe(*small))
    build_task(recipe(*small, "data.patch=[40]"))


def test_the_state_of_a_gan_is_written_by_time(data, tmp_path, monkeypatch):
    original = AdversarialTask.training_step

    def stopping(self, *arguments):
        if self.global_step == 3:
            raise RuntimeError("stopped here")
        return original(self, *arguments)

    monkeypatch.setattr(AdversarialTask, "training_step", stopping)
    with pytest.raises(RuntimeError, match="stopped here"):
        tiny_runs.train(data, tmp_path / "run", *GAN, "schedule.validate_every=100")
    assert tiny_runs.checkpoint(tmp_path / "run/last.ckpt")["global_step"] == 3
