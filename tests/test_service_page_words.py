"""What the page says: nothing from outside becomes markup."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from grainless.batch import Failure
from grainless.batch.treatment import Treatment
from grainless.diagnosis import KINDS, Diagnosis
from grainless.service.page import words
from grainless.service.page.cleaning import Cleaned
from grainless.service.page.folder import CleanedFolder
from grainless.service.page.lab import Line, Trial

EVIL = "<img src=x onerror=alert(1)>"


def cleaned(kind: str = "gaussian", **changes) -> Cleaned:
    told = Diagnosis(
        kind=kind,
        level=20.0,
        confidence=changes.pop("confidence", 0.97),
        advice="Clean it.",
        model=None if kind == "clean" else "universal",
        strength=1.0,
        sigma=20.4,
        density=0.125,
        quality=40,
    )
    here = Path("x.png")
    return Cleaned(
        **{
            "file": Path("name-clean.png"),
            "size": 64 * 64,
            "facts": "64 x 64",
            "diagnosis": told,
            "treatment": Treatment(model=told.model, strength=told.strength, diagnosis=told),
            "notes": (),
            "gain": 4,
            "place": (0.5, 0.5),
            "before": here,
            "after": here,
            "removed": here,
            "map_size": (1, 1),
            "pixels": (here, here),
            "icc": None,
            **changes,
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words(kind: str) -> None:
    said = words.verdict(cleaned(kind))
    assert "Found: <b>" in said
    assert "None" not in said
    assert kind not in {"salt-pepper", "mixed"} or "12.5 % of the values" in said
    assert kind not in {"gaussian", "mixed", "correlated"} or "about 20 of 255 levels" in said
    assert kind != "clean" or "choose a model" in said


@pytest.mark.parametrize(("confidence", "said"), [(0.95, ">sure<"), (0.7, "fairly sure"), (0.4, "not sure")])
def test_how_sure_it_is_is_said_in_words(confidence: float, said: str) -> None:
    assert said in words.verdict(cleaned(confidence=confidence))


def test_what_was_done_is_said_once_and_notes_whatever_they_say() -> None:
    said = words.verdict(cleaned(notes=("ICC: dropped",)))
    assert "<ul><li>Cleaned with the model universal</li><li>ICC: dropped</li></ul>" in said
    kept = Treatment(model=None, strength=0.0, kept=EVIL)
    assert "<ul><li>Kept the original: &lt;img" in words.verdict(cleaned(treatment=kept))


def test_nothing_from_outside_is_markup() -> None:
    trial = Trial((Line("noisy", 1, 1, EVIL), Line(EVIL, 2, 1, EVIL)), EVIL, (), (EVIL,))
    for text in (
        words.verdict(cleaned(notes=(EVIL,), facts=EVIL, file=Path(EVIL))),
        words.folder_summary(CleanedFolder(None, 1, (Failure(EVIL, EVIL),), (EVIL,))),
        words.problem(EVIL),
        words.scores(trial),
    ):
        assert "<img" not in text
        assert "&lt;img" in text


def test_a_folder_is_summed_up() -> None:
    many = tuple(f"{number}.png: note" for number in range(60))
    said = words.folder_summary(CleanedFolder(None, 2, (Failure("bad.png", "it is empty"),), many))
    assert "2 pictures cleaned" in said
    assert "1 failed" in said
    assert "<b>bad.png</b>: it is empty" in said
    assert "and 20 more" in said
    whole = words.folder_summary(CleanedFolder(None, 1, (), ()))
    assert "1 picture cleaned</b>" in whole
    assert "failed" not in whole
    treated = tuple((Treatment(model=name, strength=1), 100) for name in ("fast", None, "fast"))
    some = words.folder_summary(CleanedFolder(None, 3, (), (), 0, treated))
    assert "<b>2 pictures cleaned, 1 left as it was</b>" in some
    assert "1 picture cleaned, 3 left when it stopped" in words.folder_summary(
        CleanedFolder(None, 1, (), (), 3)
    )


def test_the_best_of_each_column_is_marked() -> None:
    lines = (
        Line("noisy", 40, 0.99, ""),
        Line("a", 30, 0.8, ""),
        Line("b", math.inf, 0.7, "told the noise level"),
    )
    said = words.scores(Trial(lines, "stamp", (), ()))
    assert "<b>exact</b>" in said
    assert "<b>0.8000</b>" in said
    assert said.count("<b>") == 2


@pytest.mark.parametrize(("gain", "said"), [(1, "Shown as it is;"), (8, "Shown 8 times as strong;")])
def test_how_strong_the_removed_is_shown(gain: int, said: str) -> None:
    assert said in words.amplified(cleaned(gain=gain))
