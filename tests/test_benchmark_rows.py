"""What a benchmark can time, found by its name."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import tiny_models
from grainless.baselines import BASELINES
from grainless.benchmark.rows import find_rows
from grainless.denoiser import TILE
from grainless.foreign import ForeignModel, sidecar_path
from grainless.model_file import read_model
from grainless.peers import PEERS


def test_filters_by_name(tmp_path):
    for entry, name in zip(find_rows(tuple(BASELINES), tmp_path), BASELINES, strict=True):
        assert (entry.kind, entry.source, entry.row.kind, entry.row.name) == ("filter", name, "filter", name)
        assert entry.row.about == BASELINES[name].about
        assert entry.row.multiply_adds is entry.row.weights is entry.row.tile is None


def test_models_by_name_and_by_file(tmp_path):
    path = tiny_models.pyramid_model(tmp_path / "pyramid.onnx")
    bundled, own = find_rows(("universal", str(path)), tmp_path)
    assert bundled.row.checksum == read_model("universal").card.checksum
    assert (own.kind, own.source, own.row.name) == ("model", str(path), "tiny")
    assert (own.row.tile, own.row.halo, own.row.stride) == (TILE, 6, 2)
    assert own.row.multiply_adds == 60.75


def test_files_of_other_projects(tmp_path):
    sides = ["n", 1, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sides)],
    )
    path = tmp_path / "other.onnx"
    opsets = [helper.make_opsetid("", 18)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    words = 'channels = 1\nrange = "0..1"\nstride = 4\n'
    sidecar_path(path).write_text(words, encoding="utf-8")
    (whole,) = find_rows((str(path),), tmp_path)
    assert (whole.kind, whole.row.kind, whole.row.channels, whole.row.tile) == ("foreign", "foreign", 1, None)
    sidecar_path(path).write_text(f"{words}tile = 256\nhalo = 5\n", encoding="utf-8")
    (tiled,) = find_rows((str(path),), tmp_path)
    assert (tiled.row.tile, tiled.row.halo) == (256, 8)
    assert tiled.row.multiply_adds == 0


@pytest.mark.parametrize("name", ["dncnn-17", "dncnn-20", "ffdnet-gray", "ffdnet-colour", "drunet-gray"])
def test_peers_are_ready_to_run_on_any_size(tmp_path, rng, name):
    (entry,) = find_rows((f"peers:{name}",), tmp_path)
    peer = PEERS[name]
    assert (entry.kind, entry.row.kind, entry.row.name) == ("foreign", "peer", f"peers:{name}")
    assert (entry.row.weights, entry.row.channels) == (peer.weights, peer.channels)
    assert entry.row.about.endswith("random weights")
    assert entry.row.halo >= peer.radius
    assert entry.row.multiply_adds > 100_000
    model = ForeignModel.load(entry.source, threads=1)
    pixels = rng.integers(0, 256, (7, 13, peer.channels), dtype=np.uint8)
    clean = model(pixels, sigma=25 if model.needs_sigma else None)
    assert (clean.shape, clean.dtype) == (pixels.shape, pixels.dtype)
