"""From evidence to a kind of noise: three small logistic regressions, whose weights a script has set."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.evidence import FEATURES, Evidence

SMOOTH = ("clean", "gaussian", "signal-dependent", "correlated", "jpeg")
"""Kinds without impulses."""
KINDS = ("clean", "gaussian", "salt-pepper", "signal-dependent", "correlated", "jpeg", "mixed")
IMPULSE_FEATURES = ("density", "balance", "rest")
"""Names of the features that impulses are told from, and what else there is beside them."""

_WEIGHTS = Path(__file__).parent / "weights.json"
_LEAST = 1.0
"""Noise of a smaller standard deviation, in levels, is none."""
_SURVIVED = -1.0
"""Logarithm of noise beside the steps of JPEG, below which it was rounded away; of 53 with noise none has
less than -0.3."""
DRAWN = 0.7
"""A larger share of two values is drawn. Chosen by hand between pages of type and the same with noise, as
tests/test_diagnosis_verdict.py draws them."""
FEWEST = 0.001
"""A smaller share of black and white values is none."""


@dataclass(frozen=True)
class _Stage:
    """One logistic regression; `scripts/diagnosis_thresholds.py` writes its numbers."""

    low: NDArray[np.float64]
    """`(F,)`: features end here, so that nothing is told from beyond what was seen."""
    high: NDArray[np.float64]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    """`(K, 2 F + 1)`: for the features, for their squares, and what is added."""

    def chances(self, features: tuple[float, ...]) -> NDArray[np.float64]:
        """Return how likely each of the K answers is."""
        inputs = (np.clip(features, self.low, self.high) - self.centre) / self.scale
        scores = self.weights @ np.concatenate([inputs, inputs**2, [1.0]])
        powers = np.exp(scores - scores.max())
        chances: NDArray[np.float64] = powers / powers.sum()
        return chances


def impulse_features(density: float, balance: float, rest: float) -> tuple[float, ...]:
    """Return the numbers that impulses are told from, in the order of `IMPULSE_FEATURES`."""
    return math.log(density + 0.001), balance, math.log(rest + 0.5)


def chances(evidence: Evidence) -> dict[str, float]:
    """Return how likely each kind is; the sum is 1."""
    stages = _stages()
    hit, mixed = 0.0, 0.0
    if evidence.density >= FEWEST:
        features = impulse_features(evidence.density, evidence.balance, evidence.rest)
        hit = float(stages["impulses"].chances(features)[1])
        mixed = float(stages["mixed"].chances(features)[1])
    found = {"salt-pepper": hit * (1 - mixed), "mixed": hit * mixed}
    smooth = stages["smooth"].chances(evidence.features)
    smooth = smooth * _possible(evidence)
    smooth /= smooth.sum()
    found |= {kind: (1 - hit) * float(chance) for kind, chance in zip(SMOOTH, smooth, strict=True)}
    return found


def _possible(evidence: Evidence) -> NDArray[np.bool_]:
    """Return which of the kinds without impulses are possible: so much holds beyond what was ever seen."""
    drawn = evidence.drawn > DRAWN
    noisy = evidence.total >= _LEAST and not drawn
    traced = evidence.trace.strength > 0
    survived = not traced or evidence.features[FEATURES.index("survived")] >= _SURVIVED
    possible = {
        "clean": True,
        "gaussian": noisy and evidence.sigma >= _LEAST,
        "signal-dependent": noisy,
        "correlated": noisy and survived,
        "jpeg": traced,
    }
    return np.array([possible[kind] for kind in SMOOTH])


@lru_cache(maxsize=1)
def _stages() -> dict[str, _Stage]:
    """Read the weights."""
    stages: dict[str, dict[str, Any]] = json.loads(_WEIGHTS.read_text(encoding="utf-8"))
    names = _Stage.__dataclass_fields__
    return {
        name: _Stage(**{key: np.array(stage[key], dtype=np.float64) for key in names})
        for name, stage in stages.items()
    }
