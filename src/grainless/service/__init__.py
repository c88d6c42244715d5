"""The HTTP service: pictures in, pictures out, with limits on everything that comes from outside."""

from grainless.service.settings import ServiceSettings

__all__ = ["ServiceSettings"]
