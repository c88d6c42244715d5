"""The command `serve`: options, keys, and messages in place of tracebacks."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from grainless.cli import app
from grainless.cli import serving as module
from grainless.service import ServiceSettings, server
from service_pictures import SERVE, encoded, noisy, serving


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list:
    """What `serve` starts, without a server: settings, page, and whether there is an access log."""
    calls: list = []
    monkeypatch.delenv(module.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(
        "grainless.service.app.create_app", lambda settings, page: calls.append([settings, page])
    )
    monkeypatch.setattr(
        server, "serve", lambda _app, listening, access_log: calls[-1].extend([listening, access_log])
    )
    return calls


def run(*options: str):
    return CliRunner().invoke(app, ["serve", "--port", "0", *options])


def test_without_options_only_this_machine_is_served(started: list) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    [[settings, page, listening, access_log]] = started
    assert settings == ServiceSettings(port=0, max_bytes=128_000_000)
    assert (page, access_log) == (True, False)
    assert listening.fileno() == -1, "the socket is closed in the end"
    assert re.match(r"grainless serves at http://127\.0\.0\.1:\d+ \(Ctrl-C stops it\)\n$", result.stderr)


def test_options_become_settings(started: list) -> None:
    run(
        *("--no-page", "--max-megabytes", "1.5", "--max-megapixels", "2", "--max-seconds", "3"),
        *("--workers", "4", "--queue", "5", "--threads", "6", "--model", "fast", "--model", "universal"),
        "--access-log",
    )
    assert started[0][0] == ServiceSettings(
        port=0, max_bytes=1_500_000, max_megapixels=2, max_seconds=3, workers=4, queue=5, threads=6,
        models=("fast", "universal"),
    )  # fmt: skip
    assert started[0][1] is False
    assert started[0][3] is True


def test_the_key_comes_from_a_file_or_from_the_environment(
    started: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("from a file\n", encoding="utf-8")
    monkeypatch.setenv(module.KEY_VARIABLE, "from the environment")
    run("--no-page")
    run("--no-page", "--api-key-file", str(tmp_path / "key"))
    keys = [call[0].api_key.get_secret_value() for call in started]
    assert keys == ["from the environment", "from a file"]


@pytest.mark.parametrize("text", ["", " \n", "two\nlines", "größe"])
def test_a_key_that_no_header_can_hold_is_refused(
    started: list, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    result = run("--api-key-file", str(tmp_path / "key"))
    assert result.exit_code == 2
    assert "is not one that a header can hold; expected one line of ASCII characters" in result.stderr
    monkeypatch.setenv(module.KEY_VARIABLE, text)
    assert f"The key in {module.KEY_VARIABLE} is not" in run().stderr
    assert not started


def test_a_key_file_that_is_missing_is_said(started: list, tmp_path: Path) -> None:
    result = run("--api-key-file", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert re.search(r"error: The key cannot be read from .*none; got .*No such file", result.stderr)


@pytest.mark.parametrize(("key", "warned"), [(None, True), ("a-key", False)])
def test_an_open_door_is_said(
    started: list, monkeypatch: pytest.MonkeyPatch, key: str | None, warned: bool
) -> None:
    if key:
        monkeypatch.setenv(module.KEY_VARIABLE, key)
    result = run("--no-page", "--host", "0.0.0.0")
    assert ("whoever reaches this machine can use it" in result.stderr) == warned


def test_a_port_in_use_is_a_message_before_anything_is_loaded(started: list) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port])
    assert result.exit_code == 2
    assert f"127.0.0.1 port {port} cannot be listened on; got it is in use" in result.stderr
    assert "Choose another with --port" in result.stderr
    assert not started


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_missing_extra_is_named_with_its_remedy(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from typer.testing import CliRunner; "
        "from grainless.cli import app; result = CliRunner().invoke(app, ['serve', '--port', '0']); "
        "print(result.exit_code, ' '.join(result.stderr.split()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == (
        "2 grainless: error: The service needs packages that are not installed. "
        'In the folder of the checkout: pip install -c requirements.lock ".[web]".\n'
    )


def test_an_unknown_model_is_a_message() -> None:
    result = run("--no-page", "--model", "nothing")
    assert result.exit_code == 2
    assert "There is no model named 'nothing' to offer; expected one of fast, universal" in result.stderr


def test_a_server_asks_for_the_key_and_prints_a_line_for_each_request() -> None:
    with (
        serving("--access-log", GRAINLESS_API_KEY="secret-word") as started,
        httpx2.Client(base_url=started.address) as client,
    ):
        assert client.post("/v1/inspect", content=encoded(noisy())).status_code == 401
        head = {"X-API-Key": "secret-word"}
        assert client.post("/v1/inspect", content=encoded(noisy()), headers=head).status_code == 200
        started.process.terminate()
        started.wait()
        log = "".join(started.log)
    assert '"POST /v1/inspect HTTP/1.1" 401' in log
    assert '"POST /v1/inspect HTTP/1.1" 200' in log
    assert "secret-word" not in log


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with serving() as started:
        assert httpx2.get(f"{started.address}/healthz").status_code == 200
        started.process.send_signal(2)
        assert started.wait() == 130
        assert started.log == ["grainless: stopped\n"]


def test_the_help_loads_no_server() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from grainless.cli import app; "
        "assert CliRunner().invoke(app, ['serve', '--help']).exit_code == 0; "
        "print([name for name in ('fastapi', 'uvicorn', 'gradio', 'onnxruntime') if name in sys.modules])"
    )
    assert SERVE[1:3] == ["-m", "grainless"]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
