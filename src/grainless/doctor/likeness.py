"""Pictures that are the same: by a checksum of their pixels, and nearly the same by small copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.metrics.values import LUMA

SIDE = 32
"""Side of a thumbnail."""
COARSE_SIDE = 16
LIKE = 0.96
"""Correlation of 16 x 16 thumbnails from which two pictures may be the same.

Of 1,926 pictures, 1,400 of them leaves on a light ground, 83 pairs are above it, and 11 of these are two
leaves. A limit of 0.985 would keep those out, but miss one leaf taken twice in other light, which has 0.975.
"""
LIKE_IN_DETAIL = 0.8
"""Correlation of the detail of 32 x 32 thumbnails that has to come with it.

Of those pairs it leaves 73: a picture in two files and 68 colour pictures with their gray copies (1.00), and
four leaves that were taken twice (0.84 to 0.998). Pairs of two leaves have 0.72 or less.
"""
FAINT = 2.0
"""Thumbnails of a smaller standard deviation, in levels, are not compared: all plain pictures are alike."""
_LARGE_SIDE = 1024
_ROWS = 512
"""Thumbnails that are compared with all others at a time, so that memory does not grow with their square."""
_CANDIDATES = 8
"""So many of the most similar pictures are compared in detail."""

Thumbnail = NDArray[np.float16]
"""(SIDE, SIDE) means of the luma, 0 to 255."""


@dataclass(frozen=True)
class Match:
    """Two pictures that are nearly the same."""

    first: int
    """Position of the picture that was compared."""
    second: int
    """Position of the one that it is like."""
    correlation: float
    mirrored: bool
    """One is the mirror image of the other, left to right."""


def checksum(*pictures: NDArray[np.uint8]) -> bytes:
    """Return a hash of shapes and values: equal for equal pictures, whatever their files."""
    digest = hashlib.blake2b(digest_size=16)
    for pixels in pictures:
        digest.update(str(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Return the means of uint8 `(H, W, C)` pixels over a grid of 32 x 32, as luma of BT.601, 0 to 255."""
    # Of a large picture every second or third pixel and so on tells the means as well.
    step = max(1, min(pixels.shape[:2]) // _LARGE_SIDE)
    pixels = pixels[::step, ::step]
    height, width, channels = pixels.shape
    down, right = averaging(height, SIDE), averaging(width, SIDE)
    weights = LUMA if channels == 3 else (1.0,)
    small = np.zeros((SIDE, SIDE), dtype=np.float32)
    for channel, weight in enumerate(weights):
        small += np.float32(weight) * (down @ pixels[..., channel].astype(np.float32) @ right.T)
    return small.astype(np.float16)


@lru_cache(maxsize=32)
def averaging(length: int, cells: int) -> NDArray[np.float32]:
    """Return the matrix `(cells, length)` that takes means over cells of equal width, parts of pixels too."""
    edges = np.linspace(0, length, cells + 1)
    pixels = np.arange(length)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(shared, 0, None)
    means: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return means


def find_like(
    thumbnails: NDArray[np.float16], compared: Sequence[int], *, reference: int
) -> Iterator[list[Match]]:
    """Yield for each position in `compared`, in this order, its matches, the most similar first.

    `thumbnails` is `(N, 32, 32)`; a picture is compared with those before it, and with all from position
    `reference` on, also mirrored. Time grows with the product, memory does not.
    """
    coarse = _described(_shrunk(thumbnails, COARSE_SIDE))
    plain = thumbnails.reshape(len(thumbnails), -1).std(axis=1, dtype=np.float32) < FAINT
    for start in range(0, len(compared), _ROWS):
        rows = np.asarray(compared[start : start + _ROWS], dtype=np.int64)
        columns = np.flatnonzero(~plain)
        columns = columns[(columns < rows.max()) | (columns >= reference)]
        allowed = ((columns < rows[:, None]) | (columns >= reference)) & ~plain[rows][:, None]
        found: list[list[Match]] = [[] for _ in rows]
        for mirrored in (False, True):
            own = thumbnails[rows][:, :, ::-1] if mirrored else thumbnails[rows]
            correlation = _described(_shrunk(own, COARSE_SIDE)) @ coarse[columns].T
            correlation[~allowed] = -1
            for row in np.flatnonzero((correlation >= LIKE).any(axis=1)):
                likely = np.argsort(-correlation[row], kind="stable")[:_CANDIDATES]
                likely = likely[correlation[row, likely] >= LIKE]
                detail = (_detail(own[row : row + 1]) @ _detail(thumbnails[columns[likely]]).T)[0]
                found[row] += [
                    Match(int(rows[row]), int(columns[other]), float(correlation[row, other]), mirrored)
                    for other in likely[detail >= LIKE_IN_DETAIL]
                ]
        for matches in found:
            yield sorted(matches, key=lambda match: -match.correlation)


def _shrunk(thumbnails: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return thumbnails of a smaller side, (N, side, side)."""
    cell = SIDE // side
    split = thumbnails.reshape(-1, side, cell, side, cell)
    means: NDArray[np.float32] = split.mean(axis=(2, 4), dtype=np.float32)
    return means


def _detail(thumbnails: NDArray[Any]) -> NDArray[np.float32]:
    """Return by how much thumbnails differ from the means of 5 x 5 around, as vectors of length 1.

    That takes the ramps away, such as a sky, that many pictures share.
    """
    values = thumbnails.astype(np.float32)
    around = np.lib.stride_tricks.sliding_window_view(values, (5, 5), axis=(1, 2)).mean(axis=(3, 4))
    return _described(values[:, 2:-2, 2:-2] - around)


def _described(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of mean 0 and length 1, whose products are correlations."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    described: NDArray[np.float32] = centred / np.maximum(lengths, np.float32(1e-6))
    return described
