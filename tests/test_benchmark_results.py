"""The JSON form of a benchmark, its tables and its plot."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from grainless.benchmark import (
    Benchmark,
    Cell,
    Pace,
    Row,
    Settings,
    check_plotting,
    draw_plot,
    load,
    markdown_tables,
)
from grainless.benchmark.machine import Machine
from grainless.errors import DataError, InputError, MissingExtraError


@pytest.fixture
def result():
    """One of each: a model, a filter and a peer; measured, cut, skipped and failed."""
    measured = {"height": 816, "width": 1225, "status": "measured"}
    large = {"height": 2828, "width": 4243}
    return Benchmark(
        settings=Settings(sizes=(1.0, 12.0), repeats=3, budget=60.0),
        threads=2,
        reference="universal",
        noise="gaussian:25",
        machine=Machine("Linux x86_64", "Imaginary 9000", 4, "3.12.1", {"numpy": "2.4.6"}),
        rows=(
            Row("universal", "model", "A network.", 3, 1_043_995, 50_054.0, tile=1024, halo=96, stride=8),
            Row("median", "filter", "3 x 3", 3),
            Row("peers:x", "peer", "Some network; random weights", 1, 500, None),
        ),
        paces=(Pace(1.0, 1.25e11, (1.2e11, 1.3e11), 0.5), Pace(12.0, None, (), None)),
        cells=(
            Cell("universal", 1.0, **measured, seconds=(0.4, 0.5), seconds_per_megapixel=0.4321,
                 fastest=0.4, slowest=0.5, ratio=1.0, peak_bytes=250_000_000, share_of_peak=0.61),
            Cell("median", 1.0, **measured, seconds=(0.01,), seconds_per_megapixel=0.0123, fastest=0.012,
                 slowest=0.013, ratio=0.0285, peak_bytes=None, note="1 of 3 rounds, for the budget"),
            Cell("peers:x", 1.0, 816, 1225, "failed", note="there was too little memory"),
            Cell("universal", 12.0, **large, status="measured", seconds=(5.0,), seconds_per_megapixel=0.42,
                 fastest=0.42, slowest=0.42, ratio=1.0, peak_bytes=600_000_000),
            Cell("median", 12.0, **large, status="skipped", would_take=130.4, note="would take 130 s a run"),
            Cell("peers:x", 12.0, **large, status="failed", note="there was too little memory"),
        ),
        grainless="0.1.0",
        command="grainless benchmark --model universal",
    )  # fmt: skip


def test_json_holds_everything(result, tmp_path):
    path = tmp_path / "speed.json"
    result.save(path)
    assert load(path) == result
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 1


def test_later_fields_are_ignored(result):
    content = json.loads(result.to_json())
    content["colour"] = content["cells"][0]["colour"] = "blue"
    assert Benchmark.from_json(json.dumps(content)) == result


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content | {"version": 2}, "another version; got 2; expected version 1"),
        (lambda content: [content], "another version; got list"),
        (lambda content: content | {"threads": "many"}, "not valid at threads"),
        (lambda content: content | {"cells": [{"row": "median"}]}, r"not valid at cells.0.megapixels"),
    ],
)
def test_other_json_is_refused(result, change, message):
    content = change(json.loads(result.to_json()))
    with pytest.raises(InputError, match=message):
        Benchmark.from_json(json.dumps(content))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"none.json cannot be read \(No such file"):
        load(tmp_path / "none.json")
    path = tmp_path / "text.json"
    path.write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match=r"text.json: The results are not JSON"):
        load(path)


def test_cells_are_found(result):
    assert result.cell("median", 12.0).status == "skipped"
    with pytest.raises(InputError, match=r"not measured; got nlm at 1 MP; expected universal, median"):
        result.cell("nlm", 1.0)
    assert result.with_command("other").command == "other"


def table(text, title):
    """The cells of a table, by the first one of each row."""
    lines = text.split(f"### {title}\n\n")[1].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in rows} == {len(rows[0])}
    return {row[0]: row[1:] for row in rows}


def test_tables(result):
    text = markdown_tables(result)
    assert table(text, "Seconds per megapixel") == {
        "method": ["1 MP", "12 MP"],
        "---": ["---", "---"],
        "universal": ["0.432 (0.4 to 0.5), x 1", "0.42 (0.42 to 0.42), x 1"],
        "median": ["0.0123 (0.012 to 0.013), x 0.0285", "skipped: would take 130 s"],
        "peers:x": ["failed", "failed"],
    }
    assert table(text, "Peak memory in MB")["universal"] == ["250", "600"]
    assert table(text, "Peak memory in MB")["median"] == ["-", "skipped: would take 130 s"]
    networks = table(text, "Networks")
    assert networks["universal"] == ["1,043,995", "50,054", "1024 + 96", "61%", "-"]
    assert networks["peers:x"] == ["500", "-", "whole", "failed", "failed"]
    assert "median" not in networks


def test_notes_say_how_it_was_measured(result):
    text = markdown_tables(result)
    for words in (
        "the time of `universal` in the same round",
        "2 threads of 4 cores; Imaginary 9000, Linux x86_64; onnxruntime",
        "gaussian:25, 8 bit, seed 0; in colour, for `peers:x` in gray",
        "125 at 1 MP (10^9/s). Load before: 0.5.",
        "`peers:x`: Some network; random weights.",
        "`median` at 1 MP: 1 of 3 rounds, for the budget.",
        "`peers:x` at 1, 12 MP: there was too little memory.",
        "Budget 60 s",
        "      grainless benchmark --model universal\n",
    ):
        assert words in text
    assert "would take 130 s a run" not in text


def test_without_networks_there_is_no_table_of_them(result):
    filters = dataclasses.replace(result, rows=result.rows[1:2], cells=(result.cells[1], result.cells[4]))
    assert "### Networks" not in markdown_tables(filters)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plots(result, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"speed.{ending}"
    draw_plot(result, path)
    start = path.read_bytes()[:200]
    assert {"png": b"\x89PNG", "svg": b"<svg" if b"<svg" in start else b"<?xml", "pdf": b"%PDF"}[
        ending
    ] in start
    assert path.stat().st_size > 5000


def test_plots_that_cannot_be_drawn(result, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"speed.txt is no name of a plot; expected one that ends in .png"):
        draw_plot(result, tmp_path / "speed.txt")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"Plots needs packages.*\.\[evaluate\]"):
        check_plotting("speed.png")
