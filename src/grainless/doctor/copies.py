"""Pictures that are in the data twice, or in two parts that must share nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from grainless.doctor.findings import Finding
from grainless.doctor.likeness import Match, Thumbnail, find_like


@dataclass(frozen=True)
class Kept:
    """What is kept of a picture to find it again."""

    name: str
    part: str
    """What it is for, such as `train` or `test`; pictures of two named parts must not be the same."""
    checksum: bytes
    small: Thumbnail | None = None
    """None where pictures that are nearly the same are not sought."""


def find_copies(
    own: Sequence[Kept], others: Sequence[Kept] = (), *, step: Callable[[], None] = lambda: None
) -> list[Finding]:
    """Name the pictures that are in `own` twice, also nearly so, and those that are in `others` too.

    Each is named once, with the first that it is like, a picture of another part before one of its own.
    `step` is called for each picture of `own`.
    """
    findings = _equal(own, others)
    named = {finding.file for finding in findings}
    everything = [*own, *others]
    small = [kept.small for kept in everything]
    compared = [place for place, kept in enumerate(own) if kept.small is not None and kept.name not in named]
    for _ in range(len(own) - len(compared)):
        step()
    if compared:
        empty = np.zeros_like(next(thumbnail for thumbnail in small if thumbnail is not None))
        stacked = np.stack([empty if thumbnail is None else thumbnail for thumbnail in small])
        for matches in find_like(stacked, compared, reference=len(own)):
            findings += _alike(everything, matches, own=len(own))
            step()
    return findings


def _equal(own: Sequence[Kept], others: Sequence[Kept]) -> list[Finding]:
    """Name the pictures whose pixels are equal to those of another one."""
    elsewhere = {kept.checksum: kept for kept in reversed(others)}
    before: dict[bytes, list[Kept]] = {}
    findings = []
    for kept in own:
        earlier = before.setdefault(kept.checksum, [])
        leaked = elsewhere.get(kept.checksum) or next((one for one in earlier if _apart(one, kept)), None)
        twin = leaked or (earlier[0] if earlier else None)
        if twin is not None:
            kind = "leak" if leaked else "duplicate"
            findings.append(Finding(kept.name, kind, f"the same picture as {twin.name}", twin.name))
        # One of each part is enough to find the next.
        if kept.part not in {one.part for one in earlier}:
            earlier.append(kept)
    return findings


def _alike(everything: Sequence[Kept], matches: Sequence[Match], *, own: int) -> list[Finding]:
    """Name a picture that has matches, with the most telling one."""
    if not matches:
        return []
    leaks = [
        match
        for match in matches
        if match.second >= own or _apart(everything[match.first], everything[match.second])
    ]
    match = (leaks or list(matches))[0]
    name, other = everything[match.first].name, everything[match.second].name
    likeness = "nearly the mirror image of" if match.mirrored else "nearly the same picture as"
    found = f"{likeness} {other} (correlation {match.correlation:.3f})"
    return [Finding(name, "leak" if leaks else "near-duplicate", found, other)]


def _apart(one: Kept, other: Kept) -> bool:
    """Return whether two pictures are in named parts that must share nothing."""
    return bool(one.part and other.part) and one.part != other.part
