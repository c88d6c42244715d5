"""The supervised task: losses, the rate of each step, validation in 8 bit, weights of a checkpoint."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import tiny_runs
from grainless.errors import RecipeError, TrainingError
from grainless.nets import build_net
from grainless.training.muon import Muon
from grainless.training.recipe import OptimiserSection, load_recipe
from grainless.training.task import (
    LOSSES,
    SupervisedTask,
    charbonnier,
    learning_rate,
    load_weights,
    log_l1,
)


@pytest.fixture
def recipe(tmp_path):
    path = tiny_runs.recipe_file(tmp_path)
    return lambda *changes: load_recipe(path, changes)


@pytest.fixture
def task(recipe):
    torch.manual_seed(1)
    return SupervisedTask(recipe())


def batch(noises=(0, 1), seed=0):
    rng = np.random.default_rng(seed)
    clean = np.rint(rng.uniform(60, 200, (len(noises), 3, 16, 16))) / 255
    noisy = clean + rng.normal(0, 0.05, clean.shape)
    return {
        "noisy": torch.tensor(noisy, dtype=torch.float32),
        "clean": torch.tensor(clean, dtype=torch.float32),
        "levels": torch.tensor([[0.0, 1.0]] * len(noises)),
        "noise": torch.tensor(noises),
    }


def test_losses():
    answer, clean = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 2.0, 1.0])
    assert float(LOSSES["l1"](answer, clean)) == pytest.approx(1)
    assert float(LOSSES["mse"](answer, clean)) == pytest.approx(5 / 3)
    assert float(charbonnier(answer, clean)) == pytest.approx(1, abs=1e-3)
    still = torch.zeros(3, requires_grad=True)
    charbonnier(still, torch.zeros(3)).backward()
    assert torch.equal(still.grad, torch.zeros(3))


def test_rate_rises_and_then_falls_as_a_cosine():
    optimiser = OptimiserSection(rate=0.01, warm_up=10, final_rate=0.1)
    assert [learning_rate(optimiser, step, 0.0) for step in (0, 4, 9, 50)] == pytest.approx(
        [0.001, 0.005, 0.01, 0.01]
    )
    assert learning_rate(optimiser, 50, 0.5) == pytest.approx(0.01 * (0.1 + 0.9 * 0.5))
    assert learning_rate(optimiser, 50, 0.25) == pytest.approx(
        0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    )
    for progress in (1.0, 1.7):
        assert learning_rate(optimiser, 50, progress) == pytest.approx(0.001)


def test_trapezoid_falls_in_a_line_over_the_last_part():
    optimiser = OptimiserSection(rate=0.01, warm_up=10, schedule="trapezoid", fall=0.2, final_rate=0.1)
    assert learning_rate(optimiser, 4, 0.0) == pytest.approx(0.005)
    assert [
        learning_rate(optimiser, 50, progress) for progress in (0.3, 0.8, 0.9, 1.0, 1.2)
    ] == pytest.approx([0.01, 0.01, 0.0055, 0.001, 0.001])


def test_constant_rate():
    optimiser = OptimiserSection(rate=0.01, warm_up=0, schedule="constant")
    assert [learning_rate(optimiser, step, 0.9) for step in (0, 99)] == [0.01, 0.01]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("muon", Muon)]
)
def test_optimisers(recipe, name, kind):
    task = SupervisedTask(recipe(f"optimiser.name={name}", "optimiser.betas=[0.5, 0.6]"))
    (optimiser,) = task.configure_optimizers()
    assert type(optimiser) is kind
    assert optimiser.param_groups[0]["betas"] == (0.5, 0.6)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(task.parameters()))


def test_answer_is_float32_under_autocast(task):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert task.answer(batch()).dtype == torch.float32


def test_training_step_is_the_loss_of_the_answer(task, monkeypatch):
    logged = {}
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: float(value.detach())}))
    task.eval()
    loss = task.training_step(batch(), 0)
    expected = (task.answer(batch()) - batch()["clean"]).abs().mean()
    torch.testing.assert_close(loss, expected)
    assert logged == {"loss": pytest.approx(float(expected.detach()))}


def test_validation_scores_8_bit_answers_by_noise(task, monkeypatch):
    logged = {}
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: float(value.detach())}))
    task.eval()
    batches = [batch((0, 1, 0), seed=1), batch((1,), seed=2)]
    expected = {0: [], 1: []}
    with torch.no_grad():
        for number, one in enumerate(batches):
            task.validation_step(one, number)
            for kind, answer, clean in zip(
                one["noise"].tolist(), task.answer(one), one["clean"], strict=True
            ):
                pair = [np.rint(part.clamp(0, 1).numpy() * 255).astype(np.uint8) for part in (clean, answer)]
                expected[kind].append(peak_signal_noise_ratio(*pair))
    task.on_validation_epoch_end()
    means = [np.mean(expected[0]), np.mean(expected[1])]
    assert logged["psnr/gaussian:25"] == pytest.approx(means[0], abs=1e-3)
    assert logged["psnr/salt-pepper:0.3"] == pytest.approx(means[1], abs=1e-3)
    assert logged["psnr"] == pytest.approx(np.mean(means), abs=1e-3)
    logged.clear()
    task.on_validation_epoch_end()
    assert logged == {}


def test_weights_of_a_checkpoint(task, recipe):
    net = build_net("universal", recipe().net.settings)
    load_weights(net, {"state_dict": task.state_dict()})
    for name, values in net.state_dict().items():
        assert torch.equal(values, task.net.state_dict()[name])


def test_weights_of_another_network(task, recipe):
    net = build_net("universal", recipe().net.settings | {"middle_blocks": 2})
    with pytest.raises(TrainingError, match=r"does not fit the recipe's network; got .*middle\.1"):
        load_weights(net, {"state_dict": task.state_dict()})


def test_network_and_recipe_have_to_fit(recipe):
    with pytest.raises(RecipeError, match=r"3 channel\(s\), pictures of 1"):
        SupervisedTask(recipe("data.channels=1"))
    with pytest.raises(RecipeError, match=r"1 channel\(s\), pictures of 3"):
        SupervisedTask(recipe("net.settings.channels=1"))
    assert SupervisedTask(recipe("data.channels=1", "net.settings.channels=1")).net.channels == 1


def test_patches_have_to_be_multiples_of_the_stride(recipe):
    with pytest.raises(RecipeError, match=r"got \[24, 16\]; expected multiples of 16"):
        SupervisedTask(
            recipe(
                "data.patch=[24]",
                "net.settings.widths=[8,8,8,8]",
                "net.settings.encoder_blocks=[1,1,1]",
                "net.settings.decoder_blocks=[1,1,1]",
            )
        )


def test_progress_is_by_steps_until_a_clock_replaces_it(task):
    assert [task.progress(step) for step in (0, 4, 8)] == [0, 0.5, 1]


def test_log_l1_weighs_relative_gains():
    clean = torch.zeros(2, 3, 4, 4)
    answer = torch.cat([torch.full((1, 3, 4, 4), 0.01), torch.full((1, 3, 4, 4), 0.1)])
    for floor in (1e-3, 0.05):
        expected = (math.log(0.01 + floor) + math.log(0.1 + floor)) / 2
        assert float(log_l1(answer, clean, floor=floor)) == pytest.approx(expected, rel=1e-6)
    gains = [
        float(log_l1(answer, clean) - log_l1(answer * torch.tensor(scale)[:, None, None, None], clean))
        for scale in ([0.5, 1], [1, 0.5])
    ]
    assert gains[0] == pytest.approx(gains[1], rel=0.15)


def test_the_floor_of_log_l1_is_the_recipes(recipe):
    values, losses = batch(), []
    for floor in (1e-3, 0.1):
        torch.manual_seed(3)
        task = SupervisedTask(recipe("optimiser.loss=log-l1", f"optimiser.floor={floor}")).eval()
        answer, loss = task.reconstruct(values)
        torch.testing.assert_close(loss, log_l1(answer, values["clean"], floor=floor))
        losses.append(loss.item())
    assert losses[0] < losses[1] - 0.5


def test_ssim_is_added_by_its_weight(recipe):
    values = batch()
    torch.manual_seed(3)
    plain = SupervisedTask(recipe())
    with_ssim = SupervisedTask(recipe("optimiser.ssim=0.5"))
    with_ssim.load_state_dict(plain.state_dict())
    plain.eval(), with_ssim.eval()
    answer, loss = plain.reconstruct(values)
    ssim = np.mean(
        [
            structural_similarity(
                one.numpy(),
                two.numpy(),
                channel_axis=0,
                data_range=1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for one, two in zip(answer.detach(), values["clean"], strict=True)
        ]
    )
    _, more = with_ssim.reconstruct(values)
    # The two crop the borders of the picture differently.
    assert (more - loss).item() == pytest.approx(0.5 * (1 - ssim), abs=0.05)
    more.backward()
    assert float(with_ssim.net.tail.weight.grad.abs().max()) > 0


def test_cross_entropy_is_taken_of_logits(recipe):
    settings = ["net.name=upconv", "net.settings={widths=[4,4,4,4,4]}", "optimiser.loss=bce"]
    task, values = SupervisedTask(recipe(*settings)), batch()
    values["clean"] = torch.rand_like(values["clean"])
    answer, loss = task.reconstruct(values)
    clean = values["clean"]
    expected = -(clean * answer.log() + (1 - clean) * (1 - answer).log()).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    with pytest.raises(RecipeError, match=r"bce for universal, which gives no logits"):
        SupervisedTask(recipe("optimiser.loss=bce"))
