"""Pictures that are worked on from the disk, because they are large or because memory is limited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from grainless.batch.pipeline import check_disk
from grainless.budget import Budget
from grainless.denoiser import Denoiser
from grainless.diagnosis import spans
from grainless.errors import PictureError
from grainless.memory import free_memory, megabytes
from grainless.picture import (
    Picture,
    PictureFacts,
    ResultFile,
    StoredPicture,
    encoding_bytes,
    format_for,
    store_picture,
)

MAX_MEGAPIXELS = 500.0
"""Of pictures that are worked on in memory, if nothing else is asked for."""
SHARE = 1 / 8
"""A picture whose values take more of the free memory than this goes to the disk: it would be in memory twice,
and what decodes and encodes it comes on top."""
_WHOLE_ENCODERS = frozenset({"webp", "avif", "bmp"})
_FILL_BYTES = 6
"""Bytes per pixel, at most, that the fill under transparent pixels takes on the disk."""


@dataclass(frozen=True)
class Large:
    """A picture on the disk."""

    picture: StoredPicture
    tile: int | None
    """Largest side of its tiles; None for the usual one."""

    @property
    def pixels(self) -> int:
        """How many there are."""
        height, width = self.picture.pixels.shape[:2]
        return height * width

    def sampled(self) -> Picture:
        """Return what a diagnosis looks at, as a picture that has the same diagnosis."""
        rows, columns = self.picture.pixels.shape[:2]
        return self.picture.boxes(spans(rows), spans(columns))


@dataclass(frozen=True)
class LargeResult:
    """A result on the disk that is to be encoded."""

    file: ResultFile
    pixels: int
    notes: tuple[str, ...]


def goes_to_disk(facts: PictureFacts, target: Path) -> bool:
    """Return whether a picture is too large for the memory that is free, and can be worked on from the disk."""
    if facts.whole is not None or format_for(target).name in _WHOLE_ENCODERS:
        return False
    free = free_memory()
    large = facts.width * facts.height > MAX_MEGAPIXELS * 1e6
    return large or (free is not None and facts.nbytes > free * SHARE)


def read_large(
    source: Path,
    target: Path,
    facts: PictureFacts,
    *,
    limit: int | None = None,
    load: Callable[[], Denoiser],
) -> Large:
    """Decode a picture into a scratch file beside its result.

    With a `limit` of memory the tiles are chosen so that it is kept, for the model that `load` gives. Raises
    DiskFullError before anything is decoded, PictureError for a file or a format that would break the limit
    and InputError for a limit that is too small.
    """
    tile = None
    if limit is not None:
        tile = _fitting_tile(source, target, facts, limit=limit, denoiser=load())
    fill = _FILL_BYTES * facts.width * facts.height if facts.channels in {2, 4} else 0
    # The values before, the values after, and the file that is written of these.
    check_disk(target, 3 * facts.nbytes + fill)
    return Large(store_picture(source, target.parent), tile)


def _fitting_tile(
    source: Path, target: Path, facts: PictureFacts, *, limit: int, denoiser: Denoiser
) -> int:
    row = format_for(target)
    row_bytes = facts.width * facts.channels * facts.dtype.itemsize
    encoding = encoding_bytes(row, facts.nbytes, row_bytes)
    beside = max(facts.decoding, encoding)
    budget = _budget(limit)
    base = budget.begin
    if facts.whole is not None and base + facts.decoding > limit:
        raise PictureError(
            f"{source} is {facts.whole}, which can only be decoded as a whole",
            got=f"a limit of {megabytes(limit)}",
            expected=f"at least {megabytes(base + facts.decoding)}",
            remedy="Raise --max-memory, or first save it as TIFF, as PNG that is not interlaced or as JPEG"
            " that is not progressive",
        )
    if row.name in _WHOLE_ENCODERS and base + encoding > limit:
        raise PictureError(
            f"{target}: {row.title} can only be written as a whole",
            got=f"a limit of {megabytes(limit)}",
            expected=f"at least {megabytes(base + encoding)}",
            remedy="Raise --max-memory, or choose a name ending in .png, .tif or .jpg",
        )
    return budget.tile(denoiser, beside=beside, side=max(facts.width, facts.height))


@lru_cache(maxsize=1)
def _budget(limit: int) -> Budget:
    """Return the one budget of this process."""
    return Budget(limit)
