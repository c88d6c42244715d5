"""Train variants of the universal network on equally many pixels, and write what each reaches.

    python scripts/ablate_universal.py train DATA RESULTS [VARIANT ...]
    python scripts/ablate_universal.py write RESULTS docs/universal-ablation.json
    python scripts/ablate_universal.py table docs/universal-ablation.json

DATA is the folder of training pictures; RESULTS gets a JSON file and a model for each variant. Without names
all variants are trained, one after the other; one that is there already, or that another process has begun,
is passed over, so two processes can share the work. `write` times the models, for which the machine should
be quiet, and writes all results into one file; `table` prints it as Markdown.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from grainless.benchmark import count_multiply_adds, count_weights
from grainless.model_file import LoadedModel, read_model
from grainless.training import export_run, train_run

STEPS, BATCH, SIDE = 1200, 8, 64
"""Of each variant: patches of this side, so many a step."""
TIMED_SIDE, TIMED_RUNS, THREADS = 768, 3, 2
"""Side in pixels of the picture that is cleaned to tell the time, how often, and on how many threads."""
BASE = (
    "net.settings.widths=[24,32,48,64]",
    f"data.patch=[{SIDE}]",
    "data.phases=[]",
    f"schedule.batch={BATCH}",
    f"schedule.steps={STEPS}",
    f"schedule.validate_every={STEPS}",
    "schedule.checkpoint_minutes=60",
)
IMPULSES = (
    "salt-pepper:0..0.95:channel", "salt-pepper:0..0.95", "salt-pepper:0..0.6:channel:near=0..10",
    "salt-pepper:0..0.6:near=0..10", "impulse:0..0.4:channel",
)  # fmt: skip
CONTINUOUS = (
    "gaussian:0..75", "gaussian:5..30", "poisson:5..60", "speckle:0..0.3", "camera:0.02..1",
    "camera:0.02..0.5+grain:0..10:size=0.5..3:chroma=0..1+jpeg:60..98", "jpeg:25..95",
)  # fmt: skip


def net(**settings: Any) -> str:
    """Return the change of the recipe that sets these settings of the network."""
    return "\n".join(f"net.settings.{key}={json.dumps(value)}" for key, value in settings.items())


def mixture(noises: tuple[str, ...]) -> str:
    """Return the change of the recipe that trains on these noises, each as often."""
    return "noise=[" + ",".join(f'{{spec="{spec}"}}' for spec in noises) + "]"


HALF = f"schedule.steps={STEPS // 2}\nschedule.validate_every={STEPS // 2}"
DOUBLE = f"schedule.steps={STEPS * 2}\nschedule.validate_every={STEPS * 2}"
FAST = net(widths=[16, 32, 64], encoder_blocks=[0, 1], middle_blocks=2, decoder_blocks=[1, 1], hint_radius=3)
VARIANTS: dict[str, tuple[str, str]] = {
    "base": ("as shipped, but narrower: 24-32-48-64", ""),
    "picture": (
        "picture alone goes in, residual to it",
        net(seen="picture", answer="picture", two_residuals=False),
    ),
    "marks": ("picture and marks, residual to the picture", net(seen="marks", answer="picture")),
    "alone": ("fill of each channel alone", net(joint=False)),
    "fill": ("difference to the fill in one part", net(seen="fill")),
    "beside": ("picture, fill and marks side by side", net(seen="beside")),
    "beside-plain": ("the same, inputs not amplified", net(seen="beside", gain=1.0)),
    "to-picture": ("residual to the picture", net(answer="picture")),
    "to-fill": ("residual to the fill", net(answer="fill")),
    "one-residual": ("one residual for hit and other values", net(two_residuals=False)),
    "bias": ("biases", net(bias=True)),
    "norm": ("batch norms", net(norm=True)),
    "gain": ("inputs not amplified", net(gain=1.0)),
    "unshuffle": (
        "unshuffled to half resolution, 48-64-96",
        net(widths=[48, 64, 96], encoder_blocks=[1, 1], decoder_blocks=[2, 1], unshuffle=True),
    ),
    "deep": (
        "narrow and deep: 16-24-32-48, twice the blocks",
        net(widths=[16, 24, 32, 48], encoder_blocks=[2, 2, 2], middle_blocks=4, decoder_blocks=[4, 2, 2]),
    ),
    "wide-fine": ("wide at the finest scale: 32-32-48-64", net(widths=[32, 32, 48, 64])),
    "wide-coarse": ("wide at the coarse scales: 16-48-96-128", net(widths=[16, 48, 96, 128])),
    "wide": ("as shipped: 32-64-96-128", net(widths=[32, 64, 96, 128])),
    "two-scales": (
        "two scales: 24-48",
        net(widths=[24, 48], encoder_blocks=[1], middle_blocks=3, decoder_blocks=[2]),
    ),
    "three-scales": (
        "three scales: 24-32-48",
        net(widths=[24, 32, 48], encoder_blocks=[1, 1], middle_blocks=4, decoder_blocks=[2, 1]),
    ),
    "l1": ("loss: L1", "optimiser.loss=l1"),
    "charbonnier": ("loss: Charbonnier", "optimiser.loss=charbonnier"),
    "floor": ("loss: log-L1 down to a quarter level", "optimiser.floor=1e-3"),
    "adamw": ("AdamW instead of Muon", "optimiser.name=adamw"),
    "no-average": ("no average of the weights", "optimiser.ema=0"),
    "growing": ("patches grow to 128 pixels", "data.patch=[64,128]\ndata.phases=[0.6]"),
    "branches": ("a 1x1 convolution beside each 3x3 one while training", net(branches=True)),
    "small": ("as `fast`: 16-32-64, fill of radius 3", FAST),
    "small-taught": (
        "the same, taught by `universal` beside the clean patches",
        f"{FAST}\noptimiser.teacher=universal",
    ),
    "small-long": (
        "the same, twice the steps, which is about the time that teaching takes",
        f"{FAST}\n{DOUBLE}",
    ),
    "impulse-half": ("specialist: impulses alone, half the steps", f"{mixture(IMPULSES)}\n{HALF}"),
    "continuous-half": ("specialist: no impulses, half the steps", f"{mixture(CONTINUOUS)}\n{HALF}"),
}
"""Words and changes of the recipe, one a line, by name."""


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["train", data, results, *names]:
            # Two trainings side by side make more of two cores than one on both.
            torch.set_num_threads(1)
            Path(results).mkdir(parents=True, exist_ok=True)
            for name in names or VARIANTS:
                train(name, Path(data), Path(results))
        case ["write", results, output]:
            write(Path(results), Path(output))
        case ["table", results]:
            print(as_table(json.loads(Path(results).read_text(encoding="utf-8"))))
        case _:
            sys.exit(__doc__)


def train(name: str, data: Path, results: Path) -> None:
    """Train a variant, and write its model and what it reaches on the validation pictures."""
    try:
        (results / f"{name}.begun").touch(exist_ok=False)
    except FileExistsError:
        print(f"{name}: done, or begun by another")
        return
    words, changes = VARIANTS[name]
    with tempfile.TemporaryDirectory(dir=results) as folder:
        run = Path(folder, "run")
        pixels = results / "pixels"
        if pixels.is_dir():
            shutil.copytree(pixels, run / "pixels", copy_function=os.link)
        own = [change for change in changes.split("\n") if change]
        summary = train_run("universal", data=data, output=run, changes=[*BASE, *own])
        if not pixels.is_dir():
            shutil.copytree(run / "pixels", pixels, copy_function=os.link, dirs_exist_ok=True)
        card = export_run(run, results / f"{name}.onnx")
    result = {
        "name": name,
        "words": words,
        "changes": own,
        "patches": summary["pictures"],
        "minutes": summary["minutes"],
        "radius": card.receptive_radius,
        "psnr": {score.noise: score.value for score in card.scores},
    }
    (results / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {result['psnr']}")


def write(results: Path, output: Path) -> None:
    """Write all results into one file, with sizes, operations and times of the models."""
    names = [name for name in VARIANTS if (results / f"{name}.json").is_file()]
    models = {name: read_model(results / f"{name}.onnx") for name in names}
    seconds = seconds_per_megapixel(models)
    rows = [
        json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        | {
            "weights": count_weights(model.graph),
            "multiply_adds": count_multiply_adds(model.graph, stride=model.card.stride),
            "seconds_per_megapixel": seconds[name],
        }
        for name, model in models.items()
    ]
    table = {"version": 1, "steps": STEPS, "batch": BATCH, "side": SIDE, "threads": THREADS, "rows": rows}
    output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {output}")


def as_table(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table with a line above it that says what is equal for all."""
    noises = list(results["rows"][0]["psnr"])
    megapixels = results["steps"] * results["batch"] * results["side"] ** 2 / 1e6
    lines = [
        f"{results['steps']} steps of {results['batch']} patches of {results['side']} pixels each "
        f"({megapixels:.0f} megapixels), half of that where it says so; PSNR in dB on the validation "
        f"pictures, seconds for a megapixel in ONNX Runtime on {results['threads']} threads, "
        "thousand multiply-adds for a pixel. One run each, none repeated.",
        "",
        "| variant | " + " | ".join(noises) + " | mean | weights | kMAC | s/MP | radius |",
        "| --- |" + " --- |" * (len(noises) + 5),
    ]
    for row in results["rows"]:
        values = [row["psnr"][noise] for noise in noises]
        numbers = [f"{value:.2f}" for value in (*values, sum(values) / len(values))]
        size = [f"{row['weights']:,}", f"{row['multiply_adds'] / 1000:.0f}"]
        rest = [f"{row['seconds_per_megapixel']:.2f}", str(row["radius"])]
        lines.append("| " + " | ".join([f"`{row['name']}`: {row['words']}", *numbers, *size, *rest]) + " |")
    return "\n".join(lines)


def seconds_per_megapixel(models: dict[str, LoadedModel]) -> dict[str, float]:
    """Return the least time of several runs of each model, all in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.enable_cpu_mem_arena = False
    picture = np.random.default_rng(0).random((1, 3, TIMED_SIDE, TIMED_SIDE), dtype=np.float32)
    inputs = {"picture": picture, "levels": np.array([[0, 1]], np.float32)}
    sessions = {
        name: onnxruntime.InferenceSession(model.graph, options, providers=["CPUExecutionProvider"])
        for name, model in models.items()
    }
    times: dict[str, list[float]] = {name: [] for name in models}
    for name, session in TIMED_RUNS * tuple(sessions.items()):
        began = time.perf_counter()
        session.run(None, inputs)
        times[name].append(time.perf_counter() - began)
    return {name: round(min(all_times) * 1e6 / TIMED_SIDE**2, 3) for name, all_times in times.items()}


if __name__ == "__main__":
    main()
