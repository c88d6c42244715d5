"""What a worker does with a file: the same as the command line, and in words that fit an answer."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from grainless import Denoiser
from grainless.batch.pictures import Denoising
from grainless.batch.treatment import Treatment
from grainless.blend import Blend
from grainless.diagnosis import Diagnosis, diagnose
from grainless.errors import InputError, ModelError, PictureError
from grainless.picture import EXTENSIONS, Metadata, Picture, write_picture
from grainless.service import ServiceSettings
from grainless.service import cleaning as module
from grainless.service.cleaning import SOURCE, Cleaner, DenoiseOptions, OutputFormat, offered_models
from grainless.service.refusals import NoSpaceError, TooManyPixelsError
from service_pictures import decoded, encoded, noisy
from tiny_models import identity_model, scale_model


def check() -> None:
    """Nobody has left."""


@pytest.fixture(scope="module")
def cleaner() -> Cleaner:
    return Cleaner.of(ServiceSettings(max_megapixels=0.1))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / SOURCE
    path.write_bytes(encoded(noisy()))
    return path


def test_a_named_model_gives_what_the_library_gives(cleaner: Cleaner, source: Path) -> None:
    cleaned = cleaner.clean(source, DenoiseOptions(model="fast", strength=0.5), check)
    assert np.array_equal(decoded(cleaned.file.read_bytes()), Denoiser.load("fast")(noisy(), strength=0.5))
    assert cleaned.treatment == Treatment(model="fast", strength=0.5)
    assert (cleaned.format, cleaned.notes, cleaned.pixels) == ("png", (), 64 * 64)


def test_the_guard_keeps_what_would_become_worse(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale_model(tmp_path / "dim.onnx", 0.5)
    monkeypatch.setenv("GRAINLESS_MODELS", str(tmp_path))
    cleaner = Cleaner.of(ServiceSettings(max_megapixels=0.1))
    kept = cleaner.clean(source, DenoiseOptions(model="dim"), check)
    assert (kept.treatment.model, kept.treatment.strength) == (None, 0.0)
    assert kept.notes[0].startswith("kept the original: ")
    assert kept.file.read_bytes() == source.read_bytes()
    taken = cleaner.clean(source, DenoiseOptions(model="dim", guard=False), check)
    assert (taken.treatment, taken.notes) == (Treatment(model="dim", strength=1.0), ())
    assert np.array_equal(decoded(taken.file.read_bytes()), Denoiser.load(tmp_path / "dim.onnx")(noisy()))


def test_luma_and_chroma_are_handed_on(cleaner: Cleaner, source: Path) -> None:
    half = cleaner.clean(source, DenoiseOptions(model="fast", luma=0.5, chroma=0.2), check)
    blend = Blend(luma=0.5, chroma=0.2)
    assert np.array_equal(decoded(half.file.read_bytes()), Denoiser.load("fast")(noisy(), blend=blend))


def test_auto_goes_by_the_diagnosis(cleaner: Cleaner, source: Path) -> None:
    cleaned = cleaner.clean(source, DenoiseOptions(), check)
    told = diagnose(noisy())
    assert cleaner.diagnose(source, check) == told
    assert cleaned.treatment == Treatment(model=told.model, strength=told.strength, diagnosis=told)
    expected = Denoiser.load("universal")(noisy(), strength=told.strength)
    assert np.array_equal(decoded(cleaned.file.read_bytes()), expected)


def test_a_clean_picture_comes_back_byte_by_byte(
    cleaner: Cleaner, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The verdict itself is tested elsewhere; on tiny pictures it is not sure.
    verdict = Diagnosis("clean", None, 0.9, "No noise.", None, 0.0)
    monkeypatch.setattr("grainless.batch.pictures.diagnose_picture", lambda *_, **__: verdict)
    data = source.read_bytes()
    cleaned = cleaner.clean(source, DenoiseOptions(strength=1), check)
    assert cleaned.file.read_bytes() == data
    assert cleaned.treatment == Treatment(model=None, strength=0.0, diagnosis=verdict)
    assert cleaned.notes == (f"passed through unchanged: {verdict.in_short()}",)
    source.write_bytes(data)
    other = cleaner.clean(source, DenoiseOptions(format="bmp"), check)
    assert other.format == "bmp"
    assert np.array_equal(decoded(other.file.read_bytes()), noisy())


def test_what_a_format_cannot_hold_is_said(cleaner: Cleaner, tmp_path: Path) -> None:
    source = tmp_path / SOURCE
    deep = noisy().astype(np.uint16) * 257
    write_picture(Picture(deep, None, Metadata(), "png"), tmp_path / "deep.png")
    (tmp_path / "deep.png").rename(source)
    kept = cleaner.clean(source, DenoiseOptions(model="fast"), check)
    assert kept.notes == ()
    assert kept.file.read_bytes()[24] == 16, "bits in the head of the PNG"
    lost = cleaner.clean(source, DenoiseOptions(model="fast", format="jpg", quality=90), check)
    assert (lost.format, lost.file.suffix) == ("jpeg", ".jpg")
    assert [note.split(":")[0] for note in lost.notes] == ["depth", "values"]


def test_a_format_that_cannot_hold_the_picture_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaner = Cleaner.of(ServiceSettings())
    monkeypatch.setattr(Denoising, "compute", lambda *_: pytest.fail("it was computed"))
    source = tmp_path / SOURCE
    source.write_bytes(encoded(np.zeros((1, 17_000), dtype=np.uint8)))
    with pytest.raises(InputError) as caught:
        cleaner.clean(source, DenoiseOptions(model="fast", format="webp"), check)
    assert caught.value.http_status == 422
    assert str(caught.value) == (
        "The picture is too large for WebP; got 17000 x 1 pixels; expected at most 16383 each way. "
        "Ask for another format, such as png or tif."
    )


def test_formats_are_the_endings_that_are_known() -> None:
    assert {f".{name}" for name in get_args(OutputFormat)} == set(EXTENSIONS)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The picture is empty"),
        (b"hello", "The picture is not a picture: it holds text"),
        (encoded(noisy())[:-300], "The picture cannot be decoded"),
        (encoded(noisy(), "gif"), "The picture is a GIF picture, which is not read"),
    ],
)
def test_errors_speak_of_the_picture_and_never_of_files(
    cleaner: Cleaner, tmp_path: Path, data: bytes, words: str
) -> None:
    source = tmp_path / SOURCE
    source.write_bytes(data)
    for call in (cleaner.diagnose, lambda *parts: cleaner.clean(parts[0], DenoiseOptions(), parts[1])):
        with pytest.raises(PictureError) as caught:
            call(source, check)
        assert str(caught.value).startswith(words)
        assert str(tmp_path) not in str(caught.value)
        assert caught.value.http_status == 415


def test_a_large_picture_is_refused_with_the_limit_of_the_service(cleaner: Cleaner, tmp_path: Path) -> None:
    source = tmp_path / SOURCE
    source.write_bytes(encoded(noisy(400)))
    with pytest.raises(TooManyPixelsError) as caught:
        cleaner.diagnose(source, check)
    assert str(caught.value) == (
        "The picture is too large; got 400 x 400 = 0.2 megapixels; expected at most 0.1 megapixels. "
        "Send a smaller one."
    )
    assert caught.value.http_status == 413


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), OSError(f"x: {os.strerror(errno.ENOSPC)}")])
def test_a_full_disk_is_the_fault_of_the_service(
    cleaner: Cleaner, source: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def write(*_: object, **__: object) -> None:
        raise PictureError("cannot be written") from error

    monkeypatch.setattr("grainless.batch.removal.write_picture", write)
    with pytest.raises(NoSpaceError, match="The disk of the service is full"):
        cleaner.clean(source, DenoiseOptions(model="fast"), check)


def test_the_check_ends_the_work_between_its_steps_and_between_tiles(cleaner: Cleaner, source: Path) -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    cleaner.clean(source, DenoiseOptions(), count)
    steps = calls
    assert steps >= 4

    class LeftError(Exception):
        pass

    for last in range(steps):
        calls = 0

        def leave(last: int = last) -> None:
            nonlocal calls
            calls += 1
            if calls > last:
                raise LeftError

        with pytest.raises(LeftError):
            cleaner.clean(source, DenoiseOptions(), leave)
        assert calls == last + 1


@pytest.mark.parametrize(
    "name", ["x", "", "../universal", "/etc/passwd", "universal.onnx", "universal/../fast"]
)
def test_only_names_that_are_listed_are_models(cleaner: Cleaner, name: str) -> None:
    with pytest.raises(ModelError, match="here; expected one of auto, fast, universal") as caught:
        cleaner.check_model(name)
    assert caught.value.http_status == 422


def test_models_of_the_user_are_offered_but_for_bad_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity_model(tmp_path / "mine.onnx")
    identity_model(tmp_path / "fast.onnx")
    identity_model(tmp_path / "auto.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    monkeypatch.setenv("GRAINLESS_MODELS", str(tmp_path))
    assert set(offered_models(None)) == {"universal", "mine"}, "fast stands for two files"
    assert list(offered_models(("universal",))) == ["universal"]
    with pytest.raises(ModelError, match="no model named 'bad' to offer; expected one of universal, mine"):
        offered_models(("universal", "bad"))
    with pytest.raises(ModelError, match="'universal' has to be offered"):
        offered_models(("mine",))


def test_options_are_those_of_the_command_and_no_others() -> None:
    for bad in ({"strength": 1.1}, {"strength": -0.1}, {"quality": 0}, {"format": "gif"}, {"strenght": 1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            DenoiseOptions.model_validate(bad)


def test_an_unexpected_error_is_not_reworded(
    cleaner: Cleaner, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "read_picture", fail)
    with pytest.raises(ZeroDivisionError):
        cleaner.diagnose(source, check)


def test_models_that_are_asked_for_by_turns_are_loaded_once(
    cleaner: Cleaner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    whole = Denoiser.load
    monkeypatch.setattr(
        Denoiser, "load", lambda *names, **options: loaded.append(names) or whole(*names, **options)
    )
    for model in ("fast", "universal") * 3:
        path = tmp_path / SOURCE
        path.write_bytes(encoded(noisy(16)))
        cleaner.clean(path, DenoiseOptions(model=model), check)
    assert len(loaded) <= 2
