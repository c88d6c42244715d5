"""Two methods on the same noisy pictures: how far apart they are, and how sure that is."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError, MissingExtraError
from grainless.evaluation.results import Evaluation, Row, check_conditions
from grainless.metrics import EXACT_PSNR

VERSION: Literal[1] = 1
"""Version of the JSON form: fields are only added within a version."""

CONFIDENCE = 0.95
"""Share of repetitions in which the interval holds the true mean difference."""

FEWEST = 6
"""Fewer pictures have no interval: five differences have one sign by chance alone in 1 of 16 cases."""

RESAMPLES = 9999
"""Draws of the bootstrap."""

Measure = Literal["psnr", "ssim"]
MEASURES: tuple[Measure, ...] = ("psnr", "ssim")


@dataclass(frozen=True)
class Difference:
    """Second method minus first, on one noise."""

    noise: str
    measure: Measure
    pictures: int
    first: float
    """Mean over the pictures of the first method's scores, PSNR in dB and at most EXACT_PSNR each."""
    second: float
    mean: float
    """Mean of the paired differences: above 0 where the second method is better."""
    low: float | None
    """Lower end of the confidence interval of `mean`; None with fewer than FEWEST pictures."""
    high: float | None
    won: float
    """Share of the pictures on which the second method is better."""
    tied: float
    """Share of the pictures on which both have the same score."""

    @property
    def verdict(self) -> Literal["better", "worse", "not told apart"]:
        """What may be said of the second method."""
        if self.low is not None and self.low > 0:
            return "better"
        return "worse" if self.high is not None and self.high < 0 else "not told apart"


@dataclass(frozen=True)
class Comparison:
    """All that two methods have in common."""

    first: str
    second: str
    """Names of the methods."""
    stamp: str
    """The protocol that both were measured under."""
    differences: tuple[Difference, ...]
    confidence: float = CONFIDENCE
    version: Literal[1] = VERSION

    def to_json(self) -> str:
        """Return the JSON text."""
        table = asdict(self)
        for entry, difference in zip(table["differences"], self.differences, strict=True):
            entry["verdict"] = difference.verdict
        return json.dumps(table, indent=1, allow_nan=False) + "\n"


def compare(
    first: Evaluation,
    second: Evaluation,
    *,
    methods: tuple[str, str] | None = None,
    measures: Sequence[Measure] = MEASURES,
) -> Comparison:
    """Compare two methods picture by picture, on every noise that both were measured on.

    `methods` names the one of `first` and the one of `second`; they may be left out where each holds one
    model. The interval is the bias-corrected and accelerated bootstrap over the pictures (Efron 1987), as
    scipy computes it, with a fixed seed; fewer than FEWEST pictures have none.
    Raises InputError for results that cannot be ranked against each other, the reason named: another
    protocol, other pictures, another noise seed, no noise in common; MissingExtraError without scipy.
    """
    check_conditions(first, second, "Numbers of different {} cannot be ranked against each other")
    names = methods or (_only_model(first), _only_model(second))
    _check_method(first, names[0])
    _check_method(second, names[1])
    differences = []
    for noise in first.noises:
        rows = [_find(side, name, noise) for side, name in zip((first, second), names, strict=True)]
        if rows[0] is not None and rows[1] is not None:
            differences += [_difference(rows[0], rows[1], measure) for measure in measures]
    if not differences:
        raise InputError(
            "The two methods were measured on no noise in common",
            got=f"{', '.join(first.noises)} and {', '.join(second.noises)}",
            remedy="Measure them with the same --noise",
        )
    return Comparison(first=names[0], second=names[1], stamp=first.stamp, differences=tuple(differences))


def _only_model(evaluation: Evaluation) -> str:
    """Return the one model among the methods; raise InputError where there is none, or more."""
    models = [method.name for method in evaluation.methods if method.kind == "model"]
    if len(models) == 1:
        return models[0]
    raise InputError(
        "It is not clear which methods are to be compared",
        got=f"{len(models)} models" + (f" ({', '.join(models)})" if models else ""),
        expected=f"two names out of {', '.join(method.name for method in evaluation.methods)}",
    )


def _check_method(evaluation: Evaluation, name: str) -> None:
    known = [method.name for method in evaluation.methods]
    if name not in known:
        raise InputError(
            "There is no such method in these results", got=repr(name), expected=f"one of {', '.join(known)}"
        )


def _find(evaluation: Evaluation, method: str, noise: str) -> Row | None:
    return next((row for row in evaluation.rows if (row.method, row.noise) == (method, noise)), None)


def _difference(first: Row, second: Row, measure: Measure) -> Difference:
    """Return the paired difference of two rows; their pictures are the same, in the same order."""
    scores = [_scores(row, measure) for row in (first, second)]
    paired = scores[1] - scores[0]
    low, high = _interval(paired)
    return Difference(
        noise=first.noise,
        measure=measure,
        pictures=len(paired),
        first=float(scores[0].mean()),
        second=float(scores[1].mean()),
        mean=float(paired.mean()),
        low=low,
        high=high,
        won=float((paired > 0).mean()),
        tied=float((paired == 0).mean()),
    )


def _scores(row: Row, measure: Measure) -> NDArray[np.float64]:
    """Return one score for each picture, in the order of their names."""
    found = sorted((picture.name, getattr(picture.scores, measure)) for picture in row.pictures)
    largest = EXACT_PSNR if measure == "psnr" else math.inf
    return np.array([min(value, largest) for _, value in found], dtype=np.float64)


def _interval(paired: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """Return the confidence interval of the mean, None with too few pictures to tell one."""
    if len(paired) < FEWEST:
        return None, None
    # The bootstrap would divide by the spread.
    if np.ptp(paired) == 0:
        return float(paired[0]), float(paired[0])
    found = _bootstrap()(
        (paired,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
        batch=1000,
    ).confidence_interval
    return float(found.low), float(found.high)


def _bootstrap() -> Any:
    try:
        return importlib.import_module("scipy.stats").bootstrap
    except ImportError as error:
        raise MissingExtraError("Comparing results", "evaluate") from error
