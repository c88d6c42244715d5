"""Learning from the answers of a trained model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import helper

from grainless.errors import ModelError, RecipeError
from grainless.training.recipe import load_recipe
from grainless.training.task import SupervisedTask
from grainless.training.teacher import Teacher
from tiny_models import model_of, scale_model

TINY = [
    "net.settings.widths=[8,8]", "net.settings.encoder_blocks=[0]", "net.settings.decoder_blocks=[0]",
    "net.settings.middle_blocks=1", "data.patch=[16]", "data.phases=[]", "data.validation_patch=16",
]  # fmt: skip


def task(*changes: str) -> SupervisedTask:
    torch.manual_seed(0)
    return SupervisedTask(load_recipe("universal", [*TINY, *changes]))


def batch() -> dict[str, torch.Tensor]:
    clean = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    levels = torch.tensor([[0.0, 1.0]]).expand(2, 2)
    return {"noisy": (clean + 0.1).clamp(0, 1), "clean": clean, "levels": levels}


def test_the_teacher_gives_what_its_model_gives(tmp_path: Path) -> None:
    net = task().net
    half = Teacher(str(scale_model(tmp_path / "half.onnx", 0.5)), net)
    noisy = batch()["noisy"]
    torch.testing.assert_close(half.answer(noisy, batch()["levels"]), noisy / 2)


@pytest.mark.parametrize("teaching", [0.0, 0.25, 1.0])
def test_the_loss_is_shared_between_the_clean_patch_and_the_teacher(tmp_path: Path, teaching: float) -> None:
    model = scale_model(tmp_path / "half.onnx", 0.5)
    here, l1 = batch(), ["optimiser.loss=l1"]
    answer, loss = task(*l1, f"optimiser.teacher={model}", f"optimiser.teaching={teaching}").reconstruct(here)
    against = [(answer - other).abs().mean() for other in (here["clean"], here["noisy"] / 2)]
    torch.testing.assert_close(loss, (1 - teaching) * against[0] + teaching * against[1])
    assert loss.requires_grad


def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nobody"):
        task("optimiser.teacher=nobody")
    gray = scale_model(tmp_path / "gray.onnx", 0.5, channels=1)
    with pytest.raises(RecipeError, match=r"gray\.onnx does not fit.*for 1 channel.*expected one for 3"):
        task(f"optimiser.teacher={gray}")
    nodes = [helper.make_node("Identity", ["picture"], ["clean"])]
    coarse = model_of(tmp_path / "coarse.onnx", nodes, stride=48)
    with pytest.raises(RecipeError, match=r"data\.patch.*does not fit.*expected multiples of 48"):
        task(f"optimiser.teacher={coarse}")
