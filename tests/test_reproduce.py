"""A study from start to end on tiny pictures, what it writes, and what it says of wrong data."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import faces_csv
import tiny_runs
from grainless.datasets import resize_values
from grainless.errors import DataError, OutputExistsError, RecipeError
from grainless.metrics import PROTOCOLS, psnr
from grainless.model_file import read_model
from grainless.noise import corrupt, seed_for
from grainless.reproduce import ReproduceOptions, load_study, reproduce, running, study, study_names
from grainless.reproduce.running import TestPictures as Pictures
from grainless.reproduce.study import Measurement
from grainless.training.recipe import load_recipe

STUDY = """
name = "tiny"
title = "A tiny study"
about = "Pictures that a test made."
faithful = "{recipe}"
improved = "{recipe}"
twin = {twin}
bar = 2.0

[claim]
psnr = 30.0
source = "nobody"

[seed]
protocol = "golbar-fer2013"
noise = ["salt-pepper:0.1"]
resize = 32
colour = true

[native]
protocol = "file-8bit"
noise = ["salt-pepper:0.1", "gaussian:25"]
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
    studies = folder / "studies"
    studies.mkdir(exist_ok=True)
    body = STUDY.format(recipe=recipe.as_posix(), twin=str(twin).lower())
    (studies / "tiny.toml").write_text(body, encoding="utf-8")
    patch.setattr(study, "STUDIES", studies)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the result of a study of a GAN with its twin."""
    folder = tmp_path_factory.mktemp("study")
    data = tiny_runs.pictures(folder / "p", count=16)
    told = []
    with pytest.MonkeyPatch.context() as patch:
        make_study(folder, patch, twin=True)
        result = reproduce(
            "tiny",
            data=data,
            output=folder / "out",
            command="grainless reproduce tiny --data p",
            progress=lambda *counts: told.append(counts),
        )
    assert told[-1][0] == told[-1][1]
    return folder / "out", result


def rows(table, part):
    return {(row["noise"], row["method"]): row for row in table["measurements"][part]["rows"]}


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
    assert set(table["sharpness"]["salt-pepper:0.1"]) == {"faithful", "twin", "improved"}
    twin = tiny_runs.read_json(out / "runs/twin/recipe.json")
    assert twin["adversary"]["weight"] == 0
    page = (out / "tiny.md").read_text(encoding="utf-8")
    assert page.startswith("All runs of this study went to the end")
    assert "| as published | the seed | 30.00 | - | - | - |" in page
    assert "    grainless reproduce tiny --data p" in page
    assert "(meant to be +2.0)" in page
    for name in ("tiny-curves.png", "tiny-pictures.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert read_model(out / "faithful.onnx").card.name == "faithful"


def test_the_test_pictures_are_those_that_no_run_has_seen(finished):
    out, result = finished
    measured = {picture.name for picture in result.evaluations["seed"].rows[0].pictures}
    for form in ("faithful", "twin", "improved"):
        split = tiny_runs.read_json(out / "runs" / form / "data.json")
        assert measured == set(split["test"])
        assert not measured & {*split["training"], *split["validation"]}


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
        seed = seed_for(0, f"PublicTest/{number:05d}|salt-pepper:0.1")
        noisy = corrupt(clean, "salt-pepper:0.1", seed=seed, quantise=False)
        errors.append(float(np.mean((clean - noisy) ** 2)))
    found = rows(table, "seed")["salt-pepper:0.1", "noisy"]
    assert found["psnr"] == pytest.approx(-10 * math.log10(np.mean(errors)), abs=1e-3)
    assert found["psnr_per_image"] == pytest.approx(np.mean(-10 * np.log10(errors)), abs=1e-3)


@pytest.mark.slow
def test_a_cut_run_is_said_in_the_first_line(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data = tiny_runs.pictures(tmp_path / "p", count=16)
    reproduce("tiny", data=data, output=tmp_path / "out", options=ReproduceOptions(max_minutes=1e-6))
    first = (tmp_path / "out/tiny.md").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("**Cut short:** faithful 1 of 8 steps in 0 minutes, improved 1 of 8")


@pytest.mark.slow
def test_what_was_done_is_not_done_again(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data = tiny_runs.pictures(tmp_path / "p", count=16)
    calls, original = [], running.train_run

    def failing(*arguments, **options):
        calls.append(options["options"].resume)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(running, "train_run", failing)
    with pytest.raises(KeyboardInterrupt):
        reproduce("tiny", data=data, output=tmp_path / "out")
    reproduce("tiny", data=data, output=tmp_path / "out")
    assert calls == [False, False, False]
    reproduce("tiny", data=data, output=tmp_path / "out")
    assert len(calls) == 3


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch)
    data = tiny_runs.pictures(tmp_path / "p", count=16)
    out = tmp_path / "out"
    reproduce("tiny", data=data, output=out)
    (out / "runs/faithful/summary.json").unlink()
    resumed, original = [], running.train_run
    monkeypatch.setattr(
        running,
        "train_run",
        lambda *arguments, **options: (
            resumed.append(options["options"].resume) or original(*arguments, **options)
        ),
    )
    reproduce("tiny", data=data, output=out)
    assert resumed == [True]


def test_unknown_studies_and_pictures_without_a_test_are_refused(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=r"no such study; got 'other'; expected one of .*unet-fer2013"):
        load_study("other")
    make_study(tmp_path, monkeypatch)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(recipe.read_text().replace("test_share = 0.5", "test_share = 0.0"), encoding="utf-8")
    with pytest.raises(DataError, match="No picture is left for the test; got 4 picture"):
        reproduce("tiny", data=tiny_runs.pictures(tmp_path / "p", count=4), output=tmp_path / "out")


def test_a_folder_with_another_study_is_refused(finished, tmp_path, monkeypatch):
    make_study(tmp_path, monkeypatch, twin=True)
    text = (tmp_path / "tiny.toml").read_text(encoding="utf-8").replace('name = "tiny"', 'name = "other"')
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        OutputExistsError, match=r"faithful holds another run than tiny needs; got the recipe tiny"
    ):
        reproduce("tiny", data=tmp_path, output=finished[0])


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
    assert {shipped.seed.protocol} <= set(PROTOCOLS)


def test_pictures_are_cut_resized_and_coloured(tmp_path, rng):
    class Store:
        names = ("a",)

        def __getitem__(self, index):
            return pixels

    pixels = rng.integers(0, 256, (40, 60, 1)).astype(np.uint8)

    def read(**how):
        return Pictures("x", Store(), (0,), Measurement(protocol="file-8bit", noise=("clean",), **how)).read(
            0
        )

    assert np.array_equal(read(), pixels)
    assert np.array_equal(read(crop=20), pixels[10:30, 20:40])
    assert np.array_equal(read(colour=True), np.repeat(pixels, 3, axis=2))
    assert read(resize=16).dtype == np.float32
    assert psnr(read(resize=16), resize_values(pixels.astype(np.float32) / 255, 16)) == math.inf
