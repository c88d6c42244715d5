"""Faces as a store of pixels: the csv is parsed once, into a cache that later runs share.

The cache lies beside the csv, in `<name of the csv>.grainless`, or in the user's cache folder where that
place cannot be written. It is a store (`pixels.u8`, `index.json`) and `source.json`: size, date and SHA-256
of the csv that it was made of, and the SHA-256 of the two other files. It is built under another name and
renamed, so that it is there whole or not at all.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from grainless.atomic import replace_file
from grainless.datasets.fer2013 import open_faces, read_faces
from grainless.datasets.store import (
    INDEX,
    PIXELS,
    PixelStore,
    StoreWriter,
    cannot_be_stored,
    read_index,
    take_up,
)
from grainless.errors import DataError

SOURCE = "source.json"
_VERSION = 1
_ABANDONED_SECONDS = 3600.0
"""A half-built cache of this age was left by a process that was killed; building takes seconds."""

Record = dict[str, Any]


def store_faces(
    file: Path, folder: Path, *, progress: Callable[[int, int], None] | None = None
) -> PixelStore:
    """Put the faces of a FER2013 csv (.csv, .csv.gz or .zip) into `folder`, from the cache if there is one.

    Pixels are `(48, 48, 1)`; names are the Usage and the number of the row from 0 in the whole file, as
    `PublicTest/28709`. A csv whose size and date are those recorded is not read again; if they differ its
    checksum decides. A damaged cache is made anew. `progress` is called with the bytes read and in total, but
    only while the csv is parsed. Raises DataError where the csv cannot be read as faces, or nothing can be
    stored.
    """
    open_faces(file).close()
    cache = _find_cache(file) or _build_cache(file, progress)
    try:
        return _copy_store(cache, folder)
    except OSError as error:
        raise cannot_be_stored(error) from error


def _places(file: Path) -> list[Path]:
    """Return the folders in which the cache of a csv may lie, the preferred one first."""
    resolved = file.resolve()
    places = [resolved.parent / f"{resolved.name}.grainless"]
    named = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG standard has paths ignored that are not absolute. Without a home there is no such folder.
    with suppress(RuntimeError):
        caches = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
        key = hashlib.sha256(os.fsencode(resolved)).hexdigest()[:16]
        places.append(caches / "grainless" / f"{resolved.name}-{key}")
    return places


def _find_cache(file: Path) -> Path | None:
    """Return the folder of a whole cache of this csv as it is now, or None."""
    records = {place: record for place in _places(file) if (record := _read_record(place)) is not None}
    if not records:
        return None
    status = _describe(file)
    for place, record in records.items():
        if all(record[key] == value for key, value in status.items()) and _is_whole(place, record):
            return place
    try:
        checksum = _checksum(file)
    except OSError:
        # Whoever parses it will say what is wrong with it.
        return None
    for place, record in records.items():
        if record["sha256"] == checksum and _is_whole(place, record):
            # The next call need not read the csv; where that cannot be noted it will.
            with suppress(OSError):
                _write_record(place, record | status)
            return place
    return None


def _describe(file: Path) -> Record:
    """Return size and date of the csv."""
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _checksum(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_record(place: Path) -> Record | None:
    """Return what is recorded about a cache, or None where that is missing, damaged or of another version."""
    try:
        record = json.loads((place / SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"size", "mtime_ns", "sha256", "files"}
    known = isinstance(record, dict) and record.get("version") == _VERSION and keys <= record.keys()
    return record if known else None


def _write_record(place: Path, record: Record) -> None:
    """Write what is recorded about a cache."""
    replace_file(place / SOURCE, json.dumps(record, indent=1).encode())


def _is_whole(place: Path, record: Record) -> bool:
    """Return whether the files of a cache are what they were when it was made."""
    try:
        return bool(record["files"] == {name: _checksum(place / name) for name in (INDEX, PIXELS)})
    except OSError:
        return False


def _build_cache(file: Path, progress: Callable[[int, int], None] | None) -> Path:
    """Parse the csv into the first place that can be written, and return that."""
    failures = []
    for place in _places(file):
        try:
            with _workplace(place) as part:
                _parse_into(part, file, progress)
                _put_in_place(part, place)
        except OSError as error:
            failures.append(f"{place}: {error.strerror or error}")
        else:
            return place
    raise DataError(
        f"The faces of {file} cannot be stored",
        got="; ".join(failures),
        expected="room for 84 MB in one of these folders",
        remedy="Free some disk, or let XDG_CACHE_HOME name a folder that can be written",
    )


@contextmanager
def _workplace(place: Path) -> Iterator[Path]:
    """Make a folder beside `place` to build in, and remove what is left of it in the end."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for old in place.parent.glob(f".{glob.escape(place.name)}-*.part"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(old)
    part = place.parent / f".{place.name}-{secrets.token_hex(4)}.part"
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _parse_into(part: Path, file: Path, progress: Callable[[int, int], None] | None) -> None:
    """Write store and record of a csv into a folder."""
    status = _describe(file)
    with StoreWriter(part) as writer:
        for number, (usage, pixels) in enumerate(read_faces(file, progress=progress)):
            writer.add(f"{usage}/{number:05d}", pixels)
        checksum = _checksum(file)
        if _describe(file) != status:
            raise DataError(
                f"{file} changed while it was read",
                remedy="Wait until it is written to its end, then try again",
            )
        writer.finish(checksum)
    files = {name: _checksum(part / name) for name in (INDEX, PIXELS)}
    _write_record(part, {"version": _VERSION, "sha256": checksum, "files": files} | status)


def _put_in_place(part: Path, place: Path) -> None:
    """Give a cache that was built its name; one that is damaged or of another csv goes."""
    if not place.is_dir():
        part.rename(place)
        return
    if any(
        entry.name not in {INDEX, PIXELS, SOURCE} and entry.suffix != ".part" for entry in place.iterdir()
    ):
        raise FileExistsError(errno.EEXIST, "a folder with other files has the name of the cache")
    ours, theirs = _read_record(part), _read_record(place)
    if ours == theirs and theirs is not None and _is_whole(place, theirs):
        # Another process was quicker, and may be reading it.
        return
    old = place.parent / f".{place.name}-{secrets.token_hex(4)}.part"
    place.rename(old)
    part.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _copy_store(cache: Path, folder: Path) -> PixelStore:
    """Bring the store of a cache into a folder, without a copy of the pixels where the disk allows it."""
    index = read_index(cache)
    if index is None:
        raise FileNotFoundError(errno.ENOENT, "the cache was removed meanwhile", str(cache))
    stored = take_up(folder, index["fingerprint"])
    if stored is not None:
        return stored
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    (folder / PIXELS).unlink(missing_ok=True)
    try:
        # Safe to share: stores are never written in place.
        os.link(cache / PIXELS, folder / PIXELS)
    except OSError:
        shutil.copyfile(cache / PIXELS, folder / PIXELS)
    replace_file(folder / INDEX, json.dumps(index).encode())
    return PixelStore(folder)
