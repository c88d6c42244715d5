"""The denoiser against filters with known answers: values, shapes, alpha, tiles, errors and memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import tiny_models
from grainless.blend import Blend
from grainless.denoiser import Denoiser, denoise
from grainless.errors import InputError, ModelError
from grainless.picture import Metadata, Picture, StoredPicture
from grainless.planes import ArrayPlane, on_disk
from grainless.tiling import Box

WHITE = {"uint8": 255, "uint16": 65535}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def blur(folder):
    return Denoiser.load(tiny_models.blur_model(folder / "blur.onnx"), tile=16, threads=1)


@pytest.fixture(scope="session")
def blur_gray(folder):
    return Denoiser.load(tiny_models.blur_model(folder / "gray.onnx", channels=1), tile=16, threads=1)


@pytest.fixture(scope="session")
def identity(folder):
    return Denoiser.load(tiny_models.identity_model(folder / "identity.onnx"), tile=64, threads=1)


@pytest.fixture(scope="session")
def levels(folder):
    return Denoiser.load(tiny_models.levels_model(folder / "levels.onnx"), tile=8, threads=1)


def as_picture(pixels, alpha=None):
    metadata = Metadata(icc=b"profile", exif=None, xmp=None, dpi=(300.0, 300.0))
    return Picture(pixels=pixels, alpha=alpha, metadata=metadata, format="tiff")


def blurred(values):
    """What the model answers, by scipy: each channel by itself, zeros beyond the borders."""
    kernel = tiny_models.BLUR.astype(float)
    planes = values.astype(float).reshape(*values.shape[:2], -1)
    done = [ndimage.convolve(planes[..., c], kernel, mode="constant") for c in range(planes.shape[2])]
    return np.stack(done, axis=-1).reshape(values.shape)


def random_pixels(rng, shape, kind):
    return (rng.random(shape) * WHITE.get(kind, 1)).astype(kind)


# Values


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64", ">u2"])
@pytest.mark.parametrize("shape", [(37, 41), (37, 41, 1), (37, 41, 3), (1, 1), (1, 50, 3), (2, 1, 3)])
def test_shapes_and_dtypes_come_back(blur, rng, kind, shape):
    pixels = random_pixels(rng, shape, np.dtype(kind).name).astype(kind)
    before = pixels.copy()
    clean = blur(pixels)
    assert clean.shape == pixels.shape
    assert clean.dtype == pixels.dtype
    np.testing.assert_array_equal(pixels, before)
    want = blurred(pixels)
    if pixels.dtype.kind == "u":
        # Rounded to the nearest; a value just between two numbers may fall either way.
        np.testing.assert_allclose(clean, want, atol=0.51)
    else:
        np.testing.assert_allclose(clean, want, atol=1e-3 if kind == "float16" else 1e-6)


def test_colour_through_a_gray_model(blur_gray, blur, rng):
    pixels = rng.random((40, 30, 3)).astype(np.float32)
    np.testing.assert_allclose(blur_gray(pixels), blur(pixels), atol=1e-6)
    np.testing.assert_allclose(blur_gray(pixels[..., 0]), blur(pixels[..., 0]), atol=1e-6)


def test_gray_answers_of_a_colour_model_are_averaged(rng):
    def run(inputs):
        planes = inputs["picture"]
        assert planes.shape[1] == 3
        assert (planes[:, 0] == planes[:, 1]).all()
        return planes + np.array([0, 0.1, 0.2], np.float32)[:, None, None]

    tinted = Denoiser(tiny_models.card(), run, name="tinted")
    pixels = (rng.random((9, 9)) * 0.5).astype(np.float32)
    np.testing.assert_allclose(tinted(pixels), pixels + 0.1, atol=1e-6)


def test_16_bit_gradients_keep_their_levels(identity):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(identity(ramp), ramp)
    np.testing.assert_array_equal(identity(np.dstack([ramp] * 3)), np.dstack([ramp] * 3))


def test_16_bit_gradients_are_not_banded(blur):
    # A faint, noise-free ramp over four levels of 8 bit: blurring must keep its thousand levels of 16.
    ramp = np.tile(np.arange(20_000, 21_028, dtype=np.uint16), (8, 1))
    clean = blur(ramp)[2:-2, 2:-2]
    assert np.abs(clean.astype(int) - ramp[2:-2, 2:-2]).max() <= 1
    assert len(np.unique(clean)) > 1000


def test_all_8_bit_levels_survive(identity):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(identity(ramp), ramp)


def test_rounding_and_clipping(folder):
    half = Denoiser.load(tiny_models.scale_model(folder / "half.onnx", 0.5))
    assert half(np.array([[3, 5, 7, 254]], np.uint8)).tolist() == [[2, 2, 4, 127]]
    double = Denoiser.load(tiny_models.scale_model(folder / "double.onnx", 2))
    assert double(np.array([[100, 200]], np.uint8)).tolist() == [[200, 255]]
    assert double(np.array([[0.25, 0.75]])).tolist() == [[0.5, 1.0]]
    minus = Denoiser.load(tiny_models.scale_model(folder / "minus.onnx", -1))
    assert minus(np.array([[100, 200]], np.uint16)).tolist() == [[0, 0]]


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1), st.sampled_from(["uint8", "uint16", "float32", "float64"]), st.integers(0, 2**32 - 1))
def test_strength_blends(strength, kind, seed):
    inverted = Denoiser(tiny_models.card(), lambda inputs: 1 - inputs["picture"], name="inverted")
    pixels = random_pixels(np.random.default_rng(seed), (5, 6, 3), kind)
    white = WHITE.get(kind, 1)
    want = pixels + strength * (white - 2.0 * pixels)
    atol = 0.51 if kind in WHITE else 1e-6
    np.testing.assert_allclose(inverted(pixels, strength=strength), want, atol=atol)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64"])
def test_strength_zero_is_the_input(rng, kind):
    def never(_inputs):
        raise AssertionError

    idle = Denoiser(tiny_models.card(), never, name="idle")
    pixels = random_pixels(rng, (12, 9, 4), kind)
    clean = idle(pixels, strength=0)
    np.testing.assert_array_equal(clean, pixels)
    assert not np.shares_memory(clean, pixels)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_float_results_can_be_cleaned_again(seed, strength):
    wild = np.random.default_rng(seed)

    def run(inputs):
        return wild.normal(0.5, 1, inputs["picture"].shape).astype(np.float32)

    model = Denoiser(tiny_models.card(), run, name="wild")
    pixels = wild.random((4, 4)).astype(np.float32)
    model(model(pixels, strength=strength))


# Float pictures


def test_values_outside_the_range_are_kept(blur, rng):
    pixels = rng.normal(0.5, 1, (40, 40, 3)).astype(np.float32)
    clean = blur.denoise_picture(as_picture(pixels)).pixels
    clipped = np.clip(pixels, 0, 1)
    np.testing.assert_allclose(clean, blurred(clipped) + (pixels - clipped), atol=1e-5)
    assert clean.max() > 1.5


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_unclipped_values_are_seen_as_they_are(blur, rng, kind):
    pixels = rng.normal(0.5, 1, (40, 40, 3)).astype(kind)
    clean = blur(pixels, unclipped=True)
    assert clean.dtype == kind
    tolerance = 2e-3 if kind == "float16" else 1e-5
    np.testing.assert_allclose(clean, np.clip(blurred(pixels), 0, 1), atol=tolerance)
    half = blur(pixels, unclipped=True, strength=0.5)
    np.testing.assert_allclose(half, (pixels + clean) / 2, atol=tolerance)
    # The test can fail: what is clipped first comes out otherwise.
    assert np.abs(blurred(np.clip(pixels, 0, 1)) - clean).max() > 0.1
    inside = np.clip(pixels, 0, 1)
    np.testing.assert_array_equal(blur(inside, unclipped=True), blur(inside))
    with pytest.raises(InputError, match="The values of the picture are out of range"):
        blur(pixels)
    pixels[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        blur(pixels, unclipped=True)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_whole_numbers_are_never_clipped(blur, rng, kind):
    pixels = random_pixels(rng, (20, 20, 3), kind)
    np.testing.assert_array_equal(blur(pixels, unclipped=True), blur(pixels))


def test_levels_of_unclipped_values_are_theirs(levels):
    pixels = np.full((20, 20, 3), 0.5, np.float32)
    pixels[0, 0], pixels[1, 1] = -0.2, 60
    assert levels(pixels, unclipped=True)[5, 5, 0] == pytest.approx(-0.2 + 0.01 * 60)


def test_linear_goes_through_the_srgb_curve(blur, identity, rng):
    # scikit-image's conversions are built on colour matrices, so the curve is checked by its published form.
    light = rng.random((30, 30, 3)).astype(np.float32)
    light[:10] *= 0.003
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    soft = blurred(encoded)
    want = np.where(soft <= 0.04045, soft / 12.92, ((soft + 0.055) / 1.055) ** 2.4)
    got = blur.denoise_picture(as_picture(light), linear=True).pixels
    np.testing.assert_allclose(got, want, atol=2e-6)
    same = identity.denoise_picture(as_picture(light * 4 - 1), linear=True).pixels
    np.testing.assert_allclose(same, light * 4 - 1, atol=2e-6)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_linear_needs_floats(blur, rng, kind):
    with pytest.raises(InputError, match=r"Only float pictures can be linear.*Leave"):
        blur.denoise_picture(as_picture(random_pixels(rng, (5, 5, 3), kind)), linear=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pictures_with_values_that_are_no_numbers(blur, value):
    pixels = np.zeros((5, 5, 3), np.float32)
    pixels[2, 2, 1] = value
    with pytest.raises(InputError, match=r"NaN or infinity.*nan_to_num"):
        blur.denoise_picture(as_picture(pixels))
    alpha = np.ones((5, 5), np.float32)
    alpha[2, 2] = 0
    clean = blur.denoise_picture(as_picture(pixels, alpha)).pixels
    np.testing.assert_array_equal(clean[2, 2], pixels[2, 2])
    assert (np.delete(clean.reshape(25, 3), 12, axis=0) == 0).all()


# Levels


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_levels_are_those_of_the_whole_picture(levels, rng, kind):
    white = WHITE.get(kind, 1)
    pixels = (rng.uniform(0.3, 0.6, (50, 40, 3)) * white).astype(kind)
    pixels[49, 39, 2] = 0.2 * white
    pixels[0, 39, 1] = 0.9 * white
    clean = levels.denoise_picture(as_picture(pixels)).pixels
    want = (pixels.min() / white + 0.01 * pixels.max() / white) * white
    np.testing.assert_allclose(clean, want, atol=0.51 if white > 1 else 1e-6)


def test_levels_are_clipped_encoded_and_of_visible_pixels_only(levels):
    pixels = np.full((20, 20, 3), 0.5, np.float32)
    pixels[0, 0], pixels[1, 1], pixels[2, 2] = 0.1, 3, -7
    alpha = np.ones((20, 20), np.float32)
    alpha[2, 2] = 0
    clean = levels.denoise_picture(as_picture(pixels, alpha)).pixels
    assert clean[10, 10, 0] == pytest.approx(0.1 + 0.01)
    assert clean[1, 1, 0] == pytest.approx(0.11 + 2)
    linear = levels.denoise_picture(as_picture(pixels, alpha), linear=True).pixels
    encoded = 1.055 * 0.1 ** (1 / 2.4) - 0.055 + 0.01
    assert linear[10, 10, 0] == pytest.approx(((encoded + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("high", "want"), [(0.6, 0.01), (0.7, 0.4 + 0.007)])
def test_a_narrow_range_has_no_levels_of_its_own(levels, high, want):
    pixels = np.full((20, 20, 3), 0.4, np.float32)
    pixels[3, 4, 1] = high
    np.testing.assert_allclose(levels(pixels), want, atol=1e-6)


def test_levels_of_each_channel_of_a_gray_model(folder):
    gray = Denoiser.load(tiny_models.levels_model(folder / "levels1.onnx", channels=1))
    pixels = np.stack([np.full((9, 9), value) for value in (0.2, 0.4, 0.8)], axis=-1)
    np.testing.assert_allclose(gray(pixels), 0.208, atol=1e-6)


# Alpha


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_hidden_colour_stays_and_never_bleeds(blur, rng, kind):
    pixels = random_pixels(rng, (45, 50, 4), kind)
    hidden = ndimage.binary_dilation(rng.random((45, 50)) < 0.02, iterations=3)
    pixels[hidden, 3] = 0
    pixels[~hidden, 3] = WHITE.get(kind, 1) // 2 + 1
    other = pixels.copy()
    other[hidden, :3] = WHITE.get(kind, 1)
    clean, again = blur(pixels), blur(other)
    np.testing.assert_array_equal(clean[..., 3], pixels[..., 3])
    np.testing.assert_array_equal(clean[hidden], pixels[hidden])
    np.testing.assert_array_equal(again[hidden], other[hidden])
    np.testing.assert_array_equal(clean[~hidden], again[~hidden])
    assert np.any(clean[~hidden] != pixels[~hidden])


def test_alpha_of_any_value_but_zero_changes_nothing(blur, rng):
    pixels = random_pixels(rng, (20, 20, 4), "uint8")
    pixels[..., 3] = np.maximum(pixels[..., 3], 1)
    np.testing.assert_array_equal(blur(pixels)[..., :3], blur(pixels[..., :3]))


def test_a_plain_colour_stays_plain_beside_hidden_pixels(identity, blur):
    pixels = np.full((30, 30, 3), 180, np.uint8)
    alpha = np.full((30, 30), 255, np.uint8)
    alpha[10:20, 10:20] = 0
    pixels[10:20, 10:20] = 0
    clean = blur.denoise_picture(as_picture(pixels, alpha)).pixels
    assert (clean[5:25, 5:25] == pixels[5:25, 5:25]).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_fully_transparent(blur, rng, kind):
    pixels = random_pixels(rng, (20, 33, 4), kind)
    pixels[..., 3] = 0
    np.testing.assert_array_equal(blur(pixels), pixels)


def test_gray_with_alpha(blur, rng):
    pixels = random_pixels(rng, (20, 20, 1), "uint16")
    alpha = random_pixels(rng, (20, 20), "uint16") | 1
    clean = blur.denoise_picture(as_picture(pixels, alpha))
    np.testing.assert_array_equal(clean.pixels, blur(pixels))
    np.testing.assert_array_equal(clean.alpha, alpha)


# Tiles and crops


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40))
def test_tiled_equals_whole(folder, height, width, tile):
    path = folder / "pyramid.onnx"
    if not path.exists():
        tiny_models.pyramid_model(path)
    whole = Denoiser.load(path, threads=1)
    pixels = np.random.default_rng(height * 61 + width).random((height, width, 3)).astype(np.float32)
    tiled = Denoiser(whole.card, whole.network.run, name="tiled", tile=tile)
    np.testing.assert_allclose(tiled(pixels), whole(pixels), atol=1e-6)


def test_tiles_differ_with_a_halo_cut_by_one_stride(folder, rng):
    whole = Denoiser.load(tiny_models.pyramid_model(folder / "pyramid2.onnx"), threads=1)
    pixels = rng.random((100, 100, 3)).astype(np.float32)
    # Radius 5 at stride 2 makes a halo of 6; the worst pixel of a tile needs 5.
    assert whole.card.halo == 6
    short = whole.card.model_copy(update={"receptive_radius": 4})
    cut = Denoiser(short, whole.network.run, name="cut", tile=16)
    assert np.abs(cut(pixels) - whole(pixels)).max() > 1e-4


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_crop_is_the_crop_of_the_whole(folder, data):
    path = folder / "pyramid3.onnx"
    if not path.exists():
        tiny_models.pyramid_model(path)
    model = Denoiser.load(path, tile=24, threads=1)
    rng = np.random.default_rng(7)
    width, height = 83, 71
    alpha = rng.integers(0, 4, (height, width)).astype(np.float32)
    picture = as_picture(rng.random((height, width, 3)).astype(np.float32), alpha)
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    whole = model.denoise_picture(picture)
    part = model.denoise_picture(picture, crop=(x, y, w, h))
    np.testing.assert_array_equal(part.pixels, whole.pixels[y : y + h, x : x + w])
    np.testing.assert_array_equal(part.alpha, alpha[y : y + h, x : x + w])
    assert part.metadata == picture.metadata


def test_a_crop_runs_only_its_tiles_and_takes_levels_from_the_whole(levels):
    pixels = np.full((64, 64, 3), 0.5, np.float32)
    pixels[60, 60] = 0.1
    calls = []
    crop = (8, 8, 10, 4)
    clean = levels.denoise_picture(as_picture(pixels), crop=crop, progress=lambda *call: calls.append(call))
    np.testing.assert_allclose(clean.pixels, 0.105, atol=1e-6)
    assert calls == [(1, 2), (2, 2)]


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize(
    "crop", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1), (16, 0, 5, 5), (0, 6, 5, 5)]
)
def test_crops_out_of_bounds(blur, crop, strength):
    picture = as_picture(np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(InputError, match=r"The crop leaves the picture.*a part of 20 by 10 pixels"):
        blur.denoise_picture(picture, crop=crop, strength=strength)


def test_progress_counts_tiles(blur):
    calls = []
    picture = as_picture(np.zeros((40, 20, 1), np.uint8))
    blur.denoise_picture(picture, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]


def test_picture_keeps_the_rest(blur, rng):
    picture = as_picture(random_pixels(rng, (10, 10, 3), "uint16"))
    clean = blur.denoise_picture(picture)
    assert clean.metadata is picture.metadata
    assert clean.format == "tiff"
    assert clean.alpha is None
    assert clean.pixels.dtype == np.uint16


# Wrong input


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([[1, 2]], "no numpy array; got list. Convert it with numpy.asarray"),
        (np.zeros(5), r"no shape of a picture; got \(5,\)"),
        (np.zeros((5, 5, 2)), r"got \(5, 5, 2\); expected \(H, W\), \(H, W, 1\)"),
        (np.zeros((3, 50, 60)), "Move the channels last"),
        (np.zeros((2, 5, 5, 3)), "Clean one at a time"),
        (np.zeros((0, 5, 3)), "has no pixels"),
        (np.zeros((5, 0), np.uint8), "has no pixels"),
        (np.zeros((5, 5), np.int64), r"range is not known; got int64.*astype\(numpy.uint8\)"),
        (np.zeros((5, 5), bool), "range is not known; got bool"),
        (np.zeros((5, 5), complex), "range is not known"),
        (np.array([[0.5, np.nan]]), "NaN or infinity"),
        (np.array([[0.5, np.inf]]), "NaN or infinity"),
        (np.array([[0.5, 1.5]]), "out of range; got 0.5 to 1.5; expected floats from 0 to 1. Use numpy.clip"),
        (np.array([[-0.1, 1.0]]), "out of range"),
        (np.array([[0.0, 255.0]]), "Divide by 255"),
    ],
)
@pytest.mark.parametrize("strength", [0, 1])
def test_wrong_arrays(blur, pixels, message, strength):
    with pytest.raises(InputError, match=message):
        blur(pixels, strength=strength)


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan, np.inf])
def test_wrong_strength(blur, strength):
    with pytest.raises(InputError, match="strength is out of range"):
        blur(np.zeros((5, 5), np.uint8), strength=strength)


# Wrong answers of a model


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_answers_that_are_no_numbers(folder, factor):
    path = tiny_models.scale_model(folder / "wrong.onnx", factor)
    with pytest.raises(ModelError, match=r"NaN or infinity.*Nothing was changed") as caught:
        Denoiser.load(path)(np.full((5, 5, 3), 9, np.uint8))
    assert str(path) in str(caught.value)


def test_answers_of_another_size():
    small = Denoiser(tiny_models.card(), lambda inputs: inputs["picture"][..., 1:], name="small.onnx")
    with pytest.raises(ModelError, match=r"small.onnx answers in another size; got \(1, 3, 5, 4\)"):
        small(np.zeros((5, 5, 3), np.uint8))


def test_graphs_that_fail_while_running(folder, capfd):
    # The reshape fits the sizes that are looked at beforehand, and no others.
    node = tiny_models.helper.make_node("Add", ["picture", "square"], ["clean"])
    path = folder / "fails.onnx"
    tiny_models.model_of(path, [node], {"square": np.zeros((1, 3, 256, 256), np.float32)})
    with pytest.raises(ModelError, match=r"fails.onnx failed on a tile of 7 by 5 pixels"):
        Denoiser.load(path)(np.zeros((5, 7, 3), np.uint8))
    assert capfd.readouterr().err == ""


# Memory that runs out


def short_of_memory(model, most, error):
    """The same model, for which windows of more than `most` pixels are too large; and the windows it ran."""
    ran = []

    def run(inputs):
        height, width = inputs["picture"].shape[2:]
        if height * width > most:
            raise error
        ran.append((height, width))
        return model.network.run(inputs)

    return Denoiser(model.card, run, name="short.onnx", tile=model.tile), ran


FAILURES = [
    MemoryError(),
    RuntimeError("std::bad_alloc"),
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code ... BFCArena::AllocateRaw"
                 "Internal Failed to allocate memory for requested buffer of size 2415919104"),
    RuntimeError("Exception from src/inference: could not allocate 99 bytes"),
    RuntimeError("bad allocation"),
]  # fmt: skip


@pytest.mark.parametrize("error", FAILURES, ids=str)
def test_tiles_shrink_where_memory_runs_out(folder, rng, error):
    model = Denoiser.load(tiny_models.pyramid_model(folder / "shrink.onnx"), threads=1)
    short, ran = short_of_memory(model, 200 * 200, error)
    picture = as_picture(rng.random((500, 700, 3)).astype(np.float32))
    clean = short.denoise_picture(picture)
    np.testing.assert_allclose(clean.pixels, model.denoise_picture(picture).pixels, atol=1e-6)
    # Halved twice: four of 250 by 350, each of them two by three, of which no size failed.
    assert clean.notes == ("tiles of 174 pixels, as memory ran out",)
    assert max(max(size) for size in ran) <= 174 + 2 * model.card.halo
    assert len(ran) == 4 * 2 * 3
    whole = short.denoise_picture(picture, crop=(300, 200, 100, 50)).pixels
    np.testing.assert_array_equal(whole, clean.pixels[200:250, 300:400])


def test_enough_memory_is_not_spoken_of(blur, rng):
    assert blur.denoise_picture(as_picture(rng.random((9, 9, 3)).astype(np.float32))).notes == ()


def test_tiles_do_not_shrink_without_end(blur, rng):
    short, ran = short_of_memory(blur.with_tile(300), 50, MemoryError())
    with pytest.raises(ModelError, match=r"short.onnx ran out of memory on a tile of .*Close other programs"):
        short(rng.random((300, 300, 3)))
    assert ran == []


def test_other_failures_do_not_shrink_tiles(blur, rng):
    short, ran = short_of_memory(blur.with_tile(300), 50, RuntimeError("allocation of blame"))
    with pytest.raises(ModelError, match="failed on a tile of 300 by 300 pixels: allocation of blame"):
        short(rng.random((300, 300, 3)))
    assert ran == []


# Pictures on the disk


def stored(picture, folder):
    """The same picture in scratch files."""

    def move(values):
        plane = on_disk(folder)(values.shape, values.dtype)
        plane.write(Box(0, 0, *values.shape[:2]), values)
        return plane

    alpha = None if picture.alpha is None else move(picture.alpha[..., None])
    new = on_disk(folder)
    return StoredPicture(
        move(picture.pixels),
        alpha,
        picture.metadata,
        "tiff",
        associated_alpha=False,
        notes=("read",),
        new=new,
    )


def whole(plane):
    return plane.read(Box(0, 0, *plane.shape[:2]))


@settings(deadline=None, max_examples=50)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3])),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from(["none", "some", "all"]),
    st.data(),
)
def test_on_the_disk_as_in_memory_bit_for_bit(folder, shape, kind, hidden, data):
    height, width, _ = shape
    path = folder / "stored.onnx"
    if not path.exists():
        tiny_models.pyramid_model(path)
    model = Denoiser.load(path, tile=24, threads=1)
    rng = np.random.default_rng(height * 91 + width)
    pixels = random_pixels(rng, shape, kind)
    if kind == "float32":
        pixels = pixels * np.float32(3) - np.float32(1)
    alpha = None
    if hidden != "none":
        shown = (rng.random((height, width)) < 0.5) & (hidden == "some")
        alpha = np.where(shown, random_pixels(rng, (height, width), kind), 0).astype(kind)
    picture = as_picture(pixels, alpha)
    blend = Blend(strength=data.draw(st.sampled_from([0.0, 0.7, 1.0])), chroma=0.5)
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    crop = data.draw(st.sampled_from([None, (x, y, width - x, height - y)]))
    linear = kind == "float32" and data.draw(st.booleans())
    want = model.denoise_picture(picture, blend=blend, crop=crop, linear=linear)
    got = model.denoise_stored(stored(picture, folder), blend=blend, crop=crop, linear=linear)
    np.testing.assert_array_equal(whole(got.pixels), want.pixels)
    assert got.pixels.dtype == want.pixels.dtype
    if alpha is not None:
        np.testing.assert_array_equal(whole(got.alpha)[..., 0], want.alpha)
    assert (got.metadata, got.notes) == (want.metadata, ("read",))


def test_on_the_disk_with_a_mask_and_little_memory(blur, folder, rng):
    picture = as_picture(random_pixels(rng, (300, 200, 3), "uint8"))
    mask = rng.integers(0, 256, (300, 200), dtype=np.uint8)
    plane = on_disk(folder)((300, 200, 1), mask.dtype)
    plane.write(Box(0, 0, 300, 200), mask[..., None])
    short, _ = short_of_memory(blur.with_tile(300), 110 * 170, MemoryError())
    got = short.denoise_stored(stored(picture, folder), blend=Blend(mask=plane))
    want = blur.denoise_picture(picture, blend=Blend(mask=mask))
    np.testing.assert_array_equal(whole(got.pixels), want.pixels)
    assert got.notes == ("read", "tiles of 150 pixels, as memory ran out")
    np.testing.assert_array_equal(
        whole(
            blur.denoise_stored(
                stored(picture, folder), blend=Blend(mask=ArrayPlane(mask[..., None] * 0))
            ).pixels
        ),
        picture.pixels,
    )
    with pytest.raises(InputError, match="mask is not as large as the picture"):
        blur.denoise_stored(stored(picture, folder), blend=Blend(mask=plane.read(Box(0, 0, 9, 9))[..., 0]))


def test_on_the_disk_errors_are_those_in_memory(blur, folder):
    picture = stored(as_picture(np.full((9, 9, 3), np.nan, np.float32)), folder)
    with pytest.raises(InputError, match="NaN or infinity"):
        blur.denoise_stored(picture, blend=Blend())
    with pytest.raises(InputError, match="The crop leaves the picture"):
        blur.denoise_stored(picture, blend=Blend(), crop=(0, 0, 10, 1))
    whole_numbers = stored(as_picture(np.zeros((9, 9, 3), np.uint8)), folder)
    with pytest.raises(InputError, match="Only float pictures can be linear"):
        blur.denoise_stored(whole_numbers, blend=Blend(), linear=True)


# Sharing


def test_denoise_loads_a_model_once(folder, rng, monkeypatch):
    path = tiny_models.blur_model(folder / "once.onnx")
    loads = []
    load = Denoiser.load.__func__

    def counted(cls, name, **options):
        loads.append(name)
        return load(cls, name, **options)

    monkeypatch.setattr(Denoiser, "load", classmethod(counted))
    pixels = random_pixels(rng, (20, 20, 3), "uint8")
    clean = denoise(pixels, model=path)
    np.testing.assert_array_equal(denoise(pixels, model=str(path)), clean)
    np.testing.assert_array_equal(denoise(pixels, model=path, strength=0), pixels)
    assert loads == [str(path)]


def test_several_threads_share_a_denoiser(blur, rng):
    pictures = [random_pixels(rng, (50, 50, 3), "uint8") for _ in range(8)]
    want = [blur(pixels) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        for got, expected in zip(pool.map(blur, pictures), want, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_wrong_tile(folder):
    with pytest.raises(InputError, match="tile is too small; got 0"):
        Denoiser.load(tiny_models.identity_model(folder / "tile.onnx"), tile=0)
