from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from grainless.errors import PictureError
from grainless.picture import read_picture
from grainless.picture.formats import FORMATS
from grainless.picture.inspection import HEAD_BYTES, Findings, format_of, inspect
from picture_files import saved, tiff_bytes, tiff_file, tiff_tags, values

SOME = Path("some.png")
PIXELS = values("uint8", 3)
PILLOW = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "webp": "WEBP", "avif": "AVIF", "bmp": "BMP"}


def written(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_told_by_their_bytes(name):
    assert format_of(written(PIXELS, PILLOW[name])[:HEAD_BYTES], SOME) == name


def test_big_and_big_endian_tiff():
    for mark in (b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"):
        assert format_of(mark, SOME) == "tiff"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (written(PIXELS, "GIF"), "a GIF picture"),
        (written(PIXELS, "JPEG2000"), "a JPEG 2000 picture"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<svg xmlns=", "an SVG drawing"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42isom", "a video"),
        (b"FUJIFILMCCD-RAW ", "a camera's raw file"),
    ],
)
def test_other_kinds_are_called_by_their_name(head, kind):
    with pytest.raises(PictureError, match=rf"some\.png is {kind}, which is not read.*PNG, JPEG, .*Convert"):
        format_of(head[:HEAD_BYTES], SOME)


@pytest.mark.parametrize(
    "text",
    [b"This is no picture.\n", "Grüße, nur ein Text, der länger ist als der Kopf: ä".encode() + b"\xc3"],
)
def test_text_named_png_is_one_clear_error(text):
    with pytest.raises(PictureError, match=r"some\.png is not a picture: it holds text; expected one of PNG"):
        format_of(text, SOME)


@pytest.mark.parametrize("head", [b"\x00\x01\x02\x03" * 16, b"\xff\xfe\xfd", b"BM is text\xff", b"\x80"])
def test_unknown_bytes(head):
    with pytest.raises(PictureError, match="its first bytes are those of no known format"):
        format_of(head, SOME)


@pytest.mark.parametrize(
    ("name", "kind"), [("animated.png", "PNG"), ("animated.webp", "WEBP"), ("animated.avif", "AVIF")]
)
def test_animations_are_refused_and_not_cut_to_the_first_frame(tmp_path, name, kind):
    frames = [Image.fromarray(values("uint8", 3, height=32, width=32, seed=i)) for i in range(3)]
    path = saved(tmp_path / name, frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=r"animated.*(animated|3 pages or frames).*Save the page you want"):
        read_picture(path)


def test_pages_of_a_tiff_are_refused(tmp_path):
    pages = [Image.fromarray(PIXELS)] * 2
    path = saved(tmp_path / "a.tif", pages[0], "TIFF", save_all=True, append_images=pages)
    with pytest.raises(PictureError, match=r"a\.tif has 3 pages; expected a single picture\. Save the page"):
        read_picture(path)


def test_a_reduced_copy_is_no_page(tmp_path):
    small = np.ascontiguousarray(PIXELS[::2, ::2])
    data = tiff_bytes(
        [(tiff_tags(PIXELS), PIXELS.tobytes()), (tiff_tags(small, subfile=[1]), small.tobytes())]
    )
    (tmp_path / "a.tif").write_bytes(data)
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, PIXELS)
    assert picture.notes == ("the reduced copies inside the file are left out",)


@pytest.mark.parametrize("change", [{"subfile": [1]}, {"mode": 32803}, {"mode": 34892}])
def test_raw_files_dressed_as_tiff_are_refused(tmp_path, change):
    path = tiff_file(tmp_path / "a.tif", tiff_tags(PIXELS, **change), PIXELS.tobytes())
    with pytest.raises(PictureError, match=r"a\.tif is a camera's raw file.*raw converter"):
        read_picture(path)


@pytest.mark.parametrize(
    ("dtype", "bits", "kind"),
    [
        ("int8", None, "signed whole numbers"),
        ("int16", None, "signed whole numbers"),
        ("uint32", None, "32-bit whole numbers"),
        ("float64", None, "64-bit float numbers"),
        ("complex64", None, "complex numbers"),
        ("uint16", 12, "12-bit whole numbers"),
    ],
)
def test_values_of_other_kinds_are_refused_with_the_reason(tmp_path, dtype, bits, kind):
    pixels = np.ones((4, 6, 1), dtype)
    changes = {} if bits is None else {"bits": [bits]}
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels, **changes), pixels.tobytes())
    with pytest.raises(PictureError, match=rf"a\.tif holds values.*got {kind}; expected gray or RGB"):
        read_picture(path)


def test_lab_is_refused(tmp_path):
    path = saved(tmp_path / "a.tif", Image.new("LAB", (4, 4)), "TIFF")
    with pytest.raises(PictureError, match="got CIE Lab colour"):
        read_picture(path)


def test_tiles_of_one_channel_each_are_refused_and_strips_of_one_are_read(tmp_path):
    pixels = values("uint8", 3, height=32, width=32)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    layout = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "tiles.tif", planes, tile=(16, 16), **layout)
    with pytest.raises(PictureError, match=r"tiles\.tif has a tile of its own for each channel.*Convert it"):
        read_picture(tmp_path / "tiles.tif")
    tifffile.imwrite(tmp_path / "strips.tif", planes, **layout)
    assert np.array_equal(read_picture(tmp_path / "strips.tif").pixels, pixels)


@pytest.mark.parametrize(("bands", "mode", "extra"), [(5, 2, [2, 0]), (3, 1, [0, 0]), (5, 5, [2])])
def test_more_channels_are_refused(tmp_path, bands, mode, extra):
    pixels = values("uint8", bands)
    path = tiff_file(tmp_path / "a.tif", tiff_tags(pixels, mode=mode, extra=extra), pixels.tobytes())
    with pytest.raises(PictureError, match=r"a kind that is not read; got \d channels"):
        read_picture(path)


def multi_picture(kind: int) -> bytes:
    """A JPEG with an index of two pictures (CIPA DC-007) of which the second is of this kind."""
    plain = written(PIXELS, "JPEG")
    entries = struct.pack("<LLLHH", 0x030000, len(plain), 0, 0, 0)
    entries += struct.pack("<LLLHH", kind, 100, len(plain), 0, 0)
    rows = struct.pack("<HHL4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHLL", 0xB001, 4, 1, 2)
    rows += struct.pack("<HHLL", 0xB002, 7, 32, 8 + 2 + 36 + 4)
    index = b"MPF\0II*\0" + struct.pack("<LH", 8, 3) + rows + bytes(4) + entries
    return plain[:2] + b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index + plain[2:]


def test_stereo_pictures_are_refused_previews_are_left_out(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(multi_picture(0x020002))
    with pytest.raises(PictureError, match=r"a\.jpg holds 2 pictures of equal rank \(stereo or panorama\)"):
        read_picture(path)
    path.write_bytes(multi_picture(0x010001))
    assert read_picture(path).notes == ("a preview or gain map inside the file is left out",)


def test_pillow_writes_such_files_too(tmp_path):
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())]
    path = saved(tmp_path / "a.jpg", frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_picture(path).notes == ("a preview or gain map inside the file is left out",)


def test_plain_files_give_no_findings():
    for name in FORMATS:
        found = inspect(io.BytesIO(written(PIXELS, PILLOW[name])), name, SOME)
        assert (found.notes, found.associated_at, found.pages) == ((), None, 1)
    assert not Findings().has_icc


@pytest.mark.parametrize("data", [b"II*\0\0\0\0\0", b"II*\0\xff\xff\xff\0", b"II*\0\x08\0\0\0\xff"])
def test_broken_tiff_directories(data):
    with pytest.raises(PictureError, match=r"some\.png is damaged: .*from its source again"):
        inspect(io.BytesIO(data), "tiff", SOME)
