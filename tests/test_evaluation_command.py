"""The command `evaluate` under several protocols."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from grainless.cli import app
from grainless.evaluation import load
from grainless.metrics import AWGN_LITERATURE, FILE_8BIT, MAHANVEISI, PROTOCOLS


@pytest.fixture
def folder(tmp_path, rng):
    root = tmp_path / "photos"
    root.mkdir()
    for name in "ab":
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(root / f"{name}.png")
    return root


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def evaluate(folder, *arguments):
    return run("evaluate", "--data", folder, "--noise", "gaussian:25", "--method", "median", *arguments)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_one_protocol_goes_to_the_file_as_it_is_named(folder, tmp_path):
    result = evaluate(folder, "--protocol", "mahanveisi-fer2013", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path) == ["s.json"]
    found = load(tmp_path / "s.json")
    assert found.protocol == MAHANVEISI
    assert found.runs[0].command.endswith("--seed 0 --protocol mahanveisi-fer2013")
    assert MAHANVEISI.stamp in result.stdout
    assert result.stdout.startswith("### photos, 2 pictures, mahanveisi-fer2013\n")


def test_without_a_protocol_it_is_that_of_files_and_the_command_is_as_before(folder, tmp_path):
    result = evaluate(folder, "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    found = load(tmp_path / "s.json")
    assert found.protocol == FILE_8BIT
    assert found.runs[0].command.endswith("--method median --seed 0")


def test_each_protocol_has_a_table_and_a_file_of_its_own(folder, tmp_path):
    result = evaluate(
        folder, "--protocol", "awgn-literature", "--protocol", "file-8bit", "--protocol", "awgn-literature",
        "--json", tmp_path / "new" / "scores.v1.json", "--markdown", tmp_path / "s.md",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "new") == ["scores.v1-awgn-literature.json", "scores.v1-file-8bit.json"]
    for protocol in (AWGN_LITERATURE, FILE_8BIT):
        found = load(tmp_path / "new" / f"scores.v1-{protocol.name}.json")
        assert found.stamp == protocol.stamp
        assert found.runs[0].command.endswith("--protocol awgn-literature --protocol file-8bit")
        assert len(found.rows) == 2
    text = (tmp_path / "s.md").read_text()
    assert text.strip() == result.stdout.strip()
    first, second = text.split("### photos, 2 pictures, file-8bit\n")
    assert first.startswith("### photos, 2 pictures, awgn-literature\n")
    assert (first.count("| gaussian:25 |"), second.count("| gaussian:25 |")) == (1, 1)
    assert AWGN_LITERATURE.stamp in first
    assert FILE_8BIT.stamp in second
    assert "Given noise clipped to [0, 1], as they take no other: `median`." in first
    assert "Given noise" not in second
    page = run("report", *sorted((tmp_path / "new").iterdir()), "-o", tmp_path / "page.md")
    assert page.exit_code == 0, page.stderr
    tables = (tmp_path / "page.md").read_text().split("### ")
    assert [tables[1].count(stamp.stamp) for stamp in (AWGN_LITERATURE, FILE_8BIT)] == [1, 0]
    assert [tables[2].count(stamp.stamp) for stamp in (AWGN_LITERATURE, FILE_8BIT)] == [0, 1]


def test_all_protocols_are_asked_for_at_once(folder, tmp_path):
    result = evaluate(folder, "--protocol", "all", "--limit", 1, "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path) == sorted(f"s-{name}.json" for name in PROTOCOLS)
    assert [line.split(", ")[2] for line in result.stdout.splitlines() if line.startswith("###")] == list(
        PROTOCOLS
    )


def test_further_metrics_are_shown_and_written(folder, tmp_path):
    result = evaluate(folder, "--metric", "noise_left", "--metric", "ms_ssim", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "s.json").read_text())
    left = content["rows"][1]["mean"]["noise_left"]
    assert (
        f"Noise left, of 255: noisy on gaussian:25 {content['rows'][0]['mean']['noise_left']:.2f}"
        in result.stdout
    )
    assert f"median on gaussian:25 {left:.2f}" in result.stdout
    assert content["rows"][1]["mean"]["ms_ssim"] is None  # the pictures are too small
    assert "MS-SSIM" not in result.stdout
    assert "no ms_ssim: under file-8bit every picture is too small for it" in result.stderr
    assert "no noise_left" not in result.stderr
    assert "--metric noise_left --metric ms_ssim" in content["runs"][0]["command"]


def test_a_folder_of_results_has_the_numbers_also_where_they_go_elsewhere_too(folder, tmp_path):
    result = evaluate(folder, "-o", tmp_path / "out", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "out") == ["report.html", "report.md", "results.json"]
    assert (tmp_path / "out" / "results.json").read_bytes() == (tmp_path / "s.json").read_bytes()


def test_a_page_of_two_protocols_names_one_command_that_makes_it(folder, tmp_path):
    names = ("file-8bit", "mahanveisi-fer2013")
    result = evaluate(
        folder, *(word for name in names for word in ("--protocol", name)), "-o", tmp_path / "o"
    )
    assert result.exit_code == 0, result.stderr
    runs = {load(tmp_path / "o" / f"results-{name}.json").runs for name in names}
    [[run]] = runs
    assert f"--protocol file-8bit --protocol mahanveisi-fer2013 -o {tmp_path / 'o'}" in run.command
    assert (tmp_path / "o" / "report.html").read_text(encoding="utf-8").count("grainless evaluate") == 1


def test_a_file_is_not_written_twice_nor_over_what_is_read(folder, tmp_path):
    result = evaluate(folder, "--json", tmp_path / "s", "--markdown", tmp_path / "." / "s")
    assert (result.exit_code, files(tmp_path)) == (2, [])
    assert "is to be written twice; name another file" in result.stderr.lower().replace(". ", "; ")
    evaluate(folder, "--json", tmp_path / "s.json")
    before = (tmp_path / "s.json").read_bytes()
    page = run("report", tmp_path / "s.json", "-o", tmp_path / "s.json")
    assert page.exit_code == 2
    assert "s.json is a file to read" in page.stderr
    assert (tmp_path / "s.json").read_bytes() == before
    picture = (folder / "a.png").read_bytes()
    for option in ("--json", "--markdown"):
        result = evaluate(folder, option, folder / "a.png")
        assert result.exit_code == 2
        assert "a.png is a file to read" in result.stderr
    assert (folder / "a.png").read_bytes() == picture


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_names_that_are_no_text_are_measured(folder, tmp_path):
    (folder / "a.png").rename(folder / os.fsdecode(b"\xff.png"))
    result = evaluate(folder, "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    assert len(load(tmp_path / "s.json").rows[0].pictures) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--protocol", "psnr"], "no protocol named 'psnr'; expected all, or one of file-8bit, awgn-"),
        (["--metric", "lpips"], "no such further metric; got lpips; expected some of ms_ssim, noise_left"),
    ],
)
def test_unknown_names_are_refused_before_the_work(folder, arguments, words):
    result = evaluate(folder, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not result.stdout


def test_a_place_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path):
    (tmp_path / "s-awgn-literature.json").mkdir()
    result = evaluate(folder, "--protocol", "all", "--json", tmp_path / "s.json")
    assert result.exit_code == 2
    assert "s-awgn-literature.json cannot be written" in result.stderr
    assert files(tmp_path) == []
    (tmp_path / "file").touch()
    result = evaluate(folder, "-o", tmp_path / "file")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert not result.stdout
