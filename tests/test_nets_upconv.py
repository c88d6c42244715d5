"""The upsampling network: its layers against a plain calculation, its logits, its reach and its graph."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

import tiny_runs
from grainless.errors import RecipeError
from grainless.nets import build_net
from grainless.nets.upconv import UpconvNet
from grainless.training import export as export_module
from grainless.training import export_run
from grainless.training.export import receptive_radius

WIDTHS = [4, 5, 6, 7, 8]
IMPROVED = {"widths": [24, 32, 32, 32, 48], "skip": True, "hint": True, "norm": True}
FULL = torch.tensor([[0.0, 1.0]])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(2)


def parameters(net):
    return sum(weights.numel() for weights in net.parameters())


def plain_layers(net, picture):
    """Two strides, two convolutions, and each value four times in front of each of the last two."""

    def convolve(name, features, stride=1):
        layer = getattr(net, name)
        return F.conv2d(features, layer.weight, layer.bias, padding=1, stride=stride)

    features = picture
    for name, stride in [("down_half", 2), ("down_quarter", 2), ("third", 1), ("fourth", 1)]:
        features = F.leaky_relu(convolve(name, features, stride), 0.1)
    features = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    features = F.leaky_relu(convolve("fifth", features), 0.1)
    features = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    if net.full is not None:
        features = torch.cat([features, F.leaky_relu(convolve("full", picture), 0.1)], dim=1)
    return convolve("last", features)


def test_norms_stand_behind_the_relus():
    net, picture = UpconvNet(widths=WIDTHS, skip=True, norm=True), torch.rand(1, 3, 8, 8)
    assert sorted(net.norms) == ["down_half", "down_quarter", "fifth", "fourth", "full", "third"]
    plain = UpconvNet(widths=WIDTHS, skip=True)
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if "norms" not in key})
    net.eval()
    # A norm that has seen nothing but means of 0 and variances of 1 changes nothing but for its epsilon.
    torch.testing.assert_close(net(picture), plain(picture), atol=1e-3, rtol=1e-3)
    for norm in net.norms.values():
        norm.bias.data.fill_(0.5)
    with torch.no_grad():
        assert float((net(picture) - plain(picture)).abs().max()) > 1e-2
    assert not UpconvNet(widths=WIDTHS).norms


@pytest.mark.parametrize("size", [(4, 4), (12, 20)])
def test_the_answer_is_the_sigmoid_of_the_layers(size):
    net, picture = UpconvNet(widths=WIDTHS), torch.rand(2, 3, *size)
    expected = plain_layers(net, picture)
    torch.testing.assert_close(net.logits(picture), expected)
    torch.testing.assert_close(net(picture), torch.sigmoid(expected))
    assert net.gives_logits
    assert net.stride == 4


def test_cross_entropy_of_the_logits_is_that_of_the_answer():
    net, picture, clean = UpconvNet(widths=WIDTHS), torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(
        F.binary_cross_entropy_with_logits(net.logits(picture), clean),
        F.binary_cross_entropy(net(picture), clean),
    )


def test_the_skip_reads_the_picture_at_full_size_and_adds_a_residual():
    net, picture = UpconvNet(widths=WIDTHS, skip=True), torch.rand(1, 3, 8, 12)
    torch.testing.assert_close(net(picture), picture + plain_layers(net, picture))
    assert not net.gives_logits
    with pytest.raises(TypeError, match="UpconvNet gives no logits in this form"):
        net.logits(picture)


def test_size_of_the_network_of_the_study():
    plain = parameters(build_net("upconv"))
    assert plain == 9 * (3 * 32 + 3 * 32 * 32 + 32 * 64 + 64 * 3) + 4 * 32 + 64 + 3


@pytest.mark.parametrize(
    ("settings", "radius"), [({}, 17), ({"skip": True}, 17), ({"skip": True, "hint": True}, 24)]
)
def test_the_reach_has_an_end(settings, radius):
    net = UpconvNet(widths=[2] * 5, **settings).eval()
    assert receptive_radius(net, channels=3) == radius


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"skip": True, "channels": 1},
        pytest.param({"hint": True}, marks=pytest.mark.slow),
        pytest.param({"skip": True, "hint": True}, marks=pytest.mark.slow),
    ],
)
def test_the_graph_gives_what_torch_gives_at_any_size(settings):
    net = UpconvNet(widths=WIDTHS, **settings).eval()
    session = onnxruntime.InferenceSession(export_module._onnx_graph(net))
    for height, width in [(4, 4), (20, 12), (44, 28)]:
        inputs = net.select_inputs(torch.rand(1, net.channels, height, width), FULL)
        with torch.no_grad():
            expected = net(*inputs).numpy()
        arrays = {key: values.numpy() for key, values in zip(net.inputs, inputs, strict=True)}
        np.testing.assert_allclose(session.run(None, arrays)[0], expected, atol=1e-4)


def test_from_training_to_a_model_file(tmp_path):
    tiny_runs.pictures(tmp_path / "pictures", count=4, height=64, width=64)
    changes = [
        "net.name=upconv",
        "net.settings={widths=[4, 4, 4, 4, 4], skip=true, hint=true}",
        'data.validation=["a/0.png"]',
        "data.validation_patch=64",
    ]
    tiny_runs.train(tmp_path / "pictures", tmp_path / "run", *changes)
    card = export_run(tmp_path / "run", tmp_path / "m.onnx")
    assert (card.stride, card.receptive_radius, card.inputs) == (4, 24, ["picture", "levels"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": [4, 4, 4]}, r"widths must be 5 numbers, not \[4, 4, 4\]"),
        ({"widths": [4, 4, 4, 4, 0]}, "widths must be whole numbers of 1 and more"),
        ({"widths": 4}, "cannot be built"),
        ({"skip": "yes"}, "skip must be true or false, not 'yes'"),
        ({"skip": True, "output": "sigmoid"}, 'residual and hint need output = "linear"'),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(RecipeError, match=message):
        build_net("upconv", settings)
