"""The text form of noises: `salt-pepper:0.1:channel`, `gaussian:25+jpeg:60`, and ranges: `gaussian:0..55`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np

from grainless.errors import NoiseError
from grainless.noise.grain import Grain
from grainless.noise.impulse import RandomImpulse, SaltPepper, Scattered
from grainless.noise.jpeg import Jpeg
from grainless.noise.model import PER, Chain, Clean, Noise, Parameter, number_text, step_text
from grainless.noise.sensor import Camera, Gaussian, Poisson, Speckle

KINDS: dict[str, type[Noise]] = {
    kind.name: kind
    for kind in (SaltPepper, RandomImpulse, Scattered, Gaussian, Poisson, Speckle, Jpeg, Camera, Grain, Clean)
}
"""The noises that a text can name."""


@dataclass(frozen=True)
class _Span:
    """A number of a noise, or the range from which it is drawn."""

    parameter: Parameter
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw uniformly, both ends included for whole numbers; a single number uses no randomness."""
        if self.low == self.high:
            return self.low
        if self.parameter.integer:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return float(rng.uniform(self.low, self.high))

    def __str__(self) -> str:
        low, high = number_text(self.low), number_text(self.high)
        return low if low == high else f"{low}..{high}"


@dataclass(frozen=True)
class _Step:
    """One step of a text, read but not yet a noise."""

    kind: type[Noise]
    spans: tuple[_Span, ...]
    per: str | None

    def build(self, numbers: dict[str, Any]) -> Noise:
        """Make the noise of these numbers."""
        return self.kind(**numbers, **({"per": self.per} if self.per else {}))

    def __str__(self) -> str:
        written = {span.parameter.name: str(span) for span in self.spans}
        return step_text(self.kind.name, written, per=self.per or "pixel")


@dataclass(frozen=True)
class NoiseRange:
    """A family of noises: each number is fixed or drawn from a range; made by `parse_noise_range`."""

    steps: tuple[_Step, ...]

    def sample(self, rng: np.random.Generator) -> Noise:
        """Return one noise of the family, each ranged number drawn uniformly and independently."""
        noises = tuple(
            step.build({span.parameter.name: span.draw(rng) for span in step.spans}) for step in self.steps
        )
        return noises[0] if len(noises) == 1 else Chain(noises)

    def __str__(self) -> str:
        return "+".join(str(step) for step in self.steps)


def parse_noise(text: str) -> Noise:
    """Read a noise from its text form; NoiseError says what is valid if it is not.

    The module docstring of `grainless.noise` lists all forms; `str(noise)` writes what this reads.
    """
    family = parse_noise_range(text)
    for step in family.steps:
        for span in step.spans:
            if span.low != span.high:
                raise NoiseError(
                    f"The noise {text!r} has a range where one number is needed",
                    got=f"{span.parameter.name} {span}",
                    expected="a single number",
                    remedy=f"Write one of them, such as {number_text(span.low)}; "
                    "ranges are for the noises of a training recipe",
                )
    noises = tuple(
        step.build({span.parameter.name: span.low for span in step.spans}) for step in family.steps
    )
    return noises[0] if len(noises) == 1 else Chain(noises)


def parse_noise_range(text: str) -> NoiseRange:
    """Read a family of noises, in which any number may be a range `low..high`; NoiseError if not valid."""
    return NoiseRange(tuple(_read_step(step.strip(), text) for step in text.split("+")))


def _read_step(step: str, text: str) -> _Step:
    """Read one step of a sum, and check both ends of all its numbers."""
    name, *words = (word.strip() for word in step.split(":"))
    kind = KINDS.get(name)
    if kind is None:
        _refuse_name(name, text)
    spans: dict[str, _Span] = {}
    per: str | None = None
    known = {parameter.name: parameter for parameter in kind.parameters}
    for position, word in enumerate(words):
        if word in PER and per is None and _has_per(kind):
            per = word
            continue
        key, equals, number = word.rpartition("=")
        if position == 0 and not equals:  # the first number goes without its name
            key = next(iter(known), "")
        parameter = known.get(key.strip())
        if parameter is None or parameter.name in spans:
            _refuse_word(word, kind, text)
        spans[parameter.name] = _read_span(number.strip(), parameter, kind)
    if kind.parameters and kind.parameters[0].name not in spans:
        _refuse_missing(kind, text)
    ordered = tuple(spans[item.name] for item in kind.parameters if item.name in spans)
    return _Step(kind, ordered, per)


def _has_per(kind: type[Noise]) -> bool:
    """Tell whether the noise can be told to hit pixels or single values."""
    return any(item.name == "per" for item in fields(kind))


def _read_span(text: str, parameter: Parameter, kind: type[Noise]) -> _Span:
    """Read `number` or `low..high` and check the limits."""
    low_text, dots, high_text = text.partition("..")
    ends: list[float] = []
    for word in (low_text, high_text if dots else low_text):
        try:
            value: float | str = float(word)
        except ValueError:
            value = repr(word)
        parameter.check(kind.name, value)
        ends.append(int(value) if parameter.integer else float(value))
    if ends[0] > ends[1]:
        raise NoiseError(
            f"The range of {parameter.name} of {kind.name} runs backwards",
            got=text,
            expected="low..high",
            remedy=f"Write {number_text(ends[1])}..{number_text(ends[0])}",
        )
    return _Span(parameter, ends[0], ends[1])


def _refuse_name(name: str, text: str) -> NoReturn:
    """Say which noises there are."""
    close = difflib.get_close_matches(name, KINDS, n=1)
    remedy = "Write one of these; join several with +"
    if close:
        remedy = f"Write for example {KINDS[close[0]].example}"
    raise NoiseError(
        f"The noise {text!r} names no known noise" if name else f"The noise {text!r} has an empty step",
        got=repr(name),
        expected="one of " + ", ".join(kind.example for kind in KINDS.values()),
        remedy=remedy,
    )


def _refuse_word(word: str, kind: type[Noise], text: str) -> NoReturn:
    """Say which options a noise has."""
    options = [f"{item.name}=NUMBER" for item in kind.parameters[1:]]
    if _has_per(kind):
        options = [*PER, *options]
    expected = "no more than " + (
        f"{kind.name}:{kind.parameters[0].name.upper()}" if kind.parameters else kind.name
    )
    if options:
        expected += ", then each at most once " + ", ".join(f":{option}" for option in options)
    raise NoiseError(
        f"The noise {text!r} has a part that {kind.name} does not know",
        got=repr(word),
        expected=expected,
        remedy=f"An example that is valid: {kind.example}",
    )


def _refuse_missing(kind: type[Noise], text: str) -> NoReturn:
    """Say which number a noise needs."""
    main = kind.parameters[0]
    raise NoiseError(
        f"The noise {text!r} lacks the {main.name} of {kind.name}",
        expected=f"{kind.name}:{main.name.upper()} ({main.meaning})",
        remedy=f"Write for example {kind.example}",
    )
