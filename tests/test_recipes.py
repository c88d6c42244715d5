"""Every recipe of the package trains for some steps on pictures that the test makes, and is exported."""

from __future__ import annotations

import numpy as np
import pytest

import faces_csv
import tiny_runs
from grainless.denoiser import Denoiser
from grainless.training import export_run, recipe_names
from grainless.training.recipe import load_recipe

SMALL = (
    "schedule.steps=3",
    "schedule.batch=2",
    "schedule.validate_every=3",
    "schedule.workers=0",
    "data.validation_limit=2",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A csv of faces, and a folder of pictures that are large enough for every recipe."""
    folder = tmp_path_factory.mktemp("data")
    faces = faces_csv.write_faces(folder / "faces.csv", training=20, public=2, private=2)
    pictures = tiny_runs.pictures(folder / "pictures", count=8, height=264, width=260)
    return {"faces": faces, "pictures": pictures}


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains_exports_and_cleans(name, data, tmp_path):
    kind = load_recipe(name).data.kind
    summary = tiny_runs.train(data[kind], tmp_path / "run", *SMALL, recipe=name)
    assert summary["finished"]
    assert summary["best_psnr"] > 3
    card = export_run(tmp_path / "run", tmp_path / "model.onnx")
    assert card.receptive_radius > 0
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    clean = Denoiser.load(tmp_path / "model.onnx")(pixels if card.channels == 3 else pixels[..., :1])
    assert clean.shape[:2] == (50, 70)
    assert not np.array_equal(clean[..., :1], pixels[..., :1])


def test_each_seed_has_its_recipes():
    names = set(recipe_names())
    assert {"unet-fer2013", "gan-fer2013-128", "gan-fer2013", "gan-leaves", "upconv-folder"} <= names
    assert {
        "fer2013-128-improved",
        "fer2013-48-improved",
        "leaves-improved",
        "upconv-folder-improved",
    } <= names
