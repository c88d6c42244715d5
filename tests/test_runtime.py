"""The libraries that run a model: they agree, and say what is wrong or missing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

import tiny_models
from grainless import runtime as runtime_module
from grainless.denoiser import Denoiser
from grainless.errors import InputError, MissingExtraError, ModelError
from grainless.model_file import read_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "tensorrt"}, "runtime is not known; got 'tensorrt'; expected one of auto, onnxruntime"),
        ({"precision": "double"}, "precision is not known"),
        ({"threads": 0}, "number of threads is too small"),
        ({"precision": "fast"}, "no fast precision.*openvino"),
    ],
)
def test_wrong_options(folder, options, message):
    path = tiny_models.identity_model(folder / "options.onnx")
    with pytest.raises(InputError, match=message):
        Denoiser.load(path, **options)


@pytest.mark.parametrize(
    ("runtime", "precision"), [("openvino", "exact"), ("auto", "exact"), ("auto", "fast")]
)
def test_openvino_agrees(folder, rng, runtime, precision):
    pytest.importorskip("openvino")
    path = tiny_models.pyramid_model(folder / "openvino.onnx")
    pixels = rng.random((90, 70, 3)).astype(np.float32)
    want = Denoiser.load(path, threads=1)(pixels)
    got = Denoiser.load(path, threads=1, runtime=runtime, precision=precision, tile=32)(pixels)
    # bfloat16 keeps 8 bits of each value.
    np.testing.assert_allclose(got, want, atol=1e-6 if precision == "exact" else 2**-6)


def wide_model(path, side=15):
    """A model that blurs each channel by a kernel of its own, as wide as what fills impulses."""
    kernels = np.random.default_rng(3).random((3, 1, side, side)).astype(np.float32)
    kernels /= kernels.sum(axis=(2, 3), keepdims=True)
    node = helper.make_node("Conv", ["picture", "kernel"], ["clean"], pads=[side // 2] * 4, group=3)
    return tiny_models.model_of(path, [node], {"kernel": kernels}, receptive_radius=side // 2)


@pytest.mark.timeout(60)  # without the filled kernels OpenVINO never comes back
def test_openvino_does_wide_kernels_in_16_bits(folder, rng):
    pytest.importorskip("openvino")
    path = wide_model(folder / "wide.onnx")
    pixels = rng.random((40, 50, 3)).astype(np.float32)
    want = Denoiser.load(path, threads=1)(pixels)
    got = Denoiser.load(path, threads=1, runtime="openvino", precision="fast")(pixels)
    np.testing.assert_allclose(got, want, atol=2**-6)


@pytest.mark.parametrize(("side", "changed"), [(7, False), (9, True)])
def test_only_wide_kernels_are_filled_up_and_answer_the_same(folder, rng, side, changed):
    path = wide_model(folder / f"wide{side}.onnx", side)
    model = read_model(path)
    filled = runtime_module._densified(model.graph)
    shapes = [list(tensor.dims) for tensor in onnx.load_model_from_string(filled).graph.initializer]
    assert shapes == [[3, 3 if changed else 1, side, side]]
    pictures = {"picture": rng.random((1, 3, 20, 30)).astype(np.float32)}
    before, after = (
        runtime_module.start(replace(model, graph=graph), runtime="onnxruntime")(pictures)
        for graph in (model.graph, filled)
    )
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_openvino_is_exact_unless_told(folder):
    pytest.importorskip("openvino")
    path = tiny_models.identity_model(folder / "exact.onnx")
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(Denoiser.load(path, runtime="openvino")(ramp), ramp)


def test_without_openvino(folder, monkeypatch, rng):
    path = tiny_models.blur_model(folder / "without.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"OpenVINO runtime needs.*\.\[openvino\]"):
        Denoiser.load(path, runtime="openvino")
    monkeypatch.setattr(runtime_module, "find_spec", lambda _name: None)
    pixels = rng.integers(0, 256, (9, 9), dtype=np.uint8)
    want = Denoiser.load(path, runtime="onnxruntime")(pixels)
    np.testing.assert_array_equal(Denoiser.load(path, runtime="auto", precision="fast")(pixels), want)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_graphs_that_cannot_be_started(folder, capfd, runtime):
    pytest.importorskip(runtime)
    nodes = [tiny_models.helper.make_node("NoSuchOperator", ["picture"], ["clean"])]
    path = tiny_models.model_of(folder / "unknown.onnx", nodes)
    with pytest.raises(ModelError, match=r"unknown.onnx cannot be started: .*NoSuchOperator") as caught:
        Denoiser.load(path, runtime=runtime)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_more_threads_than_cores_are_not_started(folder, monkeypatch):
    asked = []

    def session(graph, options, providers):
        asked.append(options.intra_op_num_threads)

    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    monkeypatch.setattr(runtime_module, "_usable_cores", lambda: 3)
    path = tiny_models.identity_model(folder / "many.onnx")
    for threads in (None, 2, 100_000):
        Denoiser.load(path, threads=threads)
    assert asked == [3, 2, 3]


def test_the_runtime_reports_to_nobody(tmp_path):
    # Where ONNX Runtime reports, it puts a mark of its session among the temporary files.
    code = "import numpy, grainless; grainless.denoise(numpy.zeros((8, 8, 3), numpy.uint8), model='fast')"
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], check=True, env={**env, "TMPDIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
