"""Graphs that are refused before anything of them is run: foreign, hostile, or not the one of their card."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny_models
from grainless.errors import ModelError
from grainless.model_file import read_model, write_model

IDENTITY = helper.make_node("Identity", ["picture"], ["clean"])


def refusal(data, tmp_path, **card):
    """Message with which `write_model` refuses the ONNX bytes; checks that nothing was written."""
    path = tmp_path / "refused.onnx"
    with pytest.raises(ModelError) as caught:
        write_model(path, data, tiny_models.card(**card))
    assert not list(tmp_path.glob("*refused*"))
    assert str(path) in str(caught.value)
    return str(caught.value)


# A graph that is not the one of the card


@pytest.mark.parametrize(
    ("interface", "card", "reason"),
    [
        ({}, {"channels": 1}, "card says 1 channels, its graph takes 3"),
        ({"picture": ["b", 3, 256, 256]}, {}, r"fixed size \(any, 3, 256, 256\)"),
        ({"picture": [1, 3, "h", "w"]}, {}, "fixed size"),
        ({"picture": ["b", 3, "h"]}, {}, r"must be \(batch, channels, height, width\), not \(any, 3, any\)"),
        ({"picture": ["b", "c", "h", "w"]}, {}, "must be"),
        ({"levels": True}, {}, "card says inputs picture, its graph has picture, levels"),
        ({}, {"inputs": ["picture", "levels"]}, "card says inputs picture, levels, its graph has picture"),
        ({"levels": True, "levels_shape": ["b", 3]}, {"inputs": ["picture", "levels"]}, '"levels" must be'),
    ],
)
def test_wrong_inputs(tmp_path, interface, card, reason):
    message = refusal(tiny_models.graph([IDENTITY], **interface), tmp_path, **card)
    assert re.search(reason, message)


def test_wrong_names_and_kinds(tmp_path):
    def built(change):
        model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
        change(model.graph)
        return model.SerializeToString()

    def whole_numbers(graph):
        graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8

    assert "not image" in refusal(built(lambda graph: setattr(graph.input[0], "name", "image")), tmp_path)
    assert "not out" in refusal(built(lambda graph: setattr(graph.output[0], "name", "out")), tmp_path)
    assert "not a float32" in refusal(built(whole_numbers), tmp_path)


def test_old_graphs_may_list_weights_among_inputs(tmp_path):
    model = onnx.load(tiny_models.blur_model(tmp_path / "m.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [3, 1, 3, 3]))
    write_model(tmp_path / "n.onnx", model.SerializeToString(), tiny_models.card(receptive_radius=1))
    assert read_model(tmp_path / "n.onnx").card.inputs == ["picture"]


def test_answer_of_another_size(tmp_path):
    node = helper.make_node("Resize", ["picture", "", "scales"], ["clean"], mode="nearest")
    data = tiny_models.graph([node], {"scales": np.array([1, 1, 2, 2], np.float32)}, clean=["b", 3, "y", "x"])
    assert "answers with [1, 3, 512, 512]" in refusal(data, tmp_path)


# Hostile graphs


def external(name="secret"):
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    return tensor


def test_external_data_of_a_weight(tmp_path):
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    model.graph.initializer.append(external())
    assert "'secret' keeps its values in another file" in refusal(model.SerializeToString(), tmp_path)


def test_external_data_in_a_constant(tmp_path):
    node = helper.make_node("Constant", [], ["c"], value=external())
    assert "external data" in refusal(tiny_models.graph([node, IDENTITY]), tmp_path)


def test_external_data_in_a_subgraph(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("Identity", ["secret"], ["y"])],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
        [external()],
    )
    # An attribute that no operator of this name has: only the walk through all messages finds it.
    node = helper.make_node("Identity", ["picture"], ["clean"], body=inner)
    assert "external data" in refusal(tiny_models.graph([node]), tmp_path)


def test_external_data_is_refused_when_read_and_no_other_file_is_opened(tmp_path):
    path = tiny_models.identity_model(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").write_bytes(bytes(12))

    def change(model):
        tensor = external()
        tensor.external_data[0].value = "weights.bin"
        model.graph.initializer.append(tensor)

    tiny_models.edit(path, change)
    with pytest.raises(ModelError, match="external data"):
        read_model(path)


def test_external_data_hidden_by_an_inline_location(tmp_path):
    # Only the list of places is set: a reader that looks at the location flag alone would miss it.
    tensor = external()
    tensor.data_location = TensorProto.DEFAULT
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    model.graph.initializer.append(tensor)
    assert "external data" in refusal(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize(
    ("dims", "raw", "reason"),
    [
        ([2**20], bytes(8), "declares 1048576 values and holds 2"),
        ([3], bytes(13), "holds 3.25"),
        ([2**40], bytes(8), "absurd size"),
        ([-1, -2], bytes(8), "absurd size"),
    ],
)
def test_sizes_that_lie(tmp_path, dims, raw, reason):
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    model.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)
    )
    assert reason in refusal(model.SerializeToString(), tmp_path)


def test_typed_values_are_counted(tmp_path):
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT16, [2], [1.0, 2.0]))
    model.graph.initializer.append(helper.make_tensor("v", TensorProto.INT64, [2], [1, 2]))
    write_model(tmp_path / "m.onnx", model.SerializeToString(), tiny_models.card())
    model.graph.initializer[1].dims[0] = 3
    assert "declares 3 values and holds 2" in refusal(model.SerializeToString(), tmp_path)


def test_kinds_of_values(tmp_path):
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.STRING, [1], [b"x"]))
    assert "kind STRING" in refusal(model.SerializeToString(), tmp_path)
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**40]))
    assert "sparse" in refusal(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize(
    ("operator", "constants", "attributes"),
    [
        ("ConstantOfShape", {"shape": np.array([2**30])}, {}),
        ("Expand", {"": None, "shape": np.array([2**12, 3, 1, 1])}, {}),
        ("Tile", {"": None, "shape": np.array([1, 1, 64, 64])}, {}),
        ("Resize", {"": None, "scales": np.array([1, 1, 3000, 1], np.float32)}, {"mode": "nearest"}),
        ("Pad", {"": None, "pads": np.array([0, 0, 10**5, 10**5, 0, 0, 10**5, 10**5])}, {}),
        ("Range", {"a": np.int64(0), "b": np.int64(2**40), "c": np.int64(1)}, {}),
        ("Conv", {"": None, "w": np.zeros((2**13, 3, 1, 1), np.float32)}, {}),
    ],
)
def test_graphs_that_swell(tmp_path, operator, constants, attributes):
    names = [name or "picture" for name in constants]
    if operator == "Resize":
        names.insert(1, "")
    constants = {name: array for name, array in constants.items() if name}
    node = helper.make_node(operator, names, ["bomb"], **attributes)
    assert "'bomb' grows to" in refusal(tiny_models.graph([node, IDENTITY], constants), tmp_path)


def test_swelling_by_sizes_worked_out_inside_the_graph(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["half"], value_ints=[2**15, 1]),
        helper.make_node("Mul", ["half", "half"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["bomb"]),
        IDENTITY,
    ]
    assert "'bomb' grows to" in refusal(tiny_models.graph(nodes), tmp_path)


def test_claims_about_sizes_are_not_believed(tmp_path):
    node = helper.make_node("ConstantOfShape", ["shape"], ["bomb"])
    model = onnx.load_model_from_string(tiny_models.graph([node, IDENTITY], {"shape": np.array([2**30])}))
    model.graph.value_info.append(helper.make_tensor_value_info("bomb", TensorProto.FLOAT, [1]))
    assert "'bomb' grows to" in refusal(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (helper.make_node("Shell", ["picture"], ["x"], domain="evil"), "evil::Shell is not a standard one"),
        (helper.make_node("Loop", ["", ""], ["x"]), "Loop is not allowed .control flow"),
        (helper.make_node("If", ["picture"], ["x"]), "If is not allowed"),
        (helper.make_node("Scan", ["picture"], ["x"]), "Scan is not allowed"),
        (helper.make_node("RandomNormal", [], ["x"], shape=[2**40]), "the same answer"),
    ],
)
def test_operators(tmp_path, node, reason):
    assert re.search(reason, refusal(tiny_models.graph([node, IDENTITY]), tmp_path))


def test_functions(tmp_path):
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("own", "Same", ["a"], ["b"], body, model.opset_import))
    assert "operators of its own" in refusal(model.SerializeToString(), tmp_path)


def test_contradicting_graph(tmp_path):
    node = helper.make_node("Expand", ["picture", "shape"], ["clean"])
    data = tiny_models.graph([node], {"shape": np.array([1, 3, 77, 77])})
    said = refusal(data, tmp_path)
    assert "its graph contradicts itself" in said
    assert "\n" not in said
