"""What a run trains on: its pictures, decoded into the run folder, and how they are shared out."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import replace_file
from grainless.datasets import (
    PictureRequirement,
    PixelStore,
    find_pictures,
    is_faces_file,
    match_pairs,
    split_faces,
    split_names,
    store_faces,
    store_pairs,
    store_pixels,
    take_evenly,
)
from grainless.doctor import KINDS, check_store
from grainless.errors import DataError, TrainingError
from grainless.training.recipe import DataSection, Recipe

logger = logging.getLogger("grainless")

DATA_FILE = "data.json"
PIXELS = "pixels"
START = "start_from"
"""Where the data of a run name the model whose weights it began with."""
PARTS = ("training", "validation", "test")
"""What pictures are for, in the order of `TrainingSource`."""


@dataclass(frozen=True)
class TrainingSource:
    """Decoded pictures and which of them are for what."""

    store: PixelStore
    """The clean pictures."""
    noisy: PixelStore | None
    """Their noisy partners, of equal names and shapes, where the recipe trains on pairs."""
    training: list[int]
    """Positions in the store."""
    validation: list[int]
    test: list[int]
    """Pictures that the run never sees."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return uint8 pixels `(H, W, C)`; of a pair `(H, W, 2C)`, clean before noisy."""
        if self.noisy is None:
            return self.store[index]
        return np.concatenate([self.store[index], self.noisy[index]], axis=2)


def check_data(data: Path, recipe: Recipe) -> None:
    """Raise DataError unless `data` is what the recipe trains on."""
    kind = recipe.data.kind
    if kind == "faces":
        if not is_faces_file(data):
            raise DataError(
                f"The recipe {recipe.name} trains on the faces of FER2013",
                got=str(data),
                expected="its csv file (also .csv.gz or .zip)",
                remedy="Pass --data fer2013.csv",
            )
        return
    if is_faces_file(data) and data.is_file():
        raise DataError(
            f"The recipe {recipe.name} trains on a folder of pictures",
            got=str(data),
            remedy="Pass a folder, or choose a recipe for faces",
        )
    if kind == "pairs":
        match_pairs(*(data / name for name in recipe.data.pairs))
    else:
        find_pictures(data)


def open_source(
    data: Path,
    recipe: Recipe,
    output: Path,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingSource:
    """Decode what the recipe trains on into the run folder `output`, or take up what lies there already.

    `limit` takes that many pictures at even steps through the names. `progress` is told how much is decoded,
    of how much. Raises DataError.
    """
    section, folder = recipe.data, output / PIXELS
    requirement = PictureRequirement(min_side=section.min_side, channels=section.channels)
    noisy = None
    if section.kind == "faces":
        store = store_faces(data, folder, progress=progress)
    elif section.kind == "pairs":
        first, second = (data / name for name in section.pairs)
        noisy, store = store_pairs(first, second, folder, requirement=requirement, limit=limit)
    else:
        store = store_pixels(data, folder, requirement=requirement, limit=limit, progress=progress)
    return _shared_out(store, noisy, section, limit)


def reopen_source(output: Path, recipe: Recipe) -> TrainingSource:
    """Return what lies in a run folder, shared out as the run did; raises TrainingError, DataError."""
    folder = output / PIXELS
    pairs = recipe.data.kind == "pairs"
    store = PixelStore(folder / "clean" if pairs else folder)
    data = load_run_data(output)
    position = {name: i for i, name in enumerate(store.names)}
    try:
        parts = [[position[name] for name in data.get(part, ())] for part in PARTS]
    except KeyError as error:
        raise TrainingError(f"{folder} does not hold the pictures of the run", got=f"no {error}") from error
    return TrainingSource(store, PixelStore(folder / "noisy") if pairs else None, *parts)


def _shared_out(
    store: PixelStore, noisy: PixelStore | None, section: DataSection, limit: int | None
) -> TrainingSource:
    """Decide which pictures are trained on, validated on and left for tests."""
    if section.kind == "faces":
        faces = split_faces(store.names, split=section.split)
        training, validation, test = take_evenly(faces.training, limit), faces.validation, faces.test
    else:
        test = pick_by_hash(store.names, section.test_share)
        rest = sorted(set(store.names) - set(test))
        training, validation = split_names(rest, listed=section.validation, share=section.validation_share)
    position = {name: i for i, name in enumerate(store.names)}
    parts = (training, take_evenly(validation, section.validation_limit), test)
    return TrainingSource(store, noisy, *([position[name] for name in part] for part in parts))


def pick_by_hash(names: Sequence[str], share: float) -> list[str]:
    """Return about `share` of the names; whether one is picked depends on nothing but the name."""
    salted = {name: hashlib.sha256(os.fsencode(f"test|{name}")).digest() for name in names}
    return [name for name in names if int.from_bytes(salted[name][:8], "big") < share * 2**64]


def describe_source(source: TrainingSource, data: Path) -> None:
    """Log how many pictures there are, and which were skipped and why."""
    for skipped in source.store.skipped:
        logger.warning("Skipped %s: %s", skipped.name, skipped.reason)
    logger.info("%d pictures from %s, %d skipped", len(source.store), data, len(source.store.skipped))


def report_faults(source: TrainingSource, data: Path, *, pairs: Sequence[str] = ()) -> None:
    """Warn of what the quick check of the data finds at fault: a line for each kind, with one picture of it.

    Nothing is left out of the training: that is for whoever knows the pictures to decide. `pairs` are the
    sides of a recipe for pairs.
    """
    parts = {part: getattr(source, part) for part in PARTS}
    report = check_store(source.store, noisy=source.noisy, name=str(data), parts=parts)
    for kind, findings in groupby(report.faults, key=lambda finding: finding.kind):
        first, *more = findings
        others = f", and {len(more)} more" if more else ""
        about = KINDS[kind]
        logger.warning("%s: %s, %s%s. %s", about.title, first.file, first.found, others, about.remedy)
    if report.faults:
        words = ["grainless", "check-data", str(data), *(["--pairs", *pairs] if pairs else [])]
        logger.warning("`%s` looks further", shlex.join(words))


def write_split(source: TrainingSource, output: Path, *, data: Path, resume: bool) -> None:
    """Write which pictures the run trains on, validates on and skipped; a resumed run must have the same."""
    held = load_run_data(output) if (output / DATA_FILE).is_file() else {}
    if resume and PARTS[0] in held:
        check_same_pictures(source, output)
        return
    content = {
        "version": 1,
        "folder": data.resolve().name,
        "checksum": checksum(source),
        **_named_parts(source),
        "skipped": [vars(skipped) for skipped in source.store.skipped],
        **({START: held[START]} if START in held else {}),
    }
    write_json(output / DATA_FILE, content)


def check_same_pictures(source: TrainingSource, output: Path) -> None:
    """Raise TrainingError unless the pictures are those that the run in `output` began with."""
    before, parts = load_run_data(output), _named_parts(source)
    others = any(before.get(part, []) != names for part, names in parts.items())
    if others or ("checksum" in before and before["checksum"] != checksum(source)):
        got = f"{len(source.training)} for training and {len(source.validation)} for validation, not the same"
        raise TrainingError(
            "A resumed run needs the pictures that it began with",
            got=got if others else "pictures of the same names with other pixels",
            remedy=f"Pass the same --data and --limit-train; the names are in {output / DATA_FILE}",
        )


def _named_parts(source: TrainingSource) -> dict[str, list[str]]:
    """Return the names of the pictures by what they are for."""
    return {part: [source.store.names[i] for i in getattr(source, part)] for part in PARTS}


def checksum(source: TrainingSource) -> str:
    """Return the SHA-256 over names, shapes and pixels of all pictures."""
    digest = hashlib.sha256()
    for store in (source.store, source.noisy):
        if store is not None:
            store.feed(digest.update)
    return digest.hexdigest()


def load_run_data(run: Path) -> dict[str, Any]:
    """Return what a run trains on, validates on and skipped; raises TrainingError where that is missing."""
    return read_json(run / DATA_FILE)


def write_json(file: Path, table: Mapping[str, Any]) -> None:
    """Write a table into a file of the run folder, whole or not at all."""
    replace_file(file, (json.dumps(table, indent=1) + "\n").encode())


def read_json(file: Path) -> dict[str, Any]:
    """Return the table in a file of the run folder."""
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{file} cannot be read", got=str(error)) from error
    if not isinstance(table, dict):
        raise TrainingError(f"{file} cannot be read", got=f"a JSON {type(table).__name__}")
    return table
