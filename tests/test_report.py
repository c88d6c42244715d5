"""Tables and contact sheets, looked at by their content."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grainless.datasets import Skipped
from grainless.errors import InputError
from grainless.evaluation import Data, Evaluation, MethodInfo, PictureScores, Row, Run
from grainless.metrics import FILE_8BIT, GOLBAR, Scores
from grainless.removed import GRAY
from grainless.report import SheetRow, contact_sheet, markdown_table
from grainless.report.sheet import GAP, LABEL_HEIGHT


def row(method, noise, psnr, ssim, **fields):
    mean = Scores(psnr, ssim, 10 ** (-psnr / 10))
    known = {"exact": 0, "sigma": "none", "seconds_per_megapixel": 1.0, **fields}
    return Row(method=method, noise=noise, mean=mean, pictures=(PictureScores("a.png", mean),), **known)


@pytest.fixture
def result():
    return Evaluation(
        protocol=FILE_8BIT,
        stamp=FILE_8BIT.stamp,
        seed=5,
        data=Data("photos", 1, "c0ffee" * 10),
        methods=(
            MethodInfo("noisy", "none", "as corrupted"),
            MethodInfo("median", "filter", "3 x 3"),
            MethodInfo("universal", "model", "", "ab" * 32),
        ),
        rows=(
            row("noisy", "gaussian:25", 20.404, 0.36461),
            row("median", "gaussian:25", 28.0, 0.7),
            row("universal", "gaussian:25", 31.5, 0.69999),
            row("noisy", "clean", 100.0, 1.0, exact=1),
            row("universal", "clean", 50.001, 0.99),
        ),
        runs=(Run("grainless evaluate --data photos", "0.1.0"),),
    )


def table_of(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_another_average_is_shown_beside_the_mean_per_image(result):
    rows = tuple(
        dataclasses.replace(row, psnr_per_image=row.mean.psnr + 0.126)
        for row in result.rows
        if row.noise == "clean"
    )
    batched = dataclasses.replace(result, protocol=GOLBAR, stamp=GOLBAR.stamp, rows=rows)
    text = markdown_table([batched])
    assert GOLBAR.stamp in text
    assert "- Mean of PSNR per image instead, in dB: noisy on clean 100.13, universal on clean 50.13." in text
    # In a batch an exact match is an error of 0, and not 100 dB.
    assert "- Pictures that came back exactly: noisy on clean 1." in text
    assert "per image instead" not in markdown_table([result])


def test_the_table_has_a_row_per_noise_and_a_column_per_method(result):
    assert table_of(markdown_table([result])) == [
        ["noise", "noisy", "median", "universal"],
        ["---", "---", "---", "---"],
        [
            "gaussian:25",
            "20.40 / 0.3646 / 9.11e-03",
            "28.00 / **0.7000** / 1.58e-03",
            "**31.50** / **0.7000** / **7.08e-04**",
        ],
        ["clean", "**100.00** / **1.0000** / **1.00e-10**", "-", "50.00 / 0.9900 / 1.00e-05"],
    ]


def test_numbers_that_look_equal_are_all_bold(result):
    rows = (row("noisy", "clean", 30.001, 0.5), row("median", "clean", 30.004, 0.5))
    cells = table_of(markdown_table([dataclasses.replace(result, rows=rows)]))[2][1:]
    assert [cell.split(" / ")[:2] for cell in cells] == [["**30.00**", "**0.5000**"]] * 2 + [["-"]]


def test_names_cannot_break_the_table(result):
    rows = (row("noisy", "clean", 9.5, 0.5), row("a|b\nc", "clean", 10.5, 0.6))
    methods = (*result.methods[:1], dataclasses.replace(result.methods[1], name="a|b\nc"))
    changed = dataclasses.replace(result, rows=rows, methods=methods, data=Data("x\ny", 1, "beef"))
    text = markdown_table([changed])
    assert "### x y, 1 picture" in text
    assert "| noise | noisy | a\\|b c |\n" in text


def test_ten_is_more_than_nine(result):
    rows = (row("noisy", "clean", 9.5, 0.5), row("median", "clean", 10.5, 0.6))
    text = markdown_table([dataclasses.replace(result, rows=rows)])
    assert "**10.50** / **0.6000**" in text
    assert "| 9.50 / 0.5000 / 1.12e-01 |" in text


def test_below_the_table_stands_how_it_was_made(result):
    text = markdown_table([result])
    assert "### photos, 1 picture, file-8bit\n" in text
    for part in (
        f"Protocol `{FILE_8BIT.stamp}`.",
        "Noise seed 5; pictures' checksum `c0ffeec0ffee`.",
        "`median`: 3 x 3.",
        "`universal`: model `abababababab`.",
        "counted as 100 dB: noisy on clean 1.",
        "Measured with grainless 0.1.0; made again by:\n\n      grainless evaluate --data photos\n",
    ):
        assert part in text
    assert "Noise level" not in text
    assert "Not measured" not in text


def test_a_given_command_replaces_the_recorded_ones(result):
    text = markdown_table([result], command="make table")
    assert "      make table\n" in text
    assert "grainless evaluate" not in text
    silent = dataclasses.replace(result, runs=(Run("", "0.1.0"),))
    assert "Measured with grainless 0.1.0, called from Python." in markdown_table([silent])


def test_noise_levels_and_skipped_pictures_are_told(result):
    rows = (
        row("median", "gaussian:25", 28.0, 0.7, sigma="told"),
        row("median", "poisson:30", 27.0, 0.7, sigma="estimated"),
        row("universal", "poisson:30", 27.5, 0.7),
    )
    data = dataclasses.replace(result.data, pictures=2, skipped=(Skipped("bad.png", "It is empty."),))
    text = markdown_table([dataclasses.replace(result, rows=rows, data=data)])
    assert "Noise level told on gaussian:25: `median`." in text
    assert "Noise level estimated from each noisy picture on poisson:30: `median`." in text
    assert "Not measured: bad.png (It is empty.)" in text
    assert "### photos, 2 pictures, file-8bit\n" in text


def test_data_sets_have_tables_of_their_own_and_parts_are_merged(result):
    rows = (row("median", "clean", 60.0, 1.0),)
    part = dataclasses.replace(result, rows=rows, runs=(Run("more", "0.2.0"),))
    leaves = dataclasses.replace(result, data=Data("leaves", 7, "beef"))
    text = markdown_table([result, leaves, part])
    assert text.index("### photos, 1 picture, file-8bit\n") < text.index(
        "### leaves, 7 pictures, file-8bit\n"
    )
    photos, _ = text.split("### leaves")
    assert "| clean | **100.00** / **1.0000** / **1.00e-10** | 60.00 / **1.0000** / 1.00e-06 |" in photos
    assert "grainless 0.1.0, 0.2.0" in photos
    assert "      grainless evaluate --data photos\n      more\n" in photos
    with pytest.raises(InputError, match="different noise seeds"):
        markdown_table([result, dataclasses.replace(result, seed=1)])
    with pytest.raises(InputError, match="no results to show"):
        markdown_table([])


@pytest.fixture
def pictures(rng):
    before = rng.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    after = np.clip(before.astype(int) - rng.integers(-20, 21, before.shape), 0, 255).astype(np.uint8)
    return before, after


def cells(sheet, width, height, row_index=0, step=None):
    top = LABEL_HEIGHT + row_index * (LABEL_HEIGHT + height + GAP) + LABEL_HEIGHT
    step = step or width + GAP
    return [sheet[top : top + height, GAP + i * step : GAP + i * step + width] for i in range(3)]


def test_the_sheet_shows_pixels_as_they_are_and_what_was_removed(pictures):
    before, after = pictures
    sheet = contact_sheet([SheetRow("one", before, after)], size=(32, 24), gain=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * LABEL_HEIGHT + 24 + GAP, 3 * (32 + GAP) + GAP, 3)
    middle = np.s_[13:37, 14:46]
    shown = cells(sheet, 32, 24)
    assert np.array_equal(shown[0], before[middle])
    assert np.array_equal(shown[1], after[middle])
    removed = GRAY + 3 * (before[middle].astype(int) - after[middle])
    assert np.array_equal(shown[2], np.clip(removed, 0, 255))


def test_a_corner_moves_the_crop_and_large_crops_show_all(pictures):
    before, after = pictures
    rows = [SheetRow("one", before, after)]
    sheet = contact_sheet(rows, size=(10, 10), corner=(50, 40))
    assert np.array_equal(cells(sheet, 10, 10)[0], before[40:, 50:])
    assert np.array_equal(cells(contact_sheet(rows, size=(500, 500)), 60, 50)[1], after)
    with pytest.raises(InputError, match="crop leaves the picture; got 10 x 10 pixels at 51, 40 of 60 x 50"):
        contact_sheet(rows, size=(10, 10), corner=(51, 40))


def test_rows_of_all_sizes_and_gray_pictures_stand_below_each_other(pictures):
    before, after = pictures
    gray = before[:20, :30, 0]
    sheet = contact_sheet([SheetRow("g", gray, gray), SheetRow("c", before, after)], size=(40, 40))
    first = cells(sheet, 30, 20, step=46)
    assert np.array_equal(first[0], np.repeat(gray[..., None], 3, axis=-1))
    assert (first[2] == GRAY).all()
    top = LABEL_HEIGHT + (LABEL_HEIGHT + 20 + GAP) + LABEL_HEIGHT
    assert np.array_equal(sheet[top : top + 40, GAP : GAP + 40], before[5:45, 10:50])


def test_labels_are_drawn_above_their_row(pictures):
    sheet, blank = (contact_sheet([SheetRow(label, *pictures)]) for label in ("gaussian:25", ""))
    band = np.s_[LABEL_HEIGHT : 2 * LABEL_HEIGHT]
    assert (sheet[band] < 128).any()
    assert (blank[band] == 255).all()
    assert (sheet[:LABEL_HEIGHT] < 128).any()
    assert np.array_equal(sheet[2 * LABEL_HEIGHT :], blank[2 * LABEL_HEIGHT :])


def test_what_cannot_be_shown_is_refused(pictures):
    before, after = pictures
    for rows, message in [
        ([], "nothing to show"),
        ([SheetRow("x", before, after[1:])], r"pictures of x differ in shape; got \(50, 60, 3\) and"),
        ([SheetRow("x", before.astype(float), after)], "picture of x cannot be shown; got float64"),
        ([SheetRow("x", before[..., :2], after[..., :2])], "one or three channels"),
        ([SheetRow("x", before[0, 0], after[0, 0])], "cannot be shown"),
    ]:
        with pytest.raises(InputError, match=message):
            contact_sheet(rows)
    for options in ({"size": (0, 5)}, {"gain": 0}):
        with pytest.raises(InputError, match="expected numbers above 0"):
            contact_sheet([SheetRow("x", before, after)], **options)
