from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from grainless.errors import PictureError
from grainless.picture import Metadata, Picture, read_picture, write_picture
from picture_files import saved, values


def test_rgb_and_gray_with_their_density(tmp_path):
    for channels in (1, 3):
        path = saved(tmp_path / "a.bmp", values("uint8", channels), "BMP", dpi=(150, 150))
        picture = read_picture(path)
        np.testing.assert_array_equal(picture.pixels, values("uint8", channels))
        assert picture.alpha is None
        assert picture.metadata.dpi == pytest.approx((150, 150), abs=0.02)
        assert (picture.format, picture.notes) == ("bmp", ())


def test_alpha_is_read(tmp_path):
    pixels = values("uint8", 4)
    picture = read_picture(saved(tmp_path / "a.bmp", pixels, "BMP"))
    np.testing.assert_array_equal(picture.pixels, pixels[..., :3])
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_palette_and_1_bit_are_converted_and_said(tmp_path):
    colours = Image.fromarray(values("uint8", 3)).convert("P")
    picture = read_picture(saved(tmp_path / "a.bmp", colours, "BMP"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(colours.convert("RGB")))
    assert picture.notes == ("palette colours became RGB",)
    picture = read_picture(saved(tmp_path / "b.bmp", colours.convert("1"), "BMP"))
    assert set(np.unique(picture.pixels)) == {0, 255}
    assert picture.notes == ("1-bit values became 8-bit gray",)


def test_cut_off_and_damaged_files(tmp_path):
    path = saved(tmp_path / "a.bmp", values("uint8", 3, height=60), "BMP")
    data = path.read_bytes()
    for end in (20, 40, 60, len(data) // 2):
        path.write_bytes(data[:end])
        with pytest.raises(PictureError, match=r"a\.bmp cannot be decoded.*damaged or cut off"):
            read_picture(path)


def test_size_is_checked_before_decoding(tmp_path):
    path = saved(tmp_path / "a.bmp", values("uint8", 3), "BMP")
    data = bytearray(path.read_bytes())
    data[18:26] = (60000).to_bytes(4, "little") * 2
    path.write_bytes(bytes(data))
    with pytest.raises(PictureError, match=r"too large; got 60000 x 60000 = 3,600\.0 megapixels"):
        read_picture(path)


def test_written_files_are_plain_bmp(tmp_path):
    pixels = values("uint8", 3)
    write_picture(Picture(pixels, None, Metadata(), "png"), tmp_path / "a.bmp")
    with Image.open(tmp_path / "a.bmp") as image:
        assert image.format == "BMP"
        np.testing.assert_array_equal(np.asarray(image), pixels)
