"""Files in and out: counted, timed, never whole in memory, and nothing kept of what breaks off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from grainless.errors import PictureError
from grainless.service import ServiceSettings
from grainless.service.pool import Pool
from grainless.service.refusals import NoSpaceError, SlowTransferError, TooManyBytesError
from grainless.service.transfer import FileAnswer, client_gone, receive_file


class Body:
    """A body in pieces; counts those that were asked for."""

    def __init__(self, *pieces: bytes | None, pause: float = 0.0) -> None:
        self.pieces, self.pause, self.asked = list(pieces), pause, 0

    async def __call__(self) -> dict:
        await asyncio.sleep(self.pause)
        if self.asked == len(self.pieces):
            return {"type": "http.disconnect"}
        piece = self.pieces[self.asked]
        self.asked += 1
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": self.asked < len(self.pieces)}


def request(body: Body, **headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": named}, body)


def receive(body: Body, path: Path, settings: ServiceSettings, **headers: str) -> None:
    asyncio.run(receive_file(request(body, **headers), path, settings))


LIMIT = ServiceSettings(max_bytes=10)


def test_a_body_at_the_limit_is_stored_as_it_came(tmp_path: Path) -> None:
    receive(Body(b"0123", b"", b"456789"), tmp_path / "x", LIMIT, content_length="10")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_one_byte_more_is_refused_while_the_rest_is_not_asked_for(tmp_path: Path) -> None:
    body = Body(b"0123456789", b"!", b"more", b"more")
    with pytest.raises(TooManyBytesError, match="expected at most 10 bytes"):
        receive(body, tmp_path / "x", LIMIT)
    assert body.asked == 2
    assert (tmp_path / "x").stat().st_size <= 10


def test_a_length_that_is_told_is_refused_before_anything_comes(tmp_path: Path) -> None:
    body = Body(b"0")
    with pytest.raises(TooManyBytesError, match="got 11 bytes or more"):
        receive(body, tmp_path / "x", LIMIT, content_length="11")
    assert body.asked == 0
    assert not (tmp_path / "x").exists()


def test_a_length_that_lies_helps_nobody(tmp_path: Path) -> None:
    with pytest.raises(TooManyBytesError):
        receive(Body(bytes(11)), tmp_path / "x", LIMIT, content_length="1")


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    settings = ServiceSettings(max_transfer_seconds=0.2)
    with pytest.raises(SlowTransferError, match=r"did not arrive in time; expected at most 0\.2 seconds"):
        receive(Body(*[b"x"] * 1000, pause=0.05), tmp_path / "x", settings)


def test_a_body_that_breaks_off_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ClientDisconnect):
        receive(Body(b"01", None), tmp_path / "x", LIMIT)


def test_a_form_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="The body is a form; expected the bytes of a picture file alone"):
        receive(Body(b"0"), tmp_path / "x", LIMIT, content_type="multipart/form-data; boundary=x")


def test_a_disk_that_takes_nothing_is_no_fault_of_the_client(tmp_path: Path) -> None:
    with pytest.raises(NoSpaceError, match="cannot store the file"):
        receive(Body(b"0"), tmp_path / "missing" / "x", LIMIT)


def test_a_client_is_gone_only_when_it_is() -> None:
    async def run() -> tuple[bool, Exception]:
        waiting = asyncio.ensure_future(client_gone(request(Body(b"a", b"b", None, pause=0.05))))
        await asyncio.sleep(0.07)
        early = waiting.done()
        return early, await waiting

    early, error = asyncio.run(run())
    assert not early
    assert isinstance(error, ClientDisconnect)


def answered(tmp_path: Path, data: bytes, *, seconds: float, pause: float) -> tuple[list[dict], Pool]:
    """What is sent of a file, and the pool afterwards."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        await asyncio.sleep(pause)
        sent.append(message)

    async def run() -> Pool:
        pool = Pool(ServiceSettings())
        with pool.place() as place:
            file = place.folder / "result"
            file.write_bytes(data)
            answer = FileAnswer(file, place, seconds=seconds, media_type="image/png", headers={"X-A": "b"})
        assert pool.taken == 1, "the file must stay until it is sent"
        await answer({"type": "http"}, None, send)
        assert not file.exists()
        return pool

    return sent, asyncio.run(run())


def test_a_file_is_sent_whole_and_its_place_is_free_then(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    sent, pool = answered(tmp_path, data, seconds=10, pause=0)
    assert b"".join(message.get("body", b"") for message in sent) == data
    assert max(len(message.get("body", b"")) for message in sent) < len(data)
    assert dict(sent[0]["headers"]) == {
        b"x-a": b"b",
        b"content-type": b"image/png",
        b"content-length": str(len(data)).encode(),
    }
    assert [message.get("more_body") for message in sent[-2:]] == [True, False]
    assert pool.taken == 0


def test_a_file_that_is_not_taken_is_given_up_and_its_place_is_free_then(tmp_path: Path) -> None:
    sent, pool = answered(tmp_path, bytes(10_000_000), seconds=0.2, pause=0.1)
    assert sum(len(message.get("body", b"")) for message in sent) < 10_000_000
    assert pool.taken == 0
