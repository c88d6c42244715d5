"""The key: asked of everything but the health check, in each of the ways that clients have."""

from __future__ import annotations

import asyncio
import base64

import pytest
from fastapi.testclient import TestClient

from grainless.service import ServiceSettings
from grainless.service import gate as module
from grainless.service.app import create_app
from grainless.service.gate import ENDPOINTS
from service_pictures import encoded, noisy

KEY = "a-long-key"


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(ServiceSettings(api_key=KEY)))


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


GOOD = [
    {"X-API-Key": KEY},
    {"Authorization": f"Bearer {KEY}"},
    {"authorization": f"bearer  {KEY}"},
    basic(f"anybody:{KEY}"),
    {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
]
BAD = [
    {},
    {"X-API-Key": ""},
    {"X-API-Key": KEY[:-1]},
    {"X-API-Key": KEY + "x"},
    {"X-API-Key": KEY.upper()},
    {"Authorization": KEY},
    {"Authorization": "Bearer"},
    {"Authorization": f"Digest {KEY}"},
    {"Authorization": "Basic ???"},
    basic(KEY),
    basic(f"{KEY}:"),
]


@pytest.mark.parametrize("headers", GOOD)
def test_the_key_opens(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", BAD)
def test_nothing_else_does(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get("/v1/models", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "status": 401,
        "type": "KeyRefusedError",
        "message": "The key is missing or wrong; expected the header X-API-Key: KEY or "
        "Authorization: Bearer KEY.",
    }
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("path", sorted({*ENDPOINTS, "/", "/nothing"} - {"/healthz"}))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_everything_but_the_health_check_asks(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 401


def test_the_health_check_asks_for_nothing(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200


def test_a_picture_is_not_even_taken_in_without_the_key(client: TestClient) -> None:
    assert client.post("/v1/denoise", content=encoded(noisy())).status_code == 401
    assert client.post("/v1/inspect", content=encoded(noisy()), headers=GOOD[0]).status_code == 200


def test_refusals_are_counted(client: TestClient) -> None:
    def count() -> float:
        lines = client.get("/metrics", headers=GOOD[0]).text.splitlines()
        return sum(
            float(line.split()[1])
            for line in lines
            if line.startswith('grainless_refused_total{reason="key"')
        )

    before = count()
    client.get("/v1/models")
    assert count() == before + 1


def test_keys_are_compared_in_constant_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(module.hmac, "compare_digest", lambda *pair: compared.append(pair) or False)
    assert client.get("/v1/models", headers=GOOD[0]).status_code == 401
    assert compared == [(KEY.encode(), KEY.encode())]


def test_a_websocket_without_the_key_is_closed(client: TestClient) -> None:
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(client.app({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
