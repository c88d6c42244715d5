"""The lab: nothing of its own, the evaluation's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from grainless import Denoiser, evaluate, parse_noise
from grainless.errors import InputError, MissingExtraError, NoiseError
from grainless.metrics import PROTOCOLS
from grainless.service import ServiceSettings
from grainless.service.page import lab
from grainless.service.page.cleaning import work_for
from grainless.service.page.lab import Experiment, Trial
from grainless.service.refusals import TimeLimitError
from service_pictures import decoded, noisy
from tiny_models import identity_model

SETTINGS = ServiceSettings(threads=1)


def shown(path: Path) -> np.ndarray:
    return decoded(path.read_bytes())


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "clean.png"
    path.parent.mkdir()
    Image.fromarray(noisy(48, noise="clean")).save(path)
    return path


def tried(source: Path, out: Path, noise: str = "salt-pepper:0.1", **how) -> Trial:
    out.mkdir()
    methods = how.pop("methods", ("fast", "median"))
    experiment = Experiment(noise=noise, methods=methods, **how)
    return lab.try_methods(
        source, out, experiment=experiment, settings=SETTINGS, progress=lambda _share, _text: None
    )


@pytest.mark.parametrize("protocol", lab.OFFERED_PROTOCOLS)
def test_the_numbers_are_those_of_evaluate(clean: Path, tmp_path: Path, protocol: str) -> None:
    trial = tried(clean, tmp_path / "out", "gaussian:25", protocol=protocol, seed=3)
    found = evaluate(
        clean.parent,
        ["gaussian:25"],
        methods=["fast", "median"],
        protocol=PROTOCOLS[protocol],
        seed=3,
    )
    assert trial.stamp == found.stamp
    assert [line.method for line in trial.lines] == ["noisy", "fast", "median"]
    for line, row in zip(trial.lines, found.rows, strict=True):
        assert line.psnr == pytest.approx(row.pictures[0].scores.psnr)
        assert line.ssim == pytest.approx(row.pictures[0].scores.ssim)


def test_models_take_the_threads_of_the_settings_and_stay_loaded(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int | None] = []
    whole = Denoiser.load

    def load(model: Path, *, threads: int | None = None, **options: object) -> Denoiser:
        loaded.append(threads)
        return whole(model, threads=threads, **options)

    monkeypatch.setattr(Denoiser, "load", load)
    monkeypatch.setattr(
        lab, "work_for", lambda order, settings: replace(work_for(order, settings), threads=3)
    )
    for number in range(2):
        tried(clean, tmp_path / f"{number}")
    assert loaded == [3]


def test_a_trial_that_takes_too_long_ends(clean: Path, tmp_path: Path, now: SimpleNamespace) -> None:
    told: list[str] = []

    def progress(_share: float, text: str) -> None:
        told.append(text)
        now.seconds += 61

    (tmp_path / "out").mkdir()
    words = r"The trial takes too long here; got 2 of 3 methods done after 120 seconds\. Try fewer methods"
    with pytest.raises(TimeLimitError, match=words):
        lab.try_methods(
            clean,
            tmp_path / "out",
            experiment=Experiment(noise="salt-pepper:0.1", methods=("fast", "median", "wavelet")),
            settings=SETTINGS,
            progress=progress,
        )
    assert told == ["Trying fast", "Trying median"]


def test_a_model_is_known_by_its_file_whatever_its_card_says(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    identity_model(tmp_path / "models" / "mine.onnx")
    monkeypatch.setenv("GRAINLESS_MODELS", str(tmp_path / "models"))
    trial = tried(clean, tmp_path / "out", methods=("mine",))
    assert [line.method for line in trial.lines] == ["noisy", "mine"]


def test_the_pictures_are_those_that_were_measured(clean: Path, tmp_path: Path) -> None:
    trial = tried(clean, tmp_path / "out")
    captions = [caption for _, caption in trial.pictures]
    assert captions[0] == "clean"
    assert [caption.split(" · ")[0] for caption in captions] == ["clean", "noisy", "fast", "median"]
    pixels = {caption.split(" · ")[0]: shown(path).astype(float) for path, caption in trial.pictures}
    assert np.array_equal(pixels["clean"], shown(clean))
    for line in trial.lines:
        error = np.mean((pixels[line.method] - pixels["clean"]) ** 2)
        assert 10 * np.log10(255**2 / error) == pytest.approx(line.psnr, abs=0.01)


def test_large_pictures_are_cut_and_that_is_said(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "LARGEST", (20, 32))
    trial = tried(clean, tmp_path / "out")
    assert "Only the middle 32 x 20 pixels of 48 x 48 were used." in trial.notes
    cut = shown(trial.pictures[0][0])
    assert np.array_equal(cut, shown(clean)[14:34, 8:40])


def test_what_a_filter_was_told_is_said(clean: Path, tmp_path: Path) -> None:
    told = tried(clean, tmp_path / "a", "gaussian:25", methods=("bilateral",)).lines[1]
    assert told.remark == "told the noise level"
    guessed = tried(clean, tmp_path / "b", "gaussian:25+jpeg:60", methods=("bilateral",)).lines[1]
    assert guessed.remark == "estimates the noise level"


def test_every_example_of_a_noise_is_one() -> None:
    for label, text in lab.NOISES:
        assert str(parse_noise(text)), label


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"noise": "fog:3"}, NoiseError, "fog"),
        ({"methods": ()}, InputError, "No method is chosen"),
        ({"methods": ("/etc/passwd",)}, InputError, "This method is not offered; got /etc/passwd"),
        ({"methods": ("fast", "../x.onnx")}, InputError, "This method is not offered"),
        ({"protocol": "mine"}, InputError, "This protocol is not offered; got mine"),
    ],
)
def test_what_cannot_be_tried_is_said(clean: Path, tmp_path: Path, how: dict, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        tried(clean, tmp_path / "out", **how)


def test_a_picture_too_small_to_be_measured_is_said(tmp_path: Path) -> None:
    path = tmp_path / "tiny.png"
    Image.fromarray(noisy(8, noise="clean")).save(path)
    with pytest.raises(Exception, match=r"tiny.png can be measured") as caught:
        tried(path, tmp_path / "out")
    assert str(tmp_path) not in str(caught.value)


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lab.missing_extra() == ""
    monkeypatch.setattr(lab, "find_spec", lambda name: None if name == "skimage" else name)
    assert lab.missing_extra() == str(MissingExtraError("The lab", "evaluate"))


def test_filters_whose_packages_are_missing_are_offered_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("grainless.baselines.Baseline.reason", lambda _self: "install it")
    monkeypatch.setattr("grainless.baselines.Baseline.available", lambda _self: False)
    missing = {choice.name: choice.missing for choice in lab.choices(SETTINGS)}
    assert missing["universal"] == ""
    assert missing["median"] == "install it"
