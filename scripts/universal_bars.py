"""Write the table of what the shipped models have to reach.

    python scripts/universal_bars.py RESULTS [memory]

RESULTS is the folder of `scripts/measure_universal.sh`. The table is printed as Markdown: each bar, what
stands behind it and what was measured. A bar that was not measured is listed as such. With `memory` it is
what a large picture takes instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grainless.evaluation import RECORDED, Evaluation, load

SIGMAS = ("15", "25", "50")
DENSITIES = ("0.1", "0.3", "0.5", "0.7", "0.9")
SMOOTHERS = ("nlm", "tv", "wavelet")
# Yardsticks measured once on the same pictures, by the same protocols: DnCNN-B and FFDNet (told sigma) with
# their authors' weights, interpolation and the adaptive median; ARmF as published, which ours repeats within
# 0.02 dB.
REAL_FILES = {
    "kodak24": {"DnCNN-B": (34.30, 31.62, 27.51), "FFDNet": (34.44, 31.68, 27.34)},
    "cbsd68": {"DnCNN-B": (33.58, 30.68, 26.47), "FFDNet": (33.53, 30.60, 26.20)},
}
FIRST = {"kodak24": 8, "cbsd68": 16}
LITERATURE = {
    "cbsd68": {"FFDNet": (33.87, 31.21, 27.96), "BM3D": (33.52, 30.71, 27.38)},
    "bsd68_gray": {"DnCNN-B": (31.61, 29.16, 26.23)},
    "set12": {"DnCNN-B": (32.68, 30.36, 27.21)},
}
IMPULSES = {
    "interpolation": (30.30, 28.77, 27.22, 25.48, 22.90),
    "adaptive median": (31.88, 28.94, 26.29, 23.72, 20.25),
}
ARMF = (35.12, 30.86, 28.08, 25.36, 21.89)


@dataclass(frozen=True)
class Bar:
    """One thing that a model has to reach."""

    model: str
    what: str
    least: float | None
    """None where what it is compared with was not measured."""
    got: float | None
    unit: str = "dB"
    below: bool = False
    """Whether less is better."""

    @property
    def verdict(self) -> str:
        """Say whether it is reached."""
        if self.least is None or self.got is None:
            return "not measured"
        gap = (self.least - self.got) if self.below else (self.got - self.least)
        return f"yes, by {gap:.2f}" if gap >= 0 else f"**no, {-gap:.2f} short**"


@dataclass(frozen=True)
class Results:
    """All evaluations of a folder, merged by nothing but looking."""

    evaluations: list[Evaluation]
    extras: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Results:
        """Read the JSON files of a folder that hold evaluations, and the one of further measurements."""
        found = [load(path) for path in sorted(folder.glob("*.json")) if _is_evaluation(path)]
        extras = folder / "extras.json"
        return cls(found, json.loads(extras.read_text(encoding="utf-8")) if extras.is_file() else {})

    def psnr(
        self, data: str, protocol: str, method: str, noise: str, *, first: int | None = None
    ) -> float | None:
        """Return a mean PSNR, over the first pictures by name if so told; None where it was not measured."""
        values = self.pictures(data, protocol, method, noise)
        chosen = [values[name] for name in sorted(values)[:first]]
        return sum(min(100.0, value) for value in chosen) / len(chosen) if chosen else None

    def pictures(self, data: str, protocol: str, method: str, noise: str) -> dict[str, float]:
        """Return the PSNR of each picture by name, empty where it was not measured."""
        for evaluation in self.evaluations:
            if (evaluation.data.name, evaluation.protocol.name) != (data, protocol):
                continue
            for row in evaluation.rows:
                if (row.method, row.noise) == (method, noise):
                    return {picture.name: picture.scores.psnr for picture in row.pictures}
        return {}


def _is_evaluation(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return "protocol" in content and "runs" in content


def plus(value: float | None, more: float) -> float | None:
    """Return a sum, None of None."""
    return None if value is None else value + more


def best(values: Sequence[float | None]) -> float | None:
    """Return the largest, None where one is missing."""
    return (
        None
        if not values or any(value is None for value in values)
        else max(v for v in values if v is not None)
    )


def bars(results: Results, model: str) -> Iterator[Bar]:
    """Give all bars of a model, in the order of the table."""
    for part in (gaussian_bars, literature_bars, impulse_bars, other_bars):
        yield from part(results, model)


def gaussian_bars(results: Results, model: str) -> Iterator[Bar]:
    """Give those on Gaussian noise in 8-bit files."""
    for data, peers in REAL_FILES.items():
        for place, (sigma, more) in enumerate(zip(SIGMAS, (0.2, 0.4, 1.5), strict=True)):
            got = results.psnr(data, "file-8bit", model, f"gaussian:{sigma}", first=FIRST[data])
            where = f"first {FIRST[data]} of {data}, gaussian:{sigma}"
            top = max(numbers[place] for numbers in peers.values())
            if model != "fast":
                text = f"{where}: the better of DnCNN-B and FFDNet + {more}"
                yield Bar(model, text, top + more, got)
            elif sigma != "15":
                yield Bar(model, f"{where}: DnCNN-B and FFDNet", top, got)
    if model == "fast":
        for data in REAL_FILES:
            for sigma in SIGMAS:
                noise = f"gaussian:{sigma}"
                filters = [results.psnr(data, "file-8bit", name, noise) for name in SMOOTHERS]
                got = results.psnr(data, "file-8bit", model, noise)
                yield Bar(model, f"{data}, {noise}: NLM, TV and wavelet", best(filters), got)


def literature_bars(results: Results, model: str) -> Iterator[Bar]:
    """Give those on Gaussian noise that is neither clipped nor rounded."""
    for data, peers in LITERATURE.items():
        peer = "BM3D" if model == "fast" and "BM3D" in peers else next(iter(peers))
        for place, sigma in enumerate(SIGMAS):
            got = results.psnr(data, "awgn-literature", model, f"gaussian:{sigma}")
            yield Bar(model, f"{data}, unclipped gaussian:{sigma}: {peer}", peers[peer][place], got)


def impulse_bars(results: Results, model: str) -> Iterator[Bar]:
    """Give those on salt and pepper."""
    less = 1.0 if model == "fast" else 0.0
    for place, density in enumerate(DENSITIES):
        more = (3.0 if density == "0.9" else 4.0) - less
        noise = f"salt-pepper:{density}"
        top = max(numbers[place] for numbers in IMPULSES.values())
        got = results.psnr("kodak24", "file-8bit", model, noise, first=8)
        yield Bar(model, f"first 8 of kodak24, {noise}: the better filter + {more:g}", top + more, got)
    for place, density in enumerate(DENSITIES):
        noise = f"salt-pepper:{density}:channel"
        got = results.psnr("cbsd68", "file-8bit", model, noise)
        yield Bar(model, f"cbsd68, {noise}: ARmF + {4 - less:g}", ARMF[place] + 4 - less, got)


def other_bars(results: Results, model: str) -> Iterator[Bar]:
    """Give those on other noises, on clean pictures, colour, tiles and speed."""
    for noise in ("poisson:30", "speckle:0.1"):
        filters = [results.psnr("kodak24", "file-8bit", name, noise) for name in SMOOTHERS]
        got = results.psnr("kodak24", "file-8bit", model, noise)
        yield Bar(model, f"kodak24, {noise}: the best of NLM, TV, wavelet + 4", plus(best(filters), 4), got)
    noisy = results.psnr("polyu_crops", "file-8bit", "noisy", RECORDED)
    got = results.psnr("polyu_crops", "file-8bit", model, RECORDED)
    yield Bar(model, "polyu_crops, recorded: noisy + 1.5", plus(noisy, 1.5), got)
    clean = results.pictures("kodak24", "file-8bit", model, "clean").values()
    mean = results.psnr("kodak24", "file-8bit", model, "clean")
    yield Bar(model, "kodak24, clean: mean", 48.0, mean)
    yield Bar(model, "kodak24, clean: worst picture", 42.0, min(clean, default=None))
    noisy = results.psnr("kodak24", "file-8bit", "noisy", "jpeg:40")
    got = results.psnr("kodak24", "file-8bit", model, "jpeg:40")
    yield Bar(model, "kodak24, jpeg:40: the file + 0.8", plus(noisy, 0.8), got)
    own = results.extras.get(model, {})
    yield Bar(
        model, "mean colour error on plain and graded pictures", 0.2, own.get("colour"), "of 255", below=True
    )
    yield Bar(
        model, "energy at the tile period over that beside it", 1.5, own.get("tile"), "times", below=True
    )
    for peer, factor in {"universal": {"dncnn-20": 3.0, "drunet-colour": 10.0}}.get(
        model, {"opencv_nlm": 1.5}
    ).items():
        yield Bar(model, f"speed at 1 MP over {peer}", factor, own.get("speed", {}).get(peer), "times")
    yield Bar(model, "share of the CPU's peak at 1 MP", 0.5, own.get("peak"), "of 1")
    narrow = own.get("precision", {})
    faster = narrow.get("over_default")
    yield Bar(model, "speed of --precision fast over the default", 1.8, faster, "times")
    loss = narrow.get("loss")
    yield Bar(model, "loss by --precision fast on two photographs", 0.05, loss, "dB", below=True)
    if model == "fast":
        yield Bar(model, "12-megapixel JPEG through the command", 10.0, own.get("seconds"), "s", below=True)


def show(value: float | None) -> str:
    """Return a number for the table."""
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Print the table for each model that was measured."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    results = Results.open(Path(sys.argv[1]))
    if sys.argv[2:] == ["memory"]:
        print("| model | seconds | peak memory in MB | 16 bits: times faster than 32 in OpenVINO |")
        print("| --- | --- | --- | --- |")
        for model, own in results.extras.items():
            faster = own["precision"]["over_openvino"]
            print(f"| {model} | {own['seconds']:.1f} | {own['megabytes']} | {show(faster)} |")
        return
    measured = {method.name for evaluation in results.evaluations for method in evaluation.methods}
    print(
        "| model | what has to be reached | at least (at most for errors and seconds) | measured | reached |"
    )
    print("| --- | --- | --- | --- | --- |")
    for model in ("universal", "fast"):
        for bar in bars(results, model) if model in measured else ():
            least = f"{show(bar.least)} {bar.unit}"
            print(f"| {bar.model} | {bar.what} | {least} | {show(bar.got)} | {bar.verdict} |")


if __name__ == "__main__":
    main()
