"""Faces as a store, and the cache of the parsed csv."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from faces_csv import face, gzipped, write_faces, zipped
from grainless.datasets import PixelStore, face_cache, split_faces, store_faces
from grainless.errors import DataError


@pytest.fixture
def file(tmp_path):
    (tmp_path / "data").mkdir()
    return write_faces(tmp_path / "data" / "faces.csv")


@pytest.fixture
def cache(file):
    return file.with_name("faces.csv.grainless")


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user" / "grainless"


@pytest.fixture
def parsed(monkeypatch):
    """The files that are parsed from now on."""
    files = []
    original = face_cache.read_faces

    def noting(file, **options):
        files.append(file)
        return original(file, **options)

    monkeypatch.setattr(face_cache, "read_faces", noting)
    return files


def holds(store, count=7):
    assert store.names[:1] == ["Training/00000"]
    assert store.shapes == [(48, 48, 1)] * count
    for number in range(count):
        np.testing.assert_array_equal(store[number], face(number))


def entries(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_faces_become_a_store(file, tmp_path):
    store = store_faces(file, tmp_path / "run" / "pixels")
    holds(store)
    assert store.names == [
        *("Training/00000", "Training/00001", "Training/00002"),
        *("PublicTest/00003", "PublicTest/00004", "PrivateTest/00005", "PrivateTest/00006"),
    ]
    assert store.skipped == []
    holds(PixelStore(tmp_path / "run" / "pixels"))
    assert entries(tmp_path / "run" / "pixels") == ["index.json", "pixels.u8"]
    assert split_faces(store.names).test == ["PublicTest/00003", "PublicTest/00004"]


@pytest.mark.parametrize("pack", [gzipped, lambda path: zipped(path, "a.csv")], ids=["gzip", "zip"])
def test_packed_files_have_a_cache_of_their_own(file, tmp_path, pack):
    packed = pack(file)
    holds(store_faces(packed, tmp_path / "run"))
    assert entries(file.parent) == sorted(["faces.csv", packed.name, f"{packed.name}.grainless"])


def test_the_cache_says_what_it_was_made_of(file, cache, tmp_path):
    store_faces(file, tmp_path / "run")
    assert entries(file.parent) == ["faces.csv", "faces.csv.grainless"]
    assert entries(cache) == ["index.json", "pixels.u8", "source.json"]
    record = json.loads((cache / "source.json").read_text())
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (record["size"], record["mtime_ns"]) == (file.stat().st_size, file.stat().st_mtime_ns)


def test_the_second_run_does_not_read_the_csv(file, tmp_path, parsed):
    store_faces(file, tmp_path / "first")
    status = file.stat()
    # Same size and date, so that only reading it would show the difference.
    file.write_bytes(bytes(status.st_size))
    os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))
    holds(store_faces(file, tmp_path / "second"))
    assert len(parsed) == 1


def test_runs_share_the_pixels_where_the_disk_allows(file, cache, tmp_path, monkeypatch):
    store_faces(file, tmp_path / "first")
    assert (cache / "pixels.u8").samefile(tmp_path / "first" / "pixels.u8")

    def refuse(*paths):
        raise OSError("links are not supported here")

    monkeypatch.setattr(os, "link", refuse)
    holds(store_faces(file, tmp_path / "second"))
    assert not (cache / "pixels.u8").samefile(tmp_path / "second" / "pixels.u8")


def test_another_date_with_the_same_content(file, tmp_path, parsed, monkeypatch):
    store_faces(file, tmp_path / "run")
    os.utime(file, ns=(1, 1))
    holds(store_faces(file, tmp_path / "run"))
    # The new date was noted: the csv is not even read for its checksum.
    summed = []
    original = face_cache._checksum
    monkeypatch.setattr(face_cache, "_checksum", lambda path: summed.append(path.name) or original(path))
    holds(store_faces(file, tmp_path / "run"))
    assert summed == ["index.json", "pixels.u8"]
    assert len(parsed) == 1


def test_a_csv_that_changed_is_parsed_again_and_older_runs_keep_theirs(file, tmp_path, parsed):
    first = store_faces(file, tmp_path / "first")
    write_faces(file, training=1, public=1, private=1)
    holds(store_faces(file, tmp_path / "second"), 3)
    holds(store_faces(file, tmp_path / "first"), 3)
    holds(first)
    assert len(parsed) == 2
    assert entries(file.parent) == ["faces.csv", "faces.csv.grainless"]


def flip_a_pixel(cache):
    data = bytearray((cache / "pixels.u8").read_bytes())
    data[5000] ^= 1
    (cache / "pixels.u8").write_bytes(data)


DAMAGES = {
    "pixel": flip_a_pixel,
    "cut off": lambda cache: os.truncate(cache / "pixels.u8", 100),
    "no pixels": lambda cache: (cache / "pixels.u8").unlink(),
    "no index": lambda cache: (cache / "index.json").unlink(),
    "bad index": lambda cache: (cache / "index.json").write_text('{"names": []}'),
    "no record": lambda cache: (cache / "source.json").unlink(),
    "bad record": lambda cache: (cache / "source.json").write_text('{"version"'),
    "no table": lambda cache: (cache / "source.json").write_text("[]"),
    "another version": lambda cache: (cache / "source.json").write_text('{"version": 99}'),
    "empty": lambda cache: [path.unlink() for path in cache.iterdir()],
    "gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_made_anew(file, cache, tmp_path, parsed, damage):
    store_faces(file, tmp_path / "first")
    damage(cache)
    holds(store_faces(file, tmp_path / "second"))
    holds(store_faces(file, tmp_path / "third"))
    assert len(parsed) == 2
    assert entries(file.parent) == ["faces.csv", "faces.csv.grainless"]


@pytest.mark.parametrize("function", ["_checksum", "_write_record", "_put_in_place"])
def test_killed_while_the_cache_is_built(file, cache, tmp_path, function):
    code = (
        "import os, signal, sys; from pathlib import Path; from grainless.datasets import face_cache\n"
        f"face_cache.{function} = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n"
        "face_cache.store_faces(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", code, file, tmp_path / "run"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not cache.exists()
    left = [entry for entry in entries(file.parent) if entry.endswith(".part")]
    assert len(left) == 1
    holds(store_faces(file, tmp_path / "run"))
    # Another process may be at it still, so it goes only when it is old.
    os.utime(file.parent / left[0], (1, 1))
    shutil.rmtree(cache)
    holds(store_faces(file, tmp_path / "run2"))
    assert entries(file.parent) == ["faces.csv", "faces.csv.grainless"]


def test_an_interrupted_or_failed_build_leaves_nothing(file, tmp_path, monkeypatch):
    def interrupted(file, progress):
        yield "Training", face(0)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(face_cache, "read_faces", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store_faces(file, tmp_path / "run")
    with file.open("a") as stream:
        stream.write("1,2,3\n")
    with pytest.raises(DataError, match=r"Line 9 of .*does not hold one face|unknown Usage"):
        store_faces(file, tmp_path / "run")
    assert entries(file.parent) == ["faces.csv"]
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_its_index_is_completed(file, tmp_path):
    store_faces(file, tmp_path / "run")
    (tmp_path / "run" / "index.json").unlink()
    (tmp_path / "run" / "pixels.u8").write_bytes(b"")
    holds(store_faces(file, tmp_path / "run"))


def test_another_process_was_quicker(file, cache, tmp_path, monkeypatch):
    original = face_cache._put_in_place

    def late(part, place):
        shutil.copytree(part, place)
        late.inode = place.stat().st_ino
        original(part, place)

    monkeypatch.setattr(face_cache, "_put_in_place", late)
    holds(store_faces(file, tmp_path / "run"))
    assert cache.stat().st_ino == late.inode
    assert entries(file.parent) == ["faces.csv", "faces.csv.grainless"]


def test_a_csv_that_is_still_being_written(file, tmp_path, monkeypatch):
    original = face_cache.read_faces

    def growing(file, **options):
        yield from original(file, **options)
        with file.open("a") as stream:
            stream.write("\n")

    monkeypatch.setattr(face_cache, "read_faces", growing)
    with pytest.raises(DataError, match=r"changed while it was read. Wait until it is written"):
        store_faces(file, tmp_path / "run")
    assert entries(file.parent) == ["faces.csv"]


@pytest.fixture(params=["file", "folder of somebody"])
def occupied(request, cache):
    """The place beside the csv, where no cache can be put: root may write to any folder, so it is taken."""
    if request.param == "file":
        cache.write_text("mine")
        return cache
    cache.mkdir()
    (cache / "notes.txt").write_text("mine")
    return cache / "notes.txt"


def test_the_cache_of_the_user(file, tmp_path, user_cache, occupied, parsed):
    holds(store_faces(file, tmp_path / "first"))
    holds(store_faces(file, tmp_path / "second"))
    assert len(entries(user_cache)) == 1
    assert entries(user_cache)[0].startswith("faces.csv-")
    assert entries(user_cache / entries(user_cache)[0]) == ["index.json", "pixels.u8", "source.json"]
    assert occupied.read_text() == "mine"
    # Parsed twice by the first call, once for each place.
    assert len(parsed) == 2


def test_files_of_one_name_have_caches_of_their_own(file, tmp_path, user_cache, occupied):
    (tmp_path / "other").mkdir()
    other = write_faces(tmp_path / "other" / "faces.csv", training=1)
    other.with_name("faces.csv.grainless").write_text("taken")
    holds(store_faces(file, tmp_path / "a"))
    holds(store_faces(other, tmp_path / "b"), 5)
    holds(store_faces(file, tmp_path / "c"))
    assert len(entries(user_cache)) == 2


@pytest.mark.parametrize("named", ["", "relative/path"])
def test_without_xdg_the_cache_is_in_the_home_folder(file, tmp_path, cache, monkeypatch, named):
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache.write_text("taken")
    holds(store_faces(file, tmp_path / "run"))
    assert len(entries(tmp_path / "home" / ".cache" / "grainless")) == 1


def test_no_place_for_a_cache(file, tmp_path, cache, user_cache):
    cache.write_text("taken")
    user_cache.parent.write_text("taken")
    with pytest.raises(
        DataError, match=r"The faces of .* cannot be stored; got .*grainless: .*user/.*XDG_CACHE"
    ):
        store_faces(file, tmp_path / "run")


def test_a_run_folder_that_cannot_be_written(file, tmp_path):
    (tmp_path / "run").write_text("taken")
    with pytest.raises(DataError, match=r"decoded pictures cannot be stored"):
        store_faces(file, tmp_path / "run" / "pixels")


def test_a_csv_that_is_gone(file, tmp_path):
    store_faces(file, tmp_path / "run")
    file.unlink()
    with pytest.raises(DataError, match=r"faces\.csv does not exist"):
        store_faces(file, tmp_path / "run")


@pytest.mark.slow
def test_the_whole_set(data_folder, tmp_path):
    folder = data_folder / "fer2013"
    if not (folder / "make_csv.py").is_file():
        pytest.skip("GRAINLESS_DATA holds no faces")
    file = tmp_path / "fer2013.csv"
    subprocess.run([sys.executable, folder / "make_csv.py", file], check=True, stdout=subprocess.DEVNULL)
    store = store_faces(file, tmp_path / "run")
    official, random = split_faces(store.names), split_faces(store.names, split="random")
    assert [len(part) for part in vars(official).values()] == [28709, 3589, 3589]
    assert len(random.test) == 7178
    for number in (0, 28709, 35886):
        sheet = np.asarray(Image.open(folder / f"faces_{number // 1000:02d}.png"))
        down, right = divmod(number % 1000, 25)
        cell = sheet[48 * down : 48 * down + 48, 48 * right : 48 * right + 48]
        np.testing.assert_array_equal(store[number][..., 0], cell)
