"""The networks, by name: one dictionary for those that clean, one for those that judge; no registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from grainless.errors import RecipeError
from grainless.nets.discriminators import Discriminator, DropoutDiscriminator, StridedDiscriminator
from grainless.nets.picture_net import PictureNet
from grainless.nets.unet import BottleneckUNet, DenoisingUNet
from grainless.nets.universal import UniversalNet
from grainless.nets.upconv import UpconvNet

NETS: Mapping[str, Callable[..., PictureNet]] = {
    "bottleneck-unet": BottleneckUNet,
    "unet": DenoisingUNet,
    "universal": UniversalNet,
    "upconv": UpconvNet,
}

DISCRIMINATORS: Mapping[str, Callable[..., Discriminator]] = {
    "dropout": DropoutDiscriminator,
    "strided": StridedDiscriminator,
}

_Built = TypeVar("_Built")


def build_net(name: str, settings: Mapping[str, Any] | None = None) -> PictureNet:
    """Return a freshly initialised network.

    `name` is a key of `NETS`, `settings` its keyword arguments. Raises RecipeError for a name or a setting
    that the network does not have.
    """
    return _build("network", NETS, name, settings, remedy="Correct [net.settings] of the recipe")


def build_discriminator(name: str, settings: Mapping[str, Any] | None = None) -> Discriminator:
    """Return a freshly initialised discriminator.

    `name` is a key of `DISCRIMINATORS`, `settings` its keyword arguments. Raises RecipeError for a name or a
    setting that the discriminator does not have.
    """
    return _build(
        "discriminator", DISCRIMINATORS, name, settings, remedy="Correct its settings in the recipe"
    )


def _build(
    kind: str,
    makers: Mapping[str, Callable[..., _Built]],
    name: str,
    settings: Mapping[str, Any] | None,
    *,
    remedy: str,
) -> _Built:
    if name not in makers:
        raise RecipeError(
            f"There is no {kind} of this name", got=repr(name), expected=f"one of {', '.join(sorted(makers))}"
        )
    try:
        return makers[name](**dict(settings or {}))
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise RecipeError(
            f"The {kind} {name} cannot be built with these settings",
            got=f"{dict(settings or {})}: {error}",
            remedy=remedy,
        ) from error


__all__ = [
    "DISCRIMINATORS",
    "NETS",
    "Discriminator",
    "PictureNet",
    "build_discriminator",
    "build_net",
]
