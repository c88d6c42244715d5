"""Pictures on the disk: read with the values that memory gets, written with the bytes that it would write."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from grainless import planes
from grainless.errors import PictureError
from grainless.picture import (
    Metadata,
    Picture,
    encoding_bytes,
    format_for,
    look_at,
    read_picture,
    results,
    store_picture,
    write_picture,
    write_stored,
)
from grainless.tiling import Box
from picture_files import GRAY_PROFILE, RGB_PROFILE, XMP, exif_block, saved, tiff_file, tiff_tags, values

HEIGHT, WIDTH = 37, 53


def whole(plane):
    return plane.read(Box(0, 0, *plane.shape[:2]))


def check_same(path, folder):
    """A file gives the same picture in memory and on the disk, and its head tells what it is."""
    want, got, facts = read_picture(path), store_picture(path, folder), look_at(path)
    np.testing.assert_array_equal(whole(got.pixels), want.pixels)
    assert got.pixels.dtype == want.pixels.dtype
    assert (got.alpha is None) == (want.alpha is None)
    if want.alpha is not None:
        np.testing.assert_array_equal(whole(got.alpha)[..., 0], want.alpha)
    assert got.notes == want.notes
    assert (got.format, got.associated_alpha) == (want.format, want.associated_alpha)
    assert vars(got.metadata) == vars(want.metadata)
    assert got.nbytes == want.nbytes
    channels = want.pixels.shape[2] + (want.alpha is not None)
    assert (facts.height, facts.width, facts.channels) == (*want.pixels.shape[:2], channels)
    assert (facts.format, facts.dtype, facts.nbytes) == (want.format, want.pixels.dtype, want.nbytes)
    return facts


@pytest.fixture(autouse=True)
def many_strips(monkeypatch):
    monkeypatch.setattr(planes, "_STRIP_BYTES", 2000)
    monkeypatch.setattr(results, "_BLOCK_BYTES", 3000)


# Reading


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "layout",
    [
        {"tile": (16, 32)},
        {"tile": (16, 16), "compression": "zlib", "bigtiff": True},
        {"rowsperstrip": 5},
        {"rowsperstrip": 7, "compression": "zlib", "predictor": True, "byteorder": ">"},
        {"rowsperstrip": HEIGHT, "compression": "zlib"},
        {"rowsperstrip": 3, "planarconfig": "separate"},
    ],
    ids="-".join,
)
def test_tiffs_of_any_layout(tmp_path, kind, bands, layout):
    pixels = values(kind, bands, height=HEIGHT, width=WIDTH)
    extra = {"extrasamples": ["unassalpha"]} if bands in {2, 4} else {}
    if layout.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0) if bands > 1 else pixels[..., 0]
        layout = layout if bands > 1 else {"rowsperstrip": 3}
    else:
        pixels = pixels if bands > 1 else pixels[..., 0]
    if kind == "float32":
        # The float predictor is beyond tifffile alone.
        layout = {name: value for name, value in layout.items() if name != "predictor"}
    mode = "rgb" if bands > 2 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=mode, metadata=None, **layout, **extra)
    facts = check_same(tmp_path / "a.tif", tmp_path)
    assert facts.whole is None


@pytest.mark.parametrize("compression", ["lzw", "jpeg", "packbits", "deflate"])
@pytest.mark.parametrize("tile", [False, True])
def test_tiffs_of_any_compression(tmp_path, compression, tile):
    image = pyvips.Image.new_from_array(values("uint8", 3, height=HEIGHT, width=WIDTH))
    image.tiffsave(str(tmp_path / "a.tif"), compression=compression, tile=tile, tile_width=16, tile_height=16)
    check_same(tmp_path / "a.tif", tmp_path)


def test_tiffs_with_associated_alpha(tmp_path):
    pixels = values("uint16", 4, height=HEIGHT, width=WIDTH)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels, extra=[1]), pixels.tobytes())
    check_same(path, tmp_path)
    write_stored(store_picture(path, tmp_path), tmp_path / "b.tif")
    write_picture(read_picture(path), tmp_path / "c.tif")
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()
    assert store_picture(path, tmp_path).associated_alpha


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures(tmp_path, orientation):
    image = Image.fromarray(values("uint8", 3, height=HEIGHT, width=WIDTH))
    exif = b"Exif\0\0" + exif_block(orientation=orientation)
    path = saved(tmp_path / "a.jpg", image, "JPEG", exif=exif)
    check_same(path, tmp_path)
    got, want = store_picture(path, tmp_path), read_picture(path).pixels
    box = Box(3, 5, 20, 11)
    np.testing.assert_array_equal(got.pixels.read(box), want[3:20, 5:11])


def other_kinds(folder):
    gray, rgb = (values("uint8", bands, height=HEIGHT, width=WIDTH) for bands in (1, 3))
    image = Image.fromarray(rgb)
    yield saved(folder / "cmyk.jpg", image.convert("CMYK"), "JPEG"), None
    yield saved(folder / "progressive.jpg", image, "JPEG", progressive=True), "a progressive JPEG"
    yield saved(folder / "palette.png", image.quantize(16), "PNG"), None
    yield saved(folder / "bits.png", Image.fromarray(gray[..., 0] > 99), "PNG"), None
    yield saved(folder / "transparent.png", image, "PNG", transparency=(1, 2, 3)), None
    yield saved(folder / "photo.webp", image, "WEBP"), "a WebP"
    yield saved(folder / "photo.bmp", image, "BMP"), "a BMP"
    yield saved(folder / "wrong name.tif", image, "PNG"), None
    write_picture(Picture(rgb, None, Metadata(), "png"), folder / "photo.avif")
    yield folder / "photo.avif", "an AVIF"
    tags = tiff_tags(gray, mode=0)
    yield tiff_file(folder / "inverted.tif", tags, gray.tobytes()), None
    half = (rgb / np.float32(255)).astype(np.float16)
    tifffile.imwrite(folder / "half.tif", half, photometric="rgb")
    yield folder / "half.tif", None


def test_other_kinds_of_pictures(tmp_path):
    for path, reason in other_kinds(tmp_path):
        assert check_same(path, tmp_path).whole == reason


def test_interlaced_pngs_are_known(tmp_path):
    image = pyvips.Image.new_from_array(values("uint8", 3, height=HEIGHT, width=WIDTH))
    image.pngsave(str(tmp_path / "a.png"), interlace=True)
    image.pngsave(str(tmp_path / "b.png"))
    facts = check_same(tmp_path / "a.png", tmp_path)
    assert facts.whole == "an interlaced PNG"
    plain = check_same(tmp_path / "b.png", tmp_path)
    assert facts.decoding > plain.decoding + plain.nbytes


def test_files_that_cannot_be_read(tmp_path):
    path = saved(tmp_path / "a.png", values("uint8", 3, height=200, width=200), "PNG")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(PictureError, match="cannot be decoded"):
        store_picture(path, tmp_path)
    with pytest.raises(PictureError, match="does not exist"):
        store_picture(tmp_path / "none.png", tmp_path)
    with pytest.raises(PictureError, match=r"is too large; got 200 x 200 = 0.0 megapixels"):
        look_at(path, max_megapixels=0.03)
    broken = values("float32", 3, height=HEIGHT, width=WIDTH)
    broken[-1, 0, 0] = np.nan
    path = tiff_file(tmp_path / "nan.tif", tiff_tags(broken), broken.tobytes())
    with pytest.raises(PictureError, match="NaN or infinity"):
        store_picture(path, tmp_path)


def test_strips_larger_than_libtiff_likes(tmp_path):
    # libtiff refuses buffers of 50 MB unless it is told that they are meant.
    pixels = np.zeros((6000, 4000, 3), np.uint8)
    pixels[5999, 3999] = 7
    tifffile.imwrite(tmp_path / "a.tif", pixels, rowsperstrip=6000, compression="zlib", photometric="rgb")
    assert read_picture(tmp_path / "a.tif").pixels[5999, 3999].tolist() == [7, 7, 7]
    assert look_at(tmp_path / "a.tif").decoding > 2 * pixels.nbytes


def test_rows_of_strips_and_tiles_count(tmp_path):
    pixels = np.zeros((600, 500, 3), np.uint8)
    need = {}
    for name, layout in {
        "plain": {"rowsperstrip": 600},
        "strips": {"rowsperstrip": 10, "compression": "zlib"},
        "one": {"rowsperstrip": 600, "compression": "zlib"},
        "tiles": {"tile": (512, 512)},
    }.items():
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **layout)
        need[name] = look_at(tmp_path / "a.tif").decoding
    assert need["strips"] - need["plain"] == 3 * 10 * 1500
    assert need["one"] - need["plain"] == 3 * 600 * 1500
    assert need["tiles"] - need["plain"] == 3 * 512 * 1500


def test_boxes_put_together(tmp_path):
    pixels = values("uint8", 4, height=HEIGHT, width=WIDTH)
    stored = store_picture(saved(tmp_path / "a.png", pixels, "PNG"), tmp_path)
    got = stored.boxes([range(2, 5), range(30, 37)], [range(53)])
    np.testing.assert_array_equal(got.pixels, np.concatenate([pixels[2:5], pixels[30:37]])[..., :3])
    np.testing.assert_array_equal(got.alpha, np.concatenate([pixels[2:5], pixels[30:37]])[..., 3])


# Writing


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("associated", [False, True])
def test_written_with_the_same_bytes(tmp_path, kind, bands, associated):
    pixels = values(kind, bands, height=HEIGHT, width=WIDTH)
    channels, profile = (1, GRAY_PROFILE) if bands < 3 else (3, RGB_PROFILE)
    alpha = pixels[..., -1] if bands in {2, 4} else None
    metadata = Metadata(icc=profile, exif=exif_block(), xmp=XMP, dpi=(300.0, 200.0))
    picture = Picture(pixels[..., :channels], alpha, metadata, "tiff", associated and alpha is not None)
    write_picture(picture, tmp_path / "source.tif")
    want, got = read_picture(tmp_path / "source.tif"), store_picture(tmp_path / "source.tif", tmp_path)
    for metadata in (want.metadata, Metadata()):
        for ending in (".png", ".jpg", ".tif", ".webp", ".bmp"):
            lost = write_picture(replace(want, metadata=metadata), tmp_path / f"a{ending}", quality=70)
            said = write_stored(replace(got, metadata=metadata), tmp_path / f"b{ending}", quality=70)
            assert said == lost
            assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 11


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_avif_written_with_the_same_bytes(tmp_path, kind):
    path = saved(tmp_path / "a.tif", values("uint8", 3, height=HEIGHT, width=WIDTH), "TIFF")
    if kind == "uint16":
        write_picture(Picture(values(kind, 3, height=HEIGHT, width=WIDTH), None, Metadata(), "tiff"), path)
    write_picture(read_picture(path), tmp_path / "a.avif")
    write_stored(store_picture(path, tmp_path), tmp_path / "b.avif")
    assert (tmp_path / "a.avif").read_bytes() == (tmp_path / "b.avif").read_bytes()


def test_what_cannot_be_written(tmp_path):
    stored = store_picture(saved(tmp_path / "a.png", values("uint8", 3), "PNG"), tmp_path)
    with pytest.raises(PictureError, match="quality is out of range"):
        write_stored(stored, tmp_path / "b.png", quality=0)
    with pytest.raises(PictureError, match="ending"):
        write_stored(stored, tmp_path / "b.xyz")
    with pytest.raises(PictureError, match="its folder does not exist"):
        write_stored(stored, tmp_path / "none" / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_disk_that_fails_leaves_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", values("uint8", 3, height=HEIGHT, width=WIDTH), "PNG")
    stored = store_picture(path, tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(planes.ScratchFile, "read", fail)
    with pytest.raises(PictureError, match="cannot be written"):
        write_stored(stored, tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_a_full_disk_is_no_damaged_file(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", values("uint8", 3, height=300, width=300), "PNG")
    full = os.open("/dev/full", os.O_RDWR)
    file = planes.ScratchFile(tmp_path)
    os.dup2(full, file.descriptor)
    os.close(full)
    monkeypatch.setattr("grainless.picture.stored.ScratchFile", lambda _folder: file)
    with pytest.raises(PictureError, match=r"a.png cannot be read; got No space left on device"):
        store_picture(path, tmp_path)


def test_what_encoders_take_grows_with_the_row_or_with_the_picture():
    def need(ending, height):
        return encoding_bytes(format_for(f"a{ending}"), height * 3000, 3000)

    for ending in (".png", ".jpg", ".tif"):
        assert need(ending, 100) == need(ending, 1_000_000)
    for ending in (".webp", ".avif", ".bmp"):
        assert need(ending, 10_000) > need(ending, 100) + 9_900 * 3000
