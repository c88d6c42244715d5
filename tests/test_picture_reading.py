from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from grainless.errors import PictureError
from grainless.picture import Metadata, Picture, read_picture, write_picture
from grainless.picture.reading import upright
from picture_files import RGB_PROFILE, XMP, exif_block, exif_facts, saved, tiff_file, tiff_tags, values

RGB = values("uint8", 3, height=24, width=40)
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "webp": ".webp", "avif": ".avif", "bmp": ".bmp"}


def ours(path: Path, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Path:
    write_picture(Picture(pixels, alpha, Metadata(), "other"), path)
    return path


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_tiff_of_all_depths_written_by_nobody_but_the_test(tmp_path, kind, bands):
    pixels = values(kind, bands)
    extra = [2] if bands in {2, 4} else None
    picture = read_picture(tiff_file(tmp_path / "a.tif", tiff_tags(pixels, extra=extra), pixels.tobytes()))
    colours = bands - (extra is not None)
    np.testing.assert_array_equal(picture.pixels, pixels[..., :colours])
    assert picture.pixels.dtype == kind
    if extra:
        np.testing.assert_array_equal(picture.alpha, pixels[..., -1])
    assert (picture.format, picture.associated_alpha, picture.notes) == ("tiff", False, ())


def test_16_bit_rgb_png_is_not_cut_to_8(tmp_path):
    pixels = values("uint16", 3)
    picture = read_picture(ours(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(picture.pixels, pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).dtype == np.uint8  # the trap: Pillow cuts


def test_metadata_written_by_another_library(tmp_path):
    block = exif_block()
    options = {"icc_profile": RGB_PROFILE, "exif": b"Exif\0\0" + block, "xmp": XMP}
    for name, kind in (("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.avif", "AVIF")):
        found = read_picture(saved(tmp_path / name, RGB, kind, **options)).metadata
        assert found.icc == RGB_PROFILE
        assert exif_facts(found.exif) == exif_facts(block)
        assert found.xmp == XMP
        assert found.dpi == pytest.approx((300, 300))
    found = read_picture(saved(tmp_path / "a.png", RGB, "PNG", icc_profile=RGB_PROFILE, exif=block)).metadata
    assert found.icc == RGB_PROFILE
    assert exif_facts(found.exif) == exif_facts(block)


def test_exif_of_a_tiff_by_another_library(tmp_path):
    exif = Image.Exif()
    exif.load(exif_block(dpi=None))
    found = read_picture(saved(tmp_path / "a.tif", RGB, "TIFF", exif=exif, dpi=(600, 600))).metadata
    assert exif_facts(found.exif) == exif_facts(exif_block())
    assert found.dpi == pytest.approx((600, 600), abs=0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_pixels_are_upright_and_the_tag_is_reset(tmp_path, name, orientation):
    exif = Image.Exif()
    exif.load(exif_block(orientation=orientation))
    kind = {"a.jpg": "JPEG", "a.png": "PNG", "a.webp": "WEBP", "a.tif": "TIFF"}[name]
    exact = {"lossless": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        path = saved(tmp_path / name, RGB, kind, tiffinfo={274: orientation})
    else:
        path = saved(tmp_path / name, RGB, kind, exif=exif, **exact)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(path)
    np.testing.assert_allclose(picture.pixels.astype(int), expected, atol=3 if kind == "JPEG" else 0)
    assert picture.notes == (("turned upright",) if orientation != 1 else ())
    write_picture(picture, tmp_path / f"out{name}")
    with Image.open(tmp_path / f"out{name}") as image:
        assert image.getexif().get(274, 1) == 1
    assert read_picture(tmp_path / f"out{name}").pixels.shape == expected.shape


def test_avif_is_turned_once_not_twice(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path / "a.avif", RGB, "AVIF", exif=exif, quality=100, subsampling="4:4:4")
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(path)
    assert picture.pixels.shape == expected.shape == (40, 24, 3)
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 3
    write_picture(picture, tmp_path / "b.avif")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.avif").pixels, picture.pixels)


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
def test_upright_agrees_with_pillow(orientation, height, width):
    pixels = values("uint8", 3, height=height, width=width)
    exif = Image.Exif()
    exif[274] = orientation
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(data))
    np.testing.assert_array_equal(upright(pixels, orientation), np.asarray(expected))


def test_density_turns_with_the_pixels(tmp_path):
    path = saved(tmp_path / "a.tif", RGB, "TIFF", tiffinfo={274: 6, 282: 300.0, 283: 150.0, 296: 2})
    assert read_picture(path).metadata.dpi == pytest.approx((150, 300), abs=0.01)


def test_a_senseless_density_is_taken_for_none(tmp_path):
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.webp", "WEBP")):
        path = saved(tmp_path / name, RGB, kind, exif=b"Exif\0\0" + exif_block(dpi=4e6))
        assert read_picture(path).metadata.dpi is None


def test_embedded_thumbnail_of_the_old_picture_is_dropped(tmp_path):
    small = io.BytesIO()
    Image.fromarray(RGB[::4, ::4].copy()).save(small, "JPEG")
    block = exif_block(thumbnail=small.getvalue())
    path = saved(tmp_path / "a.jpg", RGB, "JPEG", exif=b"Exif\0\0" + block)
    assert pyvips.Image.new_from_file(str(path)).get_typeof("jpeg-thumbnail-data") != 0
    picture = read_picture(path)
    assert small.getvalue()[-40:] not in picture.metadata.exif
    for suffix in (".jpg", ".png", ".webp", ".avif", ".tif"):
        out = tmp_path / f"out{suffix}"
        write_picture(picture, out)
        assert small.getvalue()[-40:] not in out.read_bytes()
        assert pyvips.Image.new_from_file(str(out)).get_typeof("jpeg-thumbnail-data") == 0


def test_mislabelled_pictures_are_read_with_a_note(tmp_path):
    path = saved(tmp_path / "a.png", RGB, "JPEG")
    picture = read_picture(path)
    assert picture.format == "jpeg"
    assert picture.notes == ("the name ends in .png, the file is JPEG",)
    assert read_picture(saved(tmp_path / "noname", RGB, "PNG")).notes == ()
    assert read_picture(saved(tmp_path / "a.JPEG", RGB, "JPEG")).notes == ()


def test_cmyk_is_converted_by_its_meaning_and_said(tmp_path):
    smooth = np.repeat(np.repeat(np.linspace(40, 215, 40)[None, :, None], 24, 0), 3, 2).astype(np.uint8)
    cmyk = Image.fromarray(smooth).convert("CMYK")
    for path in (
        saved(tmp_path / "a.jpg", cmyk, "JPEG", quality=95),
        saved(tmp_path / "a.tif", cmyk, "TIFF"),
    ):
        picture = read_picture(path)
        assert picture.alpha is None
        assert picture.pixels.shape == (24, 40, 3)
        assert picture.notes == ("CMYK was converted to sRGB",)
        assert picture.metadata.icc[16:20] == b"RGB "
        light = picture.pixels.astype(float).mean(axis=(0, 2))
        assert np.corrcoef(light, smooth.mean(axis=(0, 2)))[0, 1] > 0.99


def test_cmyk_of_16_bits_stays_16_bits(tmp_path):
    pixels = values("uint16", 4)
    picture = read_picture(tiff_file(tmp_path / "a.tif", tiff_tags(pixels, mode=5), pixels.tobytes()))
    assert picture.pixels.dtype == np.uint16
    assert picture.pixels.shape == (9, 14, 3)


def test_palettes_few_bits_and_transparent_colours(tmp_path):
    colours = Image.fromarray(RGB).convert("P")
    for name, kind in (("a.png", "PNG"), ("a.tif", "TIFF")):
        picture = read_picture(saved(tmp_path / name, colours, kind))
        np.testing.assert_array_equal(picture.pixels, np.asarray(colours.convert("RGB")))
        assert picture.notes == ("palette colours became RGB",)
        picture = read_picture(saved(tmp_path / name, colours.convert("1"), kind))
        np.testing.assert_array_equal(picture.pixels[..., 0], np.asarray(colours.convert("1")) * 255)
        assert picture.notes == ("1-bit values became 8-bit gray",)
    path = saved(tmp_path / "b.png", RGB, "PNG", transparency=tuple(int(v) for v in RGB[0, 0]))
    picture = read_picture(path)
    assert picture.alpha[0, 0] == 0
    assert picture.alpha[1, 1] == 255
    assert picture.notes == ("the transparent colour became an alpha channel",)


def test_gray_from_white_and_half_floats(tmp_path):
    gray = values("uint8", 1)
    picture = read_picture(tiff_file(tmp_path / "a.tif", tiff_tags(gray, mode=0), gray.tobytes()))
    np.testing.assert_array_equal(picture.pixels, 255 - gray)
    assert picture.notes == ("gray that counts from white was turned to count from black",)
    half = values("float32", 1).astype(np.float16)
    picture = read_picture(tiff_file(tmp_path / "b.tif", tiff_tags(half), half.tobytes()))
    np.testing.assert_array_equal(picture.pixels, half.astype(np.float32))
    assert picture.notes == ("16-bit float became 32-bit float",)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_associated_alpha_is_unmultiplied_and_multiplied_again(tmp_path, kind, channels):
    alpha = values(kind, 1, height=64, width=64, seed=5)
    full = 1 if kind == "float32" else np.iinfo(kind).max
    share = np.random.default_rng(6).random((64, 64, channels))
    stored = np.concatenate([(share * alpha).astype(kind), alpha], axis=2)
    path = tiff_file(tmp_path / "a.tif", tiff_tags(stored, extra=[1]), stored.tobytes())
    picture = read_picture(path)
    assert picture.associated_alpha
    np.testing.assert_array_equal(picture.alpha, alpha[..., 0])
    covered = alpha[..., 0] > full / 2
    straight = stored[..., :channels][covered] / alpha[covered] * full
    assert np.abs(picture.pixels[covered] - straight).max() <= (1e-6 if full == 1 else 0.5)
    write_picture(picture, tmp_path / "b.tif")
    again = read_picture(tmp_path / "b.tif")
    assert again.associated_alpha
    if full != 1:
        np.testing.assert_array_equal(again.pixels, picture.pixels)
    raw = bytearray((tmp_path / "b.tif").read_bytes())
    at = raw.index(struct.pack("<HHLH", 338, 3, 1, 1))
    raw[at + 8] = 2
    (tmp_path / "c.tif").write_bytes(raw)
    plain = read_picture(tmp_path / "c.tif")
    np.testing.assert_allclose(plain.pixels, stored[..., :channels], rtol=1e-6, atol=0)


def test_a_channel_of_unstated_meaning_is_handed_on(tmp_path):
    pixels = values("uint8", 4)
    picture = read_picture(tiff_file(tmp_path / "a.tif", tiff_tags(pixels, extra=[0]), pixels.tobytes()))
    np.testing.assert_array_equal(picture.alpha, pixels[..., 3])
    assert picture.notes == ("a further channel of unstated meaning is handed on as alpha",)


def test_float_keeps_what_is_outside_0_to_1_and_refuses_nan(tmp_path):
    pixels = values("float32", 3) * 40 - 20
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels), pixels.tobytes())
    np.testing.assert_array_equal(read_picture(path).pixels, pixels)
    for bad in (np.nan, np.inf):
        pixels[2, 2, 1] = bad
        path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels), pixels.tobytes())
        with pytest.raises(
            PictureError, match=r"a\.tif holds values that are no numbers \(NaN or infinity\)"
        ):
            read_picture(path)


def test_rgb_profile_in_a_gray_png_is_said_to_be_dropped(tmp_path):
    picture = read_picture(saved(tmp_path / "a.png", RGB[..., 0], "PNG", icc_profile=RGB_PROFILE))
    assert picture.metadata.icc is None
    assert picture.notes == ("the colour profile does not fit the kind of picture and is dropped",)


@pytest.mark.parametrize("name", SUFFIXES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_off_files_are_one_clear_error(tmp_path, name, share):
    noise = values("uint8", 3, height=200, width=300)
    path = ours(tmp_path / f"cut{SUFFIXES[name]}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PictureError, match=r"cut\.\w+ (cannot be decoded|is damaged)") as caught:
        read_picture(path)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_cut_off_files_would_else_be_decoded_without_a_word(tmp_path):
    path = saved(tmp_path / "a.jpg", values("uint8", 3, height=200, width=300), "JPEG")
    path.write_bytes(path.read_bytes()[:20_000])
    assert pyvips.Image.new_from_file(str(path)).numpy().shape == (200, 300, 3)  # the trap
    with pytest.raises(PictureError, match="premature end of JPEG"):
        read_picture(path)


@pytest.mark.parametrize("name", SUFFIXES)
def test_too_large_is_refused_before_decoding(tmp_path, name, monkeypatch):
    path = ours(tmp_path / f"a{SUFFIXES[name]}", np.zeros((1000, 1500, 1), np.uint8))
    monkeypatch.setattr(pyvips.Image, "write_to_memory", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(PictureError) as caught:
        read_picture(path, max_megapixels=1.25)
    assert str(caught.value) == (
        f"{path} is too large; got 1500 x 1000 = 1.5 megapixels; expected at most 1.25 megapixels. "
        "Raise max_megapixels if you trust the file and have the memory."
    )


def test_a_bomb_of_a_header_is_refused(tmp_path):
    path = saved(tmp_path / "bomb.png", RGB, "PNG")
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">LL", 100_000, 100_000)
    data[29:33] = struct.pack(">L", zlib.crc32(data[12:29]))
    path.write_bytes(bytes(data))
    with pytest.raises(PictureError, match=r"100000 x 100000 = 10,000\.0 megapixels; expected at most 500 "):
        read_picture(path)


def test_files_that_are_not_there_or_not_files(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match=r"none\.png does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match=r"is a folder; expected a picture file"):
        read_picture(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(PictureError, match=r"empty\.png is empty"):
        read_picture(str(tmp_path / "empty.png"))
    with pytest.raises(PictureError, match="cannot be read; got File name too long"):
        read_picture(tmp_path / ("x" * 300 + ".png"))

    def refuse(self, *_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PictureError, match=r"a\.png may not be read; got no permission"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)


def test_not_enough_memory_is_said(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", RGB, "PNG")

    def full(_):
        raise MemoryError

    monkeypatch.setattr(pyvips.Image, "write_to_memory", full)
    with pytest.raises(PictureError, match="does not fit into memory"):
        read_picture(path)


@pytest.mark.parametrize("name", SUFFIXES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_a_picture_or_a_picture_error(tmp_path, name, data):
    path = ours(tmp_path / f"a{SUFFIXES[name]}", values("uint8", 3))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 10))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        told = str(read_picture(path, max_megapixels=4).notes) + str(path)
    except PictureError as error:
        told = str(error)
    assert str(path) in told


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is told by Linux alone")
def test_a_photograph_of_48_megapixels_costs_two_copies(tmp_path):
    noise = pyvips.Image.gaussnoise(8000, 6000, sigma=20, mean=128).cast("uchar")
    noise.bandjoin([noise, noise]).copy(interpretation="srgb").jpegsave(str(tmp_path / "a.jpg"))
    code = (
        "import re, sys, pathlib\n"
        "from grainless.picture import read_picture, write_picture\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1])\n"
        "start = peak()\n"
        "write_picture(read_picture(sys.argv[1]), sys.argv[2])\n"
        "print((peak() - start) // 1024)\n"
    )
    source = Path(__file__).parents[1] / "src"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert int(run.stdout) < 2.5 * 144_000_000 / 2**20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(PictureError, match=r"pipe\.png is a pipe or a device; expected a picture file"):
        read_picture(path)
