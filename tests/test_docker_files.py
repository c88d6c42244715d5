"""The Dockerfile, as far as it can be looked at without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grainless.cli import app

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def after(word: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{word} ")]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    copied = [name for line in after("COPY") if not line.startswith("--from") for name in line.split()[:-1]]
    assert {"pyproject.toml", "requirements.lock", "src"} <= set(copied)
    assert IGNORED[1] == "*"
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in IGNORED


def test_it_runs_without_rights() -> None:
    last = LINES.index(next(line for line in LINES if line.startswith("USER ")))
    assert after("USER") == ["10001"]
    assert all(LINES.index(line) > last for line in LINES if line.startswith(("ENTRYPOINT", "CMD")))


def test_it_installs_the_light_extra_by_the_lock() -> None:
    install = next(line for line in after("RUN") if "pip install" in line)
    assert "-c requirements.lock" in install
    assert install.endswith('".[web]"')


def test_the_command_is_one_that_the_program_has() -> None:
    assert [json.loads(line) for line in after("ENTRYPOINT")] == [["grainless"]]
    command = json.loads(after("CMD")[-1])
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert command[-1] in after("EXPOSE")


def test_the_health_check_asks_what_is_there() -> None:
    code = next(line for line in LINES if line.startswith("HEALTHCHECK"))
    script = json.loads(code[code.index("CMD ") + 4 :])[2]
    compile(script, "health", "exec")
    assert re.search(r"127\.0\.0\.1:8000/healthz", script)


@pytest.mark.parametrize("secret", ["GRAINLESS_API_KEY", "PASSWORD"])
def test_no_secret_is_baked_in(secret: str) -> None:
    assert not any(secret in line for line in LINES)
