"""Pictures, recipes and runs that are small enough to train in a second."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from grainless.noise import seed_for
from grainless.picture import Metadata, Picture, write_picture
from grainless.training import RunOptions, train_run

RECIPE = """
name = "tiny"
description = "A network for tests."
validation_noise = ["gaussian:25", "salt-pepper:0.3"]

[net]
name = "universal"

[net.settings]
widths = [8, 8, 8]
encoder_blocks = [1, 1]
middle_blocks = 1
decoder_blocks = [1, 1]
hint_radius = 2

[data]
min_side = 16
patch = [16]
phases = []
validation_patch = 16

[[noise]]
spec = "gaussian:0..50"

[[noise]]
spec = "salt-pepper:0..0.5:channel"

[optimiser]
warm_up = 2
ema = 0.9

[schedule]
steps = 8
batch = 2
validate_every = 4
checkpoint_minutes = 1e-9
precision = "32-true"
workers = 0
seed = 7
"""


def recipe_file(folder):
    """Write the tiny recipe and return its path."""
    path = Path(folder) / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def pixels_for(name, height=40, width=48, channels=3):
    """Smooth 8-bit pixels that depend on the name alone."""
    rng = np.random.default_rng(seed_for(1, name))
    down, right = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, channels)
    waves = np.sin(down[..., None] / 7 + phases) + np.cos(right[..., None] / 11 - phases)
    return np.rint(128 + 50 * waves).astype(np.uint8)


def write_pixels(path, pixels):
    """Write pixels to `path`, in folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture(pixels=pixels, alpha=None, metadata=Metadata(), format="png"), path)


def pictures(folder, count=6, **size):
    """Fill a folder with PNG pictures in two sub-folders, and return it."""
    for number in range(count):
        name = f"{'ab'[number % 2]}/{number}.png"
        write_pixels(folder / name, pixels_for(name, **size))
    return folder


def train(data, output, *changes, recipe=None, **options):
    """Train the tiny recipe with changes."""
    recipe = recipe or recipe_file(output.parent)
    return train_run(recipe, data=data, output=output, changes=changes, options=RunOptions(**options))


def stop(*_, **__):
    """What Ctrl-C does."""
    raise KeyboardInterrupt


class Nowhere(io.StringIO):
    """A terminal that nobody sees."""

    def isatty(self):
        return True


def a_trainer(step=0, max_steps=1000, **more):
    """What callbacks ask of a trainer."""
    strategy = SimpleNamespace(broadcast=lambda value: value)
    return SimpleNamespace(
        global_step=step,
        max_steps=max_steps,
        should_stop=False,
        strategy=strategy,
        is_global_zero=True,
        **more,
    )


def checkpoint(path):
    """What lies in a checkpoint."""
    return torch.load(path, weights_only=True)


def weight_difference(first, second):
    """The largest difference between two checkpoints, over the weights, their average and the optimiser."""
    differences = []
    for key in ("state_dict", "current_model_state"):
        assert first[key].keys() == second[key].keys()
        differences += [float((first[key][name] - second[key][name]).abs().max()) for name in first[key]]
    states = [state["optimizer_states"][0]["state"] for state in (first, second)]
    assert states[0].keys() == states[1].keys()
    for number in states[0]:
        for name, values in states[0][number].items():
            differences.append(float((values - states[1][number][name]).abs().max()))
    return max(differences)


def log_rows(run):
    """The rows of all CSV logs of a run, in order, without the empty cells."""
    rows = []
    for path in sorted(run.glob("csv/part-*/metrics.csv")):
        with path.open(newline="") as file:
            rows += [
                {key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)
            ]
    return rows


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def cli(*arguments, alone=False):
    """Run the command line in a process of its own, with one thread and no CUDA; kill what is left of it.

    `alone` gives it a process group of its own, as a terminal does.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "grainless", *map(str, arguments)]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=alone,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
