"""The lab: nothing of its own, the evaluation's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grainless import evaluate, parse_noise
from grainless.errors import InputError, MissingExtraError, NoiseError
from grainless.metrics import PROTOCOLS
from grainless.service import ServiceSettings
from grainless.service.page import lab
from grainless.service.page.lab import Experiment, Trial
from service_pictures import decoded, noisy

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
