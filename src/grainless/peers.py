"""The shapes of known networks as ONNX graphs with random weights, so that speed is compared on equal terms.

Only the layers are those of the originals; what such a graph answers is no clean picture. Layers after the
authors' PyTorch code, https://github.com/cszn/KAIR, `models/network_dncnn.py`, `network_ffdnet.py` and
`network_unet.py`, with the settings of its test programs. As there, batch norms are merged into the
convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grainless.errors import InputError

if TYPE_CHECKING:
    import onnx

OPSET = 18
IR_VERSION = 9

DRUNET_WIDTHS = (64, 128, 256, 512)
DRUNET_BLOCKS = 4


@dataclass(frozen=True)
class Peer:
    """A network's shape, and how its graph wants to be fed."""

    about: str
    channels: Literal[1, 3]
    """Channels of the picture; the graph maps "picture" `(batch, channels, height, width)` to "clean"."""
    stride: int
    """Height and width must be multiples of this many pixels."""
    radius: int
    """Distance in pixels beyond which a pixel has no influence on the answer at another."""
    noise_level: Literal["none", "scalar", "channel"]
    """Where the noise level goes: nowhere, into "sigma" `(1, 1, 1, 1)`, or behind the picture's channels."""
    weights: int
    """Numbers that were learned, batch norms merged: weights and, where it has them, biases."""
    build: Callable[[int], onnx.ModelProto]
    """Makes the graph from a seed."""


def build_peer(name: str, *, seed: int = 0) -> bytes:
    """Return the ONNX file of a peer of that name, of `PEERS`, with random weights of that seed.

    Height and width are free, values are meant to be in [0, 1]. Raises `InputError` for an unknown name.
    """
    data: bytes = find_peer(name).build(seed).SerializeToString()
    return data


def find_peer(name: str) -> Peer:
    """Return the peer of that name; raises `InputError`, with the ones there are, for another."""
    if name not in PEERS:
        raise InputError(f"There is no peer named {name!r}", expected=f"one of {', '.join(PEERS)}")
    return PEERS[name]


class _Layers:
    """Collects the nodes and weights of a graph; methods take and give names of tensors."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add any operator with one output."""
        from onnx import helper

        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any, *, dtype: type[np.generic] = np.float32) -> str:
        """Keep an array in the file."""
        from onnx import numpy_helper

        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def conv(
        self, tensor: str, sides: tuple[int, int], *, bias: bool = True, step: int = 1, up: bool = False
    ) -> str:
        """Add a convolution from `sides[0]` to `sides[1]` channels.

        3x3 at `step` 1, else `step` x `step` pixels without overlap, down or, transposed, `up`.
        """
        taken, given = sides
        size = 3 if step == 1 else step
        # The variance stays about the same through all layers: no infinities, no denormals, which are slow.
        spread = 1 / np.sqrt(taken * (1 if up else size * size))
        shape = (taken, given, size, size) if up else (given, taken, size, size)
        inputs = [tensor, self.constant(spread * self._random.standard_normal(shape, np.float32))]
        if bias:
            inputs.append(self.constant(0.01 * self._random.standard_normal(given)))
        kind = "ConvTranspose" if up else "Conv"
        pad = 1 if step == 1 else 0
        return self.add(kind, *inputs, kernel_shape=[size] * 2, pads=[pad] * 4, strides=[step] * 2)

    def chain(self, tensor: str, widths: Sequence[int]) -> str:
        """Add 3x3 convolutions with biases between these numbers of channels, ReLU between them."""
        for index, sides in enumerate(pairwise(widths)):
            tensor = self.conv(self.add("Relu", tensor) if index else tensor, sides)
        return tensor

    def blocks(self, tensor: str, width: int) -> str:
        """Add DRUNet's residual blocks of one scale."""
        for _ in range(DRUNET_BLOCKS):
            inner = self.add("Relu", self.conv(tensor, (width, width), bias=False))
            tensor = self.add("Add", tensor, self.conv(inner, (width, width), bias=False))
        return tensor

    def finish(self, answer: str, *, channels: int, answers: int, scalar: bool = False) -> onnx.ModelProto:
        """Return the model from "picture", of `channels`, to "clean", of `answers` channels."""
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [answer], ["clean"]))
        sides: list[str | int | None] = ["batch", channels, "height", "width"]
        inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, sides)]
        if scalar:
            inputs.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, [1, 1, 1, 1]))
        clean = helper.make_tensor_value_info(
            "clean", TensorProto.FLOAT, ["batch", answers, "height", "width"]
        )
        graph = helper.make_graph(self.nodes, "peer", inputs, [clean], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _dncnn(seed: int, *, channels: int, depth: int) -> onnx.ModelProto:
    """Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017: the noise is predicted and subtracted."""
    layers = _Layers(seed)
    noise = layers.chain("picture", [channels, *[64] * (depth - 1), channels])
    answer = layers.add("Sub", "picture", noise)
    return layers.finish(answer, channels=channels, answers=channels)


def _ffdnet(seed: int, *, channels: int, width: int, depth: int) -> onnx.ModelProto:
    """Zhang, Zuo, Zhang, "FFDNet", IEEE TIP 2018: at half resolution, with a map of the noise level.

    Space-to-depth orders the channels of a cell otherwise than PyTorch's pixel-unshuffle does, which amounts
    to another order of the first layer's weights.
    """
    layers = _Layers(seed)
    cells = layers.add("SpaceToDepth", "picture", blocksize=2)
    batch, sides = layers.add("Shape", cells, start=0, end=1), layers.add("Shape", cells, start=2, end=4)
    shape = layers.add("Concat", batch, layers.constant([1], dtype=np.int64), sides, axis=0)
    level = layers.add("Expand", "sigma", shape)
    seen = layers.add("Concat", cells, level, axis=1)
    small = layers.chain(seen, [4 * channels + 1, *[width] * (depth - 1), 4 * channels])
    answer = layers.add("DepthToSpace", small, blocksize=2, mode="CRD")
    return layers.finish(answer, channels=channels, answers=channels, scalar=True)


def _drunet(seed: int, *, channels: int, widths: Sequence[int] = DRUNET_WIDTHS) -> onnx.ModelProto:
    """Zhang et al., "Plug-and-play image restoration with deep denoiser prior", IEEE TPAMI 2022.

    A residual U-Net without biases; the last input channel is the map of the noise level.
    """
    layers = _Layers(seed)
    tensor = layers.conv("picture", (channels + 1, widths[0]), bias=False)
    skips = [tensor]
    for sides in pairwise(widths):
        tensor = layers.conv(layers.blocks(tensor, sides[0]), sides, bias=False, step=2)
        skips.append(tensor)
    tensor = layers.blocks(tensor, widths[-1])
    for wide, narrow in pairwise(widths[::-1]):
        tensor = layers.add("Add", tensor, skips.pop())
        tensor = layers.blocks(layers.conv(tensor, (wide, narrow), bias=False, step=2, up=True), narrow)
    answer = layers.conv(layers.add("Add", tensor, skips.pop()), (widths[0], channels), bias=False)
    return layers.finish(answer, channels=channels + 1, answers=channels)


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "dncnn-17": Peer(
            about="DnCNN, 17 layers, gray, for one noise level",
            channels=1,
            stride=1,
            radius=17,
            noise_level="none",
            weights=555_137,
            build=lambda seed: _dncnn(seed, channels=1, depth=17),
        ),
        "dncnn-20": Peer(
            about="DnCNN-B, 20 layers, colour, blind",
            channels=3,
            stride=1,
            radius=20,
            noise_level="none",
            weights=668_227,
            build=lambda seed: _dncnn(seed, channels=3, depth=20),
        ),
        "ffdnet-gray": Peer(
            about="FFDNet, 15 layers at half resolution, gray",
            channels=1,
            stride=2,
            radius=31,
            noise_level="scalar",
            weights=485_316,
            build=lambda seed: _ffdnet(seed, channels=1, width=64, depth=15),
        ),
        "ffdnet-colour": Peer(
            about="FFDNet, 12 layers at half resolution, colour",
            channels=3,
            stride=2,
            radius=25,
            noise_level="scalar",
            weights=852_108,
            build=lambda seed: _ffdnet(seed, channels=3, width=96, depth=12),
        ),
        "drunet-gray": Peer(
            about="DRUNet, residual U-Net of four scales, gray",
            channels=1,
            stride=8,
            radius=185,
            noise_level="channel",
            weights=32_638_656,
            build=lambda seed: _drunet(seed, channels=1),
        ),
        "drunet-colour": Peer(
            about="DRUNet, residual U-Net of four scales, colour",
            channels=3,
            stride=8,
            radius=185,
            noise_level="channel",
            weights=32_640_960,
            build=lambda seed: _drunet(seed, channels=3),
        ),
    }
)
"""Every peer by the name that the command line uses."""
