"""Every error that grainless raises on purpose.

    GrainlessError
    ├── InputError          an array, a number or an option that cannot be used
    │   └── MemoryLimitError    a limit of memory that is too small for a picture
    ├── NoiseError          a noise text or parameter that is not valid
    ├── PictureError        a picture file that cannot be read or written
    │   └── PictureTooLargeError    one with more pixels than allowed
    ├── OutputExistsError   an output that stands already, or is the input itself
    ├── ModelError          a model file that is refused
    ├── RecipeError         a training recipe that is not valid
    ├── DataError           training or evaluation data that cannot be used
    ├── TrainingError       a run that cannot start, go on or be exported
    └── MissingExtraError   an optional dependency that is not installed

Each carries the exit code of the command line and the status of the HTTP service.
"""

from __future__ import annotations

from typing import Any


class GrainlessError(Exception):
    """Base of all errors; its text says what was wrong, what was got, what is expected and what to do."""

    exit_code: int = 2
    http_status: int = 400
    lasting: bool = True
    """Whether the same file would fail again under other limits."""

    def __init__(
        self,
        problem: str,
        *,
        got: object = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Join the parts that are given into one message; `problem` needs no full stop."""
        self.problem = problem
        self.got = got
        self.expected = expected
        self.remedy = remedy
        parts = [problem]
        if got is not None:
            parts.append(f"got {got}")
        if expected is not None:
            parts.append(f"expected {expected}")
        message = "; ".join(parts) + "."
        if remedy is not None:
            message += f" {remedy}" if remedy.endswith((".", "`")) else f" {remedy}."
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the finished message: errors come back from other processes and machines."""
        return _unpickled, (type(self), str(self), self.__dict__)


def _unpickled(kind: type[GrainlessError], message: str, parts: dict[str, Any]) -> GrainlessError:
    """Return an error as it was pickled; its own `__init__` would build the message a second time."""
    error = kind.__new__(kind, message)
    error.__dict__.update(parts)
    return error


class InputError(GrainlessError):
    """Raised when an array, a number or an option of a call cannot be used."""

    http_status = 422


class MemoryLimitError(InputError):
    """Raised when a picture cannot be done within the limit of memory that was given."""

    lasting = False


class NoiseError(GrainlessError):
    """Raised when a noise text or one of its parameters is not valid."""

    http_status = 422


class PictureError(GrainlessError):
    """Raised when a picture file cannot be read or written."""

    http_status = 415


class PictureTooLargeError(PictureError):
    """Raised when a picture has more pixels than its reader was allowed to decode."""

    lasting = False

    http_status = 413


class OutputExistsError(GrainlessError):
    """Raised when an output stands already or would replace its own input."""

    http_status = 409


class ModelError(GrainlessError):
    """Raised when a model file is refused or a model's name is unknown."""

    http_status = 422


class BrokenAnswerError(ModelError):
    """Raised when what a model made of a picture is none: values that are no numbers."""


class RecipeError(GrainlessError):
    """Raised when a training recipe has an unknown key or a value that is not allowed."""


class DataError(GrainlessError):
    """Raised when training or evaluation data cannot be used."""


class TrainingError(GrainlessError):
    """Raised when a training run cannot start, go on or be exported."""


class MissingExtraError(GrainlessError, ImportError):
    """Raised at the call that needs an optional dependency which is not installed."""

    http_status = 501

    def __init__(self, feature: str, extra: str) -> None:
        """Name the feature that was asked for and the extra that brings it."""
        super().__init__(
            f"{feature} needs packages that are not installed",
            remedy=f'In the folder of the checkout: pip install -c requirements.lock ".[{extra}]"',
        )
