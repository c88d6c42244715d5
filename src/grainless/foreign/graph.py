"""Brings the graph of another project between one pair of names: "picture", "sigma" and "clean"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grainless.errors import ModelError
from grainless.foreign.sidecar import NoiseLevel, Sidecar
from grainless.graph_check import check_contents, check_interface, refuse

if TYPE_CHECKING:
    import onnx

_Sides = tuple[int | None, ...]
"""Of a tensor, None for a free one."""


class _Names(NamedTuple):
    """What a graph calls its inputs and its answer."""

    picture: str
    sigma: str | None
    """None where the noise level has no input of its own."""
    answer: str


@dataclass(frozen=True)
class ForeignGraph:
    """A graph that is fit to be run."""

    data: bytes
    """ONNX; maps "picture" `(batch, C, height, width)`, and "sigma" if it takes a noise level, to "clean"."""
    sigma_shape: tuple[int, ...] | None
    """Of "sigma" where that is one number; None for a map `(batch, 1, height, width)` and without it."""
    opset: int


def read_graph(data: bytes, sidecar: Sidecar, name: str) -> ForeignGraph:
    """Look into the ONNX bytes of the file `name`, and return the graph as the sidecar describes it.

    Raises `ModelError` with the reason where it is refused, or is not what the sidecar says.
    """
    model = _parse(data, name)
    check_contents(model, name)
    opset = max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
    if not opset:
        raise refuse(name, "it does not say which version of the standard operators it uses")
    names = _bound(model.graph, sidecar, name)
    _check_picture(model.graph, names.picture, sidecar, name)
    level = sidecar.noise_level
    shape = None
    if level is not None and names.sigma is not None:
        shape = _sigma_shape(model.graph, names.sigma, level, name)
    _rewire(model.graph, names, sidecar=sidecar, sigma_shape=shape)
    probe = model if level is None else _without_sigma(model, sidecar, shape)
    check_interface(probe, name, channels=sidecar.channels, stride=sidecar.stride)
    return ForeignGraph(model.SerializeToString(), shape, opset)


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    """Return the bytes as an ONNX message; nothing is run and no other file is opened."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's kind of error differs between its versions
        raise refuse(name, "it is damaged, or not an ONNX file") from error
    if not model.ir_version or not model.graph.node:
        raise refuse(name, "it is not an ONNX file, or one without a graph")
    return model


def _bound(graph: onnx.GraphProto, sidecar: Sidecar, name: str) -> _Names:
    """Return which of the graph's names are picture, noise level and answer."""
    inputs = list(_inputs(graph))
    level = sidecar.noise_level
    asked = {"input": sidecar.input}
    if level is not None and level.kind != "channel":
        asked["noise_level.input"] = level.input
    outputs = [value.name for value in graph.output]
    for key, wanted, known in (
        *((key, wanted, inputs) for key, wanted in asked.items()),
        ("output", sidecar.output, outputs),
    ):
        if wanted is not None and wanted not in known:
            raise _mismatch(name, f"says {key} = {wanted!r}", f"has {', '.join(known) or 'none'}")
    if sidecar.output is None and len(outputs) != 1:
        raise _mismatch(name, "names no output", f"has {', '.join(outputs) or 'none'}")
    left = [other for other in inputs if other not in asked.values()]
    open_keys = [key for key, wanted in asked.items() if wanted is None]
    if len(left) != len(open_keys):
        raise _mismatch(name, f"explains {len(asked)} of its inputs", f"takes {', '.join(inputs) or 'none'}")
    if len(left) > 1:
        raise _mismatch(name, "does not name the inputs", f"takes {', '.join(inputs)}")
    asked.update(zip(open_keys, left, strict=True))
    # All are known by now; the text only tells that to the type checker.
    return _Names(asked["input"] or "", asked.get("noise_level.input"), sidecar.output or outputs[0])


def _mismatch(name: str, said: str, found: str) -> ModelError:
    return refuse(
        name,
        f"its sidecar {said}, its graph {found}",
        remedy="Name them in the sidecar: input, output, and input under [noise_level].",
    )


def _inputs(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Return the inputs by name; old files list their weights as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return {value.name: value for value in graph.input if value.name not in weights}


def _sides(value: onnx.ValueInfoProto, name: str) -> _Sides:
    import onnx

    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise refuse(name, f'its "{value.name}" is not a float32 tensor')
    return tuple(side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)


def _words(sides: _Sides) -> str:
    return "(" + ", ".join("any" if side is None else str(side) for side in sides) + ")"


def _check_picture(graph: onnx.GraphProto, picture: str, sidecar: Sidecar, name: str) -> None:
    sides = _sides(_inputs(graph)[picture], name)
    if len(sides) != 4:
        raise refuse(name, f'its "{picture}" must be (batch, channels, height, width), not {_words(sides)}')
    channels = _input_channels(sidecar)
    if sides[1] not in {None, channels}:
        level = " and one of the noise level" if channels > sidecar.channels else ""
        raise refuse(
            name, f"its sidecar says {sidecar.channels} channels{level}, its graph takes {_words(sides)}"
        )
    if sides[0] not in {None, 1} or sides[2] is not None or sides[3] is not None:
        raise refuse(
            name,
            f"it takes only pictures of the fixed size {_words(sides)}",
            remedy="Export it with free height and width (dynamic axes).",
        )


def _input_channels(sidecar: Sidecar) -> int:
    level = sidecar.noise_level
    return sidecar.channels + (level is not None and level.kind == "channel")


def _sigma_shape(graph: onnx.GraphProto, sigma: str, level: NoiseLevel, name: str) -> tuple[int, ...] | None:
    """Return the shape of a noise level that is one number; None for a map."""
    sides = _sides(_inputs(graph)[sigma], name)
    if level.kind == "map":
        if len(sides) != 4 or sides[1] not in {None, 1} or sides[2] is not None or sides[3] is not None:
            raise refuse(name, f'its "{sigma}" must be (batch, 1, height, width), not {_words(sides)}')
        return None
    if any(side not in {None, 1} for side in sides):
        raise refuse(name, f'its "{sigma}" must hold one number, not {_words(sides)}')
    return (1,) * len(sides)


def _rewire(
    graph: onnx.GraphProto, names: _Names, *, sidecar: Sidecar, sigma_shape: tuple[int, ...] | None
) -> None:
    """Give inputs and output their names, and free batch, height and width."""
    from onnx import TensorProto, helper

    level = sidecar.noise_level
    joined = level is not None and level.kind == "channel"
    change = {names.picture: "picture_and_sigma" if joined else "picture", names.answer: "clean"}
    if names.sigma is not None:
        change[names.sigma] = "sigma"
    _rename(graph, change)
    # What the file claims about sizes in between may hold for one size of pictures only.
    del graph.value_info[:]
    weights = [value for value in graph.input if value.name not in {"picture", "picture_and_sigma", "sigma"}]
    sides: list[str | int | None] = ["batch", sidecar.channels, "height", "width"]
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, sides)]
    if level is not None:
        sides = ["batch", 1, "height", "width"] if sigma_shape is None else list(sigma_shape)
        inputs.append(helper.make_tensor_value_info("sigma", TensorProto.FLOAT, sides))
    if joined:
        graph.node.insert(0, helper.make_node("Concat", ["picture", "sigma"], ["picture_and_sigma"], axis=1))
    kind = next(value for value in graph.output if value.name == "clean").type.tensor_type.elem_type
    sides = ["batch", sidecar.channels, "height", "width"]
    clean = helper.make_tensor_value_info("clean", kind, sides)
    del graph.input[:], graph.output[:]
    graph.input.extend([*inputs, *weights])
    graph.output.append(clean)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename tensors; others that bear one of the new names already make way."""
    taken = {tensor for node in graph.node for tensor in (*node.input, *node.output)}
    taken.update(tensor.name for tensor in graph.initializer)
    reserved = {"picture", "picture_and_sigma", "sigma", "clean"}
    change = {name: f"{name}_{len(taken)}_of_file" for name in reserved & taken} | dict(names)
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [change.get(tensor, tensor) for tensor in tensors]
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = change.get(value.name, value.name)


def _without_sigma(
    model: onnx.ModelProto, sidecar: Sidecar, sigma_shape: tuple[int, ...] | None
) -> onnx.ModelProto:
    """Return the model with a noise level of 0 inside: the check of sizes knows pictures alone."""
    import onnx
    from onnx import helper, numpy_helper

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    graph = probe.graph
    kept = [value for value in graph.input if value.name != "sigma"]
    del graph.input[:]
    graph.input.extend(kept)
    if sigma_shape is not None:
        graph.initializer.append(numpy_helper.from_array(np.zeros(sigma_shape, np.float32), "sigma"))
        return probe
    kernel = np.zeros((1, sidecar.channels, 1, 1), np.float32)
    graph.initializer.append(numpy_helper.from_array(kernel, "sigma_kernel_of_probe"))
    graph.node.insert(0, helper.make_node("Conv", ["picture", "sigma_kernel_of_probe"], ["sigma"]))
    return probe
