"""The command line, run as a user would, with a model that only blurs and pictures made here."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from grainless import __version__
from grainless.cli import app
from grainless.cli.console import bar, stderr
from grainless.denoiser import Denoiser
from grainless.noise import corrupt, parse_noise, seed_for
from grainless.picture import Metadata, Picture, read_picture, write_picture
from tiny_models import blur_model, scale_model


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "blur.onnx"
    blur_model(path)
    return path


def pixels(seed: int = 0, *, size: tuple[int, ...] = (20, 30, 3), dtype: str = "uint8") -> NDArray[Any]:
    full = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, full, size, dtype=dtype, endpoint=True)


def picture_file(path: Path, seed: int = 0, **kind: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture(pixels(seed, **kind), None, Metadata(), "png"), path)
    return path


def broken_file(path: Path) -> Path:
    picture_file(path)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def files_below(folder: Path) -> list[str]:
    """List the results, without the journal."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != ".grainless")


def test_help_names_every_command_and_version_is_the_package_s() -> None:
    text = run("--help").stdout
    for command in (
        "denoise",
        "inspect",
        "corrupt",
        "models",
        "evaluate",
        "benchmark",
        "check-data",
        "compare",
        "report",
        "train",
        "reproduce",
        "export",
    ):
        assert command in text
        assert run(command, "--help").exit_code == 0
    assert run("--version").stdout == f"grainless {__version__}\n"


def test_denoise_writes_what_the_library_gives(tmp_path: Path, model: Path) -> None:
    source, out = picture_file(tmp_path / "a.png"), tmp_path / "b.png"
    result = run("denoise", source, "-o", out, "--model", model)
    assert result.exit_code == 0, result.stderr
    expected = Denoiser.load(model)(pixels())
    assert not np.array_equal(expected, pixels())
    np.testing.assert_array_equal(read_picture(out).pixels, expected)


def test_denoise_options_reach_the_library(tmp_path: Path, model: Path) -> None:
    source = picture_file(tmp_path / "a.png")
    clean = Denoiser.load(model)(pixels(), strength=0.5)
    result = run(
        "denoise",
        source,
        "-o",
        tmp_path / "part.png",
        "--model",
        model,
        "--strength",
        0.5,
        "--crop",
        "3,4,10,8",
    )
    assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(read_picture(tmp_path / "part.png").pixels, clean[4:12, 3:13])
    run("denoise", source, "-o", tmp_path / "fine.jpg", "--model", model, "--quality", 100)
    run("denoise", source, "-o", tmp_path / "coarse.jpg", "--model", model, "--quality", 10)
    assert (tmp_path / "fine.jpg").stat().st_size > 2 * (tmp_path / "coarse.jpg").stat().st_size


def test_denoise_says_what_the_output_format_loses(tmp_path: Path, model: Path) -> None:
    source = picture_file(tmp_path / "deep.png", dtype="uint16")
    result = run("denoise", source, "-o", tmp_path / "deep.jpg", "--model", model)
    assert result.exit_code == 0
    assert "deep.png: depth: 16 bits are rounded to 8" in result.stderr
    assert f"wrote deep.png: {tmp_path / 'deep.jpg'}" in result.stderr
    assert result.stdout == ""


def test_an_existing_output_stays_unless_told(tmp_path: Path, model: Path) -> None:
    source, out = picture_file(tmp_path / "a.png"), tmp_path / "b.png"
    out.write_bytes(b"mine")
    result = run("denoise", source, "-o", out, "--model", model)
    assert result.exit_code == 2
    assert "b.png exists already. Add --overwrite" in result.stderr
    assert out.read_bytes() == b"mine"
    assert run("denoise", source, "-o", out, "--model", model, "--overwrite").exit_code == 0
    assert read_picture(out).pixels.shape == (20, 30, 3)


def test_an_input_is_never_written_over(tmp_path: Path, model: Path) -> None:
    source = picture_file(tmp_path / "a.png")
    before = source.read_bytes()
    for out in (source, tmp_path, tmp_path / ".." / tmp_path.name / "a.png"):
        result = run("denoise", source, "-o", out, "--model", model, "--overwrite")
        assert result.exit_code == 2
        assert "would replace the input" in result.stderr
    assert source.read_bytes() == before


def test_a_folder_with_broken_files_is_done_but_for_these(tmp_path: Path, model: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    good = [f"{'sub/' * (number % 3)}{number:02}.png" for number in range(20)]
    for number, name in enumerate(good):
        picture_file(source / name, number)
    broken_file(source / "cut.png")
    (source / "sub" / "empty.jpg").write_bytes(b"")
    (source / "text.png").write_text("no picture")
    (source / "notes.txt").write_text("left alone")
    result = run("denoise", source, "-o", out, "--model", model)
    assert result.exit_code == 1
    assert files_below(out) == sorted(good)
    lines = result.stderr.splitlines()
    failures = [line for line in lines if line.startswith("failed: ")]
    assert len(failures) == 3
    for name in ("cut.png", "empty.jpg", "text.png"):
        assert sum(name in line for line in failures) == 1
    assert lines[-1].startswith(f"wrote 20 of 23 files into {out} in ")
    assert lines[-1].endswith(
        " megapixels per second; 3 failed; 1 left out, hidden or no pictures by their names"
    )
    assert "Traceback" not in result.stderr

    again = run("denoise", source, "-o", out, "--model", model)
    assert again.exit_code == 1
    assert f"wrote 0 of 23 files into {out}; 20 were done already; 3 failed earlier (--retry-" in again.stderr
    assert again.stderr.count("failed earlier: ") == 3
    assert run("denoise", source, "-o", out, "--model", model, "--retry-failed").exit_code == 1
    picture_file(source / "cut.png", 5)
    (source / "sub" / "empty.jpg").unlink()
    (source / "text.png").unlink()
    mended = run("denoise", source, "-o", out, "--model", model)
    assert mended.exit_code == 0
    assert files_below(out) == sorted([*good, "cut.png"])


def test_other_settings_are_refused_with_a_remedy(tmp_path: Path, model: Path) -> None:
    picture_file(tmp_path / "in" / "a.png")
    arguments = ("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", model)
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "out" / "a.png").read_bytes()
    blunt = tmp_path / "other.onnx"
    scale_model(blunt, 0.5)
    for change, words in ((("--strength", 0.5), "strength 0.5"), (("--model", blunt), "model tiny ")):
        result = run(*arguments, *change)
        assert result.exit_code == 2
        assert f"other settings, for example a.png; got {words}" in result.stderr
        assert "name another output, or add --overwrite" in result.stderr
        assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert run(*arguments, "--model", blunt, "--overwrite").exit_code == 0
    assert (tmp_path / "out" / "a.png").read_bytes() != before


def test_the_summary_is_also_given_to_programs(tmp_path: Path, model: Path) -> None:
    picture_file(tmp_path / "in" / "a.png")
    broken_file(tmp_path / "in" / "cut.png")
    result = run("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--json")
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["version"], summary["files"], summary["done"]) == (1, 2, 1)
    assert [Path(entry["path"]).name for entry in summary["failed"]] == ["cut.png"]
    assert summary["settings"]["strength"] == 1.0
    assert summary["megapixels"] == pytest.approx(600 / 1e6, abs=5e-4)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path: Path, model: Path) -> None:
    picture_file(tmp_path / "in" / "a.png")
    arguments = ("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", model)
    result = run(*arguments, "--dry-run")
    assert result.exit_code == 0
    assert f"a.png: to do: {tmp_path / 'out' / 'a.png'}" in result.stderr
    assert "dry run: 1 of 1 files to do" in result.stderr
    assert not (tmp_path / "out").exists()
    run(*arguments)
    picture_file(tmp_path / "in" / "b.png")
    files = json.loads(run(*arguments, "--dry-run", "--json").stdout)["files"]
    assert [(Path(entry["path"]).name, entry["choice"]) for entry in files] == [
        ("a.png", "done"),
        ("b.png", "new"),
    ]
    assert files_below(tmp_path / "out") == ["a.png"]


def test_corrupt_leaves_no_journal_in_its_folder(tmp_path: Path) -> None:
    picture_file(tmp_path / "in" / "a.png")
    for words in ("corrupted 1 of 1 files", "1 skipped, their outputs exist"):
        result = run("corrupt", tmp_path / "in", "-o", tmp_path / "out", "--noise", "gaussian:25")
        assert result.exit_code == 0
        assert words in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png"]


def test_several_inputs_and_flat_folders(tmp_path: Path, model: Path) -> None:
    picture_file(tmp_path / "roll" / "a.png")
    picture_file(tmp_path / "roll" / "deep" / "b.png")
    extra = picture_file(tmp_path / "extra.png")
    out = tmp_path / "out"
    result = run("denoise", tmp_path / "roll", extra, "-o", out, "--model", model, "--no-recursive")
    assert result.exit_code == 0
    assert files_below(out) == ["extra.png", "roll/a.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["denoise", "{}/missing.png", "-o", "{}/out"], "missing.png does not exist"),
        (["denoise", "{}/cut.png", "-o", "{}/out.png"], "cut.png"),
        (["denoise", "{}/cut.png", "-o", "{}/out"], "cut.png"),
        (["denoise", "{}/a.png", "-o", "{}/out.gif"], "out.gif has an unknown ending"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--model", "nowhere"], "no model named 'nowhere'"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--model", "{}/a.png"], "a.png"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--crop", "1,2,3"], "crop is not valid; got '1,2,3'"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--crop", "0,0,0,5"], "the crop is not valid"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--crop", "0,0,1," + "9" * 5000], "crop is not valid"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--crop", "0,0,99,99"], "crop leaves the picture"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--linear"], "Only float pictures can be linear"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--max-megapixels", "0.0001"], "a.png"),
        (["denoise", "{}/a.png", "-o", "{}/out.png", "--strength", "2"], "--strength"),
        (["denoise", "{}/a.png", "-o", "{}/a.png/out.png"], "a.png"),
        (["denoise", "{}/a.png"], "--out"),
        (["corrupt", "{}/a.png", "-o", "{}/out.png", "--noise", "gausian:25"], "gaussian"),
        (["corrupt", "{}/a.png", "-o", "{}/out.png", "--noise", "gaussian:-1"], "gaussian"),
        (["evaluate", "--data", "{}/nowhere", "--noise", "clean"], "nowhere"),
        (["denoise", "{}/a.png", "-o", "{}/" + "n" * 300 + ".png"], "File name too long"),
        (["denoise", "{}/a.png", "-o", "{}/a.png/deep/out"], "the folder {}/a.png/deep/out cannot be made"),
        (["evaluate", "--data", "{}", "--noise", "clean", "--method", "meen"], "one of median"),
        (["models", "{}/nowhere.onnx"], "does not exist"),
    ],
)  # fmt: skip
def test_what_a_user_can_cause_is_said_in_words(
    tmp_path: Path, model: Path, arguments: list[str], words: str
) -> None:
    picture_file(tmp_path / "a.png")
    broken_file(tmp_path / "cut.png")
    command = [argument.format(tmp_path) for argument in arguments]
    if command[0] in {"denoise", "evaluate"} and "--model" not in command:
        command += ["--model", str(model)]
    result = run(*command)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    said = " ".join(result.stderr.split())
    assert words.format(tmp_path) in said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.png", "cut.png"]


def test_debug_shows_where_an_error_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAINLESS_DEBUG", "1")
    result = run("denoise", tmp_path / "missing.png", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert "grainless: error: " in result.stderr


def test_ctrl_c_stops_with_what_was_done(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        picture_file(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "0.png").write_text("broken")
    whole = Denoiser.denoise_picture
    calls = []

    def interrupted(self: Denoiser, picture: Picture, **options: Any) -> Picture:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return whole(self, picture, **options)

    monkeypatch.setattr(Denoiser, "denoise_picture", interrupted)
    result = run("denoise", tmp_path / "in", "-o", tmp_path / "out", "--model", model)
    assert result.exit_code == 130
    assert "stopped after 2 of 4 files; nothing is half-written" in result.stderr
    assert "0.png" in result.stderr
    assert files_below(tmp_path / "out") == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_after_the_last_step_of_a_bar_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), bar(stderr()) as show:  # noqa: PT012  # it is raised at the end
        show("working", 1, 1)
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_real_ctrl_c_leaves_whole_files_only(tmp_path: Path, model: Path) -> None:
    for number in range(30):
        picture_file(tmp_path / "in" / f"{number:02}.png", number, size=(1200, 1600, 3))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "grainless", "denoise", tmp_path / "in", "-o", out, "--model", model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.png")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "stopped after" in said
    assert "Traceback" not in said
    done = files_below(out)
    assert 0 < len(done) < 30
    for name in done:
        assert read_picture(out / name).pixels.shape == (1200, 1600, 3)


def test_corrupt_is_the_library_s_noise_by_seed_and_name(tmp_path: Path) -> None:
    picture_file(tmp_path / "in" / "a.png", 1)
    picture_file(tmp_path / "in" / "sub" / "b.png", 1)
    spec = "gaussian:25+salt-pepper:0.1"
    assert (
        run("corrupt", tmp_path / "in", "-o", tmp_path / "out", "--noise", spec, "--seed", 7).exit_code == 0
    )
    for name in ("a.png", "sub/b.png"):
        expected = corrupt(pixels(1), parse_noise(spec), seed=seed_for(7, f"{name}|{spec}"))
        np.testing.assert_array_equal(read_picture(tmp_path / "out" / name).pixels, expected)
    one = tmp_path / "one.png"
    run("corrupt", tmp_path / "in" / "a.png", "-o", one, "--noise", spec, "--seed", 7)
    assert one.read_bytes() == (tmp_path / "out" / "a.png").read_bytes()
    run("corrupt", tmp_path / "in" / "a.png", "-o", one, "--noise", spec, "--seed", 8, "--overwrite")
    assert one.read_bytes() != (tmp_path / "out" / "a.png").read_bytes()


def test_corrupt_leaves_float_pictures_a_choice(tmp_path: Path) -> None:
    values = np.full((32, 32, 1), 0.98, np.float32)
    write_picture(Picture(values, None, Metadata(), "tiff"), tmp_path / "a.tif")
    choices = {"rounded": [], "fine": ["--no-quantise"], "wide": ["--no-clip", "--no-quantise"]}
    noisy = {}
    for name, options in choices.items():
        out = tmp_path / f"{name}.tif"
        assert (
            run("corrupt", tmp_path / "a.tif", "-o", out, "--noise", "gaussian:25", *options).exit_code == 0
        )
        noisy[name] = read_picture(out).pixels
    levels = noisy["rounded"] * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert len(np.unique(noisy["fine"])) > len(np.unique(noisy["rounded"]))
    assert noisy["fine"].max() == 1
    assert noisy["wide"].max() > 1


def test_models_lists_cards_and_reports_refused_files(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAINLESS_MODELS", str(model.parent))
    text = run("models").stdout
    assert "tiny: A filter with a known answer." in text
    assert f"file        {model}, 0.0 MB" in text
    listed = json.loads(run("models", "--json").stdout)
    assert listed["version"] == 1
    entry = next(entry for entry in listed["models"] if entry["path"] == str(model))
    assert entry["card"]["card_version"] == 1
    assert len(entry["card"]["checksum"]) == 64

    (tmp_path / "bad.onnx").write_bytes(b"no model")
    result = run("models", tmp_path, "--json")
    assert result.exit_code == 1
    assert "bad.onnx" in result.stderr
    assert len(json.loads(result.stdout)["models"]) == len(listed["models"])


def test_evaluate_prints_and_writes_the_same_numbers(tmp_path: Path, model: Path) -> None:
    for number in range(3):
        picture_file(tmp_path / "data" / f"{number}.png", number, size=(40, 40, 3))
    broken_file(tmp_path / "data" / "cut.png")
    result = run(
        "evaluate", "--data", tmp_path / "data", "--model", model, "--method", "median",
        "--noise", "gaussian:25", "--noise", "salt-pepper:0.2", "--seed", 3, "--limit", 2,
        "--json", tmp_path / "scores.json", "--markdown", tmp_path / "scores.md",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["version"] == 1
    assert scores["seed"] == 3
    assert scores["data"]["pictures"] == 2
    assert len(scores["rows"]) == 2 * 3  # noises x (noisy, median, model)
    command = scores["runs"][0]["command"]
    assert command.startswith("grainless evaluate --data")
    assert "--seed 3 --limit 2" in command
    text = (tmp_path / "scores.md").read_text()
    assert text.strip() == result.stdout.strip()
    assert scores["stamp"] in text
    for row in scores["rows"]:
        assert f"{row['mean']['psnr']:.2f}" in text


def test_results_that_cannot_be_written_are_an_error_in_words(tmp_path: Path, model: Path) -> None:
    picture_file(tmp_path / "data" / "a.png", size=(40, 40, 3))
    arguments = [
        "evaluate",
        "--data",
        tmp_path / "data",
        "--model",
        model,
        "--noise",
        "clean",
        "--method",
        "median",
    ]
    result = run(*arguments, "--json", tmp_path / "data")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert not result.stdout  # said before the work, not after it


def fake_training(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def record(*args: Any, **kwargs: Any) -> dict[str, Any]:
        calls.append((args, kwargs))
        return {"steps": 40, "minutes": 1.5, "best_psnr": 30.125, "max_minutes": 1.5, "finished": False}

    module = SimpleNamespace(train_run=record, export_run=record, RunOptions=dict)
    monkeypatch.setitem(sys.modules, "grainless.training", module)  # type: ignore[arg-type]
    return calls


def test_train_and_export_hand_their_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_training(monkeypatch)
    monkeypatch.setattr(logging.getLogger("grainless"), "handlers", [])
    result = run(
        "train", "universal", "--data", tmp_path, "-o", tmp_path / "run", "--set", "seed=1", "--set", "a.b=2",
        "--resume", "--max-minutes", 1.5, "--limit-train", 8, "--devices", 2,
        "--nodes", 3,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "40 steps in 1.5 minutes, best validation PSNR 30.125 dB; next: grainless export" in result.stderr
    assert "The 1.5 minutes are used up; for more training: --resume --max-minutes 3\n" in result.stderr
    assert run("export", tmp_path / "run", "-o", tmp_path / "m.onnx", "--half").exit_code == 0
    assert calls == [
        (
            ("universal",),
            {
                "data": tmp_path,
                "output": tmp_path / "run",
                "changes": ["seed=1", "a.b=2"],
                "options": {
                    "resume": True,
                    "max_minutes": 1.5,
                    "start_from": None,
                    "limit_train": 8,
                    "devices": 2,
                    "nodes": 3,
                },
            },
        ),
        ((tmp_path / "run", tmp_path / "m.onnx"), {"half": True}),
    ]


def test_ctrl_c_in_training_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    fake_training(monkeypatch)
    monkeypatch.setattr(sys.modules["grainless.training"], "train_run", interrupted)
    monkeypatch.setattr(logging.getLogger("grainless"), "handlers", [])
    result = run("train", "universal", "--data", tmp_path, "-o", tmp_path / "run")
    assert result.exit_code == 130
    command = f"grainless train universal --data {tmp_path} -o {tmp_path / 'run'} --resume"
    assert f"{command}\n" in result.stderr
    result = run(
        "train", "universal", "--data", tmp_path, "-o", tmp_path / "run", "--limit-train", 7, "--devices", 2,
        "--nodes", 3,
    )  # fmt: skip
    assert f"{command} --limit-train 7 --devices 2 --nodes 3\n" in result.stderr


def fake_study(monkeypatch: pytest.MonkeyPatch, carry_out: Callable[..., None]) -> None:
    module = SimpleNamespace(reproduce=carry_out, ReproduceOptions=dict)
    monkeypatch.setitem(sys.modules, "grainless.reproduce", module)  # type: ignore[arg-type]
    monkeypatch.setattr(logging.getLogger("grainless"), "handlers", [])


def test_reproduce_hands_its_options_on_and_notes_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    fake_study(monkeypatch, lambda *args, **options: calls.append((args, options)))
    monkeypatch.chdir(tmp_path)
    result = run(
        "reproduce", "gan-leaves", "--data", ".", "-o", "out",
        "--max-minutes", 25, "--pictures", 9, "--devices", 2,
    )  # fmt: skip
    assert result.exit_code == 0
    assert f"wrote {Path('out') / 'gan-leaves.md'}" in result.stderr
    [(args, options)] = calls
    assert (args, options["data"], options["output"]) == (("gan-leaves",), Path(), Path("out"))
    assert options["options"] == {"max_minutes": 25.0, "pictures": 9, "devices": 2}
    assert options["command"] == (
        f"grainless reproduce gan-leaves --data {tmp_path.name} --max-minutes 25 --pictures 9 --devices 2"
    )
    with options["measuring"]() as progress:
        progress(1, 2)


def test_ctrl_c_in_a_study_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    fake_study(monkeypatch, interrupted)
    result = run("reproduce", "gan-leaves", "--data", tmp_path)
    assert result.exit_code == 130
    assert "the same command goes on where this one stopped" in result.stderr


@pytest.mark.parametrize(
    "command", [["train", "r", "--data", ".", "-o", "run"], ["export", "run", "-o", "m.onnx"]]
)
def test_without_torch_training_names_the_extra(command: list[str]) -> None:
    code = "import sys; sys.modules['torch'] = None; from grainless.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith("grainless: error: Training needs packages that are not installed.")
    assert 'pip install -c requirements.lock ".[train]"' in result.stderr
    assert "Traceback" not in result.stderr
