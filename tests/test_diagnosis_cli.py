"""`grainless inspect`, and `--model auto` of `grainless denoise`."""

from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from doctor_pictures import save, scene, spoilt
from grainless import Denoiser
from grainless.batch import large, pipeline
from grainless.cli import app
from grainless.picture import Metadata, Picture, StoredPicture, read_picture, store_picture, write_picture
from grainless.tone import decode_srgb

SIZE = {"height": 128, "width": 160}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    return save(tmp_path / "noisy.png", spoilt(scene(1, **SIZE), "gaussian:20"))


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return save(tmp_path / "clean.png", scene(1, **SIZE))


def test_inspect_says_kind_level_confidence_and_advice(noisy: Path, clean: Path) -> None:
    result = run("inspect", noisy, clean)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{noisy}: gaussian, sigma ")
    assert lines[0].endswith(" % sure")
    assert "Clean it with the model universal" in lines[1]
    assert lines[2].startswith(f"{clean}: clean, ")
    assert lines[3] == "  No noise worth removing was found. Leave the picture as it is."


def test_inspect_prints_one_object_per_picture(noisy: Path, clean: Path) -> None:
    result = run("inspect", noisy, clean, "--json")
    told = json.loads(result.stdout)
    assert told["version"] == 1
    assert [entry["path"] for entry in told["pictures"]] == [str(noisy), str(clean)]
    first, second = told["pictures"]
    assert {"path", "kind", "level", "confidence", "advice"} <= set(first)
    assert first["kind"] == "gaussian"
    assert first["level"] == pytest.approx(20, rel=0.1)
    assert (second["kind"], second["level"], second["model"]) == ("clean", None, None)


def test_inspect_reads_the_quality_of_a_jpeg(tmp_path: Path) -> None:
    file = save(tmp_path / "low.jpg", scene(1, **SIZE), quality=20)
    entry = json.loads(run("inspect", file, "--json").stdout)["pictures"][0]
    assert (entry["kind"], entry["level"]) == ("jpeg", 20)


def test_inspect_looks_as_auto_does_at_linear_light(tmp_path: Path) -> None:
    shown = spoilt(scene(1, **SIZE), "gaussian:20").astype(np.float32) / 255
    file = tmp_path / "light.tif"
    write_picture(Picture(decode_srgb(shown), None, Metadata(), "tiff"), file)
    (entry,) = json.loads(run("inspect", file, "--linear", "--json").stdout)["pictures"]
    assert entry["kind"] == "gaussian"
    assert entry["level"] == pytest.approx(20, rel=0.1)
    said = run("denoise", file, "-o", tmp_path / "out.tif", "--linear").stderr
    assert f"gaussian, sigma {entry['level']}, " in said
    (encoded,) = json.loads(run("inspect", file, "--json").stdout)["pictures"]
    assert (encoded["kind"], encoded["level"]) != (entry["kind"], entry["level"])


def test_inspect_refuses_linear_whole_numbers_as_auto_does(noisy: Path) -> None:
    result = run("inspect", noisy, "--linear")
    assert result.exit_code == 2
    assert "Only float pictures can be linear" in result.stderr


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_inspect_looks_at_large_pictures_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    file = save(tmp_path / f"a.{ending}", spoilt(scene(1, height=200, width=1100), "gaussian:20"))
    wanted = run("inspect", file, "--json")
    assert wanted.exit_code == 0
    scratch: list[Path] = []

    def store(path: Path, folder: Path) -> StoredPicture:
        scratch.append(folder)
        return store_picture(path, folder)

    monkeypatch.setattr(large, "MAX_MEGAPIXELS", 0.1)
    monkeypatch.setattr(large, "free_memory", lambda: 10**12)
    monkeypatch.setattr(large, "store_picture", store)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert run("inspect", file, "--json").stdout == wanted.stdout
    assert scratch == [tmp_path]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]

    refused = run("inspect", file, "--max-megapixels", "0.15")
    assert refused.exit_code == 2
    assert "1100 x 200 = 0.2 megapixels; expected at most 0.15" in refused.stderr
    bitmap = tmp_path / "a.bmp"
    write_picture(read_picture(file), bitmap)
    assert "expected at most 0.1 megapixels" in run("inspect", bitmap).stderr


def test_inspect_says_where_there_is_no_room(noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "free_memory", lambda: 0)
    monkeypatch.setattr(pipeline, "free_bytes", lambda _: 30_000_000)
    assert run("inspect", noisy).exit_code == 0
    monkeypatch.setattr(pipeline, "free_bytes", lambda _: 1000)
    result = run("inspect", noisy)
    assert result.exit_code == 2
    assert "is full; got 0 MB free; expected room for 0 MB and 16 MB to spare" in result.stderr

    def unusable() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", unusable)
    result = run("inspect", noisy)
    assert result.exit_code == 2
    assert "noisy.png: No usable temporary directory found. Set TMPDIR to a folder" in result.stderr


def test_a_file_that_cannot_be_read_does_not_stop_the_others(noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    result = run("inspect", tmp_path / "text.png", noisy, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["pictures"]) == 1
    assert result.stderr.count("failed: ") == 1
    assert "text.png" in result.stderr

    alone = run("inspect", tmp_path / "gone.png")
    assert alone.exit_code == 2
    assert "gone.png does not exist" in alone.stderr
    assert "Traceback" not in alone.stderr


def test_folders_are_looked_through(noisy: Path, tmp_path: Path) -> None:
    roll = tmp_path / "roll" / "sub"
    roll.mkdir(parents=True)
    for path in (roll / "b.png", roll.parent / "a.png", roll.parent / ".hidden.png"):
        path.write_bytes(noisy.read_bytes())
    (roll / "notes.txt").write_text("mine")
    result = run("inspect", tmp_path / "roll", noisy, "--json")
    assert result.exit_code == 0, result.stderr
    assert [entry["path"] for entry in json.loads(result.stdout)["pictures"]] == [
        str(roll.parent / "a.png"), str(roll / "b.png"), str(noisy)
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    empty = run("inspect", tmp_path / "empty")
    assert (empty.exit_code, "no pictures in" in empty.stderr) == (2, True)
    assert run("inspect", tmp_path / "empty", noisy).exit_code == 0


def test_auto_is_the_default_and_cleans_what_is_noisy(noisy: Path, tmp_path: Path) -> None:
    result = run("denoise", noisy, "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.stderr
    assert "noisy.png: gaussian, sigma " in result.stderr
    assert "% sure: model universal" in result.stderr
    expected = Denoiser.load("universal")(read_picture(noisy).pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png").pixels, expected)


def test_auto_takes_a_strength_that_is_asked_for(noisy: Path, tmp_path: Path) -> None:
    run("denoise", noisy, "-o", tmp_path / "half.png", "--strength", 0.5)
    expected = Denoiser.load("universal")(read_picture(noisy).pixels, strength=0.5)
    np.testing.assert_array_equal(read_picture(tmp_path / "half.png").pixels, expected)


def test_auto_passes_a_clean_picture_through_byte_for_byte(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "folder" / "out.png"
    result = run("denoise", clean, "-o", out, "--strength", 0.5)
    assert result.exit_code == 0, result.stderr
    assert "clean.png: passed through unchanged: clean, " in result.stderr
    assert out.read_bytes() == clean.read_bytes()


def test_a_clean_picture_keeps_its_values_in_another_format_and_in_a_crop(
    clean: Path, tmp_path: Path
) -> None:
    pixels = read_picture(clean).pixels
    assert run("denoise", clean, "-o", tmp_path / "out.tif").exit_code == 0
    np.testing.assert_array_equal(read_picture(tmp_path / "out.tif").pixels, pixels)
    result = run("denoise", clean, "-o", tmp_path / "part.png", "--crop", "3,4,50,40")
    assert "passed through unchanged" in result.stderr
    np.testing.assert_array_equal(read_picture(tmp_path / "part.png").pixels, pixels[4:44, 3:53])


def test_a_named_model_cleans_without_looking(clean: Path, tmp_path: Path) -> None:
    result = run("denoise", clean, "-o", tmp_path / "out.png", "--model", "universal", "--no-guard")
    assert result.exit_code == 0
    assert "passed through" not in result.stderr
    expected = Denoiser.load("universal")(read_picture(clean).pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png").pixels, expected)


def test_linear_whole_numbers_are_refused_by_auto_too(clean: Path, tmp_path: Path) -> None:
    result = run("denoise", clean, "-o", tmp_path / "out.png", "--linear")
    assert result.exit_code == 2
    assert "Only float pictures can be linear" in result.stderr
