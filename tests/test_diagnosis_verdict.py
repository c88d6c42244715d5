"""Verdicts: the kind and the level of noises put into scenes, and a sane answer to every picture there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw, ImageFont

from doctor_pictures import save, scene, spoilt
from grainless.diagnosis import KINDS, diagnose, diagnose_picture
from grainless.diagnosis.decision import chances
from grainless.diagnosis.evidence import FEATURES, gather
from grainless.errors import InputError
from grainless.noise import corrupt
from grainless.picture import read_picture

SIZE = {"height": 256, "width": 320}


@pytest.mark.parametrize(
    ("noise", "kind", "level"),
    [
        ("gaussian:8", "gaussian", 8),
        ("gaussian:25", "gaussian", 25),
        ("gaussian:50", "gaussian", 50),
        ("salt-pepper:0.05", "salt-pepper", 0.05),
        ("salt-pepper:0.4:channel", "salt-pepper", 0.4),
        ("salt-pepper:0.9", "salt-pepper", 0.9),
        ("gaussian:25+salt-pepper:0.2", "mixed", 0.2),
        ("speckle:0.05", "signal-dependent", None),
        ("poisson:40", "signal-dependent", None),
        ("camera:0.5", "signal-dependent", None),
        ("grain:12:size=1", "correlated", None),
        ("camera:0.5+jpeg:90", "correlated", None),
        ("jpeg:30", "jpeg", 30),
        ("jpeg:70", "jpeg", 70),
    ],
)
def test_kind_and_level_are_what_was_put_in(noise: str, kind: str, level: float | None) -> None:
    told = diagnose(spoilt(scene(5, **SIZE), noise))
    assert told.kind == kind
    assert told.confidence > 0.5
    assert told.model == "universal"
    assert told.strength > 0.9
    if level is not None:
        close = {"gaussian": {"rel": 0.1}, "jpeg": {"abs": 1}}.get(kind, {"abs": 0.02})
        assert told.level == pytest.approx(level, **close)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("noise", ["gaussian:15", "salt-pepper:0.2"])
def test_depth_changes_nothing(dtype: type, noise: str) -> None:
    clean = scene(5, **SIZE)
    white = np.iinfo(dtype).max if dtype is np.uint16 else 1
    deep = diagnose(corrupt((clean / 255 * white).astype(dtype), noise, seed=1))
    shallow = diagnose(spoilt(clean, noise))
    assert deep.kind == shallow.kind
    assert deep.level == pytest.approx(shallow.level, rel=0.02)


def test_gray_is_gray_however_it_is_stored() -> None:
    gray = spoilt(scene(5, channels=1, **SIZE), "gaussian:15")
    assert diagnose(gray) == diagnose(gray[..., 0]) == diagnose(np.repeat(gray, 3, axis=2))


def test_alpha_comes_inside_or_apart_and_hides(rng: np.random.Generator) -> None:
    pixels = spoilt(scene(5, **SIZE), "gaussian:15")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :128] = 0
    pixels[:, :128] = rng.integers(0, 256, (256, 128, 3))
    apart = diagnose(pixels, alpha=alpha)
    assert apart == diagnose(np.dstack([pixels, alpha]))
    assert apart.kind == "gaussian"
    assert apart.level == pytest.approx(15, rel=0.1)


def test_a_clean_picture_is_left_alone() -> None:
    told = diagnose(scene(5, **SIZE))
    assert (told.kind, told.level, told.model, told.strength) == ("clean", None, None, 0.0)
    assert told.advice == "No noise worth removing was found. Leave the picture as it is."


@pytest.fixture
def typed() -> np.ndarray:
    """A page of type, black on white, smooth at its edges."""
    page = Image.new("L", (640, 480), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=20)
    for row in range(11):
        draw.text((20, 20 + 40 * row), f"{row}. Dear Sir, the quick brown fox, once more.", 0, font)
    return np.asarray(page)


def test_text_line_art_and_halftones_are_left_alone(typed: np.ndarray) -> None:
    halftone = np.asarray(Image.fromarray(scene(5, **SIZE)).convert("1").convert("L"))
    coloured = np.where(typed[..., None] < 128, np.uint8([20, 30, 120]), np.uint8([250, 240, 220]))
    for pixels in (typed, np.where(typed < 128, np.uint8(0), np.uint8(255)), halftone, coloured):
        told = diagnose(pixels)
        assert (told.kind, told.model) == ("clean", None)
        assert told.advice.startswith("Two values make up nearly all of it")
    for noise in ("gaussian:5", "gaussian:15", "speckle:0.05"):
        assert diagnose(corrupt(typed[..., None], noise, seed=1)).kind != "clean"
    plain = diagnose(np.full((64, 64, 3), 90, np.uint8))
    assert plain.advice == "No noise worth removing was found. Leave the picture as it is."


@pytest.mark.parametrize("ground", [0, 255])
def test_a_noisy_cutout_on_plain_ground_is_no_line_art(ground: int) -> None:
    pixels = np.full((512, 512, 3), ground, np.uint8)
    pixels[180:330, 180:330] = spoilt(scene(5, **SIZE), "gaussian:25")[:150, :150]
    told = diagnose(pixels)
    assert told.kind == "gaussian"
    assert told.level == pytest.approx(25, rel=0.15)


def test_values_of_fewer_bits_in_sixteen_are_spoken_of() -> None:
    twelve = spoilt(scene(5, **SIZE), "gaussian:8").astype(np.uint16) * 16
    told = diagnose(twelve)
    assert told.kind == "clean"
    assert told.reach == pytest.approx(1 / 16, rel=0.01)
    assert told.in_short().endswith("but all values lie in the lowest 6 % of 16 bits")
    assert "as in 12-bit data, stretch the values first" in told.advice
    assert diagnose(np.zeros((64, 64, 1), np.uint16)).reach is None
    stretched = diagnose(twelve * 16)
    assert (stretched.kind, stretched.reach) == ("gaussian", None)


def test_advice_names_what_was_found_and_what_to_do() -> None:
    told = diagnose(spoilt(scene(5, **SIZE), "salt-pepper:0.2"))
    assert told.advice.startswith("Black and white specks: ")
    assert told.advice.endswith("Clean it with the model universal at full strength.")


def test_the_tables_of_a_file_are_believed_more_than_its_pixels(tmp_path: Path) -> None:
    file = save(tmp_path / "low.jpg", scene(5, **SIZE), quality=25)
    told = diagnose_picture(read_picture(file), file=file)
    assert (told.kind, told.level, told.quality) == ("jpeg", 25, 25)
    good = save(tmp_path / "good.jpg", scene(5, **SIZE), quality=97)
    assert diagnose_picture(read_picture(good), file=good).kind == "clean"


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1), np.uint8),
        np.full((1, 1, 3), 255, np.uint8),
        np.full((300, 5, 1), 7, np.uint16),
        np.full((64, 64, 3), 0.5),
        np.zeros((64, 64, 4), np.uint8),
        np.full((40, 2000, 3), (255, 0, 255), np.uint8),
        np.full((32, 32, 1), 1e30),
    ],
)
def test_plain_pictures_of_any_size_are_clean(pixels: np.ndarray) -> None:
    told = diagnose(pixels)
    assert told.kind == "clean"


PICTURES = arrays.arrays(
    dtype=st.sampled_from([np.uint8, np.uint16]),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4])),
)


@settings(max_examples=40, deadline=None)
@given(pixels=PICTURES)
def test_every_picture_gets_a_sane_answer(pixels: np.ndarray) -> None:
    told = diagnose(pixels)
    assert told.kind in KINDS
    assert 0 <= told.confidence <= 1
    assert 0 <= told.strength <= 1
    assert (told.model is None) == (told.kind == "clean")
    assert told.advice
    json.dumps(told.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((3, 4, 2), np.uint8), r"no shape of a picture; got \(3, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), "no shape of a picture"),
        (np.zeros((4, 4), np.int64), "range is not known; got int64"),
        (np.full((4, 4), np.nan), "no numbers"),
        ([[1, 2], [3, 4]], "range is not known"),
    ],
)
def test_what_is_no_picture_is_refused(pixels: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagnose(pixels)
    with pytest.raises(InputError, match="alpha does not fit"):
        diagnose(np.zeros((4, 4), np.uint8), alpha=np.zeros((3, 4), np.uint8))


def test_chances_sum_to_one_and_features_have_names() -> None:
    evidence = gather(spoilt(scene(5, **SIZE), "gaussian:25+salt-pepper:0.05"))
    found = chances(evidence)
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == set(KINDS)
    assert len(evidence.features) == len(FEATURES)


@pytest.mark.parametrize("noise", ["clean", "gaussian:15", "salt-pepper:0.1"])
def test_a_real_photograph(data_folder: Path, noise: str) -> None:
    pixels = read_picture(data_folder / "test" / "kodak24" / "23.png").pixels
    kind = {"clean": "clean", "gaussian:15": "gaussian"}.get(noise, "salt-pepper")
    assert diagnose(corrupt(pixels, noise, seed=1)).kind == kind
