"""Recipes: what is wrong in one is said with its key, what was got and what is allowed."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

import tiny_runs
from grainless.errors import RecipeError
from grainless.training.recipe import Recipe, check_recipe, load_recipe, recipe_names


@pytest.fixture
def tiny(tmp_path):
    return tiny_runs.recipe_file(tmp_path)


def test_bundled_recipes_are_valid():
    assert "universal" in recipe_names()
    for name in recipe_names():
        assert load_recipe(name).name == name


def test_defaults_and_values(tiny):
    recipe = load_recipe(tiny)
    assert recipe.schedule.steps == 8
    assert recipe.optimiser.clip_norm == 1.0
    assert recipe.data.channels == "any"


def test_a_resolved_recipe_loads_again(tiny):
    recipe = load_recipe(tiny, ["schedule.seed=9"])
    assert check_recipe(recipe.model_dump(mode="json"), source="x") == recipe


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("schedule.steps=12", lambda recipe: recipe.schedule.steps == 12),
        ("schedule.precision=32-true", lambda recipe: recipe.schedule.precision == "32-true"),
        ("optimiser.rate=1e-4", lambda recipe: recipe.optimiser.rate == 1e-4),
        ("data.patch=[16, 24, 24]", lambda recipe: recipe.data.patch == (16, 24, 24)),
        ("data.channels=1", lambda recipe: recipe.data.channels == 1),
        ("data.flips=false", lambda recipe: recipe.data.flips is False),
        ("name=other", lambda recipe: recipe.name == "other"),
        ("net.settings.middle_blocks=2", lambda recipe: recipe.net.settings["middle_blocks"] == 2),
        ("card.sources.a=CC0-1.0", lambda recipe: recipe.card.sources == {"a": "CC0-1.0"}),
    ],
)
def test_changes(tiny, change, value):
    assert value(load_recipe(tiny, [change, "data.phases=[0.3,0.5]"] if "24" in change else [change]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schedule.stepz=5", r"schedule\.stepz is not a key that recipes have \(known: steps, batch,"),
        ("colour=red", r"colour is not a key that recipes have \(known: version, name,"),
        ("shedule.steps=5", r"shedule is not a key .*\(known: version, .*schedule"),
        ("schedule.steps=0", r"schedule\.steps = 0 is not allowed: Input should be greater than 0"),
        ("schedule.steps=many", r"schedule\.steps = 'many' is not allowed: .*valid integer"),
        ("optimiser.rate=1", r"optimiser\.rate = 1 is not allowed: .*less than 1"),
        ("optimiser.rate=nan", r"optimiser\.rate = nan is not allowed"),
        ("optimiser.weight_decay=inf", r"optimiser\.weight_decay = inf is not allowed: .*finite"),
        ("optimiser.betas=[0.9, 1.0]", r"optimiser\.betas\.1 = 1\.0 is not allowed: .*less than 1"),
        ("optimiser.loss=l3", r"optimiser\.loss = 'l3' is not allowed: .*'l1', 'mse', 'charbonnier'"),
        ("data.channels=2", r"data\.channels = 2 is not allowed: Input should be 'any', 1 or 3"),
        ("data.patch=[20]", r"data\.patch\.0 = 20 is not allowed: .*multiple of 8"),
        ("data.patch=[]", r"data\.patch = \[\] is not allowed: .*at least 1 item"),
        (
            "data.patch=[24,16]",
            r"data\.patch = \[24, 16\] is not allowed: each size must be at least the one",
        ),
        (
            "data.patch=[16,24]",
            r"data\.phases = .* is not allowed: `patch` has 2 size\(s\), .* 1 rising share",
        ),
        ("data.phases=[0.5]", r"data\.phases = .*`patch` has 1 size\(s\), so this must be 0 rising"),
        ("data.gray=1.5", r"data\.gray = 1\.5 is not allowed: .*less than or equal to 1"),
        ("validation_noise=['gaussian:x']", r"validation_noise = .*gaussian:x"),
        ("validation_noise=['gaussian:0..5']", r"validation_noise = .*not allowed"),
        ("noise=[]", r"`noise` needs at least one entry"),
        ("validation_noise=[]", r"`validation_noise` needs at least one entry"),
        ("data.kind=pairs", r"`noise` must be empty, as pairs have their own noise"),
        ("data.kind=movies", r"data.kind = 'movies' is not allowed"),
        ("data.resize=12", r"data.resize = 12 is not allowed: .*multiple of 8"),
        ("adversary={weight=1}", r"adversary.name is missing"),
        ("noise=[{spec='rain:1'}]", r"noise\.0\.spec = 'rain:1' is not allowed: .*salt-pepper"),
        ("noise=[{spec='clean', wait=1}]", r"noise\.0\.wait is not a key .*\(known: spec, weight\)"),
        ("noise=[{weight=1}]", r"noise\.0\.spec is missing"),
        ("name=Two Words", r"name = 'Two Words' is not allowed: .*pattern"),
        ("version=2", r"version = 2 is not allowed: Input should be 1"),
        ("net=universal", r"net = 'universal' is not allowed"),
        ("schedule.workers=-1", r"schedule\.workers = -1 is not allowed"),
    ],
)
def test_wrong_entries_are_named(tiny, change, message):
    with pytest.raises(RecipeError, match=rf"tiny\.toml has 1 wrong entry: {message}"):
        load_recipe(tiny, [change])


def test_default_phases_are_checked_against_the_sizes(tiny):
    tiny.write_text(tiny_runs.RECIPE.replace("phases = []\n", ""))
    with pytest.raises(RecipeError, match=r"data\.phases = \(0\.5,\) is not allowed"):
        load_recipe(tiny)


def test_all_wrong_entries_are_listed(tiny):
    with pytest.raises(RecipeError, match=r"2 wrong entries: .*schedule\.steps.*; .*schedule\.batch"):
        load_recipe(tiny, ["schedule.steps=0", "schedule.batch=0"])


@pytest.mark.parametrize(("key", "line"), [("name", 'name = "tiny"'), ("net.name", 'name = "universal"')])
def test_missing_keys(tiny, key, line):
    tiny.write_text(tiny_runs.RECIPE.replace(line, ""))
    with pytest.raises(RecipeError, match=f": {key} is missing"):
        load_recipe(tiny)


@pytest.mark.parametrize("change", ["steps", "=5", ""])
def test_unreadable_changes(tiny, change):
    with pytest.raises(RecipeError, match=r"not readable; got .*; expected key=value"):
        load_recipe(tiny, [change])


@pytest.mark.parametrize("change", ["name.x=5", "noise.0.weight=3"])
def test_changes_inside_something_that_is_no_table(tiny, change):
    with pytest.raises(RecipeError, match=f"inside something that is no table; got '{change}'"):
        load_recipe(tiny, [change])


def test_unknown_recipe():
    with pytest.raises(RecipeError, match=r"no such recipe; got 'other'; expected one of .*universal.*path"):
        load_recipe("other")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_wrong_toml(tiny, content):
    tiny.write_bytes(content)
    with pytest.raises(RecipeError, match=r"tiny\.toml cannot be read as TOML"):
        load_recipe(tiny)


def test_recipes_do_not_change(tiny):
    recipe = load_recipe(tiny)
    assert isinstance(recipe, Recipe)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "x"


def test_a_recipe_that_extends_another_says_only_what_differs(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'extends = "universal"\nname = "own"\n[net.settings]\nwidths = [16, 32, 64, 64]\n'
        '[[noise]]\nspec = "gaussian:25"\n'
    )
    base, recipe = load_recipe("universal"), load_recipe(own)
    assert recipe.name == "own"
    assert recipe.net.settings == base.net.settings | {"widths": [16, 32, 64, 64]}
    assert [section.spec for section in recipe.noise] == ["gaussian:25"]
    unchanged = {"name", "net", "noise"}
    assert recipe.model_dump(exclude=unchanged) == base.model_dump(exclude=unchanged)
    assert "extends" not in recipe.model_dump()


def test_recipes_are_extended_by_paths_from_their_own_folder(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "base.toml").write_text('extends = "universal"\nname = "base"\n[schedule]\nseed = 5\n')
    (tmp_path / "a" / "own.toml").write_text('extends = "../base.toml"\n[schedule]\nbatch = 3\n')
    monkeypatch.chdir(tmp_path / "a")
    recipe = load_recipe("own.toml", ["schedule.steps=7"])
    assert (recipe.name, recipe.schedule.seed, recipe.schedule.batch, recipe.schedule.steps) == (
        "base",
        5,
        3,
        7,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "own.toml"', r"own\.toml extends itself; got own\.toml"),
        ('extends = "other.toml"', r"other\.toml extends itself; got own\.toml from other\.toml"),
        ("extends = 3", r"extends of own\.toml is not readable; got 3; expected a name or path"),
        ('extends = "nothing"', "There is no such recipe; got 'nothing'; expected one of "),
        ('extends = "gone.toml"', r"There is no such recipe; got '.*gone\.toml'"),
    ],
)
def test_what_cannot_be_extended(tmp_path, text, message):
    (tmp_path / "own.toml").write_text(text)
    (tmp_path / "other.toml").write_text('extends = "own.toml"')
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "own.toml")


def test_fast_is_universal_but_for_its_network():
    base, fast = load_recipe("universal"), load_recipe("fast")
    assert fast.noise == base.noise
    assert fast.data == base.data
    assert fast.optimiser == base.optimiser
    assert fast.net.settings["unshuffle"] is False


@pytest.fixture
def validation():
    """What is committed about the pictures that the shipped models are validated on."""
    page = Path(__file__).parent.parent / "docs" / "universal-validation.csv"
    with page.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_list_of_validation_pictures_is_that_of_the_recipe(validation):
    assert tuple(row["name"] for row in validation) == load_recipe("universal").data.validation


def test_validation_pictures_are_the_listed_files(validation, data_folder):
    for row in validation:
        content = (data_folder / "train" / row["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
