"""OpenCV's filter and BM3D, with modules in their place that note what they are called with."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest

from grainless.baselines import BASELINES, MissingPackageError, bm3d, opencv_nlm
from grainless.errors import InputError

NAMES = {"opencv_nlm": "cv2", "bm3d": "bm3d"}
PIP = {"opencv_nlm": 'pip install "opencv-python-headless"', "bm3d": 'pip install "bm3d"'}


@pytest.fixture
def calls():
    """What the modules were called with: name, picture, options."""
    return []


@pytest.fixture
def modules(monkeypatch, calls):
    """Modules of both names whose functions darken by 10 of 255 levels."""

    def stub(name, offset):
        def function(picture, *rest, **options):
            assert rest in ((), (None,))
            calls.append((name, picture.copy(), options))
            return picture - offset

        return function

    made = {
        "cv2": {"fastNlMeansDenoising": np.uint8(10), "fastNlMeansDenoisingColored": np.uint8(10)},
        "bm3d": {"bm3d": 10 / 255, "bm3d_rgb": 10 / 255},
    }
    for module_name, functions in made.items():
        module = ModuleType(module_name)
        module.__spec__ = ModuleSpec(module_name, None)
        for name, offset in functions.items():
            setattr(module, name, stub(name, offset))
        monkeypatch.setitem(sys.modules, module_name, module)


@pytest.fixture
def picture(rng):
    return rng.integers(20, 256, (20, 23, 3), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("modules")
def test_the_answer_comes_back_as_the_picture_came(picture, name, channels):
    own = picture[..., :channels]
    assert np.array_equal(BASELINES[name].run(own, sigma=12.0), own - 10)
    floats = own / np.float32(255)
    restored = BASELINES[name].run(floats, sigma=12.0)
    assert restored.dtype == np.float32
    assert np.abs(restored - (floats - 10 / 255)).max() < 1e-6


@pytest.mark.usefixtures("modules")
def test_opencv_gets_blue_green_red_in_8_bit(calls, picture):
    opencv_nlm(picture, sigma=12.5)
    ((name, seen, options),) = calls
    assert name == "fastNlMeansDenoisingColored"
    assert (seen.dtype, seen.flags.c_contiguous) == (np.uint8, True)
    assert np.array_equal(seen, picture[..., ::-1])
    assert options == {"h": 12.5, "hColor": 12.5, "templateWindowSize": 7, "searchWindowSize": 21}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.usefixtures("modules")
def test_opencv_gets_other_channels_one_by_one(calls, picture, channels):
    opencv_nlm(picture[..., :channels], sigma=12.5)
    assert [name for name, _, _ in calls] == ["fastNlMeansDenoising"] * channels
    for channel, (_, seen, options) in enumerate(calls):
        assert np.array_equal(seen, picture[..., channel])
        assert options == {"h": 12.5, "templateWindowSize": 7, "searchWindowSize": 21}


@pytest.mark.usefixtures("modules")
def test_opencv_gets_floats_rounded_to_levels(calls):
    opencv_nlm(np.full((4, 4), 0.3, np.float32), sigma=5)
    assert (calls[0][1].dtype, np.unique(calls[0][1]).tolist()) == (np.uint8, [76])  # 76.5, to even


@pytest.mark.usefixtures("modules")
def test_bm3d_gets_colour_in_unit_range_with_sigma_on_it(calls, picture):
    bm3d(picture, sigma=51)
    ((name, seen, options),) = calls
    assert name == "bm3d_rgb"
    assert np.abs(seen - picture / 255).max() < 1e-7
    assert options == {"sigma_psd": 0.2}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.usefixtures("modules")
def test_bm3d_gets_other_channels_one_by_one(calls, picture, channels):
    bm3d(picture[..., :channels], sigma=51)
    assert [(name, options) for name, _, options in calls] == [("bm3d", {"sigma_psd": 0.2})] * channels
    for channel, (_, seen, _) in enumerate(calls):
        assert np.abs(seen - picture[..., channel] / 255).max() < 1e-7


FLAT_COLOURS = {
    "gray": lambda red, green, blue: (red, red, red),
    "one colour": lambda red, green, blue: (red * 0 + 9, red * 0 + 70, red * 0 + 200),
    "no difference of red and blue": lambda red, green, blue: (red, green, red),
}


@pytest.mark.parametrize("name", FLAT_COLOURS)
@pytest.mark.usefixtures("modules")
def test_bm3d_never_gets_colours_whose_range_it_would_divide_by_zero(calls, picture, name):
    flat = np.stack(FLAT_COLOURS[name](*np.moveaxis(picture, -1, 0)), axis=-1)
    restored = bm3d(flat, sigma=12)
    assert [call[0] for call in calls] == ["bm3d"] * 3
    assert np.array_equal(restored, np.clip(flat.astype(int) - 10, 0, 255))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 1), (8, 8, 3), (5, 40, 3), (40, 15, 1)])
@pytest.mark.usefixtures("modules")
def test_bm3d_never_gets_less_than_it_can_cut_into_blocks(calls, rng, shape):
    small = rng.integers(20, 256, shape, dtype=np.uint8)
    assert np.array_equal(bm3d(small, sigma=12), small - 10)
    height, width = calls[0][1].shape[:2]
    assert (height, width) == (max(16, shape[0]), max(16, shape[1]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("modules")
def test_no_noise_calls_nothing(calls, picture, name):
    assert np.array_equal(BASELINES[name].run(picture, sigma=0), picture)
    with pytest.raises(InputError, match="noise level is not valid; got -1"):
        BASELINES[name].run(picture, sigma=-1)
    assert calls == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("modules")
def test_an_installed_package_is_available(name):
    assert BASELINES[name].available()
    assert BASELINES[name].reason() == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_said_with_the_line_that_mends_it(monkeypatch, picture, name):
    monkeypatch.setitem(sys.modules, NAMES[name], None)
    assert not BASELINES[name].available()
    assert PIP[name] in BASELINES[name].reason()
    with pytest.raises(MissingPackageError, match="needs a package that is not installed") as caught:
        BASELINES[name].run(picture, sigma=12.0)
    assert str(caught.value) == BASELINES[name].reason()


def test_the_licence_of_bm3d_is_said_before_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm3d", None)
    assert "non-commercial use only" in BASELINES["bm3d"].reason()
