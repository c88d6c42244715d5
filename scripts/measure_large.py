"""Measure a picture of any size under a limit of memory, and write seconds and memory into docs/large.md.

    python scripts/measure_large.py                     # a gigapixel, --max-memory 1GB, --model fast
    python scripts/measure_large.py --megapixels 50 --docs -

The picture is synthetic, a tiled BigTIFF of 8-bit RGB with noise of sigma 20, made in a temporary folder; it
and the scratch files need about 14 bytes of disk a pixel.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grainless.batch.pipeline import free_bytes
from grainless.benchmark.machine import describe_machine, load_average

DOCS = Path(__file__).parent.parent / "docs" / "large.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
DISK_BYTES = 14
"""A pixel: 3 of the source, up to 3 of the result, twice 3 in scratch files, and some to spare."""
_ROW = re.compile(r"\| *[\d,]+ \|")


@dataclass(frozen=True)
class Run:
    """One run of `grainless denoise`."""

    seconds: float
    peak: int
    """Most memory that the process held, in bytes."""
    said: str


def main() -> int:
    """Make the picture, denoise it, and write what was measured."""
    options = _options()
    side = round((options.megapixels * 1e6) ** 0.5)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="grainless-large-") as folder:
        needed = DISK_BYTES * side * side
        if free_bytes(Path(folder)) < needed:
            print(f"{folder} has no room for {needed / 1e9:.1f} GB", file=sys.stderr)
            return 2
        source, target = Path(folder, "source.tif"), Path(folder, f"result{options.ending}")
        make_picture(source, side)
        arguments = ["--model", options.model, "--max-memory", options.max_memory]
        run = denoise(source, target, arguments)
        result = target.stat().st_size
    megapixels = side * side / 1e6
    row = (
        f"| {megapixels:,.0f} | {side:,} x {side:,} | `{options.model}` | {options.max_memory} "
        f"| {run.peak / 1e6:,.0f} MB | {run.seconds:,.0f} | {megapixels / run.seconds:.2f} "
        f"| {result / 1e6:,.0f} MB |"
    )
    print(run.said, row, sep="\n")
    if options.docs != Path("-"):
        write_row(options.docs, row)
    return 0


def make_picture(path: Path, side: int) -> None:
    """Write a tiled BigTIFF of `side` by `side` pixels; it is never in memory."""
    import pyvips  # noqa: PLC0415

    places = pyvips.Image.xyz(side, side)
    noise = pyvips.Image.gaussnoise(side, side, mean=0, sigma=20, seed=7)
    shade = (places[0] % 2048) / 16 + (places[1] % 3072) / 32 + 20
    edges = ((places[0] // 96 + places[1] // 80) % 2) * 24
    gray = shade + edges + noise
    colours = gray.bandjoin([gray * 0.9 + 10, 255 - gray]).cast("uchar").copy(interpretation="srgb")
    colours.tiffsave(str(path), tile=True, tile_width=512, tile_height=512, bigtiff=True)


def denoise(source: Path, target: Path, arguments: list[str]) -> Run:
    """Run the command in a process of its own, and follow the most memory that it held."""
    command = [sys.executable, "-m", "grainless", "denoise", str(source), "-o", str(target), *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    peak = _Peak(process.pid)
    _, said = process.communicate()
    peak.stop()
    if process.returncode:
        raise SystemExit(f"grainless denoise ended with {process.returncode}: {said}")
    return Run(time.perf_counter() - start, peak.most, said.strip())


class _Peak:
    """Reads VmHWM of a process until it ends: its peak so far, so that only the last moments are missed."""

    def __init__(self, process: int) -> None:
        self._status = Path(f"/proc/{process}/status")
        self._ended = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(0.05):
            try:
                found = re.search(r"VmHWM:\s+(\d+)", self._status.read_text(encoding="utf-8"))
            except OSError:
                return
            if found is not None:
                self.most = max(self.most, int(found[1]) * 1024)


def write_row(docs: Path, row: str) -> None:
    """Put the row into the table between the marks, in place of one of the same size, with the machine."""
    text = docs.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if _ROW.match(line)}
    rows[row.split("|")[1].strip()] = row
    ordered = [rows[name] for name in sorted(rows, key=lambda name: int(name.replace(",", "")))]
    head = (
        "| Megapixels | Pixels | Model | `--max-memory` | Peak memory | Seconds | Megapixels/s | Result |\n"
        "| ---: | --- | --- | --- | ---: | ---: | ---: | ---: |"
    )
    docs.write_text(f"{before}{BEGIN}\n{head}\n" + "\n".join(ordered) + f"\n\n{_machine()}\n{END}{after}")


def _machine() -> str:
    found = describe_machine()
    load = load_average()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {found.processor}, {found.cores} cores, {found.system}, "
        f"Python {found.python}, load average at the end {load}."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=1000.0)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--max-memory", default="1GB")
    parser.add_argument("--ending", default=".tif", help="of the result: .tif, .png or .jpg")
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("TMPDIR", tempfile.gettempdir())))
    parser.add_argument("--docs", type=Path, default=DOCS, help="page to write into; - for none")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
