"""Decoded 8-bit pictures in one memory-mapped file, so that a set of any size trains in little memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import replace_file
from grainless.datasets.folder import PictureRequirement, Skipped, decode_8bit, find_pictures
from grainless.errors import DataError

Pixels = NDArray[np.uint8]
_Item = TypeVar("_Item")
INDEX = "index.json"
PIXELS = "pixels.u8"
FEED_BYTES = 2**24
"""Bytes of pixels that are read at a time for a checksum."""


class PixelStore:
    """Decoded 8-bit pictures in one memory-mapped file, so that a folder of any size trains in little memory.

    `store[i]` is a read-only `(H, W, C)` uint8 view, C as in the file (1 or 3).
    """

    def __init__(self, folder: Path) -> None:
        """Map what a `StoreWriter` left in `folder`; raises DataError where that is missing or cut off."""
        index = read_index(folder)
        pixels = folder / PIXELS
        if index is None or not pixels.is_file():
            raise DataError(
                f"{folder} does not hold the decoded pictures of a run",
                remedy="Resume the run with its pictures: that decodes them again",
            )
        self.folder = folder
        self.names: list[str] = index["names"]
        self.shapes = [tuple(shape) for shape in index["shapes"]]
        self.skipped = [Skipped(**entry) for entry in index["skipped"]]
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if pixels.stat().st_size != self._starts[-1]:
            raise DataError(
                f"{pixels} is cut off",
                got=f"{pixels.stat().st_size} bytes",
                expected=f"{self._starts[-1]}",
                remedy="Remove it and resume the run with its pictures: that decodes them again",
            )
        self._pixels = np.memmap(pixels, dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Pixels:
        flat: Pixels = self._pixels[self._starts[index] : self._starts[index + 1]]
        return flat.reshape(self.shapes[index])

    def feed(self, take: Callable[[bytes], object]) -> None:
        """Call `take` with names, shapes and pixels of all pictures, piece by piece, for a checksum."""
        take(json.dumps([self.names, self.shapes]).encode())
        for start in range(0, len(self._pixels), FEED_BYTES):
            take(self._pixels[start : start + FEED_BYTES].tobytes())

    def __reduce__(self) -> tuple[type[PixelStore], tuple[Path]]:
        """Travel to another process as a path: the file is mapped again there."""
        return PixelStore, (self.folder,)


class StoreWriter:
    """Writes pictures into a folder, which is a store once `finish` was called and not before.

    Use it as a context, which closes the file. All of it raises OSError, above all where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        # Never written in place: the old file may be mapped by a run or shared with a cache by a hard link.
        (folder / PIXELS).unlink(missing_ok=True)
        self._folder = folder
        self._index: dict[str, Any] = {"names": [], "shapes": [], "skipped": []}
        self._file = (folder / PIXELS).open("wb")

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def names(self) -> list[str]:
        """Names of the pictures written so far."""
        return list(self._index["names"])

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out so far."""
        return [Skipped(**entry) for entry in self._index["skipped"]]

    def add(self, name: str, pixels: Pixels) -> None:
        """Append a picture, `(H, W, C)` uint8."""
        self._file.write(pixels.tobytes())
        self._index["names"].append(name)
        self._index["shapes"].append(pixels.shape)

    def skip(self, name: str, reason: str) -> None:
        """Note a picture that is left out."""
        self._index["skipped"].append({"name": name, "reason": reason})

    def finish(self, fingerprint: str) -> None:
        """Make the folder a store; `fingerprint` tells a later call whether it holds what is wanted."""
        self._file.close()
        replace_file(self._folder / INDEX, json.dumps(self._index | {"fingerprint": fingerprint}).encode())


def store_pixels(
    source: Path,
    folder: Path,
    *,
    requirement: PictureRequirement,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PixelStore:
    """Decode the pictures under `source` into `folder`, or take up what an earlier call left there.

    Pictures that are unreadable or miss the requirement are skipped and listed with the reason. `limit` takes
    that many pictures at even steps through the sorted names. 16-bit and float pictures are rounded to 8 bit.
    Raises DataError if none is left, or if the disk is full.
    """
    names = take_evenly(find_pictures(source), limit)
    fingerprint = fingerprint_files(source, names, requirement)
    taken_up = take_up(folder, fingerprint)
    if taken_up is not None:
        return taken_up
    try:
        with StoreWriter(folder) as writer:
            for count, name in enumerate(names):
                pixels, fault = decode_8bit(source / name, requirement)
                if pixels is None:
                    writer.skip(name, fault)
                else:
                    writer.add(name, pixels)
                if progress is not None:
                    progress(count + 1, len(names))
            if writer.names:
                writer.finish(fingerprint)
    except OSError as error:
        raise cannot_be_stored(error) from error
    if not writer.names:
        raise DataError(
            f"None of the {len(names)} pictures under {source} can be used ({first_reasons(writer.skipped)})",
            remedy="Pass pictures that the recipe can use, or change what it asks for",
        )
    return PixelStore(folder)


def take_evenly(items: list[_Item], limit: int | None) -> list[_Item]:
    """Return `limit` of the items at even steps, or all of them where there is no limit or no more."""
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def take_up(folder: Path, fingerprint: str) -> PixelStore | None:
    """Return the store in `folder` if it is whole and has this fingerprint, else None."""
    index = read_index(folder)
    if index is not None and index["fingerprint"] == fingerprint:
        # A file that was cut off is made anew.
        with contextlib.suppress(DataError):
            return PixelStore(folder)
    return None


def read_index(folder: Path) -> dict[str, Any] | None:
    """Return what lies beside the decoded pixels, or None where that is missing or damaged."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(index, dict) and {"fingerprint", "names", "shapes", "skipped"} <= index.keys()
    return index if known else None


def first_reasons(skipped: Sequence[Skipped]) -> str:
    """Return the first ten pictures that were left out, with their reasons, for a message."""
    return "; ".join(f"{entry.name}: {entry.reason}" for entry in skipped[:10])


def cannot_be_stored(error: OSError) -> DataError:
    """Return what to raise where the pixels cannot be written."""
    return DataError(
        "The decoded pictures cannot be stored",
        got=str(error),
        remedy="Free some disk, and see that the folder can be written",
    )


def fingerprint_files(source: Path, names: Sequence[str], requirement: PictureRequirement) -> str:
    """Return a hash that changes when a file, its size or its date changes, or the requirement."""
    digest = hashlib.sha256(os.fsencode(f"{source.resolve()}|{requirement}"))
    for name in names:
        status = (source / name).stat()
        digest.update(os.fsencode(f"{name}|{status.st_size}|{status.st_mtime_ns}\n"))
    return digest.hexdigest()
