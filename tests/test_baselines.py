"""The table of classical filters, and what holds for every one of them."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grainless.baselines import BASELINES, wavelet
from grainless.baselines.packages import NO_PACKAGES
from grainless.errors import InputError, MissingExtraError
from grainless.metrics import Protocol, mean_scores, scores
from grainless.noise import corrupt, parse_noise
from grainless.picture import read_picture

SHAPES = [(1, 1), (2, 3), (1, 7, 3), (5, 4, 1), (30, 20), (30, 20, 3)]
OF_NO_EXTRA = ("opencv_nlm", "bm3d")


@pytest.fixture(scope="module", autouse=True)
def optional_packages():
    """Modules that change nothing in the place of OpenCV and BM3D, which are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name, functions in {
            "cv2": ("fastNlMeansDenoising", "fastNlMeansDenoisingColored"),
            "bm3d": ("bm3d", "bm3d_rgb"),
        }.items():
            module = ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)
            for function in functions:
                setattr(module, function, lambda picture, *_, **__: picture.copy())
            patch.setitem(sys.modules, name, module)
        yield


def run(name, pixels, sigma=12.0):
    filter_ = BASELINES[name]
    return filter_.run(pixels, sigma=sigma) if filter_.needs_sigma else filter_.run(pixels)


def test_the_table_holds_every_filter_with_its_parameters():
    assert list(BASELINES) == [
        "median",
        "median5",
        "adaptive_median",
        "mask_interpolate",
        "adaptive_riesz_mean",
        "bilateral",
        "nlm",
        "tv",
        "wavelet",
        "opencv_nlm",
        "bm3d",
    ]
    assert all(filter_.about and filter_.available() for filter_ in BASELINES.values())
    with pytest.raises(TypeError, match="does not support item assignment"):
        BASELINES["median"] = BASELINES["tv"]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_filter_keeps_shape_dtype_and_its_input(rng, name, shape, dtype):
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    if dtype == np.float32:
        pixels = pixels / np.float32(255)
    before = pixels.copy()
    restored = run(name, pixels)
    assert restored.shape == shape
    assert restored.dtype == dtype
    assert np.array_equal(pixels, before)
    assert not np.shares_memory(restored, pixels)


@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 255, 0, 255, 1, 90, 128, 254]))
    ),
    st.sampled_from([1e-6, 0.5, 12.0, 60.0, 250.0]),
    st.booleans(),
)
def test_every_filter_stays_in_range_and_gives_the_same_twice(name, levels, sigma, as_floats):
    pixels = levels / np.float32(255) if as_floats else levels
    restored = run(name, pixels, sigma)
    assert (restored.shape, restored.dtype) == (pixels.shape, pixels.dtype)
    assert restored.min() >= 0  # False for NaN too
    assert restored.max() <= (1 if as_floats else 255)
    assert np.array_equal(run(name, pixels, sigma), restored)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("level", [0, 1, 77, 255])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (40, 33, 3)])
def test_every_filter_leaves_a_constant_picture(name, level, shape):
    constant = np.full(shape, level, np.uint8)
    assert np.array_equal(run(name, constant), constant)
    floats = constant / np.float32(255)
    assert np.abs(run(name, floats) - floats).max() < 1e-5


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4), np.uint16)],
)
def test_every_filter_refuses_other_arrays(name, pixels):
    with pytest.raises(InputError, match=r"cannot use these pixels; got .* expected uint8 or float32 of"):
        run(name, pixels)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("value", "got"), [(1.01, "to 1.01"), (-0.1, "from -0.1"), (np.nan, "nan")])
def test_floats_out_of_range_are_refused(name, value, got):
    pixels = np.full((4, 4), 0.5, np.float32)
    pixels[1, 2] = value
    with pytest.raises(InputError, match=rf"cannot use these pixels; got values.*{got}.*Clip them"):
        run(name, pixels)


@pytest.mark.parametrize(
    "name",
    [name for name, item in BASELINES.items() if item.packages != NO_PACKAGES and name not in OF_NO_EXTRA],
)
def test_a_missing_package_names_the_extra(monkeypatch, name):
    for package in ("scipy", "skimage"):
        monkeypatch.setitem(sys.modules, package, None)
    assert not BASELINES[name].available()
    with pytest.raises(MissingExtraError, match=r"\.\[evaluate\]") as caught:
        run(name, np.zeros((4, 4), np.uint8))
    assert BASELINES[name].reason() == str(caught.value)


def test_missing_wavelets_name_the_extra(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pywt" else found(name))
    with pytest.raises(MissingExtraError, match=r"wavelet shrinkage needs .*\.\[evaluate\]"):
        wavelet(np.zeros((4, 4), np.uint8), sigma=1.0)
    assert BASELINES["nlm"].available()


# PSNR and SSIM of the same filters, run once by other code on the first 8 pictures of Kodak24.
ANCHORS = [
    ("median", "gaussian:25", 25.15, 0.5673),
    ("nlm", "gaussian:25", 28.97, 0.7861),
    ("tv", "gaussian:25", 27.64, 0.7508),
    ("wavelet", "gaussian:25", 27.82, 0.7438),
    ("median", "salt-pepper:0.3:channel", 22.16, 0.6625),
    ("median5", "salt-pepper:0.5:channel", 21.71, 0.5901),
    ("mask_interpolate", "salt-pepper:0.3:channel", 28.77, 0.9470),
    ("mask_interpolate", "salt-pepper:0.9:channel", 22.90, 0.6699),
    ("adaptive_median", "salt-pepper:0.5:channel", 26.29, 0.8294),
]


def measured(paths, name, noise, *protocol):
    each = []
    for seed, path in enumerate(paths):
        clean = read_picture(path).pixels
        noisy = corrupt(clean, parse_noise(noise), seed=seed)
        each.append(scores(clean, run(name, noisy, 25.0), *protocol))
    return mean_scores(each)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "noise", "expected_psnr", "expected_ssim"), ANCHORS)
def test_filters_agree_with_earlier_measurements(data_folder, name, noise, expected_psnr, expected_ssim):
    mean = measured(sorted((data_folder / "test" / "kodak24").iterdir())[:8], name, noise)
    assert mean.psnr == pytest.approx(expected_psnr, abs=0.3)
    assert mean.ssim == pytest.approx(expected_ssim, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("density", "expected_psnr", "expected_ssim"), [(0.5, 28.08, 0.8967), (0.9, 21.89, 0.6475)]
)
def test_adaptive_riesz_mean_agrees_with_its_authors_program(
    data_folder, density, expected_psnr, expected_ssim
):
    # Of the authors' program on all of CBSD68, in 8 bit and with SSIM over uniform windows of 7 pixels.
    protocol = Protocol("uniform", eight_bit=True, clip=True, ssim_uniform=7)
    paths = sorted((data_folder / "test" / "cbsd68").iterdir())
    assert len(paths) == 68
    mean = measured(paths, "adaptive_riesz_mean", f"salt-pepper:{density}:channel", protocol)
    assert mean.psnr == pytest.approx(expected_psnr, abs=0.03)
    assert mean.ssim == pytest.approx(expected_ssim, abs=0.002)
