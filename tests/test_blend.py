"""The blend of a picture and a model's answer: the factors, the mask, and that more never leaves more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from grainless.blend import Blend, read_mask
from grainless.denoiser import Denoiser
from grainless.errors import InputError, ModelError, PictureError
from grainless.picture import Metadata, Picture, write_picture
from grainless.tiling import Box

LUMA = np.array([0.299, 0.587, 0.114])
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}
KINDS = st.sampled_from(sorted(WHITE))
FACTORS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)


def answering(clean):
    """Return a denoiser whose model always answers with `clean`, `(H, W, 3)` in [0, 1]."""
    planes = np.asarray(clean, np.float32).transpose(2, 0, 1)[None]
    return Denoiser(tiny_models.card(), lambda inputs: planes, name="known")


def drawn(seed, kind="float64", size=(7, 5), low=0.0, high=1.0):
    """Return noisy pixels in a dtype, and what the model answers, in [0, 1]."""
    rng = np.random.default_rng(seed)
    noisy, clean = rng.uniform(low, high, (2, *size, 3))
    white = WHITE[kind]
    return (np.rint(noisy * white) if white > 1 else noisy).astype(kind), clean


def lumas(values):
    return values.astype(float) @ LUMA


def colours(values):
    return values - lumas(values)[..., None]


def rounding(kind):
    """Return how far rounding may move a value, in units of the dtype."""
    return 0.51 if WHITE[kind] > 1 else 1e-6


@settings(deadline=None, max_examples=60)
@given(SEEDS, KINDS)
def test_full_strength_is_the_answer_bit_for_bit(seed, kind):
    noisy, clean = drawn(seed, kind)
    model = answering(clean)
    plain = model(noisy)
    white = WHITE[kind]
    answer = np.float32(clean)
    if white > 1:
        # In single precision, as it was before there were blends: results must not change by their coming.
        answer = np.rint(noisy + np.float32(1) * (answer * np.float32(white) - noisy))
    np.testing.assert_array_equal(plain, answer.astype(kind))
    full = np.full(noisy.shape[:2], 255, np.uint8)
    for blend in (None, Blend(), Blend(mask=full), Blend(mask=np.ones(full.shape)), Blend(luma=1, chroma=1)):
        np.testing.assert_array_equal(model(noisy, blend=blend), plain)


@settings(deadline=None, max_examples=60)
@given(SEEDS, KINDS, FACTORS)
def test_a_blend_of_a_strength_is_that_strength_bit_for_bit(seed, kind, strength):
    noisy, clean = drawn(seed, kind)
    model = answering(clean)
    wanted = model(noisy, strength=strength)
    np.testing.assert_array_equal(model(noisy, blend=Blend(strength=strength)), wanted)
    both = Blend(luma=strength, chroma=strength)
    np.testing.assert_array_equal(model(noisy, blend=both), wanted)


@settings(deadline=None, max_examples=100)
@given(SEEDS, KINDS, FACTORS, FACTORS, FACTORS)
def test_luma_and_chroma_are_parted_by_their_factors(seed, kind, strength, luma, chroma):
    # Small steps in the middle of the range, so that nothing is clipped.
    noisy, clean = drawn(seed, kind, low=0.45, high=0.55)
    got = answering(clean)(noisy, blend=Blend(strength=strength, luma=luma, chroma=chroma))
    removed = noisy - clean * WHITE[kind]
    left = got - clean * WHITE[kind]
    np.testing.assert_allclose(lumas(left), (1 - strength * luma) * lumas(removed), atol=rounding(kind))
    wanted = (1 - strength * chroma) * colours(removed)
    np.testing.assert_allclose(colours(left), wanted, atol=2 * rounding(kind))


@settings(deadline=None, max_examples=150)
@given(SEEDS, KINDS, FACTORS, FACTORS, st.tuples(FACTORS, FACTORS))
def test_more_strength_never_leaves_more(seed, kind, luma, chroma, strengths):
    noisy, clean = drawn(seed, kind)
    model = answering(clean)
    less, more, full = (
        model(noisy, blend=Blend(strength=strength, luma=luma, chroma=chroma)).astype(float)
        for strength in (*sorted(strengths), 1.0)
    )
    # Each value goes straight to that of full strength, without turning back.
    assert (np.abs(more - full) <= np.abs(less - full) + 1e-6).all()
    # And the luma goes towards the model's, whatever the colours, though values are clipped.
    answer = lumas(clean * WHITE[kind])
    assert (np.abs(lumas(more) - answer) <= np.abs(lumas(less) - answer) + 2 * rounding(kind)).all()


@settings(deadline=None, max_examples=150)
@given(SEEDS, KINDS, FACTORS, FACTORS, st.tuples(FACTORS, FACTORS))
def test_more_luma_never_leaves_more_of_it(seed, kind, strength, chroma, factors):
    noisy, clean = drawn(seed, kind)
    model = answering(clean)
    less, more = (
        lumas(model(noisy, blend=Blend(strength=strength, luma=luma, chroma=chroma)))
        for luma in sorted(factors)
    )
    answer = lumas(clean * WHITE[kind])
    assert (np.abs(more - answer) <= np.abs(less - answer) + 2 * rounding(kind)).all()


@settings(deadline=None, max_examples=150)
@given(SEEDS, KINDS, FACTORS, FACTORS, st.tuples(FACTORS, FACTORS))
def test_more_chroma_never_leaves_more_of_it(seed, kind, strength, luma, factors):
    noisy, clean = drawn(seed, kind, low=0.3, high=0.7)
    model = answering(clean)
    less, more = (
        colours(model(noisy, blend=Blend(strength=strength, luma=luma, chroma=chroma)).astype(float))
        for chroma in sorted(factors)
    )
    answer = colours(clean * WHITE[kind])
    off = (np.abs(part - answer) for part in (more, less))
    assert (next(off) <= next(off) + 2 * rounding(kind)).all()


@settings(deadline=None, max_examples=100)
@given(SEEDS, KINDS, st.sampled_from(["uint8", "uint16", "float32"]), FACTORS, FACTORS)
def test_a_lighter_mask_never_leaves_more(seed, kind, depth, luma, chroma):
    noisy, clean = drawn(seed, kind)
    rng = np.random.default_rng(seed)
    white = WHITE[depth]
    dark = rng.uniform(0, white, noisy.shape[:2]).astype(depth)
    light = np.maximum(dark, rng.uniform(0, white, noisy.shape[:2]).astype(depth))
    model = answering(clean)
    options = {"luma": luma, "chroma": chroma}
    less, more = (model(noisy, blend=Blend(mask=mask, **options)).astype(float) for mask in (dark, light))
    full = model(noisy, blend=Blend(**options)).astype(float)
    assert (np.abs(more - full) <= np.abs(less - full) + 1e-6).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "float64"])
def test_a_mask_is_a_strength_for_each_pixel(kind):
    noisy, clean = drawn(3, kind)
    mask = np.random.default_rng(4).integers(0, 256, noisy.shape[:2], dtype=np.uint8)
    mask[0, :2] = 0, 255
    model = answering(clean)
    got = model(noisy, blend=Blend(mask=mask, strength=0.7))
    for level in (0, 255, mask[3, 3]):
        where = mask == level
        wanted = model(noisy, strength=0.7 * level / 255)
        np.testing.assert_allclose(got[where], wanted[where], atol=1 if WHITE[kind] > 1 else 1e-6)
    np.testing.assert_array_equal(got[0, 0], noisy[0, 0])
    np.testing.assert_allclose(got[0, 1], model(noisy, strength=0.7)[0, 1], rtol=1e-6)


def test_a_mask_lies_on_the_whole_picture_also_for_a_crop_and_tiles(tmp_path, rng):
    model = Denoiser.load(tiny_models.blur_model(tmp_path / "blur.onnx"), tile=16, threads=1)
    pixels = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    blend = Blend(mask=rng.integers(0, 256, (50, 70), dtype=np.uint8), luma=0.8, chroma=0.4)
    picture = Picture(pixels, None, Metadata(), "png")
    whole = model.denoise_picture(picture, blend=blend).pixels
    part = model.denoise_picture(picture, crop=(13, 21, 40, 17), blend=blend).pixels
    np.testing.assert_array_equal(part, whole[21:38, 13:53])
    large = Denoiser(model.card, model.network.run, name="large")
    np.testing.assert_array_equal(large(pixels, blend=blend), whole)


def test_what_is_left_as_it_is_runs_no_model():
    def never(_inputs):
        raise AssertionError

    idle = Denoiser(tiny_models.card(), never, name="idle")
    pixels = drawn(1, "uint8")[0]
    black = np.zeros(pixels.shape[:2], np.uint8)
    for blend in (Blend(strength=0), Blend(luma=0, chroma=0), Blend(mask=black)):
        np.testing.assert_array_equal(idle(pixels, blend=blend), pixels)
    gray = pixels[..., 0]
    np.testing.assert_array_equal(idle(gray, blend=Blend(luma=0)), gray)
    with pytest.raises(ModelError, match="idle failed"):
        idle(pixels, blend=Blend(luma=0))


def test_tiles_under_black_run_no_model(rng):
    seen = []

    def noted(inputs):
        seen.append(inputs["picture"].shape[2:])
        return 1 - inputs["picture"]

    model = Denoiser(tiny_models.card(), noted, name="noted", tile=8)
    mask = np.zeros((8, 24), np.uint8)
    mask[:, 8:16] = 255
    pixels = rng.integers(0, 256, (8, 24, 3), dtype=np.uint8)
    clean = model(pixels, blend=Blend(mask=mask))
    assert len(seen) == 1
    np.testing.assert_array_equal(clean[:, 8:16], 255 - pixels[:, 8:16])
    np.testing.assert_array_equal(clean[:, :8], pixels[:, :8])


def test_gray_pictures_have_luma_only():
    noisy, clean = drawn(5, "float64")
    gray, answer = noisy[..., :1], np.repeat(clean[..., :1], 3, axis=2)
    got = answering(answer)(gray, blend=Blend(luma=0.25, chroma=1))
    np.testing.assert_allclose(got, gray - 0.25 * (gray - clean[..., :1]), atol=1e-6)


def test_values_outside_the_range_are_kept_by_a_blend(rng):
    clean = rng.uniform(0, 1, (6, 6, 3))
    pixels = rng.normal(0.5, 1, (6, 6, 3)).astype(np.float32)
    picture = Picture(pixels, None, Metadata(), "tiff")
    blend = Blend(luma=0.3, chroma=0.9)
    got = answering(clean).denoise_picture(picture, blend=blend).pixels
    inside = np.clip(pixels, 0, 1)
    wanted = answering(clean)(inside, blend=blend)
    np.testing.assert_allclose(got, wanted + (pixels - inside), atol=1e-6)
    free = answering(clean)(pixels, unclipped=True, blend=blend)
    removed = pixels - clean
    mixture = pixels - 0.9 * removed + 0.6 * lumas(removed)[..., None]
    np.testing.assert_allclose(free, mixture, atol=1e-5)


def test_the_weight_without_a_mask_is_one_number():
    assert Blend(strength=0.5, luma=0.5, chroma=0.5).weight(Box(0, 0, 3, 3)) == 0.25
    assert Blend(strength=0.5, luma=0.2, chroma=1).weight(Box(0, 0, 3, 3)) == 0.5


# Errors


@pytest.mark.parametrize("name", ["strength", "luma", "chroma"])
@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf])
def test_factors_out_of_range(name, value):
    with pytest.raises(InputError, match=rf"The {name} is out of range; got .*0 \(as it is\) to 1"):
        Blend(**{name: value})


def test_a_mask_of_another_size_says_both_sizes():
    blend = Blend(mask=np.zeros((5, 8), np.uint8))
    with pytest.raises(InputError, match=r"mask of 8 by 5 pixels; expected 5 by 7, the size.*Scale the mask"):
        answering(drawn(0)[1])(drawn(0)[0], blend=blend)


def test_two_strengths():
    with pytest.raises(InputError, match=r"two strengths; got 0.5 and one in `blend`.*Leave out `strength`"):
        answering(drawn(0)[1])(drawn(0)[0], strength=0.5, blend=Blend())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((5, 5, 3), np.uint8), r"no gray picture; got uint8 of shape \(5, 5, 3\)"),
        (np.zeros((5, 5), bool), "no gray picture; got bool"),
        (np.array([[0.0, 1.5]]), "out of range; got 0 to 1.5; expected floats from 0 to 1"),
        (np.array([[0.0, np.nan]]), "out of range; got nan to nan"),
    ],
)
def test_arrays_that_are_no_masks(mask, message):
    with pytest.raises(InputError, match=message):
        Blend(mask=mask)


# Files


def saved(path, pixels, alpha=None):
    write_picture(Picture(pixels, alpha, Metadata(), "png"), path)
    return path


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_masks_are_read_from_gray_files(tmp_path, rng, kind):
    gray = rng.integers(0, WHITE[kind], (9, 6, 1), dtype=kind)
    opaque = np.full((9, 6), WHITE[kind], kind)
    equal = np.repeat(gray, 3, axis=2)
    for number, (pixels, alpha) in enumerate([(gray, None), (equal, None), (gray, opaque)]):
        mask = read_mask(saved(tmp_path / f"{number}.png", pixels, alpha))
        np.testing.assert_array_equal(mask, gray[..., 0])
        assert mask.dtype == kind


def test_files_that_are_no_masks(tmp_path, rng):
    pixels = rng.integers(0, 256, (9, 6, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=r"colour.png is not gray.*Save it as a gray picture"):
        read_mask(saved(tmp_path / "colour.png", pixels))
    alpha = rng.integers(0, 256, (9, 6), dtype=np.uint8)
    with pytest.raises(InputError, match=r"holes.png has transparent pixels.*without transparency"):
        read_mask(saved(tmp_path / "holes.png", pixels[..., :1], alpha))
    with pytest.raises(InputError, match=r"far.tif cannot be used: The values of the mask are out of range"):
        read_mask(saved(tmp_path / "far.tif", np.full((4, 4, 1), 2, np.float32)))
    with pytest.raises(PictureError, match=r"gone.png does not exist"):
        read_mask(tmp_path / "gone.png")
