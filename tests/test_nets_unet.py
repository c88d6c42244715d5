"""The U-Nets: layers against plain calculations, size, reach, and the way to a model file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tiny_runs
from grainless.denoiser import Denoiser
from grainless.errors import RecipeError
from grainless.nets import build_net
from grainless.nets.unet import BottleneckUNet, ConvModule, DenoisingUNet, NormedModule, UpConvModule
from grainless.training import export as export_module
from grainless.training import export_run
from grainless.training.export import receptive_radius

FULL = torch.tensor([[0.0, 1.0]])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)


def parameters(net):
    return sum(weights.numel() for weights in net.parameters())


def stirred(module):
    """The module in use, with norms whose statistics and gains are not those that they begin with."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    return module.eval()


@pytest.mark.parametrize("stride", [1, 2])
def test_conv_module_is_twice_convolution_leaky_relu_norm(stride):
    module = stirred(ConvModule(3, 5, stride=stride))
    features = torch.randn(2, 3, 8, 6)
    first, _, first_norm, _, second, _, second_norm, _ = module.sequence
    expected = first_norm(F.leaky_relu(F.conv2d(features, first.weight, first.bias, padding=1), 0.1))
    expected = F.conv2d(expected, second.weight, second.bias, padding=1, stride=stride)
    torch.testing.assert_close(module(features), second_norm(F.leaky_relu(expected, 0.1)))


def test_conv_module_drops_single_values_in_training_only():
    module = ConvModule(1, 4, dropout=0.5)
    features = torch.randn(1, 1, 16, 16)
    dropped = module(features) == 0
    # Single values, not whole channels: every channel loses about a half of them.
    assert all(0.3 < float(part.float().mean()) < 0.7 for part in dropped[0])
    assert not bool((module.eval()(features) == 0).any())


@pytest.mark.parametrize("stride", [1, 2])
def test_normed_module_folds_both_norms(stride):
    module = stirred(NormedModule(3, 5, stride=stride))
    features = torch.randn(2, 3, 8, 6)
    between = F.relu(module.first_norm(module.first(features)))
    expected = F.relu(module.second_norm(module.second(between)))
    torch.testing.assert_close(module(features), expected)
    module.fold()
    torch.testing.assert_close(module(features), expected, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def test_up_conv_module_joins_the_skip_behind_what_came_up():
    up = stirred(UpConvModule(6, 4, block=ConvModule, skip=True))
    coarse, fine = torch.randn(1, 6, 3, 5), torch.randn(1, 4, 6, 10)
    torch.testing.assert_close(up(coarse, fine), up.block(torch.cat([up.up(coarse), fine], dim=1)))
    plain = stirred(UpConvModule(6, 4, block=ConvModule, skip=False))
    assert torch.equal(plain(coarse, fine), plain(coarse, torch.zeros_like(fine)))


@pytest.mark.parametrize("down", ["pool", "stride"])
def test_blocks_levels_and_widths(down):
    net = DenoisingUNet(width=2, down=down).eval()
    assert (len(net.encoder), len(net.decoder), net.stride) == (5, 4, 16)
    shapes = []
    for block in (*net.encoder, *net.decoder):
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    net(torch.rand(1, 3, 32, 48))
    levels = [(2 * 2**k, 32 // 2**k, 48 // 2**k) for k in range(5)]
    assert shapes == levels + levels[3::-1]
    assert [DenoisingUNet(width=1, depth=depth).stride for depth in (2, 3, 4)] == [2, 4, 8]


def test_pooling_keeps_the_largest_of_four():
    net = DenoisingUNet(width=2, depth=2).eval()
    seen = []
    for block in net.encoder:
        block.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    net(torch.rand(1, 3, 4, 6))
    (_, fine), (pooled, _) = seen
    torch.testing.assert_close(pooled, fine.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(-1, -2)))


def conv_module_size(width_in, width_out):
    """Weights and biases of two 3x3 convolutions, gains and offsets of two norms."""
    return 9 * width_out * (width_in + width_out) + 6 * width_out


@pytest.mark.parametrize(("width", "down"), [(32, "pool"), (32, "stride"), (8, "pool")])
def test_number_of_parameters(width, down):
    widths = [width * 2**level for level in range(5)]
    expected = conv_module_size(3, width) + 3 * (9 * width + 1)
    for fine, coarse in pairwise(widths):
        expected += conv_module_size(fine, coarse)
        expected += fine * (4 * coarse + 1) + conv_module_size(2 * fine, fine)
    assert parameters(DenoisingUNet(width=width, down=down)) == expected


def test_bottleneck_unet_halves_to_an_eighth():
    net = BottleneckUNet(widths=[2, 3, 4], bottleneck=5, channels=1).eval()
    bottom = []
    net.encoder[-1].register_forward_hook(lambda module, inputs, output: bottom.append(output.shape))
    answer = net(100 * torch.rand(1, 1, 48, 48))
    assert bottom == [(1, 5, 6, 6)]
    assert net.stride == 8
    assert float(answer.detach().min()) >= 0
    assert float(answer.detach().max()) <= 1
    assert net.sigmoid
    assert not BottleneckUNet(widths=[2], bottleneck=2, hint=True).sigmoid


@pytest.mark.parametrize(
    ("name", "settings", "radius"),
    [
        ("unet", {"width": 2}, 108),
        ("unet", {"width": 2, "down": "stride"}, 78),
        ("unet", {"width": 2, "depth": 4, "hint": True}, 59),
        ("bottleneck-unet", {"widths": [2, 2, 2], "bottleneck": 2}, 52),
    ],
)
def test_the_reach_has_an_end(name, settings, radius):
    net = build_net(name, settings).eval()
    net.fold()
    assert receptive_radius(net, channels=3) == radius


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("unet", {"width": 2}, marks=pytest.mark.slow),
        ("unet", {"width": 2, "depth": 3, "down": "stride", "residual": True, "skips": False}),
        pytest.param("unet", {"width": 2, "depth": 3, "hint": True, "channels": 1}, marks=pytest.mark.slow),
        ("bottleneck-unet", {"widths": [2, 3], "bottleneck": 4}),
        pytest.param(
            "bottleneck-unet", {"widths": [2, 3], "bottleneck": 4, "hint": True}, marks=pytest.mark.slow
        ),
    ],
)
def test_the_graph_gives_what_torch_gives_at_any_size(name, settings):
    net = stirred(build_net(name, settings))
    net.fold()
    session = onnxruntime.InferenceSession(export_module._onnx_graph(net))
    for height, width in [(1, 1), (5, 3), (12, 7)]:
        noisy = torch.rand(1, net.channels, height * net.stride, width * net.stride)
        inputs = net.select_inputs(noisy, FULL)
        with torch.no_grad():
            expected = net(*inputs).numpy()
        arrays = {key: values.numpy() for key, values in zip(net.inputs, inputs, strict=True)}
        np.testing.assert_allclose(session.run(None, arrays)[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("unet", "{width=2, depth=4}"),
        ("bottleneck-unet", "{widths=[4, 4], bottleneck=4, hint=true}"),
    ],
)
def test_from_training_to_tiles_that_are_exact(name, settings, tmp_path, rng):
    tiny_runs.pictures(tmp_path / "pictures", count=4, height=64, width=64)
    changes = [
        f"net.name={name}",
        f"net.settings={settings}",
        'data.validation=["a/0.png"]',
        "data.validation_patch=64",
    ]
    tiny_runs.train(tmp_path / "pictures", tmp_path / "run", *changes)
    card = export_run(tmp_path / "run", tmp_path / "m.onnx")
    assert card.inputs == (["picture", "levels"] if "hint" in settings else ["picture"])
    pixels = rng.random((150, 170, 3), dtype=np.float32)
    whole, tiled = (Denoiser.load(tmp_path / "m.onnx", tile=tile)(pixels) for tile in (10**6, 32))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("unet", {"depth": 1}, "depth must be between 2 and 8, not 1"),
        ("unet", {"depth": 2.5}, "cannot be built"),
        ("unet", {"dropout": 1.0}, r"dropout must be at least 0 and less than 1, not 1\.0"),
        ("unet", {"width": 0}, "widths must be whole numbers of 1 and more"),
        ("unet", {"width": 2.5}, "widths must be whole numbers of 1 and more"),
        ("unet", {"down": "shrink"}, 'down must be "pool" or "stride", not \'shrink\''),
        ("unet", {"skips": "no"}, "skips must be true or false, not 'no'"),
        ("bottleneck-unet", {"widths": []}, "widths must hold a number or more"),
        ("bottleneck-unet", {"widths": "abc"}, "widths must be whole numbers"),
        ("bottleneck-unet", {"widths": 5}, "cannot be built"),
        ("bottleneck-unet", {"bottleneck": -1}, "widths must be whole numbers of 1 and more"),
    ],
)
def test_wrong_settings(name, settings, message):
    with pytest.raises(RecipeError, match=message):
        build_net(name, settings)
