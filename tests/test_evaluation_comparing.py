"""Two methods, picture by picture: differences, intervals, shares won, and what is not ranked."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from grainless.cli import app
from grainless.errors import InputError, MissingExtraError
from grainless.evaluation import Data, Evaluation, MethodInfo, PictureScores, Row, Run, compare
from grainless.evaluation.comparing import FEWEST
from grainless.metrics import FILE_8BIT, GOLBAR, Scores, mean_scores


def row(method, noise, psnrs, ssims=None):
    ssims = ssims if ssims is not None else [0.9] * len(psnrs)
    pictures = tuple(
        PictureScores(f"p{number:02d}", Scores(psnr=psnr, ssim=ssim, mse=10 ** (-psnr / 10)))
        for number, (psnr, ssim) in enumerate(zip(psnrs, ssims, strict=True))
    )
    return Row(
        method=method,
        noise=noise,
        mean=mean_scores(picture.scores for picture in pictures),
        exact=sum(math.isinf(psnr) for psnr in psnrs),
        sigma="none",
        seconds_per_megapixel=1.0,
        pictures=pictures,
    )


def results(rows, protocol=FILE_8BIT, **changes):
    names = list(dict.fromkeys(each.method for each in rows))
    evaluation = Evaluation(
        protocol=protocol,
        stamp=protocol.stamp,
        seed=0,
        data=Data("photos", len(rows[0].pictures), "c" * 64),
        methods=tuple(MethodInfo(name, "filter" if name == "median" else "model") for name in names),
        rows=tuple(rows),
        runs=(Run(command="", grainless="0.1.0"),),
    )
    return replace(evaluation, **changes)


@pytest.fixture
def paired(rng):
    """PSNRs of two methods on 30 pictures; the second is 0.3 dB ahead, give or take 0.2."""
    first = rng.uniform(25, 35, 30)
    return first, first + rng.normal(0.3, 0.2, 30)


def test_differences_are_paired_by_the_names_of_pictures(paired):
    first, second = paired
    shuffled = row("b", "gaussian:25", second)
    shuffled = replace(shuffled, pictures=tuple(reversed(shuffled.pictures)))
    found = compare(results([row("a", "gaussian:25", first)]), results([shuffled])).differences[0]
    assert (found.measure, found.pictures) == ("psnr", 30)
    assert found.mean == pytest.approx(np.mean(second - first))
    assert (found.first, found.second) == pytest.approx((first.mean(), second.mean()))
    assert found.won == pytest.approx(np.mean(second > first))
    assert found.verdict == "better"


def test_the_interval_is_near_that_of_students_t(paired):
    first, second = paired
    found = compare(results([row("a", "gaussian:25", first)]), results([row("b", "gaussian:25", second)]))
    difference, paired_differences = found.differences[0], second - first
    half = 2.045 * paired_differences.std(ddof=1) / math.sqrt(30)
    assert difference.low == pytest.approx(difference.mean - half, abs=0.02)
    assert difference.high == pytest.approx(difference.mean + half, abs=0.02)


def test_the_other_way_round_the_signs_are(paired):
    sides = [results([row("a", "gaussian:25", paired[0])]), results([row("b", "gaussian:25", paired[1])])]
    there, back = compare(*sides).differences[0], compare(*reversed(sides)).differences[0]
    assert back.mean == pytest.approx(-there.mean)
    assert (back.won, back.verdict) == (pytest.approx(1 - there.won), "worse")


def test_a_difference_that_chance_explains_is_not_told_apart(rng):
    first = rng.uniform(25, 35, 20)
    second = first + np.tile([0.5, -0.5], 10)
    found = compare(results([row("a", "clean", first)]), results([row("b", "clean", second)])).differences[0]
    assert found.verdict == "not told apart"
    assert found.low < 0 < found.high


def test_exact_matches_count_100_db_and_ties_are_counted():
    found = compare(
        results([row("a", "clean", [math.inf, 30.0, 40.0])]), results([row("b", "clean", [math.inf, 31, 39])])
    ).differences[0]
    assert found.first == pytest.approx(170 / 3)
    assert (found.won, found.tied) == pytest.approx((1 / 3, 1 / 3))


def test_few_pictures_tell_no_interval():
    scores = [30.0 + number for number in range(FEWEST)]
    for count, verdict in ((1, "not told apart"), (FEWEST - 1, "not told apart"), (FEWEST, "better")):
        first, second = row("a", "clean", scores[:count]), row("b", "clean", [x + 1 for x in scores[:count]])
        found = compare(results([first]), results([second])).differences[0]
        assert (found.verdict, found.low is None) == (verdict, count < FEWEST)


def test_equal_differences_have_no_width():
    first, second = row("a", "clean", [30.0, 32] * 3), row("b", "clean", [31.0, 33] * 3)
    same = compare(results([first]), results([second]))
    assert (same.differences[0].low, same.differences[0].high) == (1.0, 1.0)
    assert same.differences[0].verdict == "better"


def test_one_method_out_of_two_files_has_two_names_in_the_table(tmp_path):
    files = []
    for name, psnr in (("a", 30.0), ("b", 31.0)):
        results([row("same", "clean", [psnr] * 6)]).save(tmp_path / f"{name}.json")
        files.append(str(tmp_path / f"{name}.json"))
    table = CliRunner().invoke(app, ["compare", *files, "--method", "same"]).stdout
    assert "| noise | measure | A: same | B: same |" in table
    assert "| B: same is |" in table
    assert "too few" not in table
    few = tmp_path / "few.json"
    results([row("same", "clean", [30.0]), row("other", "clean", [31.0])]).save(few)
    words = ["compare", str(few), "--method", "same", "--method", "other"]
    assert "They are too few to tell an interval" in CliRunner().invoke(app, words).stdout
    alone = CliRunner().invoke(app, ["compare", files[0], "--method", "same"])
    assert alone.exit_code == 2
    assert "cannot be compared with itself; got same; expected a second --method, or B.json" in alone.stderr


def test_ssim_is_compared_too():
    first, second = (
        row("a", "clean", [30.0] * 3, [0.8, 0.9, 0.7]),
        row("b", "clean", [30.0] * 3, [0.9, 0.95, 0.75]),
    )
    found = compare(results([first]), results([second])).differences
    assert [item.measure for item in found] == ["psnr", "ssim"]
    assert found[1].mean == pytest.approx(0.2 / 3)


def test_only_noises_in_common_are_compared(paired):
    first = results([row("a", noise, paired[0]) for noise in ("gaussian:15", "gaussian:25")])
    second = results([row("b", noise, paired[1]) for noise in ("gaussian:25", "gaussian:50")])
    assert {item.noise for item in compare(first, second).differences} == {"gaussian:25"}
    with pytest.raises(InputError, match=r"on no noise in common; got gaussian:15 and gaussian:50"):
        compare(results([row("a", "gaussian:15", paired[0])]), results([row("b", "gaussian:50", paired[1])]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"protocol": GOLBAR, "stamp": GOLBAR.stamp},
            r"different protocols cannot be ranked.*golbar-fer2013",
        ),
        (
            {"data": Data("photos", 2, "d" * 64)},
            r"different pictures cannot be ranked.*photos \(cccccccccccc\)",
        ),
        ({"seed": 1}, r"different noise seeds cannot be ranked.*got 0 and 1"),
    ],
)
def test_what_was_measured_in_other_ways_is_not_ranked(changes, message):
    first = results([row("a", "clean", [30.0, 31])])
    with pytest.raises(InputError, match=message):
        compare(first, replace(first, **changes))


def test_methods_are_named_where_that_is_not_clear():
    several = results([row(name, "clean", [30.0, 31]) for name in ("a", "b", "median")])
    with pytest.raises(
        InputError, match=r"not clear which.*got 2 models \(a, b\); expected two names out of a"
    ):
        compare(several, several)
    with pytest.raises(InputError, match=r"no such method.*got 'c'; expected one of a, b, median"):
        compare(several, several, methods=("a", "c"))
    assert compare(several, several, methods=("a", "median")).second == "median"


def test_without_scipy_the_extra_is_named(paired, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtraError, match=r"Comparing results.*evaluate"):
        compare(results([row("a", "clean", paired[0])]), results([row("b", "clean", paired[1])]))


def test_the_command_prints_a_table_or_json(paired, tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    results([row("a", "gaussian:25", paired[0]), row("median", "gaussian:25", paired[1])]).save(first)
    results([row("b", "gaussian:25", paired[1])]).save(second)
    done = CliRunner().invoke(app, ["compare", str(first), str(second)])
    assert done.exit_code == 0, done.output
    assert "| gaussian:25 | PSNR |" in done.stdout
    assert "| better |" in done.stdout
    assert FILE_8BIT.stamp in done.stdout
    table = json.loads(CliRunner().invoke(app, ["compare", str(first), str(second), "--json"]).stdout)
    assert (table["version"], table["first"], table["second"]) == (1, "a", "b")
    assert table["differences"][0]["verdict"] == "better"
    within = CliRunner().invoke(app, ["compare", str(first), "--method", "a", "--method", "median"])
    assert "| median is |" in within.stdout
    wrong = CliRunner().invoke(app, ["compare", str(first), *["--method", "a"] * 3])
    assert wrong.exit_code == 2
    assert "Only two methods can be compared; got 3 times --method" in wrong.output
