"""Requests made up from the OpenAPI schema: whatever comes, each answer is one that the schema tells of."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from grainless.service import ServiceSettings
from grainless.service.app import create_app
from service_pictures import encoded, noisy

APP = create_app(ServiceSettings(max_bytes=100_000))
SCHEMA = openapi.from_asgi("/openapi.json", APP)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_answers_are_those_of_the_schema(case) -> None:
    case.call_and_validate(checks=CHECKS)


@SCHEMA.include(method="POST").parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_options_with_a_picture_are_answered_as_the_schema_says(case) -> None:
    case.body = encoded(noisy(16))
    case.media_type = "image/png"
    case.call_and_validate(checks=CHECKS)


def test_the_schema_tells_of_all_routes_and_of_one_shape_of_errors() -> None:
    raw = APP.openapi()
    assert set(raw["paths"]) == {"/v1/denoise", "/v1/inspect", "/v1/models", "/healthz", "/metrics"}
    for path in ("/v1/denoise", "/v1/inspect"):
        post = raw["paths"][path]["post"]
        assert set(post["responses"]) == {"200", "401", "408", "413", "415", "422", "503"}
        for status, answer in post["responses"].items():
            if status != "200":
                shape = answer["content"]["application/json"]["schema"]
                assert shape == {"$ref": "#/components/schemas/Problem"}
        assert "image/*" in post["requestBody"]["content"]
    options = {parameter["name"] for parameter in raw["paths"]["/v1/denoise"]["post"]["parameters"]}
    assert options == {"model", "strength", "luma", "chroma", "guard", "format", "quality"}
    assert "HTTPValidationError" not in raw["components"]["schemas"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_load_from_other_hosts_are_not_served(path: str) -> None:
    assert path not in {getattr(route, "path", None) for route in APP.routes}
