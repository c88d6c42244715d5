"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real pictures, named by GRAINLESS_DATA; tests that need it skip without."""
    folder = os.environ.get("GRAINLESS_DATA")
    if not folder:
        pytest.skip("GRAINLESS_DATA names no folder of pictures")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"GRAINLESS_DATA names {folder}, which is not a folder")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20261120)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is set by hand, in seconds."""
    hand = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: hand.seconds)
    monkeypatch.setattr(time, "perf_counter", lambda: hand.seconds)
    return hand
