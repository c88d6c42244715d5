"""Pictures that are worked on from the disk, because they are large or because memory is limited."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from grainless.batch.pipeline import check_disk
from grainless.budget import Budget
from grainless.denoiser import Denoiser
from grainless.diagnosis import Diagnosis, diagnose_picture, spans
from grainless.errors import MemoryLimitError, PictureError
from grainless.inference import Network
from grainless.memory import free_memory, give_back
from grainless.picture import (
    AnyPicture,
    Picture,
    PictureFacts,
    StoredPicture,
    encoding_bytes,
    format_for,
    look_at,
    read_picture,
    store_picture,
)
from grainless.source import check_linear

MAX_MEGAPIXELS = 500.0
"""Of pictures that are worked on in memory, if nothing else is asked for."""
SHARE = 1 / 8
"""A picture whose values take more of the free memory than this goes to the disk.

It would be in memory twice, and what decodes and encodes it comes on top.
"""
_WHOLE_ENCODERS = frozenset({"webp", "avif", "bmp"})


_DIAGNOSIS_BYTES = 40
"""Of memory, for each value that a diagnosis looks at: measured, with the kind that takes the most.

The guard, and the picture of what was removed, always take less than decoding does.
"""


@dataclass(frozen=True)
class Large:
    """A picture on the disk."""

    picture: StoredPicture
    tile: int | None
    """Largest side of its tiles; None for the usual one."""


def sampled(picture: AnyPicture) -> Picture:
    """Return a picture in memory that has the same diagnosis."""
    if isinstance(picture, Picture):
        return picture
    rows, columns = picture.pixels.shape[:2]
    return picture.boxes(spans(rows), spans(columns))


def diagnosis_bytes(facts: PictureFacts) -> int:
    """Return how many bytes of memory the diagnosis of a picture on the disk takes, about."""
    rows, columns = (sum(map(len, spans(side))) for side in (facts.height, facts.width))
    return _DIAGNOSIS_BYTES * rows * columns * facts.channels


def diagnose_file(path: Path, *, linear: bool = False, max_megapixels: float | None = None) -> Diagnosis:
    """Tell which noise the picture in a file has, as it is told before the picture is cleaned.

    A large one is decoded into a scratch file, in the system's folder for such files. Raises PictureError as
    `read_picture` does and where there is no room, InputError for whole numbers that are said to be `linear`.
    """
    facts = look_at(path, max_megapixels=np.inf if max_megapixels is None else max_megapixels)
    picture: AnyPicture
    if goes_to_disk(facts):
        picture = _stored_for_a_look(path, facts)
    else:
        most = MAX_MEGAPIXELS if max_megapixels is None else max_megapixels
        picture = read_picture(path, max_megapixels=most)
    check_linear(picture.pixels.dtype, linear=linear)
    return diagnose_picture(sampled(picture), file=path, linear=linear)


def _stored_for_a_look(path: Path, facts: PictureFacts) -> StoredPicture:
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        raise PictureError(
            f"{path}: {error.strerror or error}", remedy="Set TMPDIR to a folder that can be written"
        ) from error
    check_disk(folder / path.name, facts.nbytes)
    return store_picture(path, folder)


def goes_to_disk(facts: PictureFacts, target: Path | None = None) -> bool:
    """Return whether a picture is too large for the free memory, and can be worked on from the disk.

    `target` is where its result is to be written, if there will be one.
    """
    if facts.whole is not None:
        return False
    if target is not None and format_for(target).name in _WHOLE_ENCODERS:
        return False
    free = free_memory()
    large = facts.width * facts.height > MAX_MEGAPIXELS * 1e6
    return large or (free is not None and facts.nbytes > free * SHARE)


@dataclass(frozen=True)
class Limit:
    """How much memory may be used, and for what."""

    limit: int
    """In bytes, of the whole process."""
    denoiser: Denoiser
    mask: Path | None = None
    diagnosed: bool = False
    """Whether pictures are looked at first."""


def read_large(
    source: Path, target: Path, facts: PictureFacts, *, limit: Limit | None = None, beside: int = 0
) -> Large:
    """Decode a picture into a scratch file beside its result, whose folder must be there.

    Two more of its size will be needed, its result and the file of that, and so many bytes `beside`; the fill
    under transparent pixels is gone before the result is full. With a `limit` the tiles are chosen so that it
    is kept. Before anything is decoded DiskFullError is raised, and MemoryLimitError where the limit is too
    small.
    """
    tile = None if limit is None else _fitting_tile(source, target, facts, limit)
    check_disk(target, 3 * facts.nbytes + beside)
    stored = store_picture(source, target.parent)
    give_back()
    return Large(stored, tile)


def _fitting_tile(source: Path, target: Path, facts: PictureFacts, limit: Limit) -> int:
    """Return the largest side of the tiles within the limit."""
    row = format_for(target)
    row_bytes = facts.width * facts.channels * facts.dtype.itemsize
    encoding = encoding_bytes(row, facts.nbytes, row_bytes)
    budget = _budget(limit.limit, limit.denoiser.network)
    mask = 0 if limit.mask is None else look_at(limit.mask).decoding
    diagnosis = diagnosis_bytes(facts) if limit.diagnosed else 0
    beside = max(facts.decoding, encoding, mask, diagnosis)
    try:
        return budget.tile(limit.denoiser, beside=beside, side=max(facts.width, facts.height))
    except MemoryLimitError as error:
        if facts.whole is not None and budget.begin + facts.decoding > limit.limit:
            raise _only_whole(
                f"{source} is {facts.whole}, which can only be decoded as a whole",
                "first save it as TIFF, as PNG that is not interlaced or as JPEG that is not progressive",
                error,
            ) from error
        if row.name in _WHOLE_ENCODERS and budget.begin + encoding > limit.limit:
            raise _only_whole(
                f"{target}: {row.title} can only be written as a whole",
                "choose a name ending in .png, .tif or .jpg",
                error,
            ) from error
        raise


def _only_whole(problem: str, way_out: str, error: MemoryLimitError) -> MemoryLimitError:
    """Say the same with its reason, and with a way out."""
    return MemoryLimitError(
        problem,
        got=f"a limit of {error.got}",
        expected=error.expected,
        remedy=f"Raise --max-memory, or {way_out}",
    )


@lru_cache(maxsize=1)
def _budget(limit: int, network: Network) -> Budget:
    """Return the budget for all pictures that go through a network."""
    return Budget(limit)
