"""What every noise is: a frozen dataclass with checked parameters, a text form and `apply`."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from grainless.errors import NoiseError

Values = NDArray[np.float32]
"""A picture as float32 `(H, W, C)`, nominally in [0, 1]."""

PER = ("pixel", "channel")
"""What an impulse hits: all channels of a pixel at once with one value, or every single value on its own."""


@dataclass(frozen=True)
class Parameter:
    """A number of a noise: its name, meaning and limits (both included)."""

    name: str
    low: float
    high: float
    meaning: str
    integer: bool = False

    def check(self, noise: str, value: object) -> None:
        """Raise NoiseError unless `value` is a number within the limits."""
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            number = float(value)
            # Comparing with the limits refuses NaN too.
            if self.low <= number <= self.high and (number.is_integer() or not self.integer):
                return
            value = number_text(number)
        sort = "a whole number" if self.integer else "a number"
        raise NoiseError(
            f"The {self.name} of {noise} is not valid",
            got=value,
            expected=f"{sort} from {number_text(self.low)} to {number_text(self.high)} ({self.meaning})",
            remedy="Write a number within these limits",
        )


@dataclass(frozen=True)
class Noise(ABC):
    """Base of all noises; `str(noise)` is the text that `parse_noise` reads back to an equal noise."""

    name: ClassVar[str]
    example: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            parameter.check(self.name, getattr(self, parameter.name))
        per = getattr(self, "per", "pixel")
        if per not in PER:
            raise NoiseError(
                f"What {self.name} hits is not valid",
                got=repr(per),
                expected="'pixel' (all channels at once) or 'channel' (every value on its own)",
                remedy="Choose one of the two",
            )

    @abstractmethod
    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return a noisy copy of `values`, float32 `(H, W, C)`; the result may leave [0, 1]."""

    def __str__(self) -> str:
        defaults = {field.name: field.default for field in fields(self)}
        main = self.parameters[0].name if self.parameters else None
        written = {
            parameter.name: number_text(getattr(self, parameter.name))
            for parameter in self.parameters
            if parameter.name == main or getattr(self, parameter.name) != defaults[parameter.name]
        }
        return step_text(self.name, written, per=getattr(self, "per", "pixel"))


def number_text(value: float) -> str:
    """Write a number so that reading it gives the same number, whole ones without a point."""
    return repr(float(value)).removesuffix(".0")


def step_text(name: str, numbers: Mapping[str, str], *, per: str) -> str:
    """Write one step: its name, its first number bare, `channel` if it is so, the other numbers by name."""
    items = list(numbers.items())
    parts = [name, *(text for _, text in items[:1])]
    if per != "pixel":
        parts.append(per)
    return ":".join([*parts, *(f"{key}={text}" for key, text in items[1:])])


def need_gray_or_colour(noise: str, values: Values) -> None:
    """Raise NoiseError unless `values` has 1 or 3 channels."""
    if values.shape[-1] not in (1, 3):
        raise NoiseError(
            f"{noise} is defined for gray and RGB pictures only",
            got=f"{values.shape[-1]} channels",
            expected="1 or 3 channels",
            remedy="Split the picture into its colours, and leave alpha apart",
        )


@dataclass(frozen=True)
class Clean(Noise):
    """No noise."""

    name = "clean"
    example = "clean"

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return a copy of `values`."""
        return values.copy()


@dataclass(frozen=True)
class Chain(Noise):
    """Noises one after the other; chains within are unfolded, and the order matters."""

    steps: tuple[Noise, ...]

    name = "sum"
    example = "gaussian:25+jpeg:60"

    def __post_init__(self) -> None:
        flat: list[Noise] = []
        for step in self.steps:
            flat.extend(step.steps if isinstance(step, Chain) else (step,))
        if not flat:
            raise NoiseError(
                "A sum of noises has no steps",
                expected="at least one noise",
                remedy="Use `clean` for no noise",
            )
        object.__setattr__(self, "steps", tuple(flat))

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Apply every step to the result of the one before, without clipping or rounding in between."""
        for step in self.steps:
            values = step.apply(values, rng)
        return values

    def __str__(self) -> str:
        return "+".join(str(step) for step in self.steps)
