"""Planes: boxes come back the same from an array and a file, and windows beyond the border as numpy pads."""

from __future__ import annotations

import gc
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grainless.planes import (
    ArrayPlane,
    Channels,
    FilePlane,
    Part,
    ScratchFile,
    cut,
    new_array,
    on_disk,
    strips,
)
from grainless.tiling import Box


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 9), st.integers(0, 9))
def test_cut_pads_as_numpy_does(height, width, below, right):
    values = np.arange(height * width * 2).reshape(height, width, 2)
    got = cut(ArrayPlane(values), Box(0, 0, height + below, width + right))
    rows = np.pad(values, ((0, below), (0, 0), (0, 0)), mode="reflect" if below < height else "edge")
    want = np.pad(rows, ((0, 0), (0, right), (0, 0)), mode="reflect" if right < width else "edge")
    np.testing.assert_array_equal(got, want)


def test_cut_inside_is_a_view_and_padding_ignores_the_window(rng):
    values = rng.integers(0, 9, (30, 30, 3))
    assert np.shares_memory(cut(ArrayPlane(values), Box(2, 3, 20, 30)), values)
    whole = cut(ArrayPlane(values), Box(0, 0, 32, 32))
    np.testing.assert_array_equal(cut(ArrayPlane(values), Box(28, 28, 32, 32)), whole[28:, 28:])


KINDS = st.sampled_from(["uint8", "uint16", "float32", "bool", ">u2"])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), KINDS, st.data())
def test_a_file_gives_back_what_an_array_does(folder, height, width, channels, kind, data):
    values = (np.random.default_rng(height).random((height, width, channels)) * 200).astype(kind)
    plane = FilePlane(ScratchFile(folder), values.shape, values.dtype, at=data.draw(st.integers(0, 9)))
    middle, edge = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    for box in (
        Box(0, edge, middle, width),
        Box(0, 0, middle, edge),
        Box(middle, 0, height, width),
    ):
        if box.area:
            plane.write(box, ArrayPlane(values).read(box))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    box = Box(top, left, data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width)))
    got = plane.read(box)
    assert got.dtype == values.dtype
    np.testing.assert_array_equal(got, ArrayPlane(values).read(box))
    first = data.draw(st.integers(0, channels - 1))
    some = Channels(Part(plane, box), slice(first, None))
    assert some.shape == (box.height, box.width, channels - first)
    inner = Box(0, box.width - 1, box.height, box.width)
    np.testing.assert_array_equal(some.read(inner), got[:, -1:, first:])


def test_arrays_are_not_copied(rng):
    values = rng.random((9, 9, 3))
    plane = ArrayPlane(values)
    assert np.shares_memory(plane.read(Box(1, 2, 5, 6)), values)
    plane.write(Box(1, 2, 3, 4), np.ones((2, 2, 3)))
    assert (values[1:3, 2:4] == 1).all()
    assert new_array((4, 5, 6), np.dtype(np.uint16)).shape == (4, 5, 6)


@pytest.mark.skipif(sys.platform == "win32", reason="there a file has a name until it is closed")
def test_scratch_files_have_no_name_and_go_with_their_last_user(tmp_path):
    file = ScratchFile(tmp_path)
    file.write(5, b"values")
    assert (file.read(0, 100), file.size) == (b"\0\0\0\0\0values", 11)
    assert list(tmp_path.iterdir()) == []
    descriptor = file.descriptor
    del file
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_plane_keeps_its_file(tmp_path):
    plane = on_disk(tmp_path)((3, 4, 2), np.dtype(np.float32))
    gc.collect()
    plane.write(Box(0, 0, 3, 4), np.ones((3, 4, 2), np.float32))
    assert (plane.read(Box(1, 1, 2, 3)) == 1).all()


def test_scratch_files_go_on_where_the_system_takes_or_gives_less(tmp_path, monkeypatch, rng):
    values = rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)
    write, read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:1000], at))
    monkeypatch.setattr(os, "pread", lambda fd, size, at: read(fd, min(size, 700), at))
    plane = on_disk(tmp_path)(values.shape, values.dtype)
    plane.write(Box(0, 0, 50, 40), values)
    np.testing.assert_array_equal(plane.read(Box(0, 0, 50, 40)), values)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 300),
    st.integers(1, 5000),
    st.sampled_from([2, 32]),
    st.sampled_from([(np.float32, None), (np.uint8, 4)]),
)
def test_strips_cover_a_plane_once(height, width, multiple, kind):
    plane = ArrayPlane(np.broadcast_to(kind[0](0), (height, width, 300)))
    found = list(strips(plane, multiple=multiple, itemsize=kind[1]))
    assert [strip.top for strip in found] == [0, *(strip.bottom for strip in found[:-1])]
    assert found[-1].bottom == height
    assert all(strip.width == width for strip in found)
    assert all(strip.height % multiple == 0 for strip in found[:-1])
    assert all(strip.height * width * 1200 <= 4 * 2**20 or strip.height <= multiple for strip in found)
