"""Starts a model in one of the libraries that can run it, on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError, MissingExtraError, ModelError
from grainless.model_file import LoadedModel

Runtime = Literal["auto", "onnxruntime", "openvino"]
Precision = Literal["exact", "fast"]
Run = Callable[[Mapping[str, NDArray[np.float32]]], NDArray[np.float32]]
"""Maps the graph's inputs, by name, to its answer; may be called from several threads."""
_WIDE, _MOST_GROUPS = 7, 4
"""Side of the widest kernel that 16 bits are known to do in groups, and groups that are few."""


def start(
    model: LoadedModel,
    *,
    threads: int | None = None,
    runtime: Runtime,
    precision: Precision = "exact",
) -> Run:
    """Return the function that runs `model`.

    `threads` is how many threads it may use, all cores that it has if None, and never more than these. "auto"
    takes OpenVINO where it is installed, else ONNX Runtime. "exact" computes in float32; "fast" lets OpenVINO
    compute in bfloat16 where the CPU can, which keeps 8 bits of each value. Raises `InputError` for options
    that are not valid, `MissingExtraError` where OpenVINO is asked for and missing, and `ModelError` where
    the runtime refuses the graph.
    """
    _check_choice("runtime", runtime, get_args(Runtime))
    _check_choice("precision", precision, get_args(Precision))
    cores = _usable_cores()
    threads = cores if threads is None else threads
    if threads < 1:
        raise InputError("The number of threads is too small", got=threads, expected="at least 1")
    # More threads than cores wait for each other: with hundreds of them a run seems to hang.
    threads = min(threads, cores)
    if runtime == "onnxruntime" and precision == "fast":
        raise InputError(
            "ONNX Runtime has no fast precision",
            remedy="Choose the runtime openvino (or auto), or leave the precision at exact.",
        )
    with_openvino = runtime == "openvino" or (runtime == "auto" and find_spec("openvino") is not None)
    try:
        if with_openvino:
            return _start_openvino(model, threads, precision)
        return _start_onnxruntime(model, threads)
    except MissingExtraError:
        raise
    except Exception as error:  # each runtime has its own kinds, some of them bare RuntimeErrors
        raise ModelError(f"The model file {model.path} cannot be started: {in_one_line(error)}") from error


def in_one_line(error: Exception) -> str:
    """Return the words of a runtime's error, which may come in several lines, as one."""
    return " ".join(str(error).split()).rstrip(" .")


def _usable_cores() -> int:
    """Return how many cores this process may use, which in a container are often fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(
            f"The {option} is not known", got=repr(value), expected=f"one of {', '.join(allowed)}"
        )


def _start_onnxruntime(model: LoadedModel, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A plan of the memory for each size of tile is kept beside all others: the peak doubles. The arena alone
    # holds what the largest tile needs, and without it the system clears new pages again and again.
    options.enable_mem_pattern = False
    # Failures are raised as errors; the runtime's own lines on stderr would come on top of them.
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.graph, options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(["clean"], dict(inputs))[0]
        return answer

    return run


def _start_openvino(model: LoadedModel, threads: int, precision: Precision) -> Run:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("The OpenVINO runtime", "openvino") from error
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if precision == "exact":
        # Left alone, OpenVINO takes bfloat16 on CPUs that have it.
        options["INFERENCE_PRECISION_HINT"] = "f32"
    graph = model.graph if precision == "exact" else _densified(model.graph)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model=graph, weights=b""), "CPU", options)

    def run(inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        # A request of its own per call: one request must not be used by two threads.
        answer: NDArray[np.float32] = compiled.create_infer_request().infer(dict(inputs))["clean"]
        return answer

    return run


def _densified(graph: bytes) -> bytes:
    """Return a graph with the wide kernels of convolutions in few groups filled up with zeros: the same sums.

    In 16 bits OpenVINO (2026.4) never comes back from kernels of 15 by 15 in groups.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_model_from_string(graph)
    kernels = {tensor.name: tensor for tensor in model.graph.initializer}
    dense: set[str] = set()
    for node in model.graph.node:
        groups = next((part for part in node.attribute if part.name == "group"), None)
        tensor = kernels.get(node.input[1]) if node.op_type == "Conv" else None
        if tensor is None or groups is None or not 1 < groups.i <= _MOST_GROUPS:
            continue
        if min(tensor.dims[2:]) <= _WIDE:
            continue
        if tensor.name not in dense:
            values = numpy_helper.to_array(tensor)
            outputs, inputs = len(values) // groups.i, values.shape[1]
            whole = np.zeros((len(values), inputs * groups.i, *values.shape[2:]), values.dtype)
            for group in range(groups.i):
                rows = slice(group * outputs, (group + 1) * outputs)
                whole[rows, group * inputs : (group + 1) * inputs] = values[rows]
            tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name))
            dense.add(tensor.name)
        groups.CopyFrom(helper.make_attribute("group", 1))
    data: bytes = model.SerializeToString()
    return data
