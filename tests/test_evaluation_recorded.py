"""Evaluation of pictures that were photographed noisy and clean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from grainless.cli import app
from grainless.errors import DataError, InputError
from grainless.evaluation import (
    RECORDED,
    Method,
    RecordedPairs,
    compare,
    evaluate,
    make_examples,
    pick_examples,
)
from grainless.metrics import AWGN_LITERATURE, SINAARABI
from grainless.report import markdown_table

Pixels = NDArray[np.uint8]


def pixels(seed: int, *, size: tuple[int, ...] = (20, 24, 3)) -> Pixels:
    return np.random.default_rng(seed).integers(60, 190, size).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs in one folder, told by their names; the noisy one is brighter by 1, 2 and 3 levels."""
    root = tmp_path / "camera"
    root.mkdir()
    for number in range(3):
        Image.fromarray(pixels(number)).save(root / f"{number}_mean.png")
        Image.fromarray(pixels(number) + np.uint8(number + 1)).save(root / f"{number}_real.png")
    return root


def pairs_in(folder: Path) -> RecordedPairs:
    return RecordedPairs(folder / "*_real.png", folder / "*_mean.png")


HALF = Method("half", lambda noisy: noisy - 1 if noisy.dtype == np.uint8 else noisy - np.float32(1 / 255))


def test_the_noisy_pictures_are_those_of_the_files(folder: Path) -> None:
    result = evaluate(pairs_in(folder), methods=[HALF])
    assert result.noises == (RECORDED,)
    assert (result.data.name, result.data.pictures) == ("camera", 3)
    row = result.row("noisy", RECORDED)
    expected = [
        peak_signal_noise_ratio(pixels(n), pixels(n) + np.uint8(n + 1), data_range=255) for n in range(3)
    ]
    assert [picture.name for picture in row.pictures] == ["0", "1", "2"]
    assert [picture.scores.psnr for picture in row.pictures] == pytest.approx(expected)
    assert result.row("half", RECORDED).exact == 1


def test_other_protocols_see_the_same_pictures(folder: Path) -> None:
    result = evaluate(pairs_in(folder), methods=[HALF], protocol=SINAARABI)
    for number, picture in enumerate(result.row("noisy", RECORDED).pictures):
        assert picture.scores.mae == pytest.approx((number + 1) / 255, rel=1e-5)


def test_a_protocol_of_noise_that_no_file_holds_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"clipped when they were saved; got the protocol awgn-literature"):
        evaluate(pairs_in(folder), methods=[HALF], protocol=AWGN_LITERATURE)


def test_no_seed_is_kept_or_shown_where_nothing_is_drawn(folder: Path) -> None:
    one, other = (evaluate(pairs_in(folder), methods=[HALF], seed=seed) for seed in (0, 1))
    assert one.seed == other.seed == 0
    assert not one.drawn
    assert one.methods[0].about == "as recorded"
    compare(one, other, methods=("half", "noisy"))
    text = markdown_table([one])
    assert "- Noise as recorded; pictures' checksum" in text
    assert "seed" not in text.lower().replace("--seed", "")


def test_a_level_is_estimated_where_a_method_needs_one(folder: Path) -> None:
    levels: list[float] = []

    def restore(noisy: Pixels, *, sigma: float) -> Pixels:
        levels.append(sigma)
        return noisy

    result = evaluate(pairs_in(folder), methods=[Method("told", restore, needs_sigma=True)])
    assert len(levels) == 3
    assert result.row("told", RECORDED).sigma == "estimated"


def test_the_checksum_is_that_of_both_sides(folder: Path) -> None:
    first = evaluate(pairs_in(folder), methods=[]).data.checksum
    Image.fromarray(pixels(9)).save(folder / "1_real.png")
    assert evaluate(pairs_in(folder), methods=[]).data.checksum != first


def test_pairs_that_cannot_be_measured_are_named(folder: Path) -> None:
    Image.fromarray(pixels(0, size=(20, 30, 3))).save(folder / "0_real.png")
    (folder / "1_mean.png").write_bytes(b"no picture")
    result = evaluate(pairs_in(folder), methods=[])
    reasons = {item.name: item.reason for item in result.data.skipped}
    assert (
        reasons["0"] == "0_real.png has 30x20 pixels in 3 channels, 0_mean.png has 24x20 pixels in 3 channels"
    )
    assert reasons["1"].startswith("the clean picture: ")
    assert str(folder) not in reasons["1"]
    (folder / "2_mean.png").unlink()
    with pytest.raises(DataError, match=r"do not pair up; got 1 only in .*\(2_real\.png\)"):
        evaluate(pairs_in(folder), methods=[])


def test_there_is_no_noise_beside_the_recorded_one(folder: Path) -> None:
    with pytest.raises(InputError, match=r"have their own noise; got gaussian:25\. Leave the noises out"):
        evaluate(pairs_in(folder), ["gaussian:25"], methods=[])


def test_the_pictures_of_a_page_are_the_recorded_ones(folder: Path) -> None:
    methods = [HALF, Method("same", lambda noisy: noisy)]
    result = evaluate(pairs_in(folder), methods=methods)
    picks = pick_examples(result, "half")
    examples = make_examples(pairs_in(folder), result, picks, methods=methods)
    assert [example.pick.picture for example in examples] == ["0", "2"]
    assert np.array_equal(examples[1].noisy, pixels(2) + np.uint8(3))
    assert np.array_equal(examples[1].clean, pixels(2))


def test_the_command_measures_pairs(folder: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--data", str(folder), "--pairs", "*_real.png", "*_mean.png", "--method", "median"]
    found = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "scores.json")])
    assert found.exit_code == 0, found.stderr
    assert "| recorded |" in found.stdout
    table = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert "--pairs '*_real.png' '*_mean.png'" in table["runs"][0]["command"]
    assert {row["noise"] for row in table["rows"]} == {RECORDED}
    for more, message in (
        (["--noise", "gaussian:25"], "have their own noise"),
        (["-o", str(tmp_path / "page")], ""),
    ):
        found = CliRunner().invoke(app, [*words, *more])
        assert message in found.stderr
        assert found.exit_code == (2 if message else 0)
    assert (tmp_path / "page" / "report.html").stat().st_size > 1000


def test_the_command_needs_a_noise_or_pairs(folder: Path) -> None:
    found = CliRunner().invoke(app, ["evaluate", "--data", str(folder), "--method", "median"])
    assert found.exit_code == 2
    assert "There is no noise to measure with" in found.stderr
    assert "--pairs" in found.stderr
