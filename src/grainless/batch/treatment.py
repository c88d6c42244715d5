"""What was done to a picture: one record, from which commands, service and page take all that they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grainless.diagnosis import Diagnosis


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What was done to a picture."""

    model: str | None
    """Name of the model whose result it is; None where the picture was passed through or kept."""
    strength: float
    """That was applied, 0 to 1; 0 where the picture was passed through or kept."""
    diagnosis: Diagnosis | None = None
    """None where a model was named, so that nobody asked."""
    kept: str = ""
    """Why the guard kept the original; empty where it did not."""

    def in_words(self) -> str:
        """Say what was done, without the diagnosis."""
        if self.kept:
            return f"kept the original: {self.kept}"
        if self.model is None:
            return "passed through unchanged"
        return f"cleaned with the model {self.model}{self._share()}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known with a result: nothing where all was done as asked."""
        if self.kept:
            return (self.in_words(),)
        if self.diagnosis is None:
            return ()
        short = self.diagnosis.in_short()
        if self.model is None:
            return (f"{self.in_words()}: {short}",)
        return (f"{short}: model {self.model}{self._share()}",)

    def _share(self) -> str:
        return "" if self.strength == 1 else f", strength {100 * self.strength:.0f} %"


@dataclass(frozen=True)
class Treated:
    """What is to be written of a picture, and what was done to it."""

    value: Any
    """A picture, one whose file is copied, or one with a picture of what was removed."""
    treatment: Treatment
