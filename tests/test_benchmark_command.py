"""The command `benchmark`: what it hands on, prints and writes."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

import tiny_models
from grainless import benchmark as package
from grainless.benchmark.job import Failure, Sample
from grainless.cli import _in_words
from grainless.cli.benchmarking import benchmark


@pytest.fixture
def run(monkeypatch):
    """Run the command; its processes only pretend, and what it measured is kept."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(_in_words(benchmark))
    calls = []

    def launch(job, _limit):
        return Failure("it is too noisy") if job.source == "tv" else Sample(0.25, 60_000_000)

    def measure(rows, settings, **options):
        calls.append((tuple(rows), settings))
        return real(rows, settings, launch=launch, **options)

    real = package.measure
    monkeypatch.setattr(package, "measure", measure)

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    invoke.calls = calls
    return invoke


TINY = ("--size", "0.002", "--threads", "1", "--repeats", "2")


def test_all_forms_of_the_result(run, tmp_path):
    model = tiny_models.blur_model(tmp_path / "blur.onnx")
    files = [tmp_path / "new" / name for name in ("speed.json", "speed.md", "speed.png")]
    options = [word for pair in zip(("--json", "--markdown", "--plot"), files, strict=True) for word in pair]
    done = run("--method", "median", "--model", model, "--peer", "ffdnet-gray", *TINY, *options)
    assert done.exit_code == 0, done.output
    assert "| peers:ffdnet-gray | 485,316 | 121,104 |" in done.stdout
    assert files[1].read_text(encoding="utf-8") in done.stdout
    result = package.load(files[0])
    assert [row.name for row in result.rows] == ["tiny", "median", "peers:ffdnet-gray"]
    assert result.command == (
        f"grainless benchmark --model {model} --method median --peer ffdnet-gray --size 0.002 --threads 1 "
        "--repeats 2 --budget 120 --runtime onnxruntime"
    )
    assert files[2].read_bytes()[:4] == b"\x89PNG"


def test_options_are_handed_on(run):
    done = run("--method", "wavelet", "--method", "median", "--size", "0.02", "--size", "0.01",
               "--threads", "1", "--repeats", "3", "--budget", "7.5", "--reference", "median",
               "--runtime", "auto")  # fmt: skip
    assert done.exit_code == 0, done.output
    rows, settings = run.calls[0]
    assert rows == ("wavelet", "median")
    assert settings == package.Settings(
        sizes=(0.01, 0.02), threads=1, repeats=3, budget=7.5, reference="median", runtime="auto"
    )


def test_without_names_there_is_a_default(run):
    done = run(*TINY)
    assert done.exit_code == 0, done.output
    assert run.calls[0][0] == package.DEFAULT_ROWS
    assert run.calls[0][1].sizes == (0.002,)


def test_a_run_that_failed_is_in_the_table_and_in_the_exit_code(run, tmp_path):
    path = tmp_path / "speed.md"
    done = run("--method", "median", "--method", "tv", "--markdown", path, *TINY)
    assert done.exit_code == 1
    for text in (done.stdout, path.read_text(encoding="utf-8")):
        assert "| tv | failed |" in text
        assert "- `tv` at 0.002 MP: it is too noisy." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "no-such"), "There is no filter named 'no-such'; expected one of median"),
        (("--model", "no-such"), "There is no model named 'no-such'"),
        (("--peer", "no-such"), "There is no peer named 'no-such'; expected one of dncnn-17"),
        (("--size", "0"), "The sizes are not valid; got 0"),
        (("--plot", "speed.txt"), "speed.txt is no name of a plot"),
        (("--json", "."), ". cannot be written: Is a directory"),
        (("--reference", "no-such"), "The reference is not among the rows; got no-such"),
    ],
)
def test_errors_in_words(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    assert f"grainless: error: {message}" in done.output
