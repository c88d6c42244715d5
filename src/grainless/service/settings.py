"""What a service is started with: where it listens, how much it takes on, and who may use it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ServiceSettings(BaseModel):
    """Settings of one service; each limit is refused with a reason and a status when it is passed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; 127.0.0.1 is reached from this machine alone."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0: any port that is free."""
    max_bytes: int = Field(default=128 * 2**20, ge=1)
    """Largest file that is taken in."""
    max_megapixels: float = Field(default=50.0, gt=0)
    """Largest picture, in million pixels, looked up in its header before anything is decoded."""
    max_seconds: float = Field(default=120.0, gt=0)
    """Longest time for the work on one picture, from when a worker takes it up."""
    max_transfer_seconds: float = Field(default=300.0, gt=0)
    """Longest time for a picture to arrive, and for its result to be taken."""
    workers: int = Field(default=2, ge=1, le=64)
    """Pictures that are worked on at the same time."""
    queue: int = Field(default=16, ge=0, le=10_000)
    """Further pictures that may be on their way in or waiting; beyond it new ones are refused."""
    threads: int | None = Field(default=None, ge=1)
    """Processor threads of a model, shared by all workers; None for all cores."""
    api_key: SecretStr | None = Field(default=None, min_length=1)
    """Asked of each request but the health check; None lets everybody in."""
    models: tuple[str, ...] | None = None
    """Names of the models that are offered; None for all that are bundled or in the user's folder."""
