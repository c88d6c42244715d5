"""What a service refuses that is no fault of the picture: its limits, its key, and its being full."""

from __future__ import annotations

from typing import ClassVar

from grainless.errors import GrainlessError


class RefusedError(GrainlessError):
    """Base of the refusals; `reason` is what they are counted under."""

    reason: ClassVar[str] = "other"
    retry_after: ClassVar[int | None] = None
    """Seconds after which it is worth trying again; None where it is not."""


class TooManyBytesError(RefusedError):
    """Raised when a file is larger than what is taken in."""

    http_status = 413
    reason = "bytes"


class TooManyPixelsError(RefusedError):
    """Raised when a picture has more pixels than what is taken in, by its header."""

    http_status = 413
    reason = "pixels"


class SlowTransferError(RefusedError):
    """Raised when a file does not arrive in time."""

    http_status = 408
    reason = "transfer"


class TimeLimitError(RefusedError):
    """Raised when the work on a picture takes longer than allowed."""

    http_status = 503
    reason = "time"


class BusyError(RefusedError):
    """Raised when as many pictures are in the house as may be, or the service is about to stop."""

    http_status = 503
    reason = "queue"
    retry_after = 5


class NoSpaceError(RefusedError):
    """Raised when the disk of the service is full."""

    http_status = 503
    reason = "space"
    retry_after = 60


class KeyRefusedError(RefusedError):
    """Raised when a request has no key or a wrong one."""

    http_status = 401
    reason = "key"
