"""The page of recipe keys is the one that the recipe's definition gives."""

from __future__ import annotations

from pathlib import Path

from grainless.training.recipe import Recipe
from grainless.training.recipe_reference import recipe_reference

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8").endswith("\n\n" + recipe_reference())


def test_every_key_has_a_row_and_a_meaning():
    text = recipe_reference()
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    assert {"net", "validation_noise", "rate", "freeze_norms", "spec", "sources"} <= {
        row[0].strip(" `") for row in rows
    }
    assert len(rows) > len(Recipe.model_fields)
    assert all(row[-1].strip() for row in rows)


def test_limits_are_said():
    text = recipe_reference()
    assert "| `min_side` | integer from 8 | `96` |" in text
    assert '| `loss` | `"l1"`, `"mse"`, `"charbonnier"`, `"log-l1"`, `"bce"` | `"l1"` |' in text
    assert "## `[[noise]]`" in text
