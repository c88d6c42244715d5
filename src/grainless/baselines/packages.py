"""Packages that a filter imports when it is called, and what to say where they are missing."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from grainless.errors import GrainlessError, MissingExtraError


class MissingPackageError(MissingExtraError):
    """Raised at the call of a filter whose package no extra of grainless brings."""

    def __init__(self, feature: str, package: str, *, note: str = "") -> None:
        """Name the feature that was asked for, the package as pip knows it, and what to know of it."""
        GrainlessError.__init__(
            self,
            f"{feature} needs a package that is not installed",
            remedy=f'Install it with: pip install "{package}"{note}',
        )


@dataclass(frozen=True)
class Packages:
    """The modules of one filter."""

    feature: str
    """The filter in words, as messages begin."""
    modules: tuple[str, ...] = ()
    """By their names for `import`; the first is the one that the filter calls."""
    package: str = ""
    """The package as pip knows it, where the extra `evaluate` does not bring it."""
    note: str = ""

    def missing(self) -> MissingExtraError | None:
        """Return the error that a call would raise, or None; nothing is imported for it."""
        names = (module.partition(".")[0] for module in self.modules)
        return self._error() if any(importlib.util.find_spec(name) is None for name in names) else None

    def load(self) -> Any:
        """Import the first module; MissingExtraError where one is missing or cannot be imported."""
        error = self.missing()
        if error is not None:
            raise error
        try:
            return importlib.import_module(self.modules[0])
        except ImportError as cause:
            raise self._error() from cause

    def _error(self) -> MissingExtraError:
        if self.package:
            return MissingPackageError(self.feature, self.package, note=self.note)
        return MissingExtraError(self.feature, "evaluate")


NO_PACKAGES = Packages("")
"""Of a filter that needs nothing but numpy."""
