"""Results of an evaluation: frozen data, their JSON form, and how parts are put together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from grainless.atomic import replace_file
from grainless.datasets import Skipped
from grainless.errors import DataError, InputError
from grainless.metrics import Protocol, Scores
from grainless.noise import parse_noise

VERSION: Literal[1] = 1
"""Version of the JSON form."""

AGREEMENT = 0.005
"""Two measurements of one method on one noise are taken for the same within this many dB."""

RECORDED = "recorded"
"""What stands in place of a noise where noisy pictures were photographed, not made."""

Kind = Literal["none", "filter", "model", "function"]


@dataclass(frozen=True)
class MethodInfo:
    """What stands behind a row."""

    name: str
    kind: Kind
    about: str = ""
    """A filter's parameters, or a model's description."""
    checksum: str = ""
    """SHA-256 from a model's card; empty for others."""


@dataclass(frozen=True)
class PictureScores:
    """The scores of one picture, which goes by its name, in a folder relative to it."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Row:
    """One method on one noise."""

    method: str
    noise: str
    """In the text form that `parse_noise` reads; "recorded" where the noisy pictures were photographed."""
    mean: Scores
    """Means over the pictures as the protocol takes them; every PSNR counts at most its `exact_psnr`."""
    exact: int
    """How many pictures came back exactly as they were before the noise."""
    sigma: Literal["none", "told", "estimated"]
    """Whether the method took a noise level, and where it had it from."""
    seconds_per_megapixel: float
    """Of the method alone; conversions and tile overhead are included."""
    pictures: tuple[PictureScores, ...]
    psnr_per_image: float | None = None
    """Mean of the pictures' own PSNRs where the protocol's `mean.psnr` is another average, else None.

    Every one counts at most `metrics.EXACT_PSNR`.
    """
    handed_clipped: bool = False
    """The method saw values clipped to [0, 1], as it takes no others, though the protocol clips no noise."""


@dataclass(frozen=True)
class Data:
    """Which pictures were measured."""

    name: str
    """Name of the folder, without the way to it, or of the source."""
    pictures: int
    checksum: str
    """SHA-256 over names and pixels: two results with the same one saw the same clean pictures."""
    skipped: tuple[Skipped, ...] = ()

    @property
    def label(self) -> str:
        """Name and checksum in short."""
        return f"{self.name} ({self.checksum[:12]})"


@dataclass(frozen=True)
class Run:
    """How a part of the results was made."""

    command: str
    """The command that makes it again; empty when it was called from Python."""
    grainless: str
    """Version that measured."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of methods on noises over one set of pictures, and all that is needed to get them again."""

    protocol: Protocol
    stamp: str
    seed: int
    data: Data
    methods: tuple[MethodInfo, ...]
    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    version: Literal[1] = VERSION

    @property
    def noises(self) -> tuple[str, ...]:
        """The noises in the order in which they were asked for."""
        return tuple(dict.fromkeys(row.noise for row in self.rows))

    @property
    def drawn(self) -> bool:
        """Whether the noise was drawn with a seed; else the noisy pictures were photographed."""
        return self.noises != (RECORDED,)

    def row(self, method: str, noise: str) -> Row:
        """Find a row; raises InputError, with the ones there are, if it was not measured."""
        wanted = (method, noise if noise in self.noises else str(parse_noise(noise)))
        for row in self.rows:
            if (row.method, row.noise) == wanted:
                return row
        known = ", ".join(f"{row.method} on {row.noise}" for row in self.rows)
        raise InputError("This was not measured", got=" on ".join(wanted), expected=f"one of {known}")

    @property
    def further_notes(self) -> tuple[str, ...]:
        """What a table of PSNR, SSIM and MSE leaves out, in lines of text: further metrics, and clipping."""
        notes = []
        for label, digits, name in (("MS-SSIM", 4, "ms_ssim"), ("Noise left, of 255", 2, "noise_left")):
            found = [(row, value) for row in self.rows if (value := getattr(row.mean, name)) is not None]
            texts = [f"{row.method} on {row.noise} {value:.{digits}f}" for row, value in found]
            if texts:
                notes.append(f"{label}{_of_some(found[0][0], name)}: {', '.join(texts)}.")
        clipped = dict.fromkeys(f"`{row.method}`" for row in self.rows if row.handed_clipped)
        if clipped:
            notes.append(f"Given noise clipped to [0, 1], as they take no other: {', '.join(clipped)}.")
        return tuple(notes)

    def with_command(self, command: str) -> Evaluation:
        """Return a copy that says it was made by `command`."""
        return replace(self, runs=tuple(replace(run, command=command) for run in self.runs))

    def to_json(self) -> str:
        """Return the JSON text; its form and version rule stand in the package's docstring."""
        return json.dumps(_without_infinity(asdict(self)), indent=1, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Evaluation:
        """Read what `to_json` wrote; raises InputError for anything else."""
        content = _versioned(text)
        try:
            evaluation = TypeAdapter(Evaluation).validate_python(content)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise InputError(f"The results are not valid at {place}", got=fault["msg"]) from error
        _check_whole(evaluation)
        return evaluation

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all; what stood there is replaced."""
        replace_file(Path(path), self.to_json().encode())


def load(path: str | Path) -> Evaluation:
    """Read a file of `Evaluation.save`; raises DataError without the file, InputError for another."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror})", expected="the JSON of an evaluation"
        ) from error
    try:
        return Evaluation.from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error.problem}", got=error.got, expected=error.expected) from error


def merge(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Put parts together that measured other methods or noises on the same pictures.

    Raises InputError unless protocol, seed and pictures are the same, methods of one name are the same, and
    rows that stand in several parts agree within AGREEMENT; of these the first is kept.
    """
    if not evaluations:
        raise InputError("There are no results to merge", expected="at least one evaluation")
    first = evaluations[0]
    for other in evaluations[1:]:
        check_conditions(first, other, "Results of different {} cannot stand in one table")
    methods: dict[str, MethodInfo] = {}
    rows: dict[tuple[str, str], Row] = {}
    for part in evaluations:
        for method in part.methods:
            known = methods.setdefault(method.name, method)
            if (known.kind, known.checksum) != (method.kind, method.checksum):
                raise InputError(
                    f"Two different methods are called {method.name}", remedy="Measure them under two names"
                )
        for row in part.rows:
            _check_agreement(rows.setdefault((row.method, row.noise), row), row)
    noises = dict.fromkeys(row.noise for part in evaluations for row in part.rows)
    return replace(
        first,
        methods=tuple(methods.values()),
        rows=tuple(rows[method, noise] for noise in noises for method in methods if (method, noise) in rows),
        runs=tuple(dict.fromkeys(run for part in evaluations for run in part.runs)),
    )


def check_conditions(first: Evaluation, second: Evaluation, problem: str) -> None:
    """Raise InputError unless both were measured the same way on the same noisy pictures.

    `problem` has a place for what they differ in. A folder may have been renamed: its pictures are known by
    their checksum.
    """
    conditions = (
        ("protocols", first.stamp == second.stamp, (first.stamp, second.stamp)),
        ("pictures", first.data.checksum == second.data.checksum, (first.data.label, second.data.label)),
        ("noise seeds", first.seed == second.seed, (first.seed, second.seed)),
    )
    for what, same, (one, other) in conditions:
        if not same:
            raise InputError(
                problem.format(what),
                got=f"{one} and {other}",
                remedy="Measure them again under the same conditions",
            )


def _of_some(row: Row, metric: str) -> str:
    """Say of how many pictures a metric is the mean where some are too small for it."""
    measured = sum(getattr(picture.scores, metric) is not None for picture in row.pictures)
    if measured == len(row.pictures):
        return ""
    return f" of {measured} of {len(row.pictures)} pictures, the others are too small"


def _check_agreement(known: Row, row: Row) -> None:
    if abs(known.mean.psnr - row.mean.psnr) > AGREEMENT:
        raise InputError(
            f"{row.method} on {row.noise} was measured twice, with different results",
            got=f"{known.mean.psnr:.3f} and {row.mean.psnr:.3f} dB",
            remedy="Leave out the one that is out of date",
        )


def _versioned(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text, object_hook=_with_infinity, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The results are not JSON ({error})", expected="the JSON of an evaluation"
        ) from error
    version = content.get("version") if isinstance(content, dict) else type(content).__name__
    if not isinstance(content, dict) or type(version) is not int or version != VERSION:
        raise InputError(
            "The results have another version",
            got=repr(version),
            expected=f"version {VERSION}",
            remedy="Measure again, or read them with the grainless that wrote them",
        )
    return content


def _refuse_constant(name: str) -> float:
    raise InputError(f"The results hold {name}, which is no number", remedy="Measure again")


def _check_whole(evaluation: Evaluation) -> None:
    """Raise InputError for results that contradict themselves, as edited ones may."""
    names = {method.name for method in evaluation.methods}
    pictures = [tuple(sorted(picture.name for picture in row.pictures)) for row in evaluation.rows]
    faults = {
        "there are no rows": not evaluation.rows,
        "a row is of no method": any(row.method not in names for row in evaluation.rows),
        "two methods have one name": len(names) < len(evaluation.methods),
        "two rows are of one method and noise": len({(row.method, row.noise) for row in evaluation.rows})
        < len(evaluation.rows),
        "the rows are not of the same pictures": len(set(pictures)) > 1,
        "a picture is there twice": any(len(set(each)) < len(each) for each in pictures[:1]),
        "pictures are missing": any(len(each) != evaluation.data.pictures for each in pictures),
    }
    for fault, found in faults.items():
        if found:
            raise InputError(f"The results are not whole: {fault}", remedy="Measure again")


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinity(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinity(item) for item in value]
    return None if value == math.inf else value


def _with_infinity(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "psnr": math.inf} if part.get("psnr", 0) is None else part
