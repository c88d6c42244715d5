"""What methods see and results hold under each protocol, and that the page describes the results."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from grainless.baselines import BASELINES, estimate_sigma
from grainless.denoiser import Denoiser
from grainless.errors import InputError
from grainless.evaluation import (
    Data,
    Evaluation,
    Method,
    MethodInfo,
    PictureScores,
    Row,
    Run,
    evaluate,
    merge,
)
from grainless.metrics import (
    AWGN_LITERATURE,
    FILE_8BIT,
    GOLBAR,
    MAHANVEISI,
    PROTOCOLS,
    Y_8BIT,
    Protocol,
    Scores,
    scores,
    to_gray,
)
from grainless.noise import Gaussian, corrupt, seed_for

PAGE = Path(__file__).parents[1] / "docs" / "results.md"


class Listed:
    """A source of pictures that are in memory already."""

    name = "listed"

    def __init__(self, **pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __iter__(self):
        return iter(self.pictures.items())


@pytest.fixture
def levels(rng):
    """Two 8-bit pictures with true black and white, so that noise leaves the range."""
    return Listed(a=rng.integers(0, 256, (13, 15, 3), dtype=np.uint8), b=np.full((12, 14, 3), 255, np.uint8))


def seen_by(source, protocol, noise="gaussian:50", **options):
    """What a method is handed for the first picture, and its row."""
    seen = []
    method = Method("watcher", lambda pixels, **_: seen.append(pixels.copy()) or pixels, **options)
    result = evaluate(source, [noise], methods=[method], protocol=protocol, seed=3)
    return seen[0], result.row("watcher", noise), result


def test_unclipped_noise_is_the_clean_levels_plus_gaussian_noise(levels):
    seen, row, result = seen_by(levels, AWGN_LITERATURE, takes_unclipped=True)
    clean = levels.pictures["a"]
    values = clean.astype(np.float32) / np.float32(255)
    generator = np.random.default_rng(seed_for(3, "a|gaussian:50"))
    np.testing.assert_array_equal(seen, Gaussian(50).apply(values, generator))
    assert seen.dtype == np.float32
    assert seen.min() < -0.1
    assert seen.max() > 1.1
    assert not row.handed_clipped
    # The answer, here the noise itself, is clipped and rounded: what 8-bit files of it score.
    assert row.pictures[0].scores == scores(clean, np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8))
    assert result.row("noisy", "gaussian:50").pictures == row.pictures
    assert result.stamp == AWGN_LITERATURE.stamp


def test_noisy_pictures_score_alike_whether_files_or_floats_were_noisy(levels):
    noisy = [
        evaluate(levels, ["gaussian:25"], methods=[], protocol=p).rows[0]
        for p in (AWGN_LITERATURE, FILE_8BIT)
    ]
    assert noisy[0].mean.psnr == pytest.approx(noisy[1].mean.psnr, abs=1e-9)
    assert noisy[0].mean.ssim == pytest.approx(noisy[1].mean.ssim, abs=1e-9)


def test_methods_that_take_no_unclipped_values_get_clipped_ones_and_the_row_says_so(levels):
    raw, _, _ = seen_by(levels, AWGN_LITERATURE, takes_unclipped=True)
    seen, row, result = seen_by(levels, AWGN_LITERATURE)
    np.testing.assert_array_equal(seen, np.clip(raw, 0, 1))
    assert row.handed_clipped
    assert not result.row("noisy", "gaussian:50").handed_clipped
    assert result.further_notes == ("Given noise clipped to [0, 1], as they take no other: `watcher`.",)
    for protocol in (FILE_8BIT, GOLBAR):
        _, other, result = seen_by(levels, protocol)
        assert not other.handed_clipped
        assert result.further_notes == ()


def test_models_see_unclipped_noise(levels, tmp_path):
    result = evaluate(
        levels, ["gaussian:50"], methods=["median", "universal"], protocol=AWGN_LITERATURE, limit=1
    )
    assert [row.handed_clipped for row in result.rows] == [False, True, False]
    noisy = Gaussian(50).apply(
        levels.pictures["a"].astype(np.float32) / np.float32(255),
        np.random.default_rng(seed_for(0, "a|gaussian:50")),
    )
    expected = Denoiser.load("universal")(noisy, unclipped=True)
    assert result.row("universal", "gaussian:50").pictures[0].scores == scores(
        levels.pictures["a"], np.rint(np.clip(expected, 0, 1) * 255).astype(np.uint8)
    )


def test_filters_are_measured_under_every_protocol(levels):
    names = [name for name, filter_ in BASELINES.items() if filter_.available()]
    for protocol in PROTOCOLS.values():
        result = evaluate(levels, ["gaussian:25", "salt-pepper:0.2"], methods=names, protocol=protocol)
        assert len(result.rows) == 2 * (1 + len(names))
        assert all(math.isfinite(row.mean.ssim) for row in result.rows)


def test_a_level_is_estimated_from_what_is_left_after_clipping(levels):
    told = []

    def restore(pixels, *, sigma):
        told.append((sigma, estimate_sigma(np.clip(pixels, 0, 1))))
        return pixels

    for taking in (True, False):
        method = Method("leveller", restore, needs_sigma=True, takes_unclipped=taking)
        evaluate(levels, ["gaussian:40+poisson:30"], methods=[method], protocol=AWGN_LITERATURE, limit=1)
    assert told[0] == told[1]
    assert told[0][0] == told[0][1]


def test_noise_that_is_rounded_can_meet_scores_that_are_not(levels):
    protocol = Protocol("rounded", eight_bit=False, clip=False, noisy="8-bit")
    seen, row, _ = seen_by(levels, protocol)
    clean = levels.pictures["a"]
    np.testing.assert_array_equal(seen, corrupt(clean, "gaussian:50", seed=seed_for(3, "a|gaussian:50")))
    assert row.pictures[0].scores == scores(clean.astype(np.float32) / np.float32(255), seen, protocol)
    clipped = dataclasses.replace(FILE_8BIT, name="clipped", noisy="clipped")
    seen, row, _ = seen_by(levels, clipped)
    assert (seen.dtype, seen.min(), seen.max()) == (np.float32, 0, 1)
    assert len(np.unique(seen)) > 256
    assert row.pictures[0].scores == scores(clean, seen)


def test_gray_is_made_before_the_noise_and_y_after_the_method(levels):
    gray = dataclasses.replace(FILE_8BIT, name="gray", colour="gray")
    seen, row, result = seen_by(levels, gray)
    clean = to_gray(levels.pictures["a"])
    np.testing.assert_array_equal(seen, corrupt(clean, "gaussian:50", seed=seed_for(3, "a|gaussian:50")))
    assert row.pictures[0].scores == scores(clean, seen)
    seen, row, colour = seen_by(levels, Y_8BIT)
    assert seen.shape == (13, 15, 3)
    assert row.pictures[0].scores == scores(levels.pictures["a"], seen, Y_8BIT)
    # The checksum is that of the pictures as read.
    assert result.data == colour.data


def test_border_and_window_decide_which_pictures_are_too_small(levels):
    bordered = dataclasses.replace(FILE_8BIT, name="bordered", border=1)
    result = evaluate(levels, ["clean"], methods=[], protocol=bordered)
    assert [item.name for item in result.data.skipped] == ["b"]
    assert "too small: 14x12" in result.data.skipped[0].reason
    tiny = Listed(c=np.zeros((6, 7), np.uint8))
    assert evaluate(tiny, ["clean"], methods=[], protocol=MAHANVEISI).data.pictures == 1


def test_further_metrics_are_in_every_score_and_in_the_notes(rng):
    source = Listed(
        small=rng.integers(0, 256, (40, 40), dtype=np.uint8), large=np.zeros((161, 170), np.uint8)
    )
    result = evaluate(source, ["gaussian:25"], methods=["median"], metrics=["ms_ssim", "noise_left"])
    row = result.row("median", "gaussian:25")
    assert [picture.scores.ms_ssim is None for picture in row.pictures] == [True, False]
    assert row.mean.ms_ssim == row.pictures[1].scores.ms_ssim
    assert row.mean.noise_left == pytest.approx(np.mean([each.scores.noise_left for each in row.pictures]))
    similar, noise = result.further_notes
    noisy = result.rows[0].mean
    assert similar == (
        "MS-SSIM of 1 of 2 pictures, the others are too small: "
        f"noisy on gaussian:25 {noisy.ms_ssim:.4f}, median on gaussian:25 {row.mean.ms_ssim:.4f}."
    )
    assert noise.startswith(f"Noise left, of 255: noisy on gaussian:25 {noisy.noise_left:.2f}, median on")
    assert Evaluation.from_json(result.to_json()) == result
    plain = evaluate(source, ["gaussian:25"], methods=["median"])
    assert {each.scores.noise_left for each in plain.rows[0].pictures} == {None}
    with pytest.raises(InputError, match="no such further metric; got lpips"):
        evaluate(source, ["gaussian:25"], methods=[], metrics=["lpips"])


# ---- JSON

FIRST = """{
 "protocol": {"name": "file-8bit", "eight_bit": true, "clip": true, "ssim_sigma": 1.5, "ssim_uniform": null,
  "ssim_clip": false, "psnr_over": 1},
 "stamp": "STAMP",
 "seed": 0,
 "data": {"name": "photos", "pictures": 1, "checksum": "c0ffee", "skipped": []},
 "methods": [{"name": "noisy", "kind": "none", "about": "as corrupted", "checksum": ""}],
 "rows": [{"method": "noisy", "noise": "clean", "mean": {"psnr": 100.0, "ssim": 1.0, "mse": 0.0}, "exact": 1,
  "sigma": "none", "seconds_per_megapixel": 0.1, "psnr_per_image": null,
  "pictures": [{"name": "a.png", "scores": {"psnr": null, "ssim": 1.0, "mse": 0.0}}]}],
 "runs": [{"command": "grainless evaluate", "grainless": "0.1.0"}],
 "version": 1
}""".replace(
    "STAMP",
    "file-8bit: 8-bit, clipped, all channels jointly, mean of PSNR per image, "
    "SSIM Gaussian 1.5 (11 px) per channel",
)
"""What the first release of version 1 wrote."""


def test_results_of_the_first_release_are_read_and_mean_what_they_did():
    found = Evaluation.from_json(FIRST)
    assert (found.protocol, found.stamp) == (FILE_8BIT, FILE_8BIT.stamp)
    assert found.rows[0].pictures[0].scores == Scores(math.inf, 1.0, 0.0)
    assert (found.rows[0].mean.mae, found.rows[0].handed_clipped) == (None, False)
    assert Evaluation.from_json(found.to_json()) == found
    old, new = json.loads(FIRST), json.loads(found.to_json())
    assert old["rows"][0]["mean"].items() <= new["rows"][0]["mean"].items()
    assert old["protocol"].items() <= new["protocol"].items()


def test_results_of_the_first_release_merge_with_those_of_today():
    first = Evaluation.from_json(FIRST)
    rows = (dataclasses.replace(first.rows[0], method="median"),)
    today = dataclasses.replace(first, rows=rows, methods=(MethodInfo("median", "filter"),))
    assert [row.method for row in merge([first, today]).rows] == ["noisy", "median"]


@pytest.mark.parametrize("protocol", list(PROTOCOLS.values()), ids=list(PROTOCOLS))
def test_json_keeps_every_protocol(levels, protocol):
    result = evaluate(levels, ["clean", "gaussian:25"], methods=["median"], protocol=protocol)
    again = Evaluation.from_json(result.to_json())
    assert again == result
    assert again.protocol.stamp == again.stamp == protocol.stamp


def test_infinite_means_survive_json(levels):
    result = evaluate(levels, ["clean"], methods=[], protocol=MAHANVEISI)
    assert result.rows[0].mean.psnr == math.inf
    assert result.rows[0].psnr_per_image == 100
    assert json.loads(result.to_json())["rows"][0]["mean"]["psnr"] is None
    assert Evaluation.from_json(result.to_json()).rows[0].mean.psnr == math.inf


def test_results_of_any_two_named_protocols_do_not_merge(levels):
    results = [evaluate(levels, ["clean"], methods=[], protocol=protocol) for protocol in PROTOCOLS.values()]
    for one in results:
        for two in results:
            if one is not two:
                with pytest.raises(InputError, match="different protocols cannot stand in one table"):
                    merge([one, two])


@pytest.mark.parametrize("part", [Evaluation, Data, MethodInfo, Row, Scores, Run, PictureScores])
def test_the_page_describes_every_field_of_the_json(part):
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index("## The JSON") :]
    missing = [
        field.name
        for field in dataclasses.fields(part)
        if f"`{field.name}`" not in section
        and f"{{{field.name}, " not in section
        and f", {field.name}}}" not in section
    ]
    assert missing == []
