"""Files of other projects: each way to feed them against a graph with a known answer, and every refusal."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny_models
from grainless.denoiser import Denoiser
from grainless.errors import InputError, ModelError
from grainless.evaluation import as_method
from grainless.foreign import ForeignModel, is_foreign, read_foreign, read_sidecar, sidecar_path
from grainless.noise import parse_noise

COLOUR = 'channels = 3\nrange = "0..1"\n'
ANY = ["n", 3, "h", "w"]


def foreign(path, nodes, sidecar=COLOUR, *, inputs=None, output="out", constants=(), opset=17, **more):
    """Write a file of another project, with its sidecar unless that is None."""
    infos = [
        helper.make_tensor_value_info(name, more.get("kind", TensorProto.FLOAT), sides)
        for name, sides in (inputs or {"in": ANY}).items()
    ]
    outputs = [
        helper.make_tensor_value_info(name, more.get("kind", TensorProto.FLOAT), more.get("answers", ANY))
        for name in (output if isinstance(output, list) else [output])
    ]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    if more.get("old"):
        # Files of old exporters list their weights as inputs too.
        infos += [helper.make_tensor_value_info(w.name, TensorProto.FLOAT, list(w.dims)) for w in weights]
    graph = helper.make_graph(nodes, "other", infos, outputs, weights)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path = Path(path)
    path.write_bytes(model.SerializeToString())
    if sidecar is not None:
        sidecar_path(path).write_text(sidecar, encoding="utf-8")
    return path


def identity():
    return [helper.make_node("Identity", ["in"], ["out"])]


def load(path, **options):
    return ForeignModel.load(path, threads=1, **options)


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (11, 14, 3), dtype=np.uint8)


# Values


@pytest.mark.parametrize("span", ["0..1", "0..255", "-1..1"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_all_levels_survive_each_range(tmp_path, span, kind):
    model = load(foreign(tmp_path / "a.onnx", identity(), f'channels = 3\nrange = "{span}"\n'))
    ramp = np.arange(65536).reshape(256, 256).astype(kind)
    ramp = ramp / np.float32(65535) if kind == "float32" else ramp
    np.testing.assert_allclose(model(ramp), ramp, atol=1e-6 if kind == "float32" else 0)
    assert model(ramp).dtype == ramp.dtype


@pytest.mark.parametrize(("span", "gray"), [("0..1", 0.5), ("0..255", 127.5), ("-1..1", 0.0)])
def test_the_graph_sees_the_range_that_it_was_trained_on(tmp_path, span, gray):
    # The graph halves the distance to its own middle gray: only in its own units does that work.
    nodes = [
        helper.make_node("Add", ["in", "gray"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["out"]),
    ]
    constants = {"gray": np.float32(gray), "half": np.float32(0.5)}
    path = foreign(tmp_path / "a.onnx", nodes, f'channels = 3\nrange = "{span}"\n', constants=constants)
    clean = load(path)(np.array([[0.0, 0.25, 1.0]], np.float32))
    np.testing.assert_allclose(clean, [[0.25, 0.375, 0.75]], atol=1e-6)


def test_channels_may_be_blue_first(tmp_path, pixels):
    # The graph keeps its first channel and blackens the others.
    nodes = [helper.make_node("Mul", ["in", "mask"], ["out"])]
    constants = {"mask": np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1)}
    for order, kept in (("RGB", 0), ("BGR", 2)):
        path = foreign(tmp_path / f"{order}.onnx", nodes, f'{COLOUR}order = "{order}"\n', constants=constants)
        clean = load(path)(pixels)
        np.testing.assert_array_equal(clean[..., kept], pixels[..., kept])
        assert np.delete(clean, kept, axis=2).max() == 0


@pytest.mark.parametrize("span", ["0..1", "0..255", "-1..1"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_an_answer_may_be_the_noise(tmp_path, pixels, span, order):
    width = {"0..1": 1, "0..255": 255, "-1..1": 2}[span]
    nodes = [
        helper.make_node("Mul", ["in", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "tenth"], ["out"]),
    ]
    # A tenth of the range in the channel that is red for the graph.
    tenth = np.array([0.1, 0, 0], np.float32).reshape(1, 3, 1, 1) * width
    sidecar = f'channels = 3\nrange = "{span}"\norder = "{order}"\nanswer = "noise"\n'
    constants = {"zero": np.float32(0), "tenth": tenth.astype(np.float32)}
    path = foreign(tmp_path / "a.onnx", nodes, sidecar, constants=constants)
    want = pixels / 255 - np.array([0.1, 0, 0] if order == "RGB" else [0, 0, 0.1])
    clean = load(path)((pixels / 255).astype(np.float32))
    np.testing.assert_allclose(clean, np.clip(want, 0, 1), atol=1e-6)


def test_gray_models_take_colour_channel_by_channel(tmp_path, pixels):
    square = [helper.make_node("Mul", ["in", "in"], ["out"])]
    path = foreign(
        tmp_path / "a.onnx",
        square,
        'channels = 1\nrange = "0..1"\n',
        # A batch of one alone, as many exports have it.
        inputs={"in": [1, 1, "h", "w"]},
        answers=[1, 1, "h", "w"],
    )
    values = (pixels / 255).astype(np.float32)
    np.testing.assert_allclose(load(path)(values), values**2, atol=1e-6)
    np.testing.assert_allclose(load(path)(values[..., 0]), values[..., 0] ** 2, atol=1e-6)


def test_sides_are_filled_up_to_the_stride(tmp_path, pixels):
    nodes = [
        helper.make_node("SpaceToDepth", ["in"], ["cells"], blocksize=4),
        helper.make_node("DepthToSpace", ["cells"], ["out"], blocksize=4),
    ]
    path = foreign(tmp_path / "a.onnx", nodes, f"{COLOUR}stride = 4\n")
    np.testing.assert_array_equal(load(path)(pixels), pixels)


def test_tiles_with_a_halo_are_exact_and_those_without_are_not(tmp_path, rng):
    nodes, constants = tiny_models.pyramid_nodes()
    for node in nodes:
        node.input[:] = ["in" if name == "picture" else name for name in node.input]
        node.output[:] = ["out" if name == "clean" else name for name in node.output]

    def cleaned(words):
        path = foreign(tmp_path / "a.onnx", nodes, f"{COLOUR}stride = 2\n{words}", constants=constants)
        return load(path)(picture)

    picture = rng.random((70, 50, 3)).astype(np.float32)
    whole = cleaned("")
    own = Denoiser.load(tiny_models.pyramid_model(tmp_path / "own.onnx"), threads=1)(picture)
    np.testing.assert_allclose(whole, own, atol=1e-6)
    np.testing.assert_allclose(cleaned("tile = 16\nhalo = 6\n"), whole, atol=1e-6)
    assert np.abs(cleaned("tile = 16\nhalo = 0\n") - whole).max() > 1e-3


# The noise level


def level_model(path, kind, words="", *, sides=None, gain=1.0):
    """A model that adds the noise level, as it gets it, to every value."""
    nodes = [helper.make_node("Add", ["in", "level"], ["out"])]
    inputs = {"level": sides, "in": ANY}
    if kind == "channel":
        inputs = {"in": ["n", 4, "h", "w"]}
        nodes = [
            helper.make_node("Split", ["in"], ["colours", "level"], axis=1),
            helper.make_node("Mul", ["level", "gain"], ["scaled"]),
            helper.make_node("Add", ["colours", "scaled"], ["out"]),
        ]
        nodes[0].input.append("parts")
    constants = {"parts": np.array([3, 1]), "gain": np.float32(gain)} if kind == "channel" else {}
    sidecar = f'{COLOUR}[noise_level]\nkind = "{kind}"\n{words}'
    return foreign(path, nodes, sidecar, inputs=inputs, constants=constants)


@pytest.mark.parametrize(
    ("kind", "sides"),
    [
        ("scalar", [1]),
        ("scalar", []),
        ("scalar", ["n", 1, 1, 1]),
        ("map", ["n", 1, "h", "w"]),
        ("channel", None),
    ],
)
def test_the_noise_level_arrives(tmp_path, kind, sides):
    words = 'input = "level"\n' if sides is not None else ""
    model = load(level_model(tmp_path / "a.onnx", kind, words, sides=sides))
    assert model.needs_sigma
    pixels = np.full((9, 7, 3), 100, np.uint8)
    assert (model(pixels, sigma=25) == 125).all()
    assert (model(pixels, sigma=0) == 100).all()
    assert (model(pixels, sigma=50, strength=0.5) == 125).all()


@pytest.mark.parametrize(
    ("words", "added"), [("", 0.1), ("full_scale = 2.0", 0.2), ("full_scale = 0.5", 0.05)]
)
def test_the_noise_level_has_a_scale(tmp_path, words, added):
    path = level_model(tmp_path / "a.onnx", "scalar", f'input = "level"\n{words}\n', sides=[1])
    clean = load(path)(np.full((4, 4, 3), 0.3, np.float32), sigma=25.5)
    np.testing.assert_allclose(clean, 0.3 + added, atol=1e-6)


def test_the_scale_follows_the_range(tmp_path):
    nodes = [helper.make_node("Add", ["in", "level"], ["out"])]
    sidecar = 'channels = 3\nrange = "0..255"\ninput = "in"\n[noise_level]\nkind = "scalar"\n'
    path = foreign(tmp_path / "a.onnx", nodes, sidecar, inputs={"in": ANY, "level": [1]})
    assert (load(path)(np.full((4, 4, 3), 100, np.uint8), sigma=10) == 110).all()


def test_a_level_is_given_where_it_is_needed(tmp_path, pixels):
    blind = load(foreign(tmp_path / "blind.onnx", identity()))
    told = load(level_model(tmp_path / "told.onnx", "channel"))
    assert not blind.needs_sigma
    with pytest.raises(InputError, match="model blind takes no noise level; got 25"):
        blind(pixels, sigma=25)
    with pytest.raises(InputError, match=r"model told needs a noise level; got none\. Pass sigma=25"):
        told(pixels)
    for sigma in (-1, 256, float("nan")):
        with pytest.raises(InputError, match="noise level is not valid"):
            told(pixels, sigma=sigma)


# The file


def test_what_a_model_says_of_itself(tmp_path):
    path = foreign(tmp_path / "some file.onnx", identity(), f'{COLOUR}name = "Other"\nabout = "Best."\n')
    model = load(path)
    assert (model.name, model.about, model.channels) == ("Other", "Best.", 3)
    assert model.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(foreign(tmp_path / "plain.onnx", identity())).name == "plain"


def test_names_inside_the_graph_make_way(tmp_path, pixels):
    # Input and output bear our names the wrong way round, and tensors in between too.
    nodes = [
        helper.make_node("Mul", ["clean", "sigma"], ["picture_and_sigma"]),
        helper.make_node("Mul", ["picture_and_sigma", "sigma"], ["picture"]),
    ]
    constants = {"sigma": np.float32(0.5)}
    path = foreign(tmp_path / "a.onnx", nodes, inputs={"clean": ANY}, output="picture", constants=constants)
    np.testing.assert_allclose(load(path)(pixels / 255), pixels / 255 / 4, atol=1e-6)


def test_old_files_and_files_with_several_answers(tmp_path, pixels):
    nodes = [
        helper.make_node("Mul", ["in", "half"], ["half_of_it"]),
        helper.make_node("Identity", ["in"], ["all_of_it"]),
    ]
    path = foreign(
        tmp_path / "a.onnx",
        nodes,
        f'{COLOUR}output = "half_of_it"\n',
        output=["all_of_it", "half_of_it"],
        constants={"half": np.array([0.5], np.float32)},
        old=True,
    )
    np.testing.assert_allclose(load(path)(pixels / 255), pixels / 510, atol=1e-6)


def test_only_files_with_a_sidecar_are_foreign(tmp_path):
    path = foreign(tmp_path / "a.onnx", identity())
    assert is_foreign(path)
    assert is_foreign(str(path))
    sidecar_path(path).unlink()
    assert not is_foreign(path)
    assert not is_foreign("universal")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_agree(tmp_path, rng, runtime):
    pytest.importorskip(runtime)
    path = level_model(tmp_path / "a.onnx", "channel", gain=0.5)
    picture = rng.random((20, 30, 3)).astype(np.float32) * 0.5
    np.testing.assert_allclose(load(path, runtime=runtime)(picture, sigma=51), picture + 0.1, atol=1e-6)


# What is wrong with a sidecar


def test_a_missing_sidecar_is_named(tmp_path):
    path = foreign(tmp_path / "a.onnx", identity(), None)
    with pytest.raises(
        ModelError, match=r"a.onnx has no sidecar.*expected \S*a.onnx.toml. Write it; docs/speed.md"
    ):
        load(path)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.onnx cannot be read: No such file"):
        load(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channels = ", "a.onnx.toml cannot be read as TOML; got Invalid value"),
        ("", "a.onnx.toml is not valid: channels is missing; range is missing"),
        (f"{COLOUR}chanels = 3", "chanels is not a key that sidecars have .known: version, name, about, lic"),
        (
            f'{COLOUR}[noise_level]\nkind = "map"\nscale = 1',
            "noise_level.scale is not a key that sidecars have .known: kind, input, full_scale.",
        ),
        ('channels = 4\nrange = "0..1"', "channels = 4 is not allowed: Input should be 1 or 3"),
        ('channels = 3\nrange = "0-1"', "range = '0-1' is not allowed: Input should be '0..1', '0..255' or"),
        (f'{COLOUR}layout = "NHWC"', "layout = 'NHWC' is not allowed: Input should be 'NCHW'"),
        (f'{COLOUR}order = "rgb"', "order = 'rgb' is not allowed: Input should be 'RGB' or 'BGR'"),
        (f"{COLOUR}tile = 512", "halo is missing, as there is a tile"),
        (f"{COLOUR}tile = 0\nhalo = 0", "tile must be at least 1"),
        (f'{COLOUR}tile = "all"', "tile = 'all' is not allowed: expected a number of pixels or 'whole'"),
        (f"{COLOUR}stride = 0", "stride = 0 is not allowed: Input should be greater than or equal to 1"),
        (f'{COLOUR}[noise_level]\nkind = "array"', "noise_level.kind = 'array' is not allowed"),
        (f'{COLOUR}[noise_level]\nkind = "map"\nfull_scale = 0', "noise_level.full_scale = 0 is not allowed"),
        (f"{COLOUR}noise_level = 3", "noise_level = 3 is not allowed"),
        (f"{COLOUR}version = 2", "version = 2 is not allowed: Input should be 1"),
    ],
)
def test_wrong_sidecars(tmp_path, text, message):
    path = foreign(tmp_path / "a.onnx", identity(), text)
    with pytest.raises(ModelError, match=message):
        read_sidecar(path)
    with pytest.raises(ModelError, match=message):
        load(path)


# What is wrong with a graph


@pytest.mark.parametrize(
    ("more", "sidecar", "message"),
    [
        ({}, f'{COLOUR}input = "x"', "its sidecar says input = 'x', its graph has in"),
        ({}, f'{COLOUR}output = "y"', "its sidecar says output = 'y', its graph has out"),
        ({"output": ["out", "in"]}, COLOUR, "its sidecar names no output, its graph has out, in"),
        ({"inputs": {"in": ANY, "b": [1]}}, COLOUR, "explains 1 of its inputs, its graph takes in, b"),
        ({}, f'{COLOUR}[noise_level]\nkind = "map"', "explains 2 of its inputs, its graph takes in"),
        (
            {"inputs": {"in": ANY, "b": [1]}},
            f'{COLOUR}[noise_level]\nkind = "scalar"',
            "does not name the inputs, its graph takes in, b. Name them in the sidecar",
        ),
        (
            {"inputs": {"in": ANY, "b": [5]}},
            f'{COLOUR}input = "in"\n[noise_level]\nkind = "scalar"',
            '"b" must hold one number, not .5.',
        ),
        (
            {"inputs": {"in": ANY, "b": [1, 1, 1, 1]}},
            f'{COLOUR}input = "in"\n[noise_level]\nkind = "map"',
            '"b" must be .batch, 1, height, width., not .1, 1, 1, 1.',
        ),
        (
            {"inputs": {"in": ["n", 1, "h", "w"]}},
            COLOUR,
            "says 3 channels, its graph takes .any, 1, any, any",
        ),
        ({}, f'{COLOUR}[noise_level]\nkind = "channel"', "3 channels and one of the noise level, its graph"),
        ({"inputs": {"in": [3, "h", "w"]}}, COLOUR, '"in" must be .batch, channels, height, width., not .3,'),
        (
            {"inputs": {"in": [1, 3, 64, 64]}},
            COLOUR,
            "only pictures of the fixed size .1, 3, 64, 64.. Export it with free height and width",
        ),
        ({"kind": TensorProto.FLOAT16}, COLOUR, '"in" is not a float32 tensor'),
        ({"opset": 0}, COLOUR, "does not say which version of the standard operators"),
    ],
)
def test_graphs_that_are_not_those_of_their_sidecar(tmp_path, more, sidecar, message):
    with pytest.raises(ModelError, match=message):
        load(foreign(tmp_path / "a.onnx", identity(), sidecar, **more))


def test_files_that_are_no_models(tmp_path):
    path = foreign(tmp_path / "a.onnx", identity())
    for data, message in ((b"no model", "damaged, or not an ONNX file"), (b"", "not an ONNX file")):
        path.write_bytes(data)
        with pytest.raises(ModelError, match=message):
            load(path)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [helper.make_node("Nice", ["in"], ["out"], domain="com.other")],
            "com.other::Nice is not a standard",
        ),
        ([helper.make_node("RandomNormalLike", ["in"], ["out"])], "RandomNormalLike is not allowed"),
        (
            [
                helper.make_node("Concat", ["in"] * 4000, ["large"], axis=2),
                helper.make_node("Slice", ["large", "zero", "one", "axis"], ["out"]),
            ],
            "tensor 'large' grows to",
        ),
        (
            [helper.make_node("AveragePool", ["in"], ["out"], kernel_shape=[2, 2])],
            "answers with .1, 3, 255, 255",
        ),
    ],
)
def test_hostile_graphs_are_refused_as_our_own_are(tmp_path, nodes, message):
    constants = {"zero": np.array([0]), "one": np.array([9]), "axis": np.array([2])}
    with pytest.raises(ModelError, match=message):
        load(foreign(tmp_path / "a.onnx", nodes, constants=constants))


@pytest.mark.parametrize("kind", ["channel", "map", "scalar"])
def test_graphs_with_a_noise_level_are_looked_into_too(tmp_path, kind):
    sides = {"channel": None, "map": ["n", 1, "h", "w"], "scalar": [1, 1, 1, 1]}[kind]
    words = 'input = "level"\n' if sides else ""
    path = level_model(tmp_path / "a.onnx", kind, words, sides=sides)

    def pool(model):
        last = model.graph.node[-1]
        last.output[0] = "sum"
        model.graph.node.append(helper.make_node("AveragePool", ["sum"], ["out"], kernel_shape=[2, 2]))

    read_foreign(path)
    tiny_models.edit(path, pool)
    with pytest.raises(ModelError, match=r"answers with .1, 3, 255, 255"):
        read_foreign(path)


def test_weights_in_other_files_are_refused(tmp_path):
    path = foreign(tmp_path / "a.onnx", identity(), constants={"w": np.zeros(3, np.float32)})

    def lead_away(model):
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/hostname")

    tiny_models.edit(path, lead_away)
    with pytest.raises(ModelError, match="keeps its values in another file"):
        load(path)


def test_sizes_that_a_file_claims_in_between_do_not_matter(tmp_path, pixels):
    nodes = [helper.make_node("Relu", ["in"], ["middle"]), helper.make_node("Relu", ["middle"], ["out"])]
    path = foreign(tmp_path / "a.onnx", nodes, answers=[1, 3, 64, 64])

    def claim(model):
        model.graph.value_info.append(
            helper.make_tensor_value_info("middle", TensorProto.FLOAT, [1, 3, 64, 64])
        )

    tiny_models.edit(path, claim)
    np.testing.assert_array_equal(load(path)(pixels), pixels)


def test_the_checked_graph_is_what_is_run(tmp_path):
    file = read_foreign(level_model(tmp_path / "a.onnx", "channel"))
    model = onnx.load_from_string(file.model.graph)
    assert [value.name for value in model.graph.input] == ["picture", "sigma"]
    assert [value.name for value in model.graph.output] == ["clean"]
    onnx.checker.check_model(model, full_check=True)


def test_answers_that_are_no_pictures(tmp_path, pixels):
    path = foreign(
        tmp_path / "nan.onnx",
        [helper.make_node("Div", ["in", "zero"], ["out"])],
        constants={"zero": np.float32(0)},
    )
    with pytest.raises(ModelError, match=r"nan.onnx answers with values that are no numbers"):
        load(path)(pixels)


# In evaluation


def test_a_file_with_a_sidecar_is_a_row_that_is_told_the_level(tmp_path, pixels):
    """The graph gives the picture less its noise level: what it was told shows in the error."""
    nodes = [helper.make_node("Sub", ["in", "sigma"], ["out"])]
    sidecar = f'{COLOUR}input = "in"\n[noise_level]\nkind = "map"\ninput = "sigma"\n'
    inputs = {"in": ANY, "sigma": ["n", 1, "h", "w"]}
    path = foreign(tmp_path / "other.onnx", nodes, sidecar, inputs=inputs)
    method = as_method(path)
    assert (method.name, method.kind, method.needs_sigma) == ("other", "model", True)
    assert len(method.checksum) == 64
    restored = method.run(pixels, parse_noise("gaussian:51"))
    np.testing.assert_array_equal(restored, np.clip(pixels.astype(int) - 51, 0, 255))
