"""The HTTP API in one process: answers, limits, and errors in one shape."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from grainless import Denoiser
from grainless.batch.pictures import Denoising
from grainless.diagnosis import diagnose
from grainless.model_file import list_models
from grainless.picture.formats import FORMATS
from grainless.service import ServiceSettings
from grainless.service import app as service_app
from grainless.service.api import MEDIA_TYPES
from grainless.service.app import create_app
from grainless.service.cleaning import Cleaner
from grainless.version import __version__
from service_pictures import decoded, encoded, leftovers, noisy, png_of_size

PNG = encoded(noisy())


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(ServiceSettings(max_bytes=100_000, max_megapixels=0.1, workers=1, queue=1))


@pytest.fixture
def client(app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client that also looks whether its requests left files or places behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app.state.service.pool.stopping = False
    yield TestClient(app, raise_server_exceptions=False)
    assert leftovers(tmp_path) == []
    assert app.state.service.pool.taken == 0


def problem(answer, status: int) -> str:
    """The message of an error, whose shape is checked."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert set(error) == {"status", "type", "message"}
    assert error["status"] == status
    assert "Traceback" not in answer.text
    return error["message"]


def test_denoise_gives_the_clean_picture_and_says_what_was_done(client: TestClient) -> None:
    answer = client.post("/v1/denoise", content=PNG)
    told = diagnose(noisy())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-grainless-model"] == told.model == "universal"
    assert float(answer.headers["x-grainless-strength"]) == told.strength
    assert json.loads(answer.headers["x-grainless-diagnosis"]) == asdict(told)
    assert json.loads(answer.headers["x-grainless-notes"]) == [f"{told.in_short()}: model universal"]
    clean = Denoiser.load("universal")(noisy(), strength=told.strength)
    assert np.array_equal(decoded(answer.content), clean)


def test_options_come_as_the_query(client: TestClient) -> None:
    query = {"model": "fast", "strength": 0.5, "format": "jpg", "quality": 50}
    answer = client.post("/v1/denoise", params=query, content=PNG)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert "x-grainless-diagnosis" not in answer.headers
    assert json.loads(answer.headers["x-grainless-notes"]) == ["values: JPEG compresses with small errors"]
    finer = client.post("/v1/denoise", params=query | {"quality": 95}, content=PNG)
    assert len(finer.content) > len(answer.content)


def test_each_format_has_its_media_type(client: TestClient) -> None:
    assert set(MEDIA_TYPES) == set(FORMATS)
    for name, media_type in MEDIA_TYPES.items():
        answer = client.post("/v1/denoise", params={"model": "fast", "format": name}, content=PNG)
        assert answer.headers["content-type"] == media_type
        assert answer.content[:2] != PNG[:2] or name == "png"


def test_inspect_answers_as_the_command_does(client: TestClient) -> None:
    answer = client.post("/v1/inspect", content=PNG)
    assert answer.json() == asdict(diagnose(noisy()))
    jpeg = client.post("/v1/inspect", content=encoded(noisy(), "jpeg", quality=30))
    assert jpeg.json()["quality"] == 30


def test_models_are_listed_with_their_cards_and_without_paths(client: TestClient) -> None:
    answer = client.get("/v1/models")
    found = {model["name"]: model["card"] for model in answer.json()["models"]}
    assert found == {path.stem: card.model_dump(mode="json") for path, card in list_models()}
    assert str(Path(__file__).parent.parent) not in answer.text


def test_health_says_when_it_stops(app: FastAPI, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": __version__}
    app.state.service.pool.stopping = True
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
    assert "about to stop" in problem(client.post("/v1/denoise", content=PNG), 503)


@pytest.mark.parametrize("path", ["/v1/denoise", "/v1/inspect"])
def test_too_many_bytes_are_refused_before_and_while_they_come(client: TestClient, path: str) -> None:
    chunks = (bytes(10_000) for _ in range(20))
    told = problem(client.post(path, content=bytes(100_001)), 413)
    assert told == "The file is too large; got 100,001 bytes or more; expected at most 100,000 bytes."
    assert "expected at most 100,000 bytes" in problem(client.post(path, content=chunks), 413)


@pytest.mark.parametrize("path", ["/v1/denoise", "/v1/inspect"])
def test_bombs_are_refused_by_their_header(client: TestClient, path: str) -> None:
    told = problem(client.post(path, content=png_of_size(60_000, 60_000)), 413)
    assert told.startswith("The picture is too large; got 60000 x 60000 = 3,600.0 megapixels")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("model=nothing", "There is no model named 'nothing' here; expected one of auto, fast, universal"),
        ("model=/etc/passwd", "There is no model named '/etc/passwd' here"),
        ("strength=2", "strength: Input should be less than or equal to 1"),
        ("strength=NaN", "strength: "),
        ("strenght=1", "strenght: Extra inputs are not permitted"),
        ("format=gif", "format: Input should be 'png'"),
        ("quality=0", "quality: Input should be greater than or equal to 1"),
    ],
)
def test_bad_options_are_refused_in_words(client: TestClient, query: str, words: str) -> None:
    assert words in problem(client.post(f"/v1/denoise?{query}", content=PNG), 422)


@pytest.mark.parametrize("path", ["/v1/denoise", "/v1/inspect"])
def test_what_is_no_picture_is_refused_in_words(client: TestClient, path: str) -> None:
    assert problem(client.post(path), 415).startswith("The picture is empty")
    assert problem(client.post(path, content=b"hello"), 415).startswith(
        "The picture is not a picture: it holds"
    )
    form = client.post(path, files={"file": PNG})
    assert problem(form, 415).endswith("With curl: --data-binary @FILE in place of -F.")


def test_what_curl_sends_without_a_type_is_taken(client: TestClient) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/v1/inspect", content=PNG, headers=head).status_code == 200


def test_other_paths_and_methods_have_the_same_shape(client: TestClient) -> None:
    assert problem(client.get("/nothing"), 404).startswith("Not Found: GET /nothing. /openapi.json says")
    answer = client.get("/v1/denoise")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_an_unexpected_error_is_answered_without_its_words(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Cleaner, "diagnose", fail)
    answer = client.post("/v1/inspect", content=PNG)
    assert problem(answer, 500).startswith("The service failed at this; its log says why")
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    monkeypatch.undo()
    assert client.post("/v1/inspect", content=PNG).status_code == 200


def test_a_full_house_is_refused_with_when_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Semaphore(0), threading.Event()
    whole = Cleaner.diagnose

    def slow(self: Cleaner, *parts) -> object:
        entered.release()
        release.wait(20)
        return whole(self, *parts)

    monkeypatch.setattr(Cleaner, "diagnose", slow)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.post("/v1/inspect", content=PNG)))
        for _ in range(2)
    ]
    threads[0].start()
    assert entered.acquire(timeout=20)
    threads[1].start()
    pool = client.app.state.service.pool
    for _ in range(2000):
        if pool.taken == 2:
            break
        threading.Event().wait(0.01)
    refused = client.post("/v1/denoise", content=PNG)
    assert "as much work as it takes on; got 2 pictures" in problem(refused, 503)
    assert refused.headers["retry-after"] == "5"
    assert client.get("/healthz").status_code == 200
    release.set()
    for thread in threads:
        thread.join(20)
    assert [answer.status_code for answer in answers] == [200, 200]


def test_work_that_takes_too_long_is_refused_and_the_next_goes_on(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(_self: Denoising, _picture: object, _job: object, tick) -> None:
        while True:
            tick(0.5)
            time.sleep(0.01)

    pool = client.app.state.service.pool
    with monkeypatch.context() as patched:
        patched.setattr(Denoising, "compute", endless)
        patched.setattr(pool, "max_seconds", 0.3)
        told = problem(client.post("/v1/denoise?model=fast", content=PNG), 503)
        assert told.startswith(
            "The picture takes too long; expected at most 0.3 seconds of work. Send a smaller"
        )
        pool.executor.submit(int).result(20)
        assert pool.taken == 0
    assert client.post("/v1/denoise?model=fast", content=PNG).status_code == 200


def test_errors_have_the_same_shape_where_there_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("the page"))])
    monkeypatch.setattr(service_app, "mount_page", lambda app, *_, **__: app.mount("/", page))
    with_page = TestClient(create_app(ServiceSettings(), page=True))
    refused = with_page.get("/v1/denoise")
    assert problem(refused, 405).startswith("Method Not Allowed: GET /v1/denoise.")
    assert refused.headers["allow"] == "POST"
    problem(with_page.request("TRACE", "/v1/denoise"), 405)
    problem(with_page.post("/healthz"), 405)
    for path in ("/v1/nothing", "/v1//denoise", "/v1"):
        assert problem(with_page.get(path), 404).startswith(f"Not Found: GET {path}. /openapi.json says")
    assert with_page.get("/healthz").status_code == 200
    assert with_page.get("/v1/models").status_code == 200
    assert with_page.get("/").text == "the page"
    assert "/v1/{rest}" not in with_page.get("/openapi.json").text


def test_numbers_tell_what_was_done(tmp_path: Path) -> None:
    client = TestClient(create_app(ServiceSettings(max_bytes=100_000)))
    client.post("/v1/denoise?model=fast", content=PNG)
    client.post("/v1/denoise", content=PNG)
    client.post("/v1/inspect", content=bytes(100_001))
    client.get("/some/where")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    kind = diagnose(noisy()).kind
    for line in (
        'grainless_requests_total{endpoint="/v1/denoise",status="200"} 2.0',
        'grainless_requests_total{endpoint="/v1/inspect",status="413"} 1.0',
        'grainless_requests_total{endpoint="other",status="404"} 1.0',
        'grainless_refused_total{reason="bytes"} 1.0',
        'grainless_pictures_total{model="fast"} 1.0',
        'grainless_pictures_total{model="universal"} 1.0',
        f'grainless_diagnoses_total{{kind="{kind}"}} 1.0',
        "grainless_places_taken 0.0",
        "grainless_workers_busy 0.0",
        "grainless_places 18.0",
        'grainless_request_seconds_count{endpoint="/v1/denoise"} 2.0',
    ):
        assert line in lines
    assert any(line.startswith("grainless_megapixels_total 0.0081") for line in lines)


def test_two_apps_count_apart() -> None:
    first, second = (TestClient(create_app(ServiceSettings())) for _ in range(2))
    first.get("/healthz")
    assert 'endpoint="/healthz"' in first.get("/metrics").text
    assert 'endpoint="/healthz"' not in second.get("/metrics").text
