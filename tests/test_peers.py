"""The shapes of known networks: their weights are counted, and their answers checked, by PyTorch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grainless import peers
from grainless.benchmark import count_multiply_adds, count_weights
from grainless.errors import InputError
from grainless.peers import PEERS, build_peer, find_peer
from grainless.tiling import round_up


@pytest.fixture(scope="module")
def built():
    """The file of each peer, made once."""
    return {name: build_peer(name, seed=3) for name in PEERS}


def answer(data, **inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(["clean"], inputs)[0]


def plain(layers):
    """3x3 convolutions between these numbers of channels, with ReLU between them, as KAIR has them."""
    convolutions = [nn.Conv2d(taken, given, 3, padding=1) for taken, given in pairwise(layers)]
    parts = [part for convolution in convolutions for part in (convolution, nn.ReLU())]
    return nn.Sequential(*parts[:-1])


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(x)))


class DRUNet(nn.Module):
    """KAIR's UNetRes with the settings of options/train_drunet.json."""

    def __init__(self, channels, widths=(64, 128, 256, 512)):
        super().__init__()
        self.head = nn.Conv2d(channels + 1, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(*(Block(a) for _ in range(4)), nn.Conv2d(a, b, 2, stride=2, bias=False))
            for a, b in pairwise(widths)
        )
        self.body = nn.Sequential(*(Block(widths[-1]) for _ in range(4)))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False), *(Block(a) for _ in range(4)))
            for b, a in pairwise(widths[::-1])
        )
        self.tail = nn.Conv2d(widths[0], channels, 3, padding=1, bias=False)

    def forward(self, x):
        kept = [self.head(x)]
        for part in self.down:
            kept.append(part(kept[-1]))
        x = self.body(kept[-1])
        for part in self.up:
            x = part(x + kept.pop())
        return self.tail(x + kept.pop())


def oracle(name):
    """The network of that name in PyTorch, without the steps around it that learn nothing."""
    return {
        "dncnn-17": lambda: plain([1, *[64] * 16, 1]),
        "dncnn-20": lambda: plain([3, *[64] * 19, 3]),
        "ffdnet-gray": lambda: plain([5, *[64] * 14, 4]),
        "ffdnet-colour": lambda: plain([13, *[96] * 11, 12]),
        "drunet-gray": lambda: DRUNet(1),
        "drunet-colour": lambda: DRUNet(3),
    }[name]()


def loaded(net, data):
    """Give a network the weights of a file, which stand there in the order of its layers."""
    arrays = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(data).graph.initializer]
    floats = [array for array in arrays if array.dtype == np.float32]
    for parameter, array in zip(net.parameters(), floats, strict=True):
        parameter.data = torch.from_numpy(array.copy())
    return net.eval()


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


# Sizes


@pytest.mark.parametrize("name", PEERS)
def test_weights_are_those_of_the_original(built, name):
    assert PEERS[name].weights == parameters(oracle(name)) == count_weights(built[name])


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("dncnn-17", 0.555),
        ("dncnn-20", 0.668),
        ("ffdnet-gray", 0.485),
        ("ffdnet-colour", 0.852),
        ("drunet-gray", 32.64),
        ("drunet-colour", 32.64),
    ],
)
def test_weights_are_the_published_ones_with_batch_norms_merged(name, millions):
    digits = 2 if millions > 1 else 3
    assert round(PEERS[name].weights / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("name", "layers", "published"),
    [
        ("dncnn-17", [1, *[64] * 16, 1], 0.556),
        ("ffdnet-gray", [5, *[64] * 14, 4], 0.486),
    ],
)
def test_published_counts_before_merging(name, layers, published):
    # As trained: convolutions without biases, and scale and shift of a batch norm behind each inner one.
    convolutions = [nn.Conv2d(taken, given, 3, padding=1, bias=False) for taken, given in pairwise(layers)]
    norms = [nn.BatchNorm2d(convolution.out_channels) for convolution in convolutions[1:-1]]
    trained = parameters(nn.ModuleList([*convolutions, *norms]))
    assert round(trained / 1e6, 3) == published
    inner = [
        fuse_conv_bn_eval(convolution.eval(), norm.eval())
        for convolution, norm in zip(convolutions[1:-1], norms, strict=True)
    ]
    merged = parameters(nn.ModuleList([convolutions[0], *inner, convolutions[-1]]))
    # The originals give the first and the last layer biases as well.
    assert PEERS[name].weights == merged + layers[1] + layers[-1]


@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("dncnn-17", 36.3),
        ("dncnn-20", 43.7),
        ("ffdnet-gray", 7.9),
        ("ffdnet-colour", 13.9),
        ("drunet-gray", 138.6),
        ("drunet-colour", 138.8),
    ],
)
def test_multiply_adds_of_256_by_256(built, name, giga):
    per_pixel = count_multiply_adds(built[name], stride=PEERS[name].stride)
    assert per_pixel * 256**2 / 1e9 == pytest.approx(giga, abs=0.05)


# Answers


@pytest.mark.parametrize("name", ["dncnn-17", "dncnn-20"])
@pytest.mark.parametrize("size", [(1, 1), (13, 17)])
def test_dncnn_answers_as_in_pytorch(built, rng, name, size):
    picture = rng.random((1, PEERS[name].channels, *size), dtype=np.float32)
    with torch.no_grad():
        want = torch.from_numpy(picture) - loaded(oracle(name), built[name])(torch.from_numpy(picture))
    np.testing.assert_allclose(answer(built[name], picture=picture), want.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["ffdnet-gray", "ffdnet-colour"])
def test_ffdnet_answers_as_in_pytorch(built, rng, name):
    channels = PEERS[name].channels
    picture = rng.random((2, channels, 10, 6), dtype=np.float32)
    net = loaded(oracle(name), built[name])
    # Space-to-depth has the place in the cell outside, pixel-unshuffle the channel.
    order = [place * channels + channel for channel in range(channels) for place in range(4)]
    weight = net[0].weight.data
    net[0].weight.data = torch.cat([weight[:, order], weight[:, -1:]], dim=1)
    cells = pixel_unshuffle(torch.from_numpy(picture), 2)
    with torch.no_grad():
        want = pixel_shuffle(net(torch.cat([cells, torch.full((2, 1, 5, 3), 0.1)], dim=1)), 2)
    got = answer(built[name], picture=picture, sigma=np.full((1, 1, 1, 1), 0.1, np.float32))
    np.testing.assert_allclose(got, want.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["drunet-gray", "drunet-colour"])
def test_drunet_answers_as_in_pytorch(built, rng, name):
    picture = rng.random((1, PEERS[name].channels + 1, 8, 24), dtype=np.float32)
    with torch.no_grad():
        want = loaded(oracle(name), built[name])(torch.from_numpy(picture)).numpy()
    np.testing.assert_allclose(answer(built[name], picture=picture), want, rtol=1e-3, atol=1e-3 * want.std())


# Reach


def farthest(data, *, channels, place, stride):
    """How far, in pixels, a changed pixel is felt where nothing can cancel out."""
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(np.ones_like(array) / array[0].size, tensor.name))
    side = round_up(2 * place + 2 * stride, stride)
    inputs = {"picture": np.zeros((1, channels, side, side), np.float32)}
    if any(value.name == "sigma" for value in model.graph.input):
        inputs["sigma"] = np.zeros((1, 1, 1, 1), np.float32)
    positive = model.SerializeToString()
    before = answer(positive, **inputs)
    reach = 0
    for offset in range(stride):
        inputs["picture"][:] = 0
        inputs["picture"][..., place + offset, place + offset] = 1e25
        changed = np.argwhere(answer(positive, **inputs) != before)[:, 2:]
        reach = max(reach, np.abs(changed - place - offset).max())
    return reach


@pytest.mark.parametrize("name", ["dncnn-17", "dncnn-20", "ffdnet-gray", "ffdnet-colour"])
def test_radius_is_what_a_changed_pixel_reaches(built, name):
    peer = PEERS[name]
    place = round_up(peer.radius + 2, peer.stride)
    assert farthest(built[name], channels=peer.channels, place=place, stride=peer.stride) == peer.radius


@pytest.mark.parametrize("name", ["drunet-gray", "drunet-colour"])
def test_radius_of_drunet(name):
    peer = PEERS[name]
    # The reach depends on the layers, not on how many channels they have.
    slim = peers._drunet(0, channels=peer.channels, widths=(2, 2, 2, 2)).SerializeToString()
    place = round_up(peer.radius + 2, peer.stride)
    assert farthest(slim, channels=peer.channels + 1, place=place, stride=peer.stride) == peer.radius


# The files


def test_unknown_names_are_listed():
    with pytest.raises(InputError, match="no peer named 'dncnn'; expected one of dncnn-17, dncnn-20, ffdnet"):
        build_peer("dncnn")
    assert find_peer("dncnn-20").channels == 3


def test_seeds_make_weights():
    assert build_peer("ffdnet-gray", seed=1) == build_peer("ffdnet-gray", seed=1)
    assert build_peer("ffdnet-gray", seed=1) != build_peer("ffdnet-gray", seed=2)


@pytest.mark.parametrize("name", PEERS)
def test_graphs_are_valid_and_of_any_size(built, name):
    model = onnx.load_from_string(built[name])
    onnx.checker.check_model(model, full_check=True)
    for value in (model.graph.input[0], model.graph.output[0]):
        assert [bool(side.dim_param) for side in value.type.tensor_type.shape.dim] == [
            True,
            False,
            True,
            True,
        ]
