"""Model files: what is written is read; what is damaged, hostile or foreign is refused with the reason."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import tiny_models
from grainless import model_file
from grainless.errors import ModelError
from grainless.model_file import CARD_KEY, ModelCard, find_model, list_models, read_model, write_model

IDENTITY = helper.make_node("Identity", ["picture"], ["clean"])


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("GRAINLESS_MODELS", str(folder))
    return folder


@pytest.fixture
def package_folder(tmp_path, monkeypatch):
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(model_file, "_PACKAGE_FOLDER", folder)
    return folder


def change_card(path, **changes):
    """Edit the card inside the file, which the checksum does not cover."""

    def change(model):
        for entry in model.metadata_props:
            if entry.key == CARD_KEY:
                entry.value = json.dumps(json.loads(entry.value) | changes)

    tiny_models.edit(path, change)


# Writing and reading


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "folder" / "blur.onnx"
    score = {"data": "d", "noise": "gaussian:25", "metric": "psnr", "value": 31.5, "protocol": "p"}
    card = tiny_models.card(receptive_radius=1, notes="ü", scores=[score])
    written = write_model(path, tiny_models.graph([IDENTITY]), card)
    model = read_model(path)
    assert model.path == path
    assert model.card == written
    assert model.graph == path.read_bytes()
    assert model.card.model_copy(update={"checksum": ""}) == card
    assert len(model.card.checksum) == 64
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    picture = np.ones((2, 3, 5, 7), np.float32)
    np.testing.assert_array_equal(session.run(["clean"], {"picture": picture})[0], picture)


def test_writing_twice_gives_the_same_bytes_and_keeps_other_metadata(tmp_path):
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    model = onnx.load_model_from_string(tiny_models.graph([IDENTITY]))
    helper.set_model_props(model, {"author": "somebody"})
    write_model(first, model.SerializeToString(), tiny_models.card())
    # The card of the first file is replaced, not added to.
    write_model(second, first.read_bytes(), tiny_models.card())
    assert first.read_bytes() == second.read_bytes()
    assert {entry.key for entry in onnx.load(second).metadata_props} == {"author", CARD_KEY}


def test_checksum_ignores_the_card_and_nothing_else(tmp_path):
    data = tiny_models.graph([IDENTITY])
    one = write_model(tmp_path / "1.onnx", data, tiny_models.card(name="one"))
    two = write_model(tmp_path / "2.onnx", data, tiny_models.card(name="two"))
    nodes = [helper.make_node("Abs", ["picture"], ["clean"])]
    three = write_model(tmp_path / "3.onnx", tiny_models.graph(nodes), tiny_models.card())
    assert one.checksum == two.checksum != three.checksum


@pytest.mark.parametrize(
    ("radius", "stride", "halo"), [(0, 8, 0), (1, 8, 8), (90, 8, 96), (96, 8, 96), (5, 1, 5)]
)
def test_halo(radius, stride, halo):
    assert tiny_models.card(stride=stride, receptive_radius=radius).halo == halo


def test_write_to_an_impossible_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        write_model(tmp_path / "file" / "m.onnx", tiny_models.graph([IDENTITY]), tiny_models.card())


# Damaged and foreign files


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 a zip of weights", "is not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is not an ONNX file"),
        (b"plain text", "is not an ONNX file"),
        (pickle.dumps({"weights": [1.0]}), "is not an ONNX file"),
        (b"\x08\x09", "one without a graph"),
    ],
)
def test_not_a_model(tmp_path, content, reason):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=reason) as caught:
        read_model(path)
    assert str(path) in str(caught.value)


def test_every_truncation_is_refused(tmp_path):
    path = tiny_models.blur_model(tmp_path / "m.onnx")
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match="refused"):
            read_model(path)
    path.write_bytes(data[: len(data) // 4])
    with pytest.raises(ModelError, match="truncated or damaged"):
        read_model(path)


def test_too_large(tmp_path, monkeypatch):
    path = tiny_models.identity_model(tmp_path / "m.onnx")
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size)
    read_model(path)
    monkeypatch.setattr(model_file, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(ModelError, match="larger than"):
        read_model(path)
    with pytest.raises(ModelError, match="it would have"):
        write_model(tmp_path / "n.onnx", tiny_models.graph([IDENTITY]), tiny_models.card())


def test_changed_weights_fail_the_checksum(tmp_path):
    path = tiny_models.blur_model(tmp_path / "m.onnx")

    def change(model):
        kernel = numpy_helper.to_array(model.graph.initializer[0]).copy()
        kernel[0, 0, 1, 1] += 1e-6
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "kernel"))

    tiny_models.edit(path, change)
    with pytest.raises(ModelError, match=r"checksum.*export it again"):
        read_model(path)


def test_foreign_model_without_card(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_models.graph([IDENTITY]))
    with pytest.raises(ModelError, match=r"no card.*grainless export"):
        read_model(path)


def test_card_that_is_not_json(tmp_path):
    path = tiny_models.identity_model(tmp_path / "m.onnx")

    def change(model):
        model.metadata_props[0].value = "{"

    tiny_models.edit(path, change)
    with pytest.raises(ModelError, match="not valid JSON"):
        read_model(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"channels": 4}, "channels: Input should be 1 or 3"),
        ({"stride": 0}, "stride: Input should be greater"),
        ({"receptive_radius": 10**9}, "receptive_radius: Input should be less"),
        ({"checksum": "abc"}, "checksum: String should match"),
        ({"scores": [{"data": "x"}]}, r"scores\.0\.noise: Field required"),
        ({"card_version": 2}, "version 2, this grainless reads up to version 1.* Update grainless"),
        ({"card_version": 2, "colour": "red"}, "Update grainless"),
    ],
)
def test_wrong_card(tmp_path, changes, reason):
    path = tiny_models.identity_model(tmp_path / "m.onnx")
    change_card(path, **changes)
    with pytest.raises(ModelError, match=reason):
        read_model(path)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"card"', "[" * 100_000])
def test_card_of_another_form(tmp_path, text):
    path = tiny_models.identity_model(tmp_path / "m.onnx")
    tiny_models.edit(path, lambda model: setattr(model.metadata_props[0], "value", text))
    with pytest.raises(ModelError, match="its card is not valid"):
        read_model(path)


def test_every_field_of_the_card_is_described():
    words = (Path(__file__).parents[1] / "docs" / "model-file.md").read_text(encoding="utf-8")
    for name in ModelCard.model_fields:
        assert f"`{name}`" in words


# Names and folders


def test_names(user_folder, package_folder):
    tiny_models.identity_model(package_folder / "universal.onnx")
    tiny_models.identity_model(user_folder / "mine.onnx")
    assert find_model("universal") == package_folder / "universal.onnx"
    assert find_model("mine") == user_folder / "mine.onnx"
    assert read_model("mine").card.name == "tiny"
    with pytest.raises(ModelError, match=r"no model named 'other'.*one of mine, universal"):
        find_model("other")


def test_no_models_at_all(package_folder):
    with pytest.raises(ModelError, match="no models are installed"):
        find_model("universal")


def test_default_user_folder(monkeypatch, tmp_path, package_folder):
    monkeypatch.delenv("GRAINLESS_MODELS")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tiny_models.identity_model(tmp_path / ".grainless" / "models" / "home.onnx")
    assert find_model("home") == path


def test_a_name_for_two_files_is_refused(user_folder, package_folder):
    tiny_models.identity_model(package_folder / "universal.onnx")
    path = tiny_models.identity_model(user_folder / "universal.onnx")
    with pytest.raises(ModelError, match=r"stands for 2 model files.*Give the path"):
        read_model("universal")
    assert read_model(path).path == path


def test_paths(tmp_path, monkeypatch):
    path = tiny_models.identity_model(tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    assert find_model("m.onnx").samefile(path)
    assert find_model(str(path)) == path
    for missing in (tmp_path / "none.onnx", str(tmp_path / "folder" / "none"), tmp_path):
        with pytest.raises(ModelError, match="There is no model file"):
            find_model(missing)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tiny_models.identity_model(tmp_path / "m.onnx")

    def fail(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", fail)
    with pytest.raises(ModelError, match="cannot be read: Permission denied"):
        read_model(path)


def test_list(tmp_path, user_folder, package_folder):
    tiny_models.identity_model(package_folder / "universal.onnx")
    tiny_models.identity_model(user_folder / "b.onnx", channels=1)
    tiny_models.identity_model(user_folder / "a.onnx")
    extra = tiny_models.identity_model(tmp_path / "extra.onnx")
    (user_folder / "notes.txt").write_text("not a model")
    found = list_models([extra, user_folder])
    assert [path.stem for path, _ in found] == ["universal", "a", "b", "extra"]
    assert [card.channels for _, card in found] == [3, 3, 1, 3]


def test_list_with_a_broken_file(user_folder, package_folder):
    (user_folder / "broken.onnx").write_bytes(b"")
    tiny_models.identity_model(user_folder / "good.onnx")
    problems = []
    assert [path.stem for path, _ in list_models(problems=problems)] == ["good"]
    assert [str(problem) for problem in problems] == [
        f"The model file {user_folder / 'broken.onnx'} is refused: it is empty. Fetch or export it again."
    ]
    with pytest.raises(ModelError, match="is empty"):
        list_models()
