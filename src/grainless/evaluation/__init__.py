"""Methods x noises x pictures -> scores, as data that says how it was made.

    result = evaluate("photos", ["gaussian:25"], methods=["median", "universal"])
    result.save("photos.json")

What is measured on is a folder, pairs that were photographed noisy and clean (`RecordedPairs`), or any
`PictureSource`; how, a `metrics.Protocol`.

The JSON form carries `"version": 1`. Fields may be added under the same version, and readers ignore those
they do not know; removing a field or changing its meaning raises the version, and other versions are refused.
A PSNR of `null` is an exact match (infinite). `docs/results.md` describes every field.
"""

from grainless.evaluation.comparing import Comparison, Difference, compare
from grainless.evaluation.examples import Example, Pick, make_examples, pick_examples
from grainless.evaluation.measuring import DEFAULT_METHODS, Method, as_method, corrupted, evaluate, method_of
from grainless.evaluation.results import (
    RECORDED,
    VERSION,
    Data,
    Evaluation,
    MethodInfo,
    PictureScores,
    Row,
    Run,
    load,
    merge,
)
from grainless.evaluation.sources import PictureSource, RecordedPairs, to_float

__all__ = [
    "DEFAULT_METHODS",
    "RECORDED",
    "VERSION",
    "Comparison",
    "Data",
    "Difference",
    "Evaluation",
    "Example",
    "Method",
    "MethodInfo",
    "Pick",
    "PictureScores",
    "PictureSource",
    "RecordedPairs",
    "Row",
    "Run",
    "as_method",
    "compare",
    "corrupted",
    "evaluate",
    "load",
    "make_examples",
    "merge",
    "method_of",
    "pick_examples",
    "to_float",
]
