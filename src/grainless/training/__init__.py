"""Training: recipes, runs and export. Together with `nets`, the only place that imports torch."""

from grainless.training.export import export_run
from grainless.training.recipe import Recipe, load_recipe, recipe_names
from grainless.training.run import RunOptions, train_run

__all__ = ["Recipe", "RunOptions", "export_run", "load_recipe", "recipe_names", "train_run"]
