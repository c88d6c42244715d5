"""Pictures for training: folders of files, splits, and decoded pixels on disk. No torch here."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import replace_file
from grainless.errors import DataError, GrainlessError
from grainless.metrics import to_8bit
from grainless.picture import is_picture_name, read_picture

Pixels = NDArray[np.uint8]
INDEX = "index.json"


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureRequirement:
    """What a training picture must be."""

    min_side: int = 1
    """Shortest side allowed, in pixels."""
    channels: Literal["any", 1, 3] = "any"

    def fault(self, pixels: NDArray[Any]) -> str | None:
        """Return in words why `(H, W, C)` pixels cannot be used, or None."""
        height, width, channels = pixels.shape
        if min(height, width) < self.min_side:
            return f"too small: {width}x{height} pixels, each side must be at least {self.min_side}"
        if self.channels not in {"any", channels}:
            return f"{channels} channel(s), this recipe needs {self.channels}"
        return None


def find_pictures(folder: Path) -> list[str]:
    """Return the relative names (with `/`) of all picture files under a folder, without hidden ones, sorted.

    Raises DataError if the folder does not exist or holds no file with a picture's name.
    """
    if not folder.is_dir():
        raise DataError("The data folder does not exist", got=str(folder), remedy="Pass a folder of pictures")
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and is_picture_name(path)
        # Hidden files are no pictures, above all those that macOS leaves beside each picture.
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not names:
        raise DataError(
            "The data folder holds no picture", got=str(folder), remedy="Pass a folder of pictures"
        )
    return names


def split_names(
    names: Sequence[str], *, listed: Iterable[str] = (), share: float = 0.05
) -> tuple[list[str], list[str]]:
    """Return training and validation names that never overlap and never depend on order or on other files.

    `listed` names are the validation set if any of them exists in `names`; otherwise a hash of each name puts
    about `share` of them there, at least one. Raises DataError where one of the two would be empty.
    """
    chosen = set(listed) & set(names)
    if not chosen:
        ranks = {
            name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64 for name in names
        }
        chosen = {name for name in names if ranks[name] < share} or {min(names, key=lambda name: ranks[name])}
    training = [name for name in names if name not in chosen]
    if not training:
        raise DataError(
            "No picture is left for training after the validation pictures were set apart",
            got=f"{len(names)} picture(s)",
            remedy="Add pictures; two are the least",
        )
    return training, sorted(chosen)


class PixelStore:
    """Decoded 8-bit pictures in one memory-mapped file, so that a folder of any size trains in little memory.

    `store[i]` is a read-only `(H, W, C)` uint8 view, C as in the file (1 or 3).
    """

    def __init__(self, folder: Path) -> None:
        """Map what `store_pixels` left in `folder`; raises DataError where that is missing or cut off."""
        index = _read_index(folder)
        pixels = folder / "pixels.u8"
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

    def __reduce__(self) -> tuple[type[PixelStore], tuple[Path]]:
        """Travel to another process as a path: the file is mapped again there."""
        return PixelStore, (self.folder,)


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
    names = find_pictures(source)
    if limit is not None and limit < len(names):
        names = [names[i * len(names) // limit] for i in range(limit)]
    fingerprint = _fingerprint(source, names, requirement)
    index = _read_index(folder)
    if index is not None and index["fingerprint"] == fingerprint:
        # A file that was cut off is decoded anew.
        with contextlib.suppress(DataError):
            return PixelStore(folder)
    try:
        index = _decode_all(source, names, folder, requirement=requirement, progress=progress)
        if index["names"]:
            replace_file(folder / INDEX, json.dumps(index | {"fingerprint": fingerprint}).encode())
    except OSError as error:
        raise DataError(
            "The decoded pictures cannot be stored", got=str(error), remedy="Free some disk"
        ) from error
    if not index["names"]:
        reasons = "; ".join(f"{entry['name']}: {entry['reason']}" for entry in index["skipped"][:10])
        raise DataError(f"None of the {len(names)} pictures under {source} can be used ({reasons})")
    return PixelStore(folder)


def _read_index(folder: Path) -> dict[str, Any] | None:
    """Return what lies beside the decoded pixels, or None where that is missing or damaged."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(index, dict) and {"fingerprint", "names", "shapes", "skipped"} <= index.keys()
    return index if known else None


def _decode_all(
    source: Path,
    names: Sequence[str],
    folder: Path,
    *,
    requirement: PictureRequirement,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Write the pixels of all pictures that can be used, and return the index but for its fingerprint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    index: dict[str, Any] = {"names": [], "shapes": [], "skipped": []}
    with (folder / "pixels.u8").open("wb") as file:
        for count, name in enumerate(names):
            pixels, fault = decode_8bit(source / name, requirement)
            if pixels is None:
                index["skipped"].append({"name": name, "reason": fault})
            else:
                file.write(pixels.tobytes())
                index["names"].append(name)
                index["shapes"].append(pixels.shape)
            if progress is not None:
                progress(count + 1, len(names))
    return index


def decode_8bit(path: Path, requirement: PictureRequirement) -> tuple[Pixels | None, str]:
    """Return uint8 pixels `(H, W, C)` without alpha, or None and why the picture cannot be used."""
    try:
        pixels = read_picture(path).pixels
    except GrainlessError as error:
        return None, str(error)
    fault = requirement.fault(pixels)
    if fault is not None:
        return None, fault
    return np.ascontiguousarray(to_8bit(pixels)), ""


def _fingerprint(source: Path, names: Sequence[str], requirement: PictureRequirement) -> str:
    """Return a hash that changes when a file, its size or its date changes, or the requirement."""
    digest = hashlib.sha256(f"{source.resolve()}|{requirement}".encode())
    for name in names:
        status = (source / name).stat()
        digest.update(f"{name}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
