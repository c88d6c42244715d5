"""What long measurements keep as they go, one JSON object a line, so that a stopped run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows that an earlier run has kept."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def keep_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows to a file."""
    with file.open("a") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
