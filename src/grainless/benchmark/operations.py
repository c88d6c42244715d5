"""How large a network is and how much it computes, read from its graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grainless.tiling import round_up

if TYPE_CHECKING:
    import onnx

COUNTED_SIDE = 64
"""Side, in pixels, of the picture for which operations are counted, rounded up to whole strides."""

_FLOATS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")

_WEIGHTS_AT = {
    "Conv": 1,
    "ConvInteger": 1,
    "ConvTranspose": 1,
    "Gemm": 1,
    "MatMul": 1,
    "MatMulInteger": 1,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
}
"""Operators that are counted, and which of their inputs holds the weights."""

_Sides = Sequence[int]


def count_weights(data: bytes) -> int:
    """Return how many numbers an ONNX file holds as weights: those of float tensors, single ones left out."""
    import onnx

    model = onnx.load_model_from_string(data)
    kinds = {onnx.TensorProto.DataType.Value(kind) for kind in _FLOATS}
    tensors = (*model.graph.initializer, *_constants(model.graph))
    return sum(math.prod(tensor.dims) for tensor in tensors if tensor.data_type in kinds and tensor.dims)


def count_multiply_adds(data: bytes, *, stride: int = 1) -> float | None:
    """Return the multiply-adds of an ONNX file per pixel of the picture; None where it cannot be run.

    Counted are convolutions, transposed convolutions and matrix products; what works value by value (sums,
    activations, resizing) is not. One multiply-add is two floating-point operations. The sizes are those of
    a run on a gray picture of `COUNTED_SIDE`: what a graph works out while it runs cannot be told before.
    """
    import onnx
    from onnx import TensorProto, helper

    side = round_up(COUNTED_SIDE, stride)
    model = onnx.load_model_from_string(data)
    graph = model.graph
    counted = [node for node in graph.node if node.op_type in _WEIGHTS_AT]
    wanted = list(dict.fromkeys(name for node in counted for name in _three(node)))
    del graph.output[:]
    for index, name in enumerate(wanted):
        graph.node.append(helper.make_node("Shape", [name], [f"sides_{index}_of_count"]))
        graph.output.append(helper.make_tensor_value_info(f"sides_{index}_of_count", TensorProto.INT64, None))
    try:
        shapes = dict(zip(wanted, _run(model, side), strict=True)) if wanted else {}
    except Exception:  # noqa: BLE001  # the runtime has its own kinds, some of them bare RuntimeErrors
        return None
    return sum(_operations(node, *(shapes[name] for name in _three(node))) for node in counted) / side**2


def _constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def _three(node: onnx.NodeProto) -> tuple[str, str, str]:
    """Return the names of what goes into a counted node, of its weights and of its answer."""
    return node.input[0], node.input[_WEIGHTS_AT[node.op_type]], node.output[0]


def _run(model: onnx.ModelProto, side: int) -> list[_Sides]:
    """Run the graph on a gray picture; its outputs are shapes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {
        value.name: np.full(_filled(value.shape, side), 0.5, np.float32) for value in session.get_inputs()
    }
    return [tuple(int(length) for length in answer) for answer in session.run(None, inputs)]


def _filled(sides: Sequence[int | str | None], side: int) -> list[int]:
    """Return a shape whose free sides are those of one picture (batch, channels, height, width), or 1."""
    return [
        length if isinstance(length, int) else side if len(sides) == 4 and axis > 1 else 1
        for axis, length in enumerate(sides)
    ]


def _operations(node: onnx.NodeProto, taken: _Sides, weights: _Sides, given: _Sides) -> int:
    """Return the multiply-adds of one node."""
    if node.op_type == "ConvTranspose":
        # Each value that goes in is multiplied by its weights (in, out / groups, height, width).
        return math.prod(taken) * math.prod(weights[1:])
    if "Conv" in node.op_type:
        return math.prod(given) * math.prod(weights[1:])
    return math.prod(given) * taken[0 if _transposed(node) else -1]


def _transposed(node: onnx.NodeProto) -> bool:
    """Tell whether the first matrix of a Gemm is transposed."""
    return node.op_type == "Gemm" and any(entry.name == "transA" and entry.i for entry in node.attribute)
