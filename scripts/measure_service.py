"""Measure pictures per second of several clients against one, on a server of its own on this machine.

`python scripts/measure_service.py`: in each round one client sends so many pictures, one after the other, and
then eight clients send as many each at the same time. The rounds take turns, so that a machine that is busy
with other work at times is so for both. Clients and server share the cores.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from grainless import __version__, corrupt


def make_picture(side: int, seed: int) -> bytes:
    """Return a PNG of gray-blue ramps with noise."""
    ramp = np.linspace(40, 200, side)
    clean = np.stack([np.add.outer(ramp, ramp) / 2 + shift for shift in (0, 10, 30)], axis=2).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(corrupt(clean, "gaussian:25", seed=seed)).save(data, "png")
    return data.getvalue()


def send(url: str, pictures: list[bytes]) -> int:
    """Send pictures one after the other; return how many failed."""
    failed = 0
    for picture in pictures:
        request = urllib.request.Request(url, picture, {"Content-Type": "image/png"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
                failed += not answer.read()
        except OSError as error:
            print(error, file=sys.stderr)
            failed += 1
    return failed


def measure(url: str, pictures: list[bytes], *, clients: int) -> tuple[float, int]:
    """Return pictures per second of so many clients that send all pictures each, and how many failed."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        failed = sum(threads.map(lambda _: send(url, pictures), range(clients)))
    return clients * len(pictures) / (time.perf_counter() - began), failed


def main() -> None:
    """Start a server, measure, print a table, and write it if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=20, help="of each client")
    parser.add_argument("--side", type=int, default=256, help="of the square pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, help="Markdown file")
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    pictures = [make_picture(options.side, seed) for seed in range(options.pictures)]
    serve = [sys.executable, "-m", "grainless", "serve", "--no-page", "--port", "0"]
    serve += ["--workers", str(options.workers)]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http://\S+", server.stderr.readline() if server.stderr else "")
            if not found:
                sys.exit("the server did not start")
            url = f"{found[0]}/v1/denoise?model={options.model}"
            send(url, pictures[:1])
            rounds = [
                [measure(url, pictures, clients=clients) for clients in (1, options.clients)]
                for _ in range(options.rounds)
            ]
        finally:
            server.terminate()
    ratios = [many / one for (one, _), (many, _) in rounds]
    failed = sum(count for pair in rounds for _, count in pair)
    lines = [f"| round | 1 client | {options.clients} clients | ratio |", "|---|---|---|---|"]
    for number, ((one, _), (many, _)) in enumerate(rounds, start=1):
        lines.append(f"| {number} | {one:.1f} | {many:.1f} | {many / one:.2f} |")
    command = (
        f"python scripts/measure_service.py --clients {options.clients} --pictures {options.pictures} "
        f"--side {options.side} --rounds {options.rounds} --model {options.model} --workers {options.workers}"
    )
    text = (
        f"# Throughput of the service\n\n`{command}`\n\n"
        f"grainless {__version__}, {os.cpu_count()} cores, {options.pictures} pictures of {options.side} x "
        f"{options.side} pixels for each client, 8-bit PNG; pictures per second. Clients and server share "
        f"the cores; before the start {load:.1f} other processes wanted one.\n\n"
        + "\n".join(lines)
        + f"\n\nRatio, median: {statistics.median(ratios):.2f}. "
        f"Failed requests: {failed}.\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
