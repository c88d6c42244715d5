"""The reference of recipe keys, made from the recipe's own definition so that the two never differ."""

from __future__ import annotations

import json

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from grainless.training.recipe import Recipe


def recipe_reference() -> str:
    """Return a Markdown table for each section of a recipe: key, what is allowed, default, meaning."""
    schema = Recipe.model_json_schema()
    parts = [_table("recipe", Recipe, schema)]
    for key, field in Recipe.model_fields.items():
        section = _section_of(field)
        if section is not None:
            title = f"[[{key}]]" if key == "noise" else f"[{key}]"
            parts.append(_table(title, section, schema["$defs"][section.__name__]))
    return "\n".join(parts)


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a key holds, alone or as a list, or None for a plain value."""
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _table(title: str, section: type[BaseModel], schema: dict[str, object]) -> str:
    lines = [f"## `{title}`", "", "| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    properties: dict[str, dict[str, object]] = schema["properties"]  # type: ignore[assignment]  # JSON schema
    for key, field in section.model_fields.items():
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{key}` | {_allowed(properties[key])} | {_default(field)} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "needed"
    if isinstance(field.default, BaseModel):
        return "see below"
    return f"`{json.dumps(field.default)}`"


def _allowed(schema: dict[str, object]) -> str:
    """Say in words what a JSON schema allows."""
    for key in ("anyOf", "enum"):
        if key in schema:
            options: list[object] = schema[key]  # type: ignore[assignment]  # JSON schema
            words = (_allowed(o) if isinstance(o, dict) else f"`{json.dumps(o)}`" for o in options)
            return ", ".join(words)
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "$ref" in schema:
        return "a table"
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    limits = [f"{word} {schema[name]:g}" for name, word in bounds.items() if name in schema]
    if "multipleOf" in schema:
        limits.append(f"in steps of {schema['multipleOf']}")
    kind = {"array": "list", "object": "table", "string": "text"}.get(
        str(schema.get("type")), schema.get("type")
    )
    return " ".join([str(kind), *limits])
