"""Finds what is to be timed, by its name: filters, models, files of other projects, and shapes of peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grainless.baselines import BASELINES
from grainless.benchmark.job import Kind
from grainless.benchmark.operations import count_multiply_adds, count_weights
from grainless.benchmark.results import Row
from grainless.denoiser import TILE
from grainless.errors import InputError
from grainless.foreign import is_foreign, read_foreign, sidecar_path
from grainless.model_file import read_model
from grainless.peers import build_peer, find_peer
from grainless.tiling import round_up

PEER_PREFIX = "peers:"

DEFAULT_ROWS = ("universal", "median", "nlm", "peers:ffdnet-colour", "peers:dncnn-20")
"""Timed where nothing is named."""


@dataclass(frozen=True)
class Entry:
    """A row, and where its process finds what it runs."""

    row: Row
    kind: Kind
    source: str


def find_rows(names: Sequence[str], folder: Path) -> list[Entry]:
    """Return an entry for each name; peers are written into `folder`.

    A name is `peers:` and that of a peer, that of a filter, or a model's name or file. Raises InputError and
    ModelError for what is none of these, InputError for none at all and for two rows of one name.
    """
    if not names:
        raise InputError("There is nothing to time", expected="at least one model, filter or peer")
    entries = [_find_row(name, folder) for name in names]
    found = [entry.row.name for entry in entries]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError("Two rows have one name", got=", ".join(twice), expected="each row once")
    return entries


def _find_row(name: str, folder: Path) -> Entry:
    if name.startswith(PEER_PREFIX):
        return _peer(name.removeprefix(PEER_PREFIX), folder)
    if name in BASELINES:
        return Entry(Row(name, "filter", BASELINES[name].about, channels=3), "filter", name)
    if is_foreign(name):
        return _foreign(Path(name))
    model = read_model(name)
    card = model.card
    row = Row(
        name=card.name,
        kind="model",
        about=card.description,
        channels=card.channels,
        weights=count_weights(model.graph),
        multiply_adds=count_multiply_adds(model.graph, stride=card.stride),
        tile=TILE,
        halo=card.halo,
        stride=card.stride,
        checksum=card.checksum,
    )
    return Entry(row, "model", str(model.path))


def _foreign(path: Path) -> Entry:
    file = read_foreign(path)
    sidecar, model = file.sidecar, file.model
    row = Row(
        name=model.card.name,
        kind="foreign",
        about=model.card.description,
        channels=sidecar.channels,
        weights=count_weights(model.graph),
        multiply_adds=count_multiply_adds(model.graph, stride=sidecar.stride),
        tile=None if sidecar.tile == "whole" else sidecar.tile,
        halo=model.card.halo,
        stride=sidecar.stride,
        checksum=file.checksum,
    )
    return Entry(row, "foreign", str(model.path))


def _peer(name: str, folder: Path) -> Entry:
    """Write a peer as a file of another project, and return its row."""
    peer = find_peer(name)
    graph = build_peer(name)
    path = folder / f"{name}.onnx"
    path.write_bytes(graph)
    halo = round_up(peer.radius, peer.stride)
    lines = [
        f"channels = {peer.channels}",
        'range = "0..1"',
        f"stride = {peer.stride}",
        f"tile = {TILE}",
        f"halo = {halo}",
    ]
    if peer.noise_level != "none":
        lines += ["[noise_level]", f'kind = "{peer.noise_level}"']
        if peer.noise_level == "scalar":
            lines.append('input = "sigma"')
    sidecar_path(path).write_text("\n".join([*lines, ""]), encoding="utf-8")
    row = Row(
        name=f"{PEER_PREFIX}{name}",
        kind="peer",
        about=f"{peer.about}; random weights",
        channels=peer.channels,
        weights=peer.weights,
        multiply_adds=count_multiply_adds(graph, stride=peer.stride),
        tile=TILE,
        halo=halo,
        stride=peer.stride,
    )
    return Entry(row, "foreign", str(path))
