"""Takes the noise out of pictures, offline, on a plain CPU.

    import grainless

    clean = grainless.denoise(pixels)

The names below are loaded at their first use, so that `import grainless` stays quick.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from grainless.errors import GrainlessError
from grainless.version import __version__

if TYPE_CHECKING:
    from grainless.denoiser import Denoiser, denoise
    from grainless.evaluation import evaluate
    from grainless.noise import corrupt, parse_noise
    from grainless.picture import Picture, read_picture, write_picture

# ONNX Runtime's own builds report to its makers as soon as it is loaded, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Denoiser",
    "GrainlessError",
    "Picture",
    "__version__",
    "corrupt",
    "denoise",
    "evaluate",
    "parse_noise",
    "read_picture",
    "write_picture",
]

_HOMES = {
    "Denoiser": "grainless.denoiser",
    "Picture": "grainless.picture",
    "corrupt": "grainless.noise",
    "denoise": "grainless.denoiser",
    "evaluate": "grainless.evaluation",
    "parse_noise": "grainless.noise",
    "read_picture": "grainless.picture",
    "write_picture": "grainless.picture",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        message = f"module 'grainless' has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
