"""Walks the whole matrix of formats: what it says is kept is kept, what it says is lost is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from grainless.errors import PictureError
from grainless.picture import (
    EXTENSIONS,
    Metadata,
    Picture,
    check_output,
    is_picture_name,
    losses,
    read_picture,
    write_picture,
)
from grainless.picture.formats import FORMATS, format_for, formats_table
from picture_files import GRAY_PROFILE, RGB_PROFILE, XMP, exif_block, exif_facts, values

DOCS = Path(__file__).parents[1] / "docs" / "formats.md"
DTYPES = {"8 bits": "uint8", "16 bits": "uint16", "32-bit float": "float32"}
MATRIX = list(itertools.product(FORMATS, DTYPES, (1, 3), (False, True)))


def table() -> dict[str, dict[str, str]]:
    """The documented table, as a reader sees it."""
    lines = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0].lower(): dict(zip(head, row, strict=True)) for row in rows if row[0].lower() in FORMATS}


def full_picture(dtype: str, channels: int, *, alpha: bool) -> Picture:
    cover = values(dtype, 1, seed=2)[..., 0]
    cover[:3] = 0  # colours under alpha 0 have to survive too
    icc = GRAY_PROFILE if channels == 1 else RGB_PROFILE
    metadata = Metadata(icc, exif_block(), XMP, (300.0, 300.0))
    source = values(dtype, channels)
    if dtype == "float32":
        source = source * 1.5 - 0.25
    return Picture(source, cover if alpha else None, metadata, "other")


def rounded(source: np.ndarray, cell: str) -> np.ndarray:
    """What the table's words for a depth mean, by another road than the writer's: exact rationals."""
    if cell == "kept":
        return source
    bits = int(cell.removeprefix("to ").removesuffix(" bits"))
    full = 1 if source.dtype == np.float32 else int(np.iinfo(source.dtype).max)
    levels = np.rint(np.clip(source.astype(np.float64) / full, 0, 1) * (2**bits - 1))
    deep = 255 if bits == 8 else 65535
    return np.rint(levels * deep / (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize(("name", "depth", "channels", "with_alpha"), MATRIX)
def test_every_cell_of_the_matrix(tmp_path, name, depth, channels, with_alpha):
    cells, row = table()[name], FORMATS[name]
    source = full_picture(DTYPES[depth], channels, alpha=with_alpha)
    path = tmp_path / f"picture{row.suffixes[0]}"
    lost = write_picture(source, path)
    back = read_picture(path)
    assert lost == losses(source, path)
    assert back.format == name
    assert back.notes == ()
    told = {loss.split(":")[0] for loss in lost}

    expected = rounded(source.pixels, cells[depth])
    if cells["Gray"] == "as RGB" and channels == 1:
        expected = np.repeat(expected, 3, axis=2)
    assert back.pixels.dtype == expected.dtype
    assert back.pixels.shape == expected.shape
    assert ("values" in told) == (cells["Values"] != "exact")
    if cells["Values"] == "exact":
        np.testing.assert_array_equal(back.pixels, expected)
    else:
        assert np.abs(back.pixels.astype(int) - expected).mean() < 5
    assert ("depth" in told) == (cells[depth] != "kept")
    assert ("gray" in told) == (cells["Gray"] != "kept" and channels == 1)

    assert (back.alpha is not None) == (with_alpha and cells["Alpha"] == "kept")
    assert ("alpha" in told) == (with_alpha and cells["Alpha"] == "lost")
    if back.alpha is not None:
        np.testing.assert_array_equal(back.alpha, rounded(source.alpha, cells[depth]))

    # A gray profile cannot go where gray becomes RGB.
    icc_kept = cells["ICC"] == "kept" and not (channels == 1 and cells["Gray"] == "as RGB")
    assert back.metadata.icc == (source.metadata.icc if icc_kept else None)
    assert ("ICC" in told) == (not icc_kept)
    assert (back.metadata.exif is not None) == (cells["EXIF"] == "kept")
    assert ("EXIF" in told) == (cells["EXIF"] == "lost")
    if back.metadata.exif is not None:
        assert exif_facts(back.metadata.exif) == exif_facts(source.metadata.exif)
    assert back.metadata.xmp == (XMP if cells["XMP"] == "kept" else None)
    assert ("XMP" in told) == (cells["XMP"] == "lost")
    assert cells["DPI"] == "kept"
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.01)


def test_bare_pictures_come_back_bare(tmp_path):
    for row in FORMATS.values():
        path = tmp_path / f"bare{row.suffixes[-1]}"
        bare = Picture(values("uint8", 3), None, Metadata(), row.name)
        assert write_picture(bare, path) == ()
        back = read_picture(path).metadata
        assert (back.icc, back.exif, back.xmp) == (None, None, None)
        assert back.dpi is None or back.dpi == pytest.approx((72, 72), abs=0.02)


def test_dpi_alone_is_kept_everywhere(tmp_path):
    for row in FORMATS.values():
        path = tmp_path / f"dpi{row.suffixes[0]}"
        write_picture(Picture(values("uint8", 3), None, Metadata(dpi=(240.0, 120.0)), row.name), path)
        assert read_picture(path).metadata.dpi == pytest.approx((240, 120), abs=0.02)


def test_docs_hold_exactly_the_generated_table():
    assert formats_table() in DOCS.read_text(encoding="utf-8")
    assert set(table()) == set(FORMATS)


def test_rgb_profile_of_a_gray_picture_is_a_stated_loss(tmp_path):
    source = Picture(values("uint8", 1), None, Metadata(icc=RGB_PROFILE), "png")
    for suffix, kept in ((".png", False), (".tif", False), (".jpg", False), (".webp", True)):
        told = any(loss.startswith("ICC:") for loss in write_picture(source, tmp_path / f"p{suffix}"))
        assert told is not kept
        assert (read_picture(tmp_path / f"p{suffix}").metadata.icc is not None) is kept


def test_blocks_too_long_for_their_place_are_stated_losses(tmp_path):
    long = Metadata(exif=exif_block() + bytes(70_000), xmp=XMP + b" " * 70_000)
    source = Picture(values("uint8", 3), None, long, "jpeg")
    assert [loss.split(":")[0] for loss in losses(source, "a.jpg")] == ["EXIF", "XMP"]
    assert losses(source, "a.tif") == ()
    write_picture(source, tmp_path / "a.jpg")
    assert read_picture(tmp_path / "a.jpg").metadata.xmp is None


def test_jpeg_to_jpeg_is_no_news():
    source = Picture(values("uint8", 3), None, Metadata(), "jpeg")
    assert losses(source, "a.jpg") == ()
    assert losses(source, "a.JPEG") == ()


def test_names():
    assert EXTENSIONS[".jpg"] == EXTENSIONS[".jpeg"] == "jpeg"
    assert is_picture_name("a/b.TIFF")
    assert not is_picture_name("a/b.txt")
    assert not is_picture_name("png")
    assert format_for(Path("x.WebP")).title == "WebP"


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.bak"])
def test_unknown_endings_are_refused_with_the_list(name):
    with pytest.raises(PictureError, match=rf"{name}: .*\.png, \.jpg, .*\.bmp"):
        format_for(name)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("a.jpg", (65_500, 65_500, 3), None),
        ("a.jpg", (1, 65_501), r"too large for JPEG; got 65501 x 1 pixels; expected at most 65500"),
        ("a.webp", (16_384, 1, 1), r"got 1 x 16384 pixels; expected at most 16383 each way.*\.png or \.tif"),
        ("a.png", (10**6, 10**6, 3), None),
        ("a.bmp", (30_000, 30_000), None),
        ("a.bmp", (40_000, 40_000, 1), None),
        ("a.bmp", (40_000, 40_000), r"too large for BMP; got 40000 x 40000 pixels; expected at most 4 GB"),
        ("a.gif", (1, 1), "does not tell a picture format"),
        ("folder.png", (1, 1), r"folder\.png is a folder"),
    ],
)
def test_what_cannot_be_written_is_known_before_there_is_a_picture(tmp_path, name, shape, words):
    (tmp_path / "folder.png").mkdir()
    if words is None:
        check_output(tmp_path / "none" / name, shape)
    else:
        with pytest.raises(PictureError, match=words):
            check_output(tmp_path / name, shape)
    with pytest.raises(PictureError, match="quality is out of range; got 101; expected 1 to 100"):
        check_output("a.png", (1, 1), quality=101)
