"""Results of a benchmark: frozen data and their JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from grainless.atomic import replace_file
from grainless.benchmark.machine import Machine
from grainless.errors import DataError, InputError

VERSION: Literal[1] = 1
"""Version of the JSON form."""

DEFAULT_SIZES = (0.25, 1.0, 12.0, 48.0)


@dataclass(frozen=True)
class Settings:
    """How a benchmark is run."""

    sizes: tuple[float, ...] = DEFAULT_SIZES
    """Of the pictures, in millions of pixels."""
    threads: int | None = None
    """All cores that the process has if None."""
    repeats: int = 5
    """Rounds for each size; in each, every row runs once."""
    budget: float = 120.0
    """Seconds that all rounds of one row at one size may take; what would take longer is skipped."""
    reference: str | None = None
    """Name of the row that others are compared to; the first one if None."""
    seed: int = 0
    """Of the picture's noise."""
    runtime: Literal["onnxruntime", "openvino", "auto"] = "onnxruntime"
    precision: Literal["exact", "fast"] = "exact"


@dataclass(frozen=True)
class Row:
    """A method that is timed."""

    name: str
    kind: Literal["filter", "model", "foreign", "peer"]
    about: str
    channels: Literal[1, 3]
    """Of the picture that it is timed on: gray models get gray pictures."""
    weights: int | None = None
    """Numbers that its network learned; None for filters."""
    multiply_adds: float | None = None
    """Of its network per pixel; None for filters, and where they cannot be counted."""
    tile: int | None = None
    """Largest side, in pixels, of what one run of its network cleans; None for filters and whole pictures."""
    halo: int = 0
    """Pixels that the network sees around each tile, in whole strides."""
    stride: int = 1
    checksum: str = ""
    """SHA-256 of a model; empty for others."""


@dataclass(frozen=True)
class Pace:
    """What the processor could do while the rows of one size ran."""

    megapixels: float
    multiply_adds_per_second: float | None
    """Of the float32 matrix product, median of the rounds; None where it failed."""
    rounds: tuple[float, ...]
    load: float | None
    """Processes that wanted to run in the minute before; None where the system does not tell."""


@dataclass(frozen=True)
class Cell:
    """One row at one size."""

    row: str
    megapixels: float
    """As it was asked for."""
    height: int
    width: int
    status: Literal["measured", "skipped", "failed"]
    note: str = ""
    """Why it was skipped, failed, or measured in fewer rounds."""
    seconds: tuple[float, ...] = ()
    """Of each round, in their order."""
    seconds_per_megapixel: float | None = None
    """Median of the rounds; the fastest and the slowest follow."""
    fastest: float | None = None
    slowest: float | None = None
    ratio: float | None = None
    """Time divided by that of the reference in the same round, median of the rounds."""
    peak_bytes: int | None = None
    """Most memory of the whole process, the largest of the rounds; None where it cannot be told."""
    share_of_peak: float | None = None
    """Multiply-adds per second, halos included, divided by those of the matrix product."""
    would_take: float | None = None
    """Seconds that one run of a skipped cell would take by the next smaller size."""


@dataclass(frozen=True)
class Benchmark:
    """All numbers, with all that is needed to get them again."""

    settings: Settings
    threads: int
    reference: str
    noise: str
    machine: Machine
    rows: tuple[Row, ...]
    paces: tuple[Pace, ...]
    cells: tuple[Cell, ...]
    grainless: str
    command: str = ""
    version: Literal[1] = VERSION

    def cell(self, row: str, megapixels: float) -> Cell:
        """Find a cell; raises InputError if there is none."""
        for cell in self.cells:
            if (cell.row, cell.megapixels) == (row, megapixels):
                return cell
        sizes = ", ".join(f"{size:g}" for size in self.settings.sizes)
        rows = ", ".join(other.name for other in self.rows)
        raise InputError(
            "This was not measured", got=f"{row} at {megapixels:g} MP", expected=f"{rows} at {sizes} MP"
        )

    def with_command(self, command: str) -> Benchmark:
        """Return a copy that says it was made by `command`."""
        return replace(self, command=command)

    def to_json(self) -> str:
        """Return the JSON text; within a version fields are only added."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> Benchmark:
        """Read what `to_json` wrote; raises InputError for anything else."""
        try:
            content: Any = json.loads(text)
        except ValueError as error:
            raise InputError(
                f"The results are not JSON ({error})", expected="the JSON of a benchmark"
            ) from error
        version = content.get("version") if isinstance(content, dict) else type(content).__name__
        if version != VERSION:
            raise InputError(
                "The results have another version",
                got=version,
                expected=f"version {VERSION}",
                remedy="Measure again, or read them with the grainless that wrote them",
            )
        try:
            return TypeAdapter(Benchmark).validate_python(content)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise InputError(f"The results are not valid at {place}", got=fault["msg"]) from error

    def save(self, path: str | Path) -> None:
        """Write the JSON file, whole or not at all; what stood there is replaced."""
        replace_file(Path(path), self.to_json().encode())


def load(path: str | Path) -> Benchmark:
    """Read a file of `Benchmark.save`; raises DataError without the file, InputError for another."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror})", expected="the JSON of a benchmark"
        ) from error
    try:
        return Benchmark.from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error.problem}", got=error.got, expected=error.expected) from error
