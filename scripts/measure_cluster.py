"""Measure megapixels per second against the number of Dask workers.

`python scripts/measure_cluster.py --workers 1 2 4`: each row is a new local cluster of that many processes,
with one thread each, and one run of `denoise` on the same made pictures. On one machine the workers share its
cores and memory, so the gain ends at the number of cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster

from grainless import Picture, __version__, corrupt, write_picture
from grainless.batch import BatchReport, RunOptions, plan, run
from grainless.batch.cluster import on_cluster
from grainless.batch.pictures import Denoising
from grainless.picture import Metadata


def make_pictures(folder: Path, *, pictures: int, side: int) -> None:
    """Write gray-blue ramps with noise."""
    folder.mkdir()
    ramp = np.linspace(40, 200, side)
    clean = np.stack([np.add.outer(ramp, ramp) / 2 + shift for shift in (0, 10, 30)], axis=2).astype(np.uint8)
    for number in range(pictures):
        noisy = corrupt(clean, "gaussian:25", seed=number)
        write_picture(Picture(noisy, None, Metadata(), "png"), folder / f"{number:03}.png")


def measure(source: Path, out: Path, work: Denoising, *, workers: int) -> BatchReport:
    """Run once on so many workers; the model is loaded in each before the clock starts."""
    planned = plan([source], out)
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(work.settings)
        return run(
            planned, work, options=RunOptions(executor=on_cluster(planned, work, cluster.scheduler_address))
        )


def main() -> None:
    """Measure each number of workers, print a table, and write it if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--side", type=int, default=1000, help="of the square pictures, in pixels")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--model", default="universal")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file")
    options = parser.parse_args()
    work = Denoising(model=options.model, threads=options.threads).pinned()
    lines = ["| workers | seconds | MP/s | against the first row |", "|---|---|---|---|"]
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder) / "in", pictures=options.pictures, side=options.side)
        for workers in options.workers:
            report = measure(Path(folder) / "in", Path(folder) / f"out{workers}", work, workers=workers)
            first = first or report.rate
            lines.append(
                f"| {workers} | {report.seconds:.1f} | {report.rate:.2f} | {report.rate / first:.2f} |"
            )
            print(lines[-1], flush=True)
    command = f"python scripts/measure_cluster.py --workers {' '.join(map(str, options.workers))}"
    head = (
        f"# Throughput against workers\n\n`{command} --pictures {options.pictures} --side {options.side} "
        f"--threads {options.threads} --model {options.model}`\n\n"
        f"grainless {__version__}, {os.cpu_count()} cores, "
        f"{options.pictures} pictures of {options.side**2 / 1e6:g} megapixels, 8-bit PNG.\n\n"
    )
    text = head + "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
