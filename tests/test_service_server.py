"""Real servers on this machine: what clients see over a socket, and how a server ends."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

from grainless import Denoiser
from grainless.errors import InputError
from grainless.service.server import _LAST_SECONDS, address, listen
from service_pictures import decoded, encoded, leftovers, noisy, png_of_size, serving

CLIENTS, PICTURES = 8, 20
TIMEOUT = httpx2.Timeout(60)


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(
            InputError, match=rf"127.0.0.1 port {port} cannot be listened on; got it is in use"
        ):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_said() -> None:
    # 192.0.2.0/24 is nobody's: RFC 5737.
    with pytest.raises(InputError, match="Choose an address of this machine with --host"):
        listen("192.0.2.1", 0)


def test_addresses_of_version_6_are_written_in_brackets() -> None:
    try:
        listening = listen("::1", 0)
    except InputError:
        pytest.skip("no IPv6 here")
    with listening:
        assert address(listening).startswith("http://[::1]:")


def malformed(number: int, rng: np.random.Generator) -> bytes:
    """An upload that is broken in one of many ways, some of them small enough to go unseen."""
    kinds = ("png", "jpeg", "tiff", "webp", "bmp", "avif")
    whole = bytearray(encoded(noisy(24, seed=number), kinds[number % len(kinds)]))
    way = number // len(kinds) % 6
    if way == 0:
        return bytes(whole[: int(rng.integers(0, len(whole)))])
    if way == 1:
        for at in rng.integers(0, len(whole), 8):
            whole[at] ^= 1 << int(rng.integers(8))
    elif way == 2:
        whole[:4] = rng.bytes(4)
    elif way == 3:
        return bytes(whole[:60]) + rng.bytes(200)
    elif way == 4:
        sides = rng.integers(2_000, 2**16 if number % 2 else 2**31, 2)
        return png_of_size(int(sides[0]), int(sides[1]))
    else:
        return [b"", b"\0" * 500, b"GIF89a", b"II*\0" + b"\xff" * 40, b"\x89PNG\r\n\x1a\n", bytes(whole) * 2][
            number % 6
        ]
    return bytes(whole)


@pytest.mark.slow
def test_two_hundred_malformed_uploads_leave_the_server_alive(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    with (
        serving("--max-megapixels", "1", TMPDIR=str(tmp_path)) as server,
        httpx2.Client(base_url=server.address, timeout=TIMEOUT) as client,
    ):
        statuses = []
        for number in range(200):
            path = "/v1/inspect" if number % 2 else "/v1/denoise?model=fast"
            answer = client.post(path, content=malformed(number, rng))
            statuses.append(answer.status_code)
            assert answer.status_code < 500, (number, answer.text)
            if answer.status_code != 200:
                assert set(answer.json()["error"]) == {"status", "type", "message"}
        assert {200, 413, 415} >= set(statuses) >= {413, 415}
        assert statuses.count(200) < 100
        good = client.post("/v1/denoise?model=fast", content=encoded(noisy()))
        assert np.array_equal(decoded(good.content), Denoiser.load("fast")(noisy()))
        assert server.process.poll() is None
        assert leftovers(tmp_path) == []
    assert not any("Traceback" in line for line in server.log)


@pytest.mark.slow
def test_eight_clients_with_twenty_pictures_each_are_all_served() -> None:
    pictures = [encoded(noisy(48, seed=seed)) for seed in range(PICTURES)]
    load = Denoiser.load("fast")
    expected = [load(noisy(48, seed=seed)) for seed in range(PICTURES)]

    with serving() as server:

        def client(_number: int) -> None:
            with httpx2.Client(base_url=server.address, timeout=TIMEOUT) as http:
                for picture, clean in zip(pictures, expected, strict=True):
                    answer = http.post("/v1/denoise?model=fast", content=picture)
                    assert answer.status_code == 200, answer.text
                    assert np.array_equal(decoded(answer.content), clean)

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(client, range(CLIENTS)))
        text = httpx2.get(f"{server.address}/metrics").text
        assert f'grainless_pictures_total{{model="fast"}} {CLIENTS * PICTURES}.0' in text
        assert "grainless_places_taken 0.0" in text


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_finishes_what_is_under_way(tmp_path: Path) -> None:
    picture = encoded(noisy(200))
    head = f"POST /v1/denoise?model=fast HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n"
    with serving(TMPDIR=str(tmp_path)) as server:
        place = place_of(server.address)
        with (
            httpx2.Client(base_url=server.address, timeout=TIMEOUT) as kept,
            socket.create_connection(place) as under_way,
        ):
            under_way.sendall(head.encode() + picture[:1000])
            until(lambda: "grainless_places_taken 1.0" in kept.get("/metrics").text)
            server.process.send_signal(signal.SIGTERM)
            until(lambda: refused(place))
            # A connection that was open already hears why.
            told = kept.post("/v1/inspect", content=encoded(noisy()))
            assert told.status_code == 503
            assert "about to stop" in told.json()["error"]["message"]
            assert kept.get("/healthz").json()["status"] == "stopping"
            # Longer than idle connections are waited for.
            time.sleep(_LAST_SECONDS + 1)
            under_way.sendall(picture[1000:])
            under_way.settimeout(60)
            data = b""
            while piece := under_way.recv(2**16):
                data += piece
        assert server.wait(60) in {0, -signal.SIGTERM}
    status, _, body = data.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")
    assert np.array_equal(decoded(body), Denoiser.load("fast")(noisy(200)))
    assert leftovers(tmp_path) == []
    assert not any("Traceback" in line for line in server.log)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    with serving(TMPDIR=str(tmp_path)) as server:
        place = place_of(server.address)
        with socket.create_connection(place) as under_way:
            under_way.sendall(b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            until(lambda: "grainless_places_taken 1.0" in httpx2.get(f"{server.address}/metrics").text)
            server.process.send_signal(signal.SIGINT)
            until(lambda: refused(place))
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGINT)
            assert server.wait(30) == 130


def until(true, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.02)


def place_of(server_address: str) -> tuple[str, int]:
    host, port = server_address.removeprefix("http://").split(":")
    return host, int(port)


def refused(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # Met the server while it closed.
        return False
    return False


def read_answer(connection: socket.socket) -> bytes:
    """Read until an answer's JSON body has come, or the other side closes."""
    data = b""
    connection.settimeout(20)
    while not data.endswith(b"}}") and (piece := connection.recv(4096)):
        data += piece
    return data


@pytest.mark.slow
def test_one_server_against_clients_that_do_not_behave(tmp_path: Path) -> None:
    options = ("--max-megabytes", "1", "--workers", "1", "--queue", "0")
    with serving(*options, TMPDIR=str(tmp_path)) as server:
        place = place_of(server.address)
        text = lambda: httpx2.get(f"{server.address}/metrics").text  # noqa: E731

        # An endless body is answered before it ends, and takes no room.
        with socket.create_connection(place) as endless:
            endless.sendall(b"POST /v1/denoise HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(12):
                endless.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
            assert b" 413 " in read_answer(endless)
        # One that claims to be huge is answered before anything of it is sent.
        with socket.create_connection(place) as huge:
            huge.sendall(b"POST /v1/denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000000\r\n\r\n")
            assert b" 413 " in read_answer(huge)
        # A client that sends nothing holds the only place, until it leaves.
        with socket.create_connection(place) as idle:
            idle.sendall(b"POST /v1/denoise HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            until(lambda: "grainless_places_taken 1.0" in text())
            full = httpx2.post(f"{server.address}/v1/inspect", content=encoded(noisy()))
            assert full.status_code == 503
        until(lambda: "grainless_places_taken 0.0" in text())
        # One that leaves while its picture is worked on does not hold the worker.
        body = encoded(noisy(400))
        with socket.create_connection(place) as leaving:
            head = (
                f"POST /v1/denoise?model=universal HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            leaving.sendall(head.encode() + body)
        until(lambda: 'endpoint="/v1/denoise",status="499"' in text())
        until(lambda: "grainless_places_taken 0.0" in text())
        assert httpx2.post(f"{server.address}/v1/inspect", content=encoded(noisy())).status_code == 200
        assert leftovers(tmp_path) == []
    assert not any("Traceback" in line for line in server.log)
