"""Traps of libvips and its binding, each shown to be real and shown to be avoided."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import pyvips

from grainless.errors import PictureError
from grainless.picture import libvips, read_picture, write_picture
from picture_files import saved, values


@pytest.fixture(autouse=True)
def no_cache():
    yield
    pyvips.cache_set_max(0)


def test_cache_is_switched_off(tmp_path):
    first, second = values("uint8", 3, seed=1), values("uint8", 3, seed=2)
    path = saved(tmp_path / "a.png", first, "PNG")
    pyvips.cache_set_max(100)
    pyvips.Image.new_from_file(str(path)).numpy()
    saved(path, second, "PNG")
    stale = pyvips.Image.new_from_file(str(path)).numpy()
    np.testing.assert_array_equal(stale, first)  # the trap
    libvips.vips.cache_clear()
    libvips.vips()
    np.testing.assert_array_equal(pyvips.Image.new_from_file(str(path)).numpy(), second)


def test_many_cores_do_not_take_memory():
    try:
        pyvips.concurrency_set(64)
        libvips.vips.cache_clear()
        libvips.vips()
        assert pyvips.concurrency_get() == 2
        pyvips.concurrency_set(1)
        libvips.vips.cache_clear()
        libvips.vips()
        assert pyvips.concurrency_get() == 1
    finally:
        pyvips.concurrency_set(2)


def test_overwritten_files_are_read_anew_even_with_a_cache(tmp_path):
    path = tmp_path / "a.png"
    pyvips.cache_set_max(100)
    for seed in (1, 2):
        saved(path, values("uint8", 3, seed=seed), "PNG")
        np.testing.assert_array_equal(read_picture(path).pixels, values("uint8", 3, seed=seed))


def test_names_with_brackets_are_no_options(tmp_path):
    picture = read_picture(saved(tmp_path / "photo[1].png", values("uint8", 3), "PNG"))
    np.testing.assert_array_equal(picture.pixels, values("uint8", 3))
    for name in ("out[Q=1].webp", "out[compression=none].tif", "out[page=7].png"):
        write_picture(picture, tmp_path / name)
        np.testing.assert_array_equal(read_picture(tmp_path / name).pixels, picture.pixels)
    assert len(list(tmp_path.iterdir())) == 4


ODD_NAMES = pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")


@ODD_NAMES
def test_names_that_are_no_utf8(tmp_path):
    path = saved(Path(str(tmp_path) + "/caf\udce9.png"), values("uint8", 1), "PNG")
    assert read_picture(path).pixels.shape == (9, 14, 1)


@pytest.mark.parametrize("error", [ImportError("no pyvips"), OSError("cannot load library libvips.so.42")])
def test_missing_library_is_one_clear_error(tmp_path, monkeypatch, error):
    path = saved(tmp_path / "a.png", values("uint8", 3), "PNG")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "pyvips":
                raise error

    libvips.vips.cache_clear()
    monkeypatch.delitem(sys.modules, "pyvips")
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(PictureError, match=r'libvips cannot be loaded.*pip install "pyvips\[binary\]"'):
        read_picture(path)
    libvips.vips.cache_clear()


def test_reasons_are_short_and_telling():
    long = pyvips.Error("unable to call heifload", "a.avif: bad seek to 1\n" + "x" * 500)
    assert libvips.reason(long) == "a.avif: bad seek to 1"
    assert len(libvips.reason(pyvips.Error("y" * 500))) == 160
    assert libvips.reason(pyvips.Error("unable to do it")) == "unable to do it"


def test_want_of_memory_is_not_blamed_on_the_file():
    with pytest.raises(MemoryError), libvips.decoding(Path("a.png")) as module:
        raise module.Error("unable to write to memory", "out of memory --- size == 900MB")


@ODD_NAMES
def test_messages_that_are_no_text_are_an_error_too(tmp_path):
    # libvips quotes the name; pyvips takes it for UTF-8.
    path = Path(str(tmp_path) + "/caf\udce9.png")
    path.write_bytes(saved(tmp_path / "a.png", values("uint8", 3), "PNG").read_bytes()[:40])
    for _ in range(2):
        with pytest.raises(PictureError, match="cannot be decoded"):
            read_picture(path)
    path.write_bytes((tmp_path / "a.png").read_bytes())
    assert read_picture(path).pixels.shape == (9, 14, 3)
    with pytest.raises(OSError, match="no readable reason"), libvips.failing_as(OSError):
        b"\xff".decode()


def test_pictures_of_four_threads_do_not_mix(tmp_path):
    paths = [saved(tmp_path / f"{i}.png", values("uint16", 1, seed=i), "PNG") for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for i, picture in enumerate(pool.map(read_picture, paths * 4)):
            np.testing.assert_array_equal(picture.pixels, values("uint16", 1, seed=i % 12))


def test_warnings_of_one_file_are_not_the_reason_of_another(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(saved(tmp_path / "a.png", values("uint8", 3), "PNG").read_bytes()[:-40])
    # Leaves its complaint behind, as some decoders do.
    pyvips.vips_lib.vips_enum_from_nick(b"other.avif", pyvips.GValue.format_type, b"nonsense")
    with pytest.raises(PictureError, match="cannot be decoded") as caught:
        read_picture(path)
    assert "other.avif" not in str(caught.value)
