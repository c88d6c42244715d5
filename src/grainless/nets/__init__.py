"""The networks, by name: one dictionary, no registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grainless.errors import RecipeError
from grainless.nets.picture_net import PictureNet
from grainless.nets.universal import UniversalNet

NETS: Mapping[str, Callable[..., PictureNet]] = {
    "universal": UniversalNet,
}


def build_net(name: str, settings: Mapping[str, Any] | None = None) -> PictureNet:
    """Return a freshly initialised network.

    `name` is a key of `NETS`, `settings` its keyword arguments. Raises RecipeError for a name or a setting
    that the network does not have.
    """
    if name not in NETS:
        raise RecipeError(
            "There is no network of this name", got=repr(name), expected=f"one of {', '.join(sorted(NETS))}"
        )
    try:
        return NETS[name](**dict(settings or {}))
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise RecipeError(
            f"The network {name} cannot be built with these settings",
            got=f"{dict(settings or {})}: {error}",
            remedy="Correct [net.settings] of the recipe",
        ) from error


__all__ = ["NETS", "PictureNet", "build_net"]
