"""`grainless denoise` with --luma, --chroma, --mask, --show-removed and the guard, run as a user would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from doctor_pictures import save, scene, spoilt
from grainless.blend import Blend
from grainless.cli import app
from grainless.denoiser import Denoiser
from grainless.picture import read_picture
from tiny_models import blur_model, scale_model

NOISY = spoilt(scene(2, height=96, width=128), "gaussian:25")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["denoise", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def blur(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blur_model(tmp_path_factory.mktemp("models") / "blur.onnx")


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scale_model(tmp_path_factory.mktemp("models") / "dark.onnx", 0.7)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "in" / "a.png", NOISY)


def pixels(path: Path) -> np.ndarray:
    return read_picture(path).pixels


def test_the_controls_reach_the_result(tmp_path: Path, source: Path, blur: Path) -> None:
    levels = np.linspace(0, 255, 128).astype(np.uint8)[None, :, None].repeat(96, axis=0)
    mask = save(tmp_path / "mask.png", levels)
    options = ("--strength", 0.9, "--luma", 0.7, "--chroma", 0.3, "--mask", mask)
    result = run(source, "-o", tmp_path / "out.png", "--model", blur, *options)
    assert result.exit_code == 0, result.stderr
    blend = Blend(strength=0.9, luma=0.7, chroma=0.3, mask=levels[..., 0])
    np.testing.assert_array_equal(pixels(tmp_path / "out.png"), Denoiser.load(blur)(NOISY, blend=blend))


def test_more_strength_leaves_less(tmp_path: Path, source: Path, blur: Path) -> None:
    full = Denoiser.load(blur)(NOISY).astype(float)
    for option in ("--strength", "--luma", "--chroma"):
        left = []
        for value in (0, 0.4, 1):
            out = tmp_path / f"{option}{value}.png"
            assert run(source, "-o", out, "--model", blur, option, value).exit_code == 0
            left.append(float(np.mean((pixels(out) - full) ** 2)))
        assert left[0] > left[1] > left[2] == 0


def test_the_original_is_kept_and_the_reason_is_said(tmp_path: Path, source: Path, dark: Path) -> None:
    result = run(source, "-o", tmp_path / "out.png", "--model", dark)
    assert result.exit_code == 0
    assert "a.png: kept the original: the brightness shifted by -" in result.stderr
    assert (tmp_path / "out.png").read_bytes() == source.read_bytes()
    result = run(source, "-o", tmp_path / "bad.png", "--model", dark, "--no-guard")
    assert "kept the original" not in result.stderr
    np.testing.assert_array_equal(pixels(tmp_path / "bad.png"), Denoiser.load(dark)(NOISY))


def test_what_was_removed_is_written_and_said(tmp_path: Path, source: Path, blur: Path) -> None:
    out = tmp_path / "out.jpg"
    result = run(source, "-o", out, "--model", blur, "--show-removed")
    assert result.exit_code == 0, result.stderr
    assert f"what was removed, 4 times as strong: {out}.removed.png" in result.stderr
    shown = pixels(tmp_path / "out.jpg.removed.png")
    wanted = np.clip(128 + 4 * (NOISY.astype(int) - Denoiser.load(blur)(NOISY)), 0, 255)
    np.testing.assert_array_equal(shown, wanted)

    again = run(source, "-o", tmp_path / "out.png", "--model", blur, "--show-removed")
    assert again.exit_code == 0
    (tmp_path / "out.png").unlink()
    refused = run(source, "-o", tmp_path / "out.png", "--model", blur, "--show-removed")
    assert refused.exit_code == 2
    assert "out.png.removed.png exists already. Add --overwrite" in refused.stderr
    assert not (tmp_path / "out.png").exists()
    options = ("--model", blur, "--show-removed", "--overwrite")
    assert run(source, "-o", tmp_path / "out.png", *options).exit_code == 0


def test_a_folder_keeps_what_would_become_worse(tmp_path: Path, source: Path, blur: Path) -> None:
    clean = save(tmp_path / "in" / "clean.png", scene(2, height=96, width=128))
    out = tmp_path / "out"
    result = run(tmp_path / "in", "-o", out, "--model", blur, "--show-removed")
    assert result.exit_code == 0, result.stderr
    assert "clean.png: kept the original: " in result.stderr
    assert "a.png: kept" not in result.stderr
    assert (out / "clean.png").read_bytes() == clean.read_bytes()
    names = sorted(path.name for path in out.iterdir() if path.is_file())
    assert names == ["a.png", "a.png.removed.png", "clean.png", "clean.png.removed.png"]


def test_a_mask_is_never_replaced(tmp_path: Path, source: Path, blur: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((96, 128, 1), 255, np.uint8))
    before = mask.read_bytes()
    shown = save(tmp_path / "b.png.removed.png", np.full((96, 128, 1), 255, np.uint8))
    for out, read, options in (
        (mask, mask, ()),
        (tmp_path / "b.png", shown, ("--show-removed",)),
    ):
        refused = run(source, "-o", out, "--model", blur, "--mask", read, "--overwrite", *options)
        assert refused.exit_code == 2
        assert f"{read} would replace {read}, which is read" in refused.stderr
        assert "also not with --overwrite" in refused.stderr
    assert mask.read_bytes() == before
    assert not (tmp_path / "b.png").exists()


def test_a_rerun_makes_what_was_removed_again_where_it_is_gone_or_stale(
    tmp_path: Path, source: Path, blur: Path
) -> None:
    out = tmp_path / "out"
    arguments = (source.parent, "-o", out, "--model", "auto", "--show-removed")
    save(source.parent / "b.png", NOISY)
    assert run(*arguments).exit_code == 0
    shown = out / "a.png.removed.png"
    before = shown.read_bytes()
    assert (pixels(shown) != 128).any()
    shown.unlink()
    result = run(*arguments)
    assert "1 were done already" in result.stderr
    assert shown.read_bytes() == before
    save(source, np.full((64, 64, 3), 90, np.uint8))
    assert "a.png: passed through unchanged" in run(*arguments).stderr
    np.testing.assert_array_equal(pixels(shown), np.full((64, 64, 3), 128))


@pytest.mark.parametrize(
    "change",
    [("--luma", 0.5), ("--chroma", 0.5), ("--mask", "mask.png"), ("--no-guard",), ("--show-removed",)],
)
def test_other_controls_are_refused_on_resume(
    tmp_path: Path, source: Path, blur: Path, change: tuple[object, ...]
) -> None:
    mask = save(tmp_path / "mask.png", np.full((96, 128, 1), 255, np.uint8))
    save(tmp_path / "in" / "b.png", NOISY)
    out = tmp_path / "out"
    assert run(tmp_path / "in", "-o", out, "--model", blur).exit_code == 0
    assert run(tmp_path / "in", "-o", out, "--model", blur).exit_code == 0
    change = tuple(mask if part == "mask.png" else part for part in change)
    refused = run(tmp_path / "in", "-o", out, "--model", blur, *change)
    assert refused.exit_code == 2
    assert "holds results of a run with other settings" in refused.stderr


def test_a_mask_of_another_size_says_both(tmp_path: Path, source: Path, blur: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((20, 30, 1), 255, np.uint8))
    result = run(source, "-o", tmp_path / "out.png", "--model", blur, "--mask", mask)
    assert result.exit_code == 2
    assert "a mask of 30 by 20 pixels" in result.stderr
    assert "expected 128 by 96" in result.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--luma", 1.5), "--luma"),
        (("--chroma", -0.5), "--chroma"),
        (("--mask", "gone.png"), "gone.png cannot be read"),
    ],
)
def test_wrong_controls(
    tmp_path: Path, source: Path, blur: Path, options: tuple[object, ...], words: str
) -> None:
    result = run(source, "-o", tmp_path / "out.png", "--model", blur, *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_the_summary_names_the_controls(tmp_path: Path, source: Path, blur: Path) -> None:
    result = run(source, "-o", tmp_path / "out.png", "--model", blur, "--luma", 0.5, "--json")
    settings = json.loads(result.stdout)["settings"]
    assert settings["luma"] == 0.5
    assert (settings["chroma"], settings["mask"], settings["guard"]) == (1.0, None, True)
