"""Runs ONNX files of other projects: a small file beside the model says how it wants to be fed.

Beside `FILE.onnx` stands `FILE.onnx.toml`, the sidecar; `docs/speed.md` is its specification. The model
is looked into as our own are (see `graph_check`) and then cleans pictures as they do, through `Denoiser`.
"""

from grainless.foreign.model import ForeignFile, ForeignModel, is_foreign, read_foreign
from grainless.foreign.sidecar import NoiseLevel, Sidecar, read_sidecar, sidecar_path

__all__ = [
    "ForeignFile",
    "ForeignModel",
    "NoiseLevel",
    "Sidecar",
    "is_foreign",
    "read_foreign",
    "read_sidecar",
    "sidecar_path",
]
