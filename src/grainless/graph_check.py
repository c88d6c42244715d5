"""Looks into the graph of a model file before anything of it is run, and refuses what a denoiser never needs.

A model file may come from anywhere. Its graph must hold all of its weights itself, use only standard
operators without control flow, take pictures of any size, and stay within memory that fits the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from grainless.errors import ModelError
from grainless.tiling import round_up

if TYPE_CHECKING:
    import onnx

MAX_ELEMENTS = 2**28
"""Most values that one tensor of the graph may hold when it works on a probe of 256 by 256 pixels."""

PROBE_SIDE = 256
"""Side of the picture, in pixels, for which the sizes inside the graph are worked out."""

FORBIDDEN_OPERATORS = {
    **dict.fromkeys(["Loop", "If", "Scan", "SequenceMap"], "control flow may run for ever"),
    **dict.fromkeys(
        [
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "Multinomial",
            "Bernoulli",
        ],
        "the same picture must give the same answer",
    ),
}
"""Standard operators that are refused, each with the reason."""

_BYTES_PER_VALUE = {
    "FLOAT": 4,
    "DOUBLE": 8,
    "FLOAT16": 2,
    "BFLOAT16": 2,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "BOOL": 1,
}
"""Kinds of numbers that weights and constants may have."""


def refuse(name: str, reason: str, *, remedy: str | None = None) -> ModelError:
    """Return the error that refuses the model file `name` for `reason`."""
    return ModelError(f"The model file {name} is refused: {reason}", remedy=remedy)


def check_interface(model: onnx.ModelProto, name: str, *, channels: int, stride: int) -> tuple[str, ...]:
    """Return the names of the graph's inputs; raise `ModelError` with the reason if it is not fit to be run.

    The graph must map "picture" `(batch, channels, height, width)`, and optionally "levels" `(batch, 2)`,
    to "clean", all float32, with free batch, height and width.
    """
    inputs = _check_inputs(model.graph, name, channels)
    _check_output(model.graph, name)
    _check_sizes(model, name, channels=channels, stride=stride)
    return inputs


def check_contents(model: onnx.ModelProto, name: str) -> None:
    """Raise `ModelError` where a graph needs other files, lies about its sizes or has foreign operators."""
    import onnx

    if model.functions:
        raise refuse(name, "it defines operators of its own", remedy="Inline them with `onnx.inliner`.")
    for message in _messages(model):
        if isinstance(message, onnx.TensorProto):
            _check_tensor(message, name)
        elif isinstance(message, onnx.SparseTensorProto):
            raise refuse(name, "it holds sparse weights")
        elif isinstance(message, onnx.NodeProto):
            _check_node(message, name)


def _messages(message: Any) -> Iterator[Any]:
    """Yield every message inside a protobuf message, however deep: subgraphs, attributes, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in (value,) if hasattr(value, "ListFields") else value:
            yield part
            yield from _messages(part)


def _check_node(node: onnx.NodeProto, name: str) -> None:
    if node.domain not in {"", "ai.onnx"}:
        raise refuse(name, f"its operator {node.domain}::{node.op_type} is not a standard one")
    if node.op_type in FORBIDDEN_OPERATORS:
        reason = FORBIDDEN_OPERATORS[node.op_type]
        raise refuse(name, f"its operator {node.op_type} is not allowed ({reason})")


def _check_tensor(tensor: onnx.TensorProto, name: str) -> None:
    """Refuse a tensor whose values lie in another file, or whose size is not the one that it declares."""
    import onnx

    label = f"tensor {tensor.name!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise refuse(
            name,
            f"its {label} keeps its values in another file (external data)",
            remedy="Save the model with all weights inside one file.",
        )
    kind = onnx.TensorProto.DataType.Name(tensor.data_type)
    if kind not in _BYTES_PER_VALUE:
        raise refuse(name, f"its {label} has values of the kind {kind}")
    declared = math.prod(tensor.dims)
    if any(side < 0 for side in tensor.dims) or declared > MAX_ELEMENTS:
        raise refuse(name, f"its {label} declares an absurd size, {list(tensor.dims)}")
    raw = tensor.HasField("raw_data")
    held = len(tensor.raw_data) / _BYTES_PER_VALUE[kind] if raw else _typed_values(tensor)
    if held != declared:
        raise refuse(name, f"its {label} declares {declared} values and holds {held:g}: the file is damaged")


def _typed_values(tensor: onnx.TensorProto) -> int:
    """Return how many values a tensor holds outside its raw bytes."""
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    return sum(len(field) for field in fields)


def _check_inputs(graph: onnx.GraphProto, name: str, channels: int) -> tuple[str, ...]:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in weights}
    if "picture" not in inputs or not inputs.keys() <= {"picture", "levels"}:
        got = ", ".join(inputs) or "none"
        raise refuse(name, f'its inputs must be "picture" and, if need be, "levels", not {got}')
    picture = _shape(inputs["picture"], name)
    if len(picture) != 4 or picture[1] is None:
        raise refuse(name, f'its "picture" must be (batch, channels, height, width), not {_words(picture)}')
    if picture[1] != channels:
        raise refuse(name, f"its card says {channels} channels, its graph takes {picture[1]}")
    if any(picture[axis] is not None for axis in (0, 2, 3)):
        raise refuse(
            name,
            f"it takes only pictures of the fixed size {_words(picture)}",
            remedy="Export it with free batch, height and width: `grainless export` does.",
        )
    if "levels" in inputs and (levels := _shape(inputs["levels"], name)) != [None, 2]:
        raise refuse(name, f'its input "levels" must be (batch, 2), not {_words(levels)}')
    return tuple(inputs)


def _check_output(graph: onnx.GraphProto, name: str) -> None:
    outputs = [value.name for value in graph.output]
    if outputs != ["clean"]:
        raise refuse(name, f'its only output must be "clean", not {", ".join(outputs) or "none"}')
    _shape(graph.output[0], name)


def _shape(value: onnx.ValueInfoProto, name: str) -> list[int | None]:
    """Return the sides of an input or output, None for a free one."""
    import onnx

    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise refuse(name, f'its "{value.name}" is not a float32 tensor')
    return [side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim]


def _words(sides: list[int | None]) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in sides) + ")"


def _check_sizes(model: onnx.ModelProto, name: str, *, channels: int, stride: int) -> None:
    """Work out all sizes for a small picture; refuse a graph that swells or answers with another size."""
    import onnx

    side = round_up(PROBE_SIDE, stride)
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    # What the file itself claims about sizes is dropped: they are worked out anew.
    del probe.graph.value_info[:]
    probe.graph.output[0].type.tensor_type.ClearField("shape")
    for value in probe.graph.input:
        sides = {"picture": (1, channels, side, side), "levels": (1, 2)}.get(value.name)
        for axis, length in zip(value.type.tensor_type.shape.dim, sides or (), strict=False):
            axis.dim_value = length
    try:
        inferred = onnx.shape_inference.infer_shapes(probe, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises bare RuntimeErrors and its own kinds alike
        # One fault makes a line for each node behind it.
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise refuse(name, f"its graph contradicts itself ({first.strip()})") from error
    for value in (*inferred.value_info, *inferred.output):
        sides_known = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        if max(sides_known, default=0) > MAX_ELEMENTS or math.prod(sides_known) > MAX_ELEMENTS:
            raise refuse(
                name, f"its tensor {value.name!r} grows to {sides_known} for a picture of {side} by {side}"
            )
    answer = [axis.dim_value for axis in inferred.output[0].type.tensor_type.shape.dim]
    if answer and 0 not in answer and answer != [1, channels, side, side]:
        raise refuse(name, f"it answers with {answer} to a picture of {[1, channels, side, side]}")
