"""Memory: what is told of it is true, and sizes are read as people write them."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless import memory
from grainless.errors import InputError


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the numbers are Linux's")
def test_peak_memory_is_the_most_that_was_held():
    code = (
        "import numpy\n"
        "from grainless.memory import peak_memory\n"
        "before = peak_memory()\n"
        "numpy.ones(100 * 2**20, numpy.uint8)\n"
        "print(peak_memory() - before)"
    )
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 99 * 2**20 < int(grown) < 140 * 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the numbers are Linux's")
def test_held_memory_goes_down_again_and_the_peak_does_not():
    code = (
        "import numpy\n"
        "from grainless.memory import held_memory, peak_memory\n"
        "before = held_memory()\n"
        "values = numpy.ones(100 * 2**20, numpy.uint8)\n"
        "with_it = held_memory()\n"
        "del values\n"
        "print(with_it - before, held_memory() - before, peak_memory() - before)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    held, left, peak = (int(number) / 2**20 for number in said.split())
    assert 99 < held < 110
    assert left < 20
    assert 99 < peak < 140


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone can")
def test_what_was_freed_is_given_back():
    code = (
        "from grainless.memory import give_back, held_memory\n"
        "before = held_memory()\n"
        "values = [bytes(50_000) for _ in range(2000)]\n"
        # One in the middle stays, so that the heap cannot just shrink.
        "del values[:1900], values[:-1]\n"
        "kept = held_memory() - before\n"
        "give_back()\n"
        "print(kept, held_memory() - before)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    kept, left = (int(number) / 2**20 for number in said.split())
    assert kept > 80
    assert left < 10


def test_systems_that_can_give_nothing_back(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: SimpleNamespace())
    memory._trimmer.cache_clear()
    memory.give_back()
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="win32"))
    memory.give_back()
    memory._trimmer.cache_clear()


def test_systems_that_do_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(memory, "os", SimpleNamespace())
    assert memory.peak_memory() is None
    assert memory.held_memory() is None
    assert memory.free_memory() is None


def test_free_memory_is_that_of_the_container(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   50 kB\n", encoding="utf-8")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free_memory() == 50 * 1024
    (tmp_path / "memory.current").write_text("10000\n", encoding="utf-8")
    (tmp_path / "memory.max").write_text("max\n", encoding="utf-8")
    assert memory.free_memory() == 50 * 1024
    (tmp_path / "memory.max").write_text("30000\n", encoding="utf-8")
    assert memory.free_memory() == 20000
    (tmp_path / "memory.max").write_text("9000\n", encoding="utf-8")
    assert memory.free_memory() == 0


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1GB", 10**9), ("1gb", 10**9), ("1 GiB", 2**30), ("1.5G", 1_500_000_000), ("800MB", 800_000_000),
        ("512MiB", 2**29), ("64k", 64_000), ("12345", 12345), ("2TB", 2 * 10**12), (" 7 B ", 7),
    ],
)  # fmt: skip
def test_sizes(text, want):
    assert memory.parse_size(text) == want


@given(
    st.sampled_from(
        ["", "GB", "-1GB", "1 GBB", "1 XB", "1iB", "nan", "1e9", "1,5GB", "one GB", "0", "0.0GB", "9" * 5000]
    )
)
def test_sizes_that_are_none(text):
    with pytest.raises(InputError, match=r"The size is not valid.*800MB"):
        memory.parse_size(text)


def test_megabytes_are_rounded_up():
    assert memory.megabytes(1) == "1 MB"
    assert memory.megabytes(1_000_000) == "1 MB"
    assert memory.megabytes(1_234_000_001) == "1,235 MB"
