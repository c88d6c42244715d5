"""Whether a cleaned picture is better than the noisy one, told without a clean one to compare with.

    verdict = compare(before, after)
    if verdict.worse:
        print(verdict.reason)

A `Guard` takes a picture part by part, so that none needs to be in memory whole. `docs/guard.md` says how it
is told and how often it is right.
"""

from grainless.guard.verdict import (
    LEAST,
    Guard,
    Thresholds,
    Verdict,
    compare,
    compare_planes,
    decibels,
    judge,
    thresholds,
)

__all__ = [
    "LEAST",
    "Guard",
    "Thresholds",
    "Verdict",
    "compare",
    "compare_planes",
    "decibels",
    "judge",
    "thresholds",
]
