"""Small noisy pictures as bytes, apps and servers, for the tests of the service."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from grainless import corrupt

SERVE = [sys.executable, "-m", "grainless", "serve", "--port", "0", "--no-page"]


def noisy(side: int = 64, *, noise: str = "gaussian:25", seed: int = 1) -> np.ndarray:
    """Colour ramps with noise, 8 bit."""
    ramp = np.linspace(40, 200, side)
    clean = np.stack([np.add.outer(ramp, ramp) / 2 + shift for shift in (0, 10, 30)], axis=2)
    return corrupt(clean.astype(np.uint8), noise, seed=seed)


def encoded(pixels: np.ndarray, kind: str = "png", **options) -> bytes:
    """The bytes of a file, as Pillow writes it."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a file, as Pillow reads them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with next to nothing behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class Server:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code


@contextlib.contextmanager
def serving(*options: str, **environment: str) -> Iterator[Server]:
    """Start a server on a free port of this machine, and stop it in the end, come what may."""
    env = {**os.environ, **environment}
    process = subprocess.Popen([*SERVE, *options], stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        server = Server(process, found[0])
        yield server
        process.kill()
        server.wait(10)
    finally:
        process.kill()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()


def leftovers(folder: Path) -> list[str]:
    """What requests left behind in the folder for temporary files."""
    return sorted(path.name for path in folder.glob("grainless-*"))
