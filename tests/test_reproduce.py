"""A study from start to end on tiny pictures, what it writes, and what it says of wrong data."""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from filelock import FileLock

import faces_csv
import tiny_runs
from grainless.datasets import resize_values
from grainless.errors import DataError, MissingExtraError, OutputExistsError, RecipeError, TrainingError
from grainless.metrics import psnr
from grainless.model_file import read_model
from grainless.nets import build_net
from grainless.noise import corrupt, seed_for
from grainless.reproduce import ReproduceOptions, forms, load_study, reproduce, study, study_names
from grainless.reproduce.running import TestPictures as Pictures
from grainless.reproduce.study import Measurement
from grainless.training.recipe import load_recipe

STUDY = """
name = "tiny"
title = "A tiny study"
about = "Pictures that a test made."
faithful = "{recipe}"
improved = "{improved}"
twin = {twin}
bar = 2.0
ours = ["The pictures."]

[claim]
psnr = 30.0
source = "nobody"

[seed]
title = "The seed's way"
protocol = "golbar-fer2013"
noise = ["salt-pepper:0.3"]
resize = 32
colour = true

[native]
title = "8-bit files"
protocol = "file-8bit"
noise = ["salt-pepper:0.3", "gaussian:25"]
"""

GAN = """
[adversary]
name = "strided"
settings = { width = 4 }
weight = 0.5
"""


def make_study(folder, patch, *, twin=False, kind="pictures"):
    """Put a study of one's own in the place of the package's."""
    recipe = folder / "tiny.toml"
    text = tiny_runs.RECIPE.replace("[data]", f'[data]\nkind = "{kind}"\ntest_share = 0.5')
    recipe.write_text(text + (GAN if twin else ""), encoding="utf-8")
    improved = folder / "tiny-improved.toml"
    improved.write_text(text.replace('"tiny"', '"tiny-improved"'), encoding="utf-8")
    studies = folder / "studies"
    studies.mkdir(exist_ok=True)
    body = STUDY.format(recipe=recipe.as_posix(), improved=improved.as_posix(), twin=str(twin).lower())
    (studies / "tiny.toml").write_text(body, encoding="utf-8")
    patch.setattr(study, "STUDIES", studies)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the result of a study of a GAN with its twin."""
    folder = tmp_path_factory.mktemp("study")
    data = tiny_runs.pictures(folder / "p", count=16)
    told = []

    @contextmanager
    def measuring():
        # Nothing is shown while networks are trained: all of them are there when this is opened.
        assert len(list((folder / "out").glob("*.onnx"))) == 3
        yield lambda *counts: told.append(counts)
        told.append("closed")

    with pytest.MonkeyPatch.context() as patch:
        make_study(folder, patch, twin=True)
        result = reproduce(
            "tiny",
            data=data,
            output=folder / "out",
            command="grainless reproduce tiny --data p",
            measuring=measuring,
        )
    assert told[-2][0] == told[-2][1]
    assert told[-1] == "closed"
    return folder / "out", result


def rows(table, part):
    return {(row["noise"], row["method"]): row for row in table["measurements"][part]["rows"]}


@pytest.mark.slow
def test_a_study_of_a_gan_with_its_twin(finished):
    out, _ = finished
    table = tiny_runs.read_json(out / "tiny.json")
    assert list(table["forms"]) == ["faithful", "twin", "improved"]
    assert table["forms"]["twin"]["parameters"] == table["forms"]["faithful"]["parameters"] > 1000
    assert not any(form["cut"] for form in table["forms"].values())
    assert table["forms"]["faithful"]["pictures_seen"] == 16
    assert [point["step"] for point in table["forms"]["faithful"]["validation"]] == [4, 8]
    methods = ["noisy", "median", "adaptive_median", "mask_interpolate", "faithful", "twin", "improved"]
    assert [method for _, method in rows(table, "seed")] == methods
    sharp = table["sharpness"]["salt-pepper:0.3"]
    assert set(sharp) == {"noisy", "faithful", "twin", "improved"}
    assert sharp["noisy"] > 1.5
    twin = tiny_runs.read_json(out / "runs/tiny-twin/recipe.json")
    assert twin["adversary"]["weight"] == 0
    page = (out / "tiny.md").read_text(encoding="utf-8")
    assert page.startswith("All runs of this study went to the end")
    assert "| as published | the seed | 30.00 | - | - | - |" in page
    assert "    grainless reproduce tiny --data p" in page
    assert "(meant to be +2.0)" in page
    assert "## The seed's way" in page
    assert "## 8-bit files" in page
    psnr = {method: row["psnr"] for (_, method), row in rows(table, "seed").items()}
    assert f"the GAN is {psnr['faithful'] - psnr['twin']:+.2f} dB to its twin." in page
    for name in ("tiny-curves.png", "tiny-pictures.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "- The pictures." in page
    split = table["forms"]["improved"]["pictures"]
    assert sum(split[part] for part in ("training", "validation", "test")) == 16
    assert f"| {split['training']}, {split['validation']} | 16 | 8 | 8 |" in page
    assert f"{split['test']} pictures are left for the test, 0 were skipped." in page
    assert read_model(out / "tiny-twin.onnx").card.name == "tiny-twin"


@pytest.mark.slow
def test_the_test_pictures_are_those_that_no_run_has_seen(finished):
    out, result = finished
    measured = {picture.name for picture in result.evaluations["seed"].rows[0].pictures}
    for run in ("tiny", "tiny-twin", "tiny-improved"):
        split = tiny_runs.read_json(out / "runs" / run / "data.json")
        assert measured == set(split["test"])
        assert not measured & {*split["training"], *split["validation"]}


@pytest.mark.slow
def test_numbers_are_plain_json(finished):
    text = (finished[0] / "tiny.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


@pytest.mark.slow
def test_a_study_of_faces_scores_by_the_seeds_protocol(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch, kind="faces")
    file = faces_csv.write_faces(tmp_path / "faces.csv", training=6, public=5, private=2)
    reproduce("tiny", data=file, output=tmp_path / "out", options=ReproduceOptions(pictures=3))
    table = tiny_runs.read_json(tmp_path / "out/tiny.json")
    assert table["measurements"]["seed"]["pictures"] == 3
    errors = []
    for number in (6, 7, 9):
        clean = np.repeat(resize_values(faces_csv.face(number).astype(np.float32) / 255, 32), 3, axis=2)
        seed = seed_for(0, f"PublicTest/{number:05d}|salt-pepper:0.3")
        noisy = corrupt(clean, "salt-pepper:0.3", seed=seed, quantise=False)
        errors.append(float(np.mean((clean - noisy) ** 2)))
    found = rows(table, "seed")["salt-pepper:0.3", "noisy"]
    assert found["psnr"] == pytest.approx(-10 * math.log10(np.mean(errors)), abs=1e-3)
    assert found["psnr_per_image"] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)


@pytest.mark.slow
def test_a_cut_run_is_said_in_the_first_line(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data = tiny_runs.pictures(tmp_path / "p", count=16)
    reproduce("tiny", data=data, output=tmp_path / "out", options=ReproduceOptions(max_minutes=1e-6))
    first = (tmp_path / "out/tiny.md").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("**Cut short:** faithful 1 of 8 steps in 0 minutes, improved 1 of 8")


@pytest.fixture
def started(monkeypatch):
    """The options of each training that a study begins."""
    options, original = [], forms.train_run

    def train(*arguments, **named):
        options.append(named["options"])
        return original(*arguments, **named)

    monkeypatch.setattr(forms, "train_run", train)
    return options


def test_curves_are_of_the_studys_noise_and_of_the_last_time_that_a_step_was_made(tmp_path):
    form = forms.FormResult("faithful", None, {}, tmp_path, tmp_path)
    for part, lines in (
        ("part-2", ["4,40,30,50"]),
        ("part-10", ["4,44,32,56", "5,,,", "8,46,33,59", "9,47,3", "10"]),
    ):
        (tmp_path / "csv" / part).mkdir(parents=True)
        table = "\n".join(["step,psnr,psnr/a,psnr/b", *lines])
        (tmp_path / "csv" / part / "metrics.csv").write_text(table, encoding="utf-8")
    # The last lines are cut.
    assert form.curve(["a"]) == [(5, 32.0), (9, 33.0), (10, 3.0)]
    assert form.curve(["a", "b"]) == [(5, 44.0), (9, 46.0)]
    assert form.best(["b"]) == 59.0


@pytest.mark.slow
def test_what_was_done_is_not_done_again(tmp_path, monkeypatch, started):
    make_study(tmp_path, monkeypatch)
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(forms, "_export", tiny_runs.stop)
        with pytest.raises(KeyboardInterrupt):
            reproduce("tiny", data=data, output=out)
    assert len(started) == 2
    reproduce("tiny", data=data, output=out)
    assert len(started) == 2
    written = (out / "tiny.onnx").stat().st_mtime_ns
    # A run that was stopped goes on, and what was exported before is exported again.
    (out / "runs/tiny/summary.json").unlink()
    reproduce("tiny", data=data, output=out)
    assert [options.resume for options in started] == [False, False, True]
    assert (out / "tiny.onnx").stat().st_mtime_ns > written


def test_data_that_another_study_decodes_is_left_alone(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    (out / "runs/tiny").mkdir(parents=True)
    with FileLock(out / "runs/tiny/.lock"), pytest.raises(TrainingError, match="Another training is at work"):
        reproduce("tiny", data=data, output=out)
    with pytest.raises(TrainingError, match="The run folder lies in the data"):
        reproduce("tiny", data=data, output=data / "studies")
    assert not (data / "studies").exists()


@pytest.mark.slow
def test_a_cut_run_goes_on_where_there_is_more_time(tmp_path, monkeypatch, started):
    make_study(tmp_path, monkeypatch)
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    for minutes, runs in ((1e-6, 2), (1e-6, 2), (1e-7, 2), (2e-6, 4), (None, 6), (None, 6), (1e-6, 6)):
        reproduce("tiny", data=data, output=out, options=ReproduceOptions(max_minutes=minutes))
        assert len(started) == runs, minutes
    table = tiny_runs.read_json(out / "tiny.json")["forms"]["faithful"]
    assert (table["steps"], table["cut"], table["max_minutes"]) == (8, False, None)


@pytest.mark.slow
def test_a_form_that_had_more_time_is_said(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    tiny_runs.train(
        data, out / "runs/tiny-improved", recipe=tmp_path / "tiny-improved.toml", max_minutes=2e-6
    )
    reproduce(
        "tiny", data=data, output=out, command="grainless ...", options=ReproduceOptions(max_minutes=1e-6)
    )
    page = (out / "tiny.md").read_text(encoding="utf-8")
    assert "after the improved form was trained longer" in page
    recipe = tmp_path / "tiny-improved.toml"
    assert f"    grainless train {recipe} --data p -o runs/tiny-improved --max-minutes 2e-06\n" in page
    assert "after the faithful form" not in page


@pytest.mark.slow
def test_other_pictures_of_the_same_names_are_noticed(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    reproduce("tiny", data=data, output=out)
    changed = next(data.rglob("*.png"))
    tiny_runs.write_pixels(changed, tiny_runs.pixels_for("another"))
    with pytest.raises(TrainingError, match="got pictures of the same names with other pixels"):
        reproduce("tiny", data=data, output=out)


@pytest.mark.slow
def test_two_processes_train_one_form_after_the_other(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    data, out = tiny_runs.pictures(tmp_path / "p", count=16), tmp_path / "out"
    reproduce("tiny", data=data, output=out, options=ReproduceOptions(devices=2))
    table = tiny_runs.read_json(out / "tiny.json")["forms"]
    assert {name: form["pictures_seen"] for name, form in table.items()} == {"faithful": 32, "improved": 32}


@pytest.mark.slow
def test_a_training_apart_that_fails_is_said(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    (tmp_path / "out/runs/tiny").mkdir(parents=True)
    (tmp_path / "out/runs/tiny/other.txt").touch()
    with pytest.raises(TrainingError, match="tiny was not trained to its end; got exit code 2"):
        reproduce(
            "tiny",
            data=tiny_runs.pictures(tmp_path / "p", count=16),
            output=tmp_path / "out",
            options=ReproduceOptions(devices=2),
        )


def test_missing_packages_are_named_before_the_training(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"Measuring a study.*evaluate"):
        reproduce("tiny", data=tmp_path, output=tmp_path / "out")


def test_unknown_studies_and_pictures_without_a_test_are_refused(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=r"no such study; got 'other'; expected one of .*unet-fer2013"):
        load_study("other")
    make_study(tmp_path, monkeypatch)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(recipe.read_text().replace("test_share = 0.5", "test_share = 0.0"), encoding="utf-8")
    with pytest.raises(DataError, match="No picture is left for the test; got 4 picture"):
        reproduce("tiny", data=tiny_runs.pictures(tmp_path / "p", count=4), output=tmp_path / "out")


@pytest.mark.slow
def test_a_folder_with_another_study_is_refused(finished, tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch, twin=True)
    text = (tmp_path / "tiny.toml").read_text(encoding="utf-8").replace('name = "tiny"', 'name = "other"')
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        OutputExistsError, match=r"runs.tiny was trained by other settings than those of other"
    ):
        reproduce("tiny", data=tmp_path, output=finished[0])


def weights(recipe):
    net = build_net(recipe.net.name, recipe.net.settings)
    net.fold()
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", study_names())
def test_shipped_studies_fit_their_recipes(name):
    shipped = load_study(name)
    faithful, improved = (load_recipe(recipe) for recipe in (shipped.faithful, shipped.improved))
    assert shipped.twin == (faithful.adversary is not None)
    assert improved.adversary is None
    assert faithful.data.kind == improved.data.kind
    assert (faithful.data.split, faithful.data.test_share) == (improved.data.split, improved.data.test_share)
    assert faithful.data.resize == shipped.seed.resize
    assert set(shipped.seed.noise) == set(faithful.validation_noise)
    assert set(shipped.seed.noise) <= set(improved.validation_noise)
    assert weights(improved) <= weights(faithful)


def test_pictures_are_cut_resized_and_coloured(tmp_path, rng):
    class Store:
        names = ("a",)

        def __getitem__(self, index):
            return pixels

    pixels = rng.integers(0, 256, (40, 60, 1)).astype(np.uint8)

    def read(**how):
        return Pictures(
            "x", Store(), (0,), Measurement(title="t", protocol="file-8bit", noise=("clean",), **how)
        ).read(0)

    assert np.array_equal(read(), pixels)
    assert np.array_equal(read(crop=20), pixels[10:30, 20:40])
    assert np.array_equal(read(colour=True), np.repeat(pixels, 3, axis=2))
    assert read(resize=16).dtype == np.float32
    assert psnr(read(resize=16), resize_values(pixels.astype(np.float32) / 255, 16)) == math.inf
