"""The FER2013 csv: one face of 48x48 gray pixels a row, and the splits that studies train and test on.

The header is `emotion,pixels,Usage`; `pixels` is 2304 whole numbers from 0 to 255, row by row from the top,
and `Usage` tells the part of the official split (Goodfellow et al. 2013, "Challenges in Representation
Learning"). The columns may come in another order and beside others. `store_faces` makes a `PixelStore` of it.
"""

from __future__ import annotations

import csv
import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.datasets.folder import split_names
from grainless.errors import DataError

SIDE = 48
"""Height and width of a face, in pixels."""
COLUMNS = ("emotion", "pixels", "Usage")
USAGES = ("Training", "PublicTest", "PrivateTest")

_SUFFIXES = (".csv", ".csv.gz", ".zip")
_LINE_LIMIT = 2**20
"""Longest line that is read, in bytes; a face takes 9 KB. Keeps memory flat whatever the file holds."""
_PROGRESS_EVERY = 500
_LEVELS = {str(level): level for level in range(256)}
_SAVE_AGAIN = "Save the file again as CSV in UTF-8, with commas between the columns and one face a line"
_GET_AGAIN = "Download or copy the file again"


@dataclass(frozen=True)
class FaceSplit:
    """Names of the faces of each part; each part holds at least one, and no name is in two."""

    training: list[str]
    validation: list[str]
    test: list[str]


def is_faces_file(path: Path) -> bool:
    """Return whether a path has the name of a faces file (.csv, .csv.gz or .zip) and is no folder."""
    return path.name.lower().endswith(_SUFFIXES) and not path.is_dir()


def split_faces(names: Sequence[str], *, split: Literal["official", "random"] = "official") -> FaceSplit:
    """Split the names of a store of faces.

    `official`: Training, PrivateTest for validation, PublicTest for the test, in file order. `random`: of all
    faces, in the order of the file, the 80/20 split that scikit-learn's `train_test_split(test_size=0.2,
    random_state=42)` makes, in its order; about 5 % of the training part, by a hash of the name, are set
    apart for validation. Raises DataError where a part would be empty.
    """
    counts = {usage: sum(name.startswith(f"{usage}/") for name in names) for usage in USAGES}
    if split == "official":
        parts = [[name for name in names if name.startswith(f"{usage}/")] for usage in USAGES]
        faces = FaceSplit(training=parts[0], validation=parts[2], test=parts[1])
        needed = {"training": "Training", "validation": "PrivateTest", "test": "PublicTest"}
        remedy = "Add rows with this Usage, or use the random split, which does without Usage"
    else:
        faces = _split_randomly(names)
        needed = {}
        remedy = "Add rows; a few dozen are enough for any split"
    for part, members in vars(faces).items():
        if not members:
            raise DataError(
                f"The {split} split leaves no face for {part}",
                got=", ".join(f"{count} {usage}" for usage, count in counts.items()),
                expected=f"at least one row with the Usage {needed[part]}" if needed else None,
                remedy=remedy,
            )
    return faces


def _split_randomly(names: Sequence[str]) -> FaceSplit:
    """Return scikit-learn's split with seed 42 and a validation part; parts may be empty."""
    # As ShuffleSplit of scikit-learn: the legacy generator, the test part first, its size rounded up.
    order = np.random.RandomState(42).permutation(len(names))
    tested = math.ceil(0.2 * len(names))
    test, rest = ([names[i] for i in part] for part in (order[:tested], order[tested:]))
    if len(rest) < 2:
        return FaceSplit(training=rest, validation=[], test=test)
    training, validation = split_names(rest)
    return FaceSplit(training=training, validation=validation, test=test)


def read_faces(
    file: Path, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the Usage and the `(48, 48, 1)` uint8 pixels of each row, in file order.

    Reads .csv, .csv.gz and .zip with one csv in it, a line at a time. `progress` is called with the bytes of
    the file that were read and its size. Raises DataError, with the line where there is one, for whatever
    keeps the file from being read as faces.
    """
    with open_faces(file) as raw:
        size = file.stat().st_size
        count = 0
        for count, face in enumerate(_parse_rows(file, _read_lines(file, raw)), start=1):
            if progress is not None and count % _PROGRESS_EVERY == 0:
                progress(min(raw.tell(), size), size)
            yield face
    if not count:
        raise DataError(
            f"{file} holds no faces", got="a header without rows", remedy="Pass a file with one face a row"
        )
    if progress is not None:
        progress(size, size)


def open_faces(file: Path) -> IO[bytes]:
    """Open a faces file for reading, packed as it is; raises DataError where that cannot be done."""
    if file.is_dir():
        raise DataError(
            f"{file} is a folder", expected="a .csv, .csv.gz or .zip file", remedy="Pass the file in it"
        )
    try:
        return file.open("rb")
    except FileNotFoundError as error:
        raise DataError(
            f"The file {file} does not exist", remedy="Pass the path of the FER2013 csv"
        ) from error
    except OSError as error:
        raise DataError(
            f"{file} cannot be read", got=str(error), remedy="See that you may read the file"
        ) from error


def _read_lines(file: Path, raw: IO[bytes]) -> Iterator[str]:
    """Yield the lines of the csv, unpacked and decoded, and turn all that can go wrong into a DataError."""
    number = 0
    with _naming_damage(file):
        stream = _unpack(file, raw)
    while True:
        with _naming_damage(file):
            line = stream.readline(_LINE_LIMIT)
        if not line:
            return
        number += 1
        if len(line) == _LINE_LIMIT and not line.endswith(b"\n"):
            raise DataError(
                f"Line {number} of {file} is too long",
                got=f"more than {_LINE_LIMIT} bytes",
                expected="one face a line, about 9000 bytes",
                remedy=_SAVE_AGAIN,
            )
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"Line {number} of {file} is not UTF-8 text",
                got=f"the byte 0x{line[error.start]:02x} at position {error.start + 1}",
                expected="a csv file in UTF-8, or one packed as .csv.gz or .zip",
                remedy=_SAVE_AGAIN,
            ) from error
        yield text.removeprefix("\ufeff") if number == 1 else text


@contextmanager
def _naming_damage(file: Path) -> Iterator[None]:
    """Turn what gzip, zip and the disk raise for damaged files into a DataError."""
    try:
        yield
    except EOFError as error:
        raise DataError(f"{file} is cut off", got=str(error), remedy=_GET_AGAIN) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        kind = "gzip" if file.name.lower().endswith(".gz") else "zip"
        raise DataError(
            f"{file} is cut off or damaged, or no {kind} file", got=str(error), remedy=_GET_AGAIN
        ) from error
    except RuntimeError as error:
        # zipfile raises it for passwords, and its NotImplementedError for ways of packing it does not know.
        raise DataError(
            f"{file} cannot be unpacked", got=str(error), remedy="Unpack it and pass the csv in it"
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read", got=str(error), remedy=_GET_AGAIN) from error


def _unpack(file: Path, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    """Return the bytes of the csv, unpacked as the name of the file says."""
    name = file.name.lower()
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if not name.endswith(".zip"):
        return raw
    archive = zipfile.ZipFile(raw)
    held = [entry for entry in archive.namelist() if not entry.endswith("/")]
    # What macOS packs beside each file is no csv, whatever its name.
    tables = [
        entry
        for entry in held
        if entry.lower().endswith(".csv") and not entry.rpartition("/")[2].startswith(".")
    ]
    if len(tables) != 1:
        more = f" and {len(held) - 10} more" if len(held) > 10 else ""
        raise DataError(
            f"{file} holds {len(tables) or 'no'} csv files",
            got=(", ".join(held[:10]) + more) or "an empty archive",
            expected="exactly one csv",
            remedy="Unpack it and pass the csv of the faces",
        )
    return archive.open(tables[0])


def _parse_rows(file: Path, lines: Iterator[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield Usage and pixels of each row; blank lines are passed over."""
    reader = csv.reader(lines, strict=True)
    header = [name.strip() for name in _next_row(f"Line 1 of {file}", reader) or []]
    places = _find_columns(file, header)
    while True:
        # A row may go over several lines; it is named by its first.
        where = f"Line {reader.line_num + 1} of {file}"
        row = _next_row(where, reader)
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(header):
            raise DataError(
                f"{where} does not fit the header",
                got=f"{len(row)} column{'s' if len(row) > 1 else ''}",
                expected=f"{len(header)}",
                remedy="Mend or remove this line; if it is the last one, the file is cut off: get it again",
            )
        yield _parse_usage(where, row[places["Usage"]]), _parse_pixels(where, row[places["pixels"]])


def _next_row(where: str, reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next row, or None behind the last one."""
    # The limit is the process's own: it is put back at once.
    before = csv.field_size_limit(_LINE_LIMIT)
    try:
        return next(reader, None)
    except csv.Error as error:
        # Behind the dash Python advises whoever writes the program.
        raise DataError(
            f"{where} cannot be read as csv",
            got=str(error).partition(" - ")[0],
            remedy=f"Close the quotation mark if one is open. {_SAVE_AGAIN}",
        ) from error
    finally:
        csv.field_size_limit(before)


def _find_columns(file: Path, header: list[str]) -> dict[str, int]:
    """Return the place of each column that is needed."""
    if not any(header):
        raise DataError(
            f"{file} is empty or begins with a blank line",
            expected=f"the header {','.join(COLUMNS)}",
            remedy="Pass the FER2013 csv",
        )
    if any(header.count(name) != 1 for name in COLUMNS):
        shown = ", ".join(name[:30] for name in header[:10])
        raise DataError(
            f"Line 1 of {file} is not the header of a faces file",
            got=f"the columns {shown}" + (" and more" if len(header) > 10 else ""),
            expected=f"the columns {', '.join(COLUMNS)} (each once, spelled like this, in any order)",
            remedy="Pass the FER2013 csv with all three columns and commas between, or mend its first line",
        )
    return {name: header.index(name) for name in COLUMNS}


def _parse_usage(where: str, text: str) -> str:
    """Return the Usage that a field holds."""
    usage = text.strip()
    if usage not in USAGES:
        raise DataError(
            f"{where} has an unknown Usage",
            got=repr(usage[:30]),
            expected=f"one of {', '.join(USAGES)}",
            remedy="Mend or remove this line",
        )
    return usage


def _parse_pixels(where: str, text: str) -> NDArray[np.uint8]:
    """Return `(48, 48, 1)` pixels of a field of 2304 numbers."""
    plain = _parse_plain(text)
    if plain is not None:
        return plain.reshape(SIDE, SIDE, 1)
    values = text.split()
    if len(values) != SIDE * SIDE:
        raise DataError(
            f"{where} does not hold one face",
            got=f"{len(values)} pixel values",
            expected=f"{SIDE * SIDE} ({SIDE}x{SIDE})",
            remedy="Mend or remove this line; if it is the last one, the file is cut off: get it again",
        )
    levels = bytes(_parse_level(where, place, value) for place, value in enumerate(values, start=1))
    return np.frombuffer(levels, np.uint8).reshape(SIDE, SIDE, 1)


def _parse_plain(text: str) -> NDArray[np.uint8] | None:
    """Return the 2304 levels of a field as the official file writes it, or None if anything is unusual.

    It reads all numbers at once, which is quick: each has 1 to 3 digits, with one space between.
    """
    characters = np.frombuffer(text.encode(), np.uint8)
    spaces = np.flatnonzero(characters == ord(" "))
    starts = np.concatenate([[0], spaces + 1])
    lengths = np.append(spaces, len(characters)) - starts
    if len(starts) != SIDE * SIDE or lengths.min() < 1 or lengths.max() > 3:
        return None
    # What is no digit wraps around to more than 9.
    digits = characters - np.uint8(ord("0"))
    if np.count_nonzero(digits > 9) != len(spaces):
        return None
    last = starts + lengths - 1
    levels = digits[last] + np.where(lengths > 1, digits[last - 1], 0) * np.int16(10)
    levels += np.where(lengths > 2, digits[last - 2], 0) * np.int16(100)
    return levels.astype(np.uint8) if levels.max() <= 255 else None


def _parse_level(where: str, place: int, value: str) -> int:
    """Return a pixel value; leading zeros are fine, whatever else is unusual is an error."""
    level = _LEVELS.get(value.lstrip("0") or "0")
    if level is None:
        raise DataError(
            f"{where} has a pixel value that is not valid",
            got=f"{value[:30]!r} as value {place}",
            expected="a whole number from 0 to 255",
            remedy="Mend or remove this line",
        )
    return level
