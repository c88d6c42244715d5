"""Export: one file that is usable at once, with a card that was measured, or an error and no file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tiny_runs
from grainless import Denoiser
from grainless.errors import DataError, TrainingError
from grainless.metrics import psnr
from grainless.model_file import list_models, read_model
from grainless.nets import PictureNet, build_net
from grainless.picture import read_picture
from grainless.runtime import start
from grainless.training import export as export_module
from grainless.training import export_run, load_recipe
from grainless.training.export import receptive_radius


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("export")
    tiny_runs.pictures(folder / "pictures", count=5, height=208, width=216)
    changes = [
        'data.validation=["a/0.png"]',
        "data.validation_patch=192",
        "card.licence=Apache-2.0",
        "card.notes=Only for tests.",
        "card.sources={a='CC0-1.0'}",
        "schedule.steps=12",
    ]
    tiny_runs.train(folder / "pictures", folder / "run", *changes)
    return folder / "run"


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The path of the exported model, and the card that was returned."""
    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    return path, export_run(run, path)


@pytest.fixture(scope="module")
def graph(exported):
    """The graph of the run's network without its card; torch takes seconds to write another."""
    model = onnx.load(exported[0])
    del model.metadata_props[:]
    return model.SerializeToString()


@pytest.fixture
def known_graph(graph, monkeypatch):
    """Let exports of a test take that graph."""
    monkeypatch.setattr(export_module, "_onnx_graph", lambda net: graph)
    return graph


@pytest.fixture(scope="module")
def half_exported(run, tmp_path_factory):
    """The path of a model with weights of 16 bits, and its card."""
    path = tmp_path_factory.mktemp("half") / "tiny.onnx"
    return path, export_run(run, path, half=True)


@pytest.fixture
def own_run(run, tmp_path):
    """A copy of the run that a test may damage."""
    return shutil.copytree(run, tmp_path / "run")


def test_card(exported):
    path, card = exported
    assert read_model(path).card == card
    assert card.name == "tiny"
    assert card.description == "A network for tests."
    assert card.architecture.startswith("universal {")
    assert (card.channels, card.stride, card.inputs) == (3, 8, ["picture", "levels"])
    assert card.noise == ["gaussian:0..50", "salt-pepper:0..0.5:channel"]
    data = {entry.name: (entry.licence, entry.pictures) for entry in card.training_data}
    assert data == {"a": ("not stated", 2), "b": ("not stated", 2)}
    # The recipe does not know the folder b: these are other pictures, also those in a folder of a known name.
    assert (card.licence, card.notes) == ("not stated", "")
    assert card.precision == "float32"
    assert card.opset == 18
    assert len(card.checksum) == 64


def test_card_of_a_run_on_the_pictures_that_its_recipe_knows(own_run, tmp_path, known_graph):
    recipe = tiny_runs.read_json(own_run / "recipe.json")
    recipe["card"]["sources"]["b"] = "CC0-1.0"
    (own_run / "recipe.json").write_text(json.dumps(recipe))
    card = export_run(own_run, tmp_path / "m.onnx")
    assert card.name == "m"
    assert {entry.licence for entry in card.training_data} == {"CC0-1.0"}
    assert (card.licence, card.notes) == ("Apache-2.0", "Only for tests.")


def test_card_scores_are_those_of_the_model(exported, run):
    path, card = exported
    assert [score.noise for score in card.scores] == ["gaussian:25", "salt-pepper:0.3"]
    assert all("192 pixels from 1 pictures" in score.data for score in card.scores)
    trained = export_module._load_run(run)
    for kind, score in enumerate(card.scores):
        item = trained.patches[kind]
        noisy, clean = (
            np.rint(item[part].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
            for part in ("noisy", "clean")
        )
        assert score.value == pytest.approx(psnr(clean, Denoiser.load(path)(noisy)), abs=0.01)


def test_radius_is_that_of_the_network(exported, run):
    net = export_module._load_run(run).net
    radius = exported[1].receptive_radius
    assert 0 < radius <= 96
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(rng.uniform(0.2, 0.8, (1, 3, 256, 256)).astype(np.float32))
    changed = picture.clone()
    changed[:, :, :, : 256 - 120 - radius] = 0.5
    levels = torch.tensor([[0.0, 1.0]])
    with torch.no_grad():
        difference = (net(picture, levels) - net(changed, levels)).abs().amax(dim=(0, 1, 2))
    assert float(difference[256 - 120 :].max()) == 0
    assert float(difference[: 256 - 120 - radius].max()) > 0


@pytest.mark.parametrize("size", [(8, 8), (48, 104), (200, 136)])
def test_graph_takes_any_size_and_gives_what_torch_gives(exported, run, size):
    rng = np.random.default_rng(1)
    inputs = {
        "picture": rng.random((1, 3, *size), dtype=np.float32),
        "levels": np.array([[0.1, 0.9]], np.float32),
    }
    answer = start(read_model(exported[0]), runtime="onnxruntime")(inputs)
    net = export_module._load_run(run).net
    with torch.no_grad():
        expected = net(*(torch.from_numpy(values) for values in inputs.values())).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_height_and_width_are_free_in_the_graph(exported):
    model = onnx.load(exported[0])
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_param for dim in shape.dim] == ["batch", "", "height", "width"]


def test_the_model_is_usable_at_once(exported, run):
    path, _ = exported
    picture = read_picture(next(run.parent.glob("pictures/b/1.png"))).pixels
    cleaned = Denoiser.load(path)(picture)
    assert cleaned.shape == picture.shape
    assert cleaned.dtype == picture.dtype
    assert path in [found for found, _ in list_models([path])]


def test_the_average_of_the_best_state_is_exported(exported, run):
    net = export_module._load_run(run).net
    best = tiny_runs.checkpoint(run / "best.ckpt")["state_dict"]
    torch.testing.assert_close(net.tail.weight.detach(), best["net.tail.weight"])


def test_without_a_best_state_the_last_is_taken(own_run):
    (own_run / "best.ckpt").unlink()
    state = tiny_runs.checkpoint(own_run / "last.ckpt")["state_dict"]
    torch.testing.assert_close(
        export_module._load_run(own_run).net.tail.weight.detach(), state["net.tail.weight"]
    )


@pytest.mark.slow
def test_half_storage(half_exported, exported):
    path, card = half_exported
    assert card.precision == "float16-storage"
    stored = {
        tensor.data_type for tensor in onnx.load(path).graph.initializer if tensor.name.endswith(".half")
    }
    assert stored == {onnx.TensorProto.FLOAT16}
    rng = np.random.default_rng(2)
    picture = rng.random((40, 48, 3), dtype=np.float32)
    half, full = (Denoiser.load(one)(picture) for one in (path, exported[0]))
    assert 0 < np.abs(half - full).max() < 0.01
    for score, whole in zip(card.scores, exported[1].scores, strict=True):
        assert score.value >= whole.value - 0.01


def weight_bytes(path):
    return sum(len(tensor.raw_data) for tensor in onnx.load(path).graph.initializer)


@pytest.mark.slow
def test_half_storage_halves_the_file(own_run, tmp_path, monkeypatch):
    recipe = load_recipe(tiny_runs.recipe_file(tmp_path), ["net.settings.widths=[32,64,64]"])
    (own_run / "recipe.json").write_text(recipe.model_dump_json())
    net = build_net("universal", recipe.net.settings)
    state = {"net." + name: values for name, values in net.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 1}, own_run / "best.ckpt")
    monkeypatch.setattr(export_module, "HALF_COST", 1.0)
    export_run(own_run, tmp_path / "full.onnx")
    export_run(own_run, tmp_path / "half.onnx", half=True)
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("half", "full")]
    assert 0.45 < sizes[0] / sizes[1] < 0.6
    assert weight_bytes(tmp_path / "half.onnx") < 0.55 * weight_bytes(tmp_path / "full.onnx")


def test_half_storage_that_costs_too_much_is_refused(run, tmp_path, monkeypatch, known_graph):
    monkeypatch.setattr(export_module, "HALF_COST", -1.0)
    # The weights of the known graph are not rounded, so what is stored of them differs a little more.
    monkeypatch.setattr(export_module, "PARITY", 0.01)
    with pytest.raises(TrainingError, match=r"cost too much; got .* dB .*Export without --half"):
        export_run(run, tmp_path / "m.onnx", half=True)
    assert not (tmp_path / "m.onnx").exists()


def test_a_graph_that_differs_is_not_written(run, tmp_path, monkeypatch, graph):
    model = onnx.load_model_from_string(graph)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("tail.bias"))
    values = onnx.numpy_helper.to_array(bias) + np.float32(0.001)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    monkeypatch.setattr(export_module, "_onnx_graph", lambda net: model.SerializeToString())
    with pytest.raises(TrainingError, match=r"does not give what the network gives; got .* at most 0\.0001"):
        export_run(run, tmp_path / "m.onnx")
    assert list(tmp_path.glob("*.onnx*")) == []


def test_an_answer_that_is_no_number_is_refused(run, tmp_path, monkeypatch, known_graph):
    monkeypatch.setattr(
        export_module, "start", lambda *_, **__: lambda inputs: np.full_like(inputs["picture"], np.nan)
    )
    with pytest.raises(TrainingError, match="a difference of nan"):
        export_run(run, tmp_path / "m.onnx")


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(TrainingError, match="is not the folder of a training run"):
        export_run(tmp_path, tmp_path / "m.onnx")


def test_other_names_than_those_of_models_are_refused_before_the_work(own_run, tmp_path):
    before = (own_run / "best.ckpt").read_bytes()
    for name in ("best.ckpt", "photo.png", "model"):
        with pytest.raises(TrainingError, match=r"ends in \.onnx; got .*Name it so: others may be yours"):
            export_run(own_run, own_run / name)
    assert (own_run / "best.ckpt").read_bytes() == before
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(TrainingError, match=r"cannot be written; got a folder of that name"):
        export_run(own_run, tmp_path / "folder.onnx")


def test_a_run_without_checkpoint(own_run, tmp_path):
    (own_run / "best.ckpt").unlink()
    (own_run / "last.ckpt").unlink()
    with pytest.raises(TrainingError, match=r"holds no checkpoint yet\. Go on with .*--resume"):
        export_run(own_run, tmp_path / "m.onnx")


def test_a_damaged_checkpoint(own_run, tmp_path):
    (own_run / "best.ckpt").write_bytes(b"garbage" * 1000)
    with pytest.raises(TrainingError, match=r"best\.ckpt cannot be read as a checkpoint"):
        export_run(own_run, tmp_path / "m.onnx")


def test_a_run_whose_pictures_are_gone(own_run, tmp_path):
    shutil.rmtree(own_run / "pixels")
    with pytest.raises(DataError, match="does not hold the decoded pictures of a run"):
        export_run(own_run, tmp_path / "m.onnx")


def test_a_run_with_other_pictures(own_run, tmp_path):
    (own_run / "data.json").write_text('{"validation": ["gone.png"], "training": [], "folder": "x"}')
    with pytest.raises(TrainingError, match=r"does not hold the pictures of the run; got no 'gone\.png'"):
        export_run(own_run, tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_run_with_a_damaged_list_of_data(own_run, tmp_path, content):
    (own_run / "data.json").unlink()
    if content is not None:
        (own_run / "data.json").write_text(content)
    with pytest.raises(TrainingError, match=r"data\.json cannot be read"):
        export_run(own_run, tmp_path / "m.onnx")


class Small(PictureNet):
    """A network of one function, for the measurement of its reach."""

    def __init__(self, function, stride=1):
        super().__init__()
        self.function, self.stride = function, stride

    def forward(self, picture):
        return self.function(picture)


def convolution(size=3, **options):
    return nn.Conv2d(3, 3, size, padding=size // 2, **options)


def pyramid(levels):
    """Down and up again by strides of two, with a 3x3 convolution at the bottom."""
    down = [nn.Conv2d(3, 3, 2, stride=2) for _ in range(levels)]
    up = [nn.Upsample(scale_factor=2) for _ in range(levels)]
    return nn.Sequential(*down, convolution(), *up)


@pytest.mark.parametrize(
    ("function", "stride", "radius"),
    [
        (nn.Identity(), 1, 0),
        (convolution(1), 1, 0),
        (convolution(), 1, 1),
        (nn.Sequential(convolution(), nn.ReLU(), convolution()), 1, 2),
        (convolution(3, dilation=4, padding_mode="zeros"), 1, 5),
        (convolution(9), 1, 4),
        (nn.Sequential(nn.Conv2d(3, 3, (1, 7), padding=(0, 3))), 1, 3),
        (pyramid(1), 2, 3),
        (pyramid(2), 4, 7),
        (nn.MaxPool2d(5, stride=1, padding=2), 1, 2),
        (torch.zeros_like, 1, 0),
    ],
)
def test_receptive_radius_of_known_networks(function, stride, radius):
    if isinstance(function, nn.Conv2d) and function.dilation == (4, 4):
        function.padding, radius = (4, 4), 4
    assert receptive_radius(Small(function, stride), channels=3) == radius


@pytest.mark.parametrize(
    "function",
    [
        lambda picture: picture - F.adaptive_avg_pool2d(picture, 1),
        nn.InstanceNorm2d(3),
        lambda picture: picture.cumsum(dim=3),
    ],
)
def test_networks_without_an_end_of_their_reach_are_refused(function):
    with pytest.raises(TrainingError, match=r"receptive field has no end; got a reach of .* and more"):
        receptive_radius(Small(function), channels=3)


@pytest.mark.slow
def test_the_universal_recipe_reaches_at_most_96_pixels():
    net = build_net("universal", load_recipe("universal").net.settings).eval()
    net.fold()
    assert 0 < receptive_radius(net, channels=3) <= 96
