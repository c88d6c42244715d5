"""Small ONNX models with known answers, for all tests that need a model but no trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from grainless.model_file import ModelCard, write_model

BLUR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16
"""Kernel of `blur_model`; beyond the borders it sees zeros."""


def card(channels=3, stride=1, receptive_radius=0, **changes):
    """A card that is valid, for a graph of that form."""
    content = {
        "name": "tiny",
        "description": "A filter with a known answer.",
        "architecture": "hand-made",
        "channels": channels,
        "stride": stride,
        "receptive_radius": receptive_radius,
        "noise": ["gaussian:25"],
        "training_data": [{"name": "nothing", "licence": "CC0-1.0", "pictures": 0}],
        "licence": "Apache-2.0",
        "grainless_version": "0.1.0",
        "opset": 18,
    }
    return ModelCard.model_validate(content | changes)


def graph(nodes, constants=(), channels=3, *, levels=False, **interface):
    """Bytes of a model with the inputs and the output of the contract around `nodes`.

    `constants` maps names to arrays; `interface` may replace `picture`, `levels_shape` or `clean`, each a
    shape.
    """
    picture = interface.get("picture", ["batch", channels, "height", "width"])
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, picture)]
    if levels:
        shape = interface.get("levels_shape", ["batch", 2])
        inputs.append(helper.make_tensor_value_info("levels", TensorProto.FLOAT, shape))
    clean = interface.get("clean", ["batch", channels, "height", "width"])
    output = helper.make_tensor_value_info("clean", TensorProto.FLOAT, clean)
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    built = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(built, opset_imports=opsets, ir_version=9).SerializeToString()


def model_of(path, nodes, constants=(), *, channels=3, levels=False, **changes):
    """Write a model of `nodes` with a fitting card to `path`, and return it; `changes` go into the card."""
    inputs = ["picture", "levels"] if levels else ["picture"]
    data = graph(nodes, constants, channels, levels=levels)
    write_model(path, data, card(channels=channels, inputs=inputs, **changes))
    return Path(path)


def identity_model(path, channels=3):
    """A model that answers with the picture itself."""
    return model_of(path, [helper.make_node("Identity", ["picture"], ["clean"])], channels=channels)


def scale_model(path, factor, channels=3):
    """A model that multiplies by `factor`; with NaN or infinity its answer is no picture."""
    node = helper.make_node("Mul", ["picture", "factor"], ["clean"])
    return model_of(path, [node], {"factor": np.float32(factor)}, channels=channels)


def blur_model(path, channels=3):
    """A model that blurs each channel by `BLUR`, with zeros beyond the borders; receptive radius 1."""
    node = helper.make_node("Conv", ["picture", "kernel"], ["clean"], pads=[1, 1, 1, 1], group=channels)
    kernel = np.broadcast_to(BLUR, (channels, 1, 3, 3)).copy()
    return model_of(path, [node], {"kernel": kernel}, channels=channels, receptive_radius=1)


def pyramid_nodes(channels=3):
    """Nodes and weights: convolution, pooling by 2, convolution, up-sampling, skip, convolution; radius 5."""
    convolve = {"pads": [1, 1, 1, 1], "group": channels}
    nodes = [
        helper.make_node("Conv", ["picture", "kernel", "bias"], ["fine"], **convolve),
        helper.make_node("AveragePool", ["fine"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled", "kernel", "bias"], ["medium"], **convolve),
        helper.make_node("Relu", ["medium"], ["coarse"]),
        helper.make_node("Resize", ["coarse", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Sub", ["fine", "large"], ["detail"]),
        helper.make_node("Conv", ["detail", "kernel"], ["soft"], **convolve),
        helper.make_node("Add", ["soft", "large"], ["clean"]),
    ]
    constants = {
        "kernel": np.broadcast_to(BLUR, (channels, 1, 3, 3)).copy(),
        "bias": np.full(channels, 0.01, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return nodes, constants


def pyramid_model(path, channels=3):
    """A small U-Net of stride 2 and receptive radius 5, with fixed weights."""
    return model_of(path, *pyramid_nodes(channels), channels=channels, stride=2, receptive_radius=5)


def levels_model(path, channels=3):
    """A model whose answer is the black point plus a hundredth of the white point, wherever one looks."""
    nodes = [
        helper.make_node("Split", ["levels"], ["black", "white"], axis=1, num_outputs=2),
        helper.make_node("Mul", ["white", "hundredth"], ["small"]),
        helper.make_node("Add", ["black", "small"], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "axes"], ["answer"]),
        helper.make_node("Mul", ["picture", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["clean"]),
    ]
    constants = {"hundredth": np.float32(0.01), "zero": np.float32(0), "axes": np.array([2, 3])}
    return model_of(path, nodes, constants, channels=channels, levels=True)


def edit(path, change):
    """Apply `change` to the ONNX message in the file `path`, as a foreign tool would, and write it back."""
    model = onnx.load_model_from_string(Path(path).read_bytes())
    change(model)
    Path(path).write_bytes(model.SerializeToString())
