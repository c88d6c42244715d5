"""A run that starts from an exported model computes what the model does, and can be trained on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

import tiny_runs
from grainless.errors import ModelError, TrainingError
from grainless.model_file import read_model
from grainless.nets import build_net
from grainless.runtime import start
from grainless.training import export_run
from grainless.training import run as run_module
from grainless.training.recipe import load_recipe
from grainless.training.starting import load_exported, settle_norms

NORM = "net.settings.norm=true"
LEVELS = np.array([[0.0, 1.0]], np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "half"])
def model(request, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    tiny_runs.train(data, folder / "run", NORM)
    export_run(folder / "run", folder / "tiny.onnx", half=request.param)
    return folder / "tiny.onnx"


@pytest.fixture
def recipe(tmp_path):
    return load_recipe(tiny_runs.recipe_file(tmp_path), [NORM])


def batches(count=3, seed=0):
    rng = np.random.default_rng(seed)
    noisy = torch.tensor(rng.random((count, 4, 3, 16, 16)), dtype=torch.float32)
    return [{"noisy": one, "levels": torch.tensor([[0.0, 1.0]] * 4)} for one in noisy]


def answers(net, picture):
    net.eval()
    with torch.no_grad():
        return net(torch.from_numpy(picture), torch.from_numpy(LEVELS)).numpy()


def test_the_network_computes_what_the_model_computes(model, recipe, rng):
    net = build_net(recipe.net.name, recipe.net.settings)
    picture = rng.random((1, 3, 32, 24)).astype(np.float32)
    expected = start(read_model(model), runtime="onnxruntime")({"picture": picture, "levels": LEVELS})
    assert np.abs(answers(net, picture) - expected).max() > 1e-2
    load_exported(net, model)
    np.testing.assert_allclose(answers(net, picture), expected, atol=2e-5)
    settle_norms(net, batches())
    np.testing.assert_allclose(answers(net, picture), expected, atol=2e-5)


def test_norms_have_the_statistics_of_the_batches_and_filters_unit_length(model, recipe):
    net = build_net(recipe.net.name, recipe.net.settings)
    load_exported(net, model)
    settle_norms(net, batches(count=1))
    assert net.training
    block, seen = net.middle[0], []
    block.first.register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
    net.eval()
    with torch.no_grad():
        net(*(batches(count=1)[0][name] for name in ("noisy", "levels")))
    assert torch.allclose(block.norm.running_mean, seen[0].mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(
        block.norm.running_var, seen[0].var(dim=(0, 2, 3), unbiased=False), rtol=1e-3, atol=1e-6
    )
    assert torch.allclose(block.first.weight.flatten(1).norm(dim=1), torch.ones(8), atol=1e-5)


def test_a_run_begins_where_the_model_ended(model, data, tmp_path, rng):
    summary = tiny_runs.train(
        data, tmp_path / "run", "optimiser.rate=1e-9", NORM, "optimiser.freeze_norms=0", start_from=str(model)
    )
    assert summary["finished"]
    export_run(tmp_path / "run", tmp_path / "after.onnx")
    picture = rng.random((1, 3, 32, 24)).astype(np.float32)
    before, after = (
        start(read_model(path), runtime="onnxruntime")({"picture": picture, "levels": LEVELS})
        for path in (model, tmp_path / "after.onnx")
    )
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_network_without_norms_is_taken_over_as_it_is(data, tmp_path, rng):
    tiny_runs.train(data, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "plain.onnx")
    recipe = load_recipe(tiny_runs.recipe_file(tmp_path))
    net = build_net(recipe.net.name, recipe.net.settings)
    picture = rng.random((1, 3, 32, 24)).astype(np.float32)
    expected = start(read_model(tmp_path / "plain.onnx"), runtime="onnxruntime")(
        {"picture": picture, "levels": LEVELS}
    )
    assert np.abs(answers(net, picture) - expected).max() > 1e-3
    load_exported(net, tmp_path / "plain.onnx")
    np.testing.assert_allclose(answers(net, picture), expected, atol=2e-5)
    before = {name: values.clone() for name, values in net.state_dict().items()}
    settle_norms(net, batches())
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    # A norm has nothing to be made of there.
    normed = build_net(recipe.net.name, {**recipe.net.settings, "norm": True})
    with pytest.raises(TrainingError, match=r"do not fit the recipe's network.*missing: .*first\.bias"):
        load_exported(normed, tmp_path / "plain.onnx")


def test_models_of_other_networks_are_refused(model, recipe, tmp_path):
    wider = build_net("universal", {**recipe.net.settings, "widths": [16, 8, 8]})
    with pytest.raises(
        TrainingError, match=r"do not fit the recipe's network.*of another shape: decoders\.0"
    ):
        load_exported(wider, model)
    other = build_net("upconv", {"widths": [4, 4, 4, 4, 4]})
    with pytest.raises(TrainingError, match=r"missing: .*down_half\.bias.*\.\.\."):
        load_exported(other, model)
    with pytest.raises(TrainingError, match=r"batch norms cannot be brought back.*--resume"):
        load_exported(build_net("unet", {"width": 4, "depth": 2}), model)
    with pytest.raises(TrainingError, match=r"batch norms cannot be brought back"):
        load_exported(build_net("bottleneck-unet", {"widths": [4, 4], "bottleneck": 4}), model)
    with pytest.raises(ModelError, match="There is no model file"):
        load_exported(wider, tmp_path / "absent.onnx")


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_with_the_model_again(
    model, data, tmp_path, monkeypatch
):
    run, changes = tmp_path / "run", ("optimiser.rate=1e-9", NORM, "optimiser.freeze_norms=0")
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_fit", tiny_runs.stop)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs.train(data, run, *changes, start_from=str(model))
    taken, original = [], load_exported
    monkeypatch.setattr(
        run_module, "load_exported", lambda net, name: taken.append(name) or original(net, name)
    )
    tiny_runs.train(data, run, resume=True)
    assert taken == [str(model)]
    tiny_runs.train(data, run, resume=True)
    assert len(taken) == 1
    card = read_model(model).card
    export_run(run, tmp_path / "after.onnx")
    notes = read_model(tmp_path / "after.onnx").card.notes
    assert notes == f"Training began with the weights of {card.name} ({card.checksum[:12]})."


def test_a_run_that_was_killed_while_it_decoded_begins_with_the_model_and_its_pictures(
    model, data, tmp_path, monkeypatch
):
    run, taken = tmp_path / "run", []
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "open_source", tiny_runs.stop)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs.train(
                data,
                run,
                NORM,
                "optimiser.freeze_norms=0",
                start_from=str(model),
                limit_train=4,
                max_minutes=9,
            )
    original = load_exported
    monkeypatch.setattr(
        run_module, "load_exported", lambda net, name: taken.append(name) or original(net, name)
    )
    summary = tiny_runs.train(data, run, resume=True)
    assert taken == [str(model)]
    assert summary["max_minutes"] == 9
    content = tiny_runs.read_json(run / "data.json")
    assert len(content["training"]) + len(content["validation"]) == 4


def test_a_new_run_does_not_begin_with_the_model_of_an_earlier_attempt(model, data, tmp_path, monkeypatch):
    run, taken = tmp_path / "run", []
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_fit", tiny_runs.stop)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs.train(data, run, NORM, "optimiser.freeze_norms=0", start_from=str(model))
    # What the interruption left counts as no training.
    for name in ("tensorboard", "csv"):
        shutil.rmtree(run / name, ignore_errors=True)
    monkeypatch.setattr(run_module, "load_exported", lambda net, name: taken.append(name))
    tiny_runs.train(data, run, "schedule.steps=1")
    assert taken == []
    assert "start_from" not in tiny_runs.read_json(run / "data.json")


def test_a_run_resumes_with_the_model_that_it_began_with(model, data, tmp_path, monkeypatch):
    own, run = tmp_path / "own.onnx", tmp_path / "run"
    own.write_bytes(model.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_fit", tiny_runs.stop)
        with pytest.raises(KeyboardInterrupt):
            tiny_runs.train(data, run, NORM, "optimiser.freeze_norms=0", start_from=str(own))
    with pytest.raises(TrainingError, match=r"keeps the weights that it has; got --start-from"):
        tiny_runs.train(data, run, resume=True, start_from=str(own))
    content = tiny_runs.read_json(run / "data.json")
    content["start_from"]["checksum"] = "0" * 64
    (run / "data.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"is not the one that the run began with; got checksum .*000000"):
        tiny_runs.train(data, run, resume=True)
