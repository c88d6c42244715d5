"""What was done is one record, and is said in one way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doctor_pictures import save, scene, spoilt
from grainless.batch import Job
from grainless.batch.pictures import Denoising
from grainless.batch.removal import Removal
from grainless.batch.treatment import Treatment
from grainless.diagnosis import Diagnosis
from grainless.model_file import find_model

NOISY = spoilt(scene(2, height=96, width=128), "gaussian:25")
TOLD = Diagnosis("gaussian", 25.0, 0.9, "Clean it.", "universal", 0.8, sigma=25.0)
CLEAN = Diagnosis("clean", None, 0.9, "Leave it.", None, 0.0)


@pytest.mark.parametrize(
    ("treatment", "words", "notes"),
    [
        (Treatment(model="fast", strength=1), "cleaned with the model fast", ()),
        (Treatment(model="fast", strength=0.5), "cleaned with the model fast, strength 50 %", ()),
        (
            Treatment(model="universal", strength=1, diagnosis=TOLD),
            "cleaned with the model universal",
            (f"{TOLD.in_short()}: model universal",),
        ),
        (
            Treatment(model="universal", strength=0.8, diagnosis=TOLD),
            "cleaned with the model universal, strength 80 %",
            (f"{TOLD.in_short()}: model universal, strength 80 %",),
        ),
        (
            Treatment(model=None, strength=0, diagnosis=CLEAN),
            "passed through unchanged",
            ("passed through unchanged: clean, 90 % sure",),
        ),
        (
            Treatment(model=None, strength=0, kept="dim"),
            "kept the original: dim",
            ("kept the original: dim",),
        ),
        (
            Treatment(model=None, strength=0, diagnosis=TOLD, kept="dim"),
            "kept the original: dim",
            ("kept the original: dim",),
        ),
    ],
)
def test_what_is_said(treatment: Treatment, words: str, notes: tuple[str, ...]) -> None:
    assert treatment.in_words() == words
    assert treatment.notes == notes


def done(tmp_path: Path, name: str, **options) -> tuple[Treatment, tuple[str, ...]]:
    source = save(tmp_path / "in.png", NOISY)
    job = Job(source, tmp_path / name, source.name)
    work = Denoising(threads=1, **options)
    made = work.compute(work.read(job), job, lambda share: None)
    assert work.size(made) == (NOISY.shape[0] * NOISY.shape[1], NOISY.nbytes)
    return made.treatment, work.write(made, job)


def test_what_is_said_does_not_go_by_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Removal, "why_worse", lambda *_, **__: "it is worse")
    for name in ("b.png", "b.tif"):
        treatment, notes = done(tmp_path, name, model="auto")
        assert notes == ("kept the original: it is worse",)
        assert (treatment.model, treatment.strength, treatment.kept) == (None, 0.0, "it is worse")
        assert treatment.diagnosis is not None


def test_a_clean_picture_is_told_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grainless.batch.pictures.diagnose_picture", lambda *_, **__: CLEAN)
    for name in ("b.png", "b.tif"):
        treatment, notes = done(tmp_path, name, model="auto", strength=0.5)
        assert treatment == Treatment(model=None, strength=0.0, diagnosis=CLEAN)
        assert notes == ("passed through unchanged: clean, 90 % sure",)


def test_a_file_is_called_by_its_name_and_the_strength_is_what_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grainless.batch.pictures.diagnose_picture", lambda *_, **__: TOLD)
    monkeypatch.setattr(Removal, "why_worse", lambda *_, **__: "")
    assert done(tmp_path, "a.png", model="auto")[0] == Treatment(
        model="universal", strength=0.8, diagnosis=TOLD
    )
    asked = done(tmp_path, "b.png", model="auto", strength=0.3)[0]
    assert asked == Treatment(model="universal", strength=0.3, diagnosis=TOLD)
    for model in ("fast", find_model("fast")):
        assert done(tmp_path, "c.png", model=model)[0] == Treatment(model="fast", strength=1.0)


def test_numbers_in_the_words_are_whole(rng: np.random.Generator) -> None:
    for strength in rng.uniform(0, 0.99, 20):
        words = Treatment(model="fast", strength=strength).in_words()
        assert words == f"cleaned with the model fast, strength {round(100 * strength)} %"
