"""Weights and multiply-adds of graphs, against PyTorch's own counts and counts by hand."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import tiny_models
from grainless.benchmark import count_multiply_adds, count_weights
from grainless.benchmark.operations import COUNTED_SIDE
from grainless.model_file import read_model


def exported(net, channels):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            (torch.zeros(1, channels, 32, 32),),
            buffer,
            input_names=["picture"],
            output_names=["clean"],
            dynamic_axes={"picture": {0: "batch", 2: "height", 3: "width"}},
            dynamo=False,
        )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("net", "channels"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), 3),
        (nn.Conv2d(8, 16, 5, padding=2, groups=4, bias=False), 8),
        (nn.Conv2d(3, 7, 3, padding=2, dilation=2), 3),
        (nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU(), nn.ConvTranspose2d(6, 3, 4, stride=4)), 3),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 1), nn.PixelShuffle(2)), 1),
        (nn.Linear(COUNTED_SIDE, 10), 3),
    ],
)
def test_counts_are_those_of_pytorch(net, channels):
    data = exported(net, channels) if not isinstance(net, nn.Linear) else linear(net)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, channels, COUNTED_SIDE, COUNTED_SIDE))
    per_pixel = counter.get_total_flops() / 2 / COUNTED_SIDE**2
    assert count_multiply_adds(data, stride=4) == pytest.approx(per_pixel)
    assert count_weights(data) == sum(parameter.numel() for parameter in net.parameters())


def linear(net):
    """A matrix product along the rows of a picture."""
    nodes = [
        helper.make_node("MatMul", ["picture", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["clean"]),
    ]
    constants = {"matrix": net.weight.detach().numpy().T.copy(), "bias": net.bias.detach().numpy()}
    return tiny_models.graph(nodes, constants)


def test_a_trained_network_of_ours_can_be_counted():
    model = read_model("universal")
    assert count_weights(model.graph) > 100_000
    assert 1_000 < count_multiply_adds(model.graph, stride=model.card.stride) < 10_000_000


def test_counts_by_hand():
    nodes, constants = tiny_models.pyramid_nodes()
    # Three convolutions of 9 weights on 3 channels, the second at a quarter of the pixels; the rest is free.
    assert count_multiply_adds(tiny_models.graph(nodes, constants), stride=2) == 27 + 27 / 4 + 27
    # A kernel of 3 x 9, biases of 3, scales of 4.
    assert count_weights(tiny_models.graph(nodes, constants)) == 27 + 3 + 4


def test_transposed_matrices():
    matrices = {"a": np.ones((5, 7), np.float32), "b": np.ones((5, 3), np.float32)}
    nodes = [
        helper.make_node("Gemm", ["a", "b"], ["unused"], transA=1),
        helper.make_node("Identity", ["picture"], ["clean"]),
    ]
    data = tiny_models.graph(nodes, matrices)
    assert count_multiply_adds(data) * COUNTED_SIDE**2 == 7 * 3 * 5


def test_other_inputs_are_filled_in():
    nodes = [helper.make_node("Conv", ["picture", "kernel"], ["clean"], pads=[1, 1, 1, 1], group=3)]
    kernel = {"kernel": np.zeros((3, 1, 3, 3), np.float32)}
    assert count_multiply_adds(tiny_models.graph(nodes, kernel, levels=True)) == 27


def test_constants_inside_nodes_are_weights():
    tensor = helper.make_tensor("k", TensorProto.FLOAT, [2, 3], np.zeros(6, np.float32))
    single = helper.make_tensor("s", TensorProto.FLOAT, [], [1.0])
    nodes = [
        helper.make_node("Constant", [], ["a"], value=tensor),
        helper.make_node("Constant", [], ["b"], value=single),
        helper.make_node("Identity", ["picture"], ["clean"]),
    ]
    assert count_weights(tiny_models.graph(nodes)) == 6


def test_a_graph_that_cannot_be_run_has_no_count():
    nodes = [
        helper.make_node("NoSuchOperator", ["picture"], ["odd"]),
        helper.make_node("Conv", ["odd", "kernel"], ["clean"]),
    ]
    data = tiny_models.graph(nodes, {"kernel": np.zeros((3, 3, 1, 1), np.float32)})
    assert count_multiply_adds(data) is None


def test_a_graph_without_any_product_counts_nothing():
    nodes = [helper.make_node("Relu", ["picture"], ["clean"])]
    assert count_multiply_adds(tiny_models.graph(nodes)) == 0
