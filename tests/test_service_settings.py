"""The settings of a service."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from grainless.service import ServiceSettings


def test_nobody_but_this_machine_is_served_unless_told() -> None:
    assert ServiceSettings().host == "127.0.0.1"
    assert ServiceSettings().api_key is None


@pytest.mark.parametrize(
    "change",
    [
        {"port": 65536}, {"max_bytes": 0}, {"max_megapixels": 0}, {"max_seconds": 0}, {"workers": 0},
        {"queue": -1}, {"threads": 0}, {"max_transfer_seconds": 0}, {"host": ""}, {"colour": "blue"},
        {"api_key": ""},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(change: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ServiceSettings(**change)


def test_the_key_is_not_shown() -> None:
    settings = ServiceSettings(api_key="a secret word")
    assert "a secret word" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    assert settings.api_key.get_secret_value() == "a secret word"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServiceSettings().port = 1
