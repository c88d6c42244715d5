from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from grainless.errors import PictureError
from grainless.picture import Metadata, Picture, read_picture, write_picture, writing
from picture_files import exif_block, saved, values

SUFFIXES = [".png", ".jpg", ".tif", ".webp", ".avif", ".bmp"]


def picture(pixels: np.ndarray | None = None, alpha: np.ndarray | None = None, **metadata: object) -> Picture:
    return Picture(values("uint8", 3) if pixels is None else pixels, alpha, Metadata(**metadata), "png")


def test_jpeg_is_quality_95_without_subsampling_unless_told(tmp_path):
    write_picture(picture(), tmp_path / "a.jpg")
    with (
        Image.open(tmp_path / "a.jpg") as image,
        Image.open(saved(tmp_path / "b.jpg", values("uint8", 3), "JPEG", quality=95, subsampling=0)) as other,
    ):
        assert get_sampling(image) == 0
        assert image.quantization == other.quantization
    write_picture(picture(), tmp_path / "a.jpg", quality=30)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.quantization != other.quantization


def test_lossless_webp_keeps_colours_under_alpha_0(tmp_path):
    pixels, alpha = values("uint8", 3), np.zeros((9, 14), np.uint8)
    write_picture(picture(pixels, alpha), tmp_path / "a.webp")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").pixels, pixels)
    joined = np.dstack([pixels, alpha])
    plain = pyvips.Image.new_from_memory(joined, 14, 9, 4, "uchar").copy(interpretation="srgb")
    plain.webpsave(str(tmp_path / "b.webp"), lossless=True)  # the trap
    assert (read_picture(tmp_path / "b.webp").pixels != pixels).any()


def test_white_stays_white_in_avif_of_12_bits(tmp_path):
    pixels = np.full((4, 4, 3), 65535, np.uint16)
    write_picture(picture(pixels), tmp_path / "a.avif")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.avif").pixels, pixels)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 7, 3), (7, 1, 1)])
def test_tiny_pictures(tmp_path, suffix, shape):
    pixels = np.full(shape, 100, np.uint8)
    write_picture(picture(pixels), tmp_path / f"a{suffix}")
    back = read_picture(tmp_path / f"a{suffix}").pixels
    assert back.shape[:2] == shape[:2]
    assert np.abs(back.astype(int) - 100).max() <= 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_views_and_turned_arrays_are_written_as_they_look(tmp_path, suffix):
    pixels = np.repeat(values("uint8", 4, height=12, width=6)[..., :3].transpose(1, 0, 2)[::-1], 2, 1)[:, ::2]
    assert not pixels.flags.c_contiguous
    write_picture(picture(pixels), tmp_path / f"a{suffix}")
    back = read_picture(tmp_path / f"a{suffix}").pixels.astype(int)
    assert np.abs(back - pixels).max() <= (40 if suffix == ".jpg" else 0)


def test_16_bit_gradients_are_not_banded(tmp_path):
    ramp = np.rint(np.linspace(0, 65535, 4096)).astype(np.uint16).reshape(1, 4096, 1)
    for suffix in (".png", ".tif", ".avif"):
        write_picture(picture(np.repeat(ramp, 4, 0)), tmp_path / f"a{suffix}")
        assert len(np.unique(read_picture(tmp_path / f"a{suffix}").pixels)) == 4096


def test_the_density_of_the_picture_wins_over_its_exif(tmp_path):
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        write_picture(picture(exif=exif_block(dpi=72.0), dpi=(300.0, 300.0)), tmp_path / f"a{suffix}")
        assert read_picture(tmp_path / f"a{suffix}").metadata.dpi == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize(("suffix", "limit"), [(".jpg", 65_500), (".webp", 16_383), (".avif", 16_384)])
def test_sides_too_long_for_a_format(tmp_path, suffix, limit):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(
        PictureError, match=rf"{limit + 1} x 1 pixels; expected at most {limit} each way.*\.png"
    ):
        write_picture(picture(np.zeros((1, limit + 1, 3), np.uint8)), path)
    assert list(tmp_path.iterdir()) == []
    write_picture(picture(np.zeros((1, limit, 3), np.uint8)), path)
    assert read_picture(path).pixels.shape == (1, limit, 3)


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(PictureError, match="quality is out of range; got 0; expected 1 to 100"):
        write_picture(picture(), tmp_path / "a.jpg", quality=0)
    with pytest.raises(PictureError, match=r"none.a\.png cannot be written; got its folder does not exist"):
        write_picture(picture(), tmp_path / "none" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match=r"folder\.png is a folder"):
        write_picture(picture(), tmp_path / "folder.png")
    with pytest.raises(PictureError, match=r"a\.xyz: the name does not tell a picture format"):
        write_picture(picture(), tmp_path / "a.xyz")
    bad = np.full((2, 2, 1), np.nan, np.float32)
    with pytest.raises(PictureError, match=r"a\.tif: the picture holds NaN or infinity"):
        write_picture(picture(bad), tmp_path / "a.tif")
    with pytest.raises(PictureError, match=r"a\.tif: the picture holds NaN or infinity"):
        write_picture(picture(np.zeros((2, 2, 1), np.float32), bad[..., 0]), tmp_path / "a.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_damaged_exif_costs_the_exif_and_not_the_picture(tmp_path, monkeypatch):
    lost = ("EXIF: dropped, the block is damaged",)
    assert write_picture(picture(exif=b"rubbish"), tmp_path / "a.tif") == lost
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, values("uint8", 3))
    call = pyvips.Operation.call

    def refusing(name, *arguments, **options):
        if name == "pngsave" and "exif" in options["keep"]:
            raise pyvips.Error("unable to call pngsave", "exif: exif too large")
        return call(name, *arguments, **options)

    monkeypatch.setattr(pyvips.Operation, "call", refusing)
    assert write_picture(picture(exif=exif_block()), tmp_path / "a.png") == lost
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").pixels, values("uint8", 3))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    write_picture(picture(), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        PictureError, match=r"cannot be written; got No space left on device\. Check free space"
    ):
        write_picture(picture(values("uint8", 1)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_picture(picture(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes")
def test_a_disk_that_runs_full_while_writing(tmp_path):
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from grainless.errors import PictureError\n"
        "from grainless.picture import Metadata, Picture, write_picture\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype('u1')\n"
        "for suffix in sys.argv[2:]:\n"
        "    try:\n"
        "        write_picture(Picture(pixels, None, Metadata(), 'png'), sys.argv[1] + '/a' + suffix)\n"
        "        print(suffix, 'was written')\n"
        "    except PictureError as error:\n"
        "        print(suffix, 'free space' in str(error))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *SUFFIXES],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")},
    )
    assert run.stdout.splitlines() == [f"{suffix} True" for suffix in SUFFIXES]
    assert list(tmp_path.iterdir()) == []


def test_files_get_the_usual_access_rights(tmp_path):
    (tmp_path / "plain").touch()
    write_picture(picture(), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_importing_the_package_loads_no_library():
    code = (
        "import sys, grainless.picture\nprint([name for name in ('pyvips', 'PIL') if name in sys.modules])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert run.stdout.strip() == "[]"


def test_a_disk_that_can_only_be_read_is_the_reason_that_is_said(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(writing, "_save", refuse)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(PictureError, match=r"b\.png cannot be written; got Read-only.*Check free space"):
            write_picture(picture(), tmp_path / "b.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_a_full_disk_is_said_without_the_temporary_name(tmp_path, monkeypatch, ending):
    whole = writing.unfinished_file

    @contextmanager
    def full(folder):
        with whole(folder) as path:
            path.unlink()
            path.symlink_to("/dev/full")
            yield path

    monkeypatch.setattr(writing, "unfinished_file", full)
    with pytest.raises(PictureError, match="cannot be written; got ") as caught:
        write_picture(picture(), tmp_path / f"b.{ending}")
    assert ".part" not in str(caught.value)
    assert not list(tmp_path.iterdir())
