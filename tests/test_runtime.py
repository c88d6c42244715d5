"""The libraries that run a model: they agree, and say what is wrong or missing."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import tiny_models
from grainless import runtime as runtime_module
from grainless.denoiser import Denoiser
from grainless.errors import InputError, MissingExtraError, ModelError


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


def test_openvino_is_exact_unless_told(folder):
    pytest.importorskip("openvino")
    path = tiny_models.identity_model(folder / "exact.onnx")
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(Denoiser.load(path, runtime="openvino")(ramp), ramp)


def test_without_openvino(folder, monkeypatch, rng):
    path = tiny_models.blur_model(folder / "without.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"OpenVINO runtime needs.*grainless\[openvino\]"):
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
