"""Write measured scores into a model's card: `python scripts/write_scores.py MODEL.onnx RESULT.json ...`.

The JSON files are those of `grainless evaluate`; the card keeps its validation scores and gets, in place of
earlier ones of test sets, the mean PSNR of this model on each noise, with data and protocol. Its checksum is
that of the graph and stays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from grainless.evaluation import load
from grainless.model_file import ModelCard, Score, read_model, write_model

VALIDATION = "validation"


def main() -> None:
    """Write the card anew."""
    path, *files = (Path(argument) for argument in sys.argv[1:])
    model = read_model(path)
    kept = [score for score in model.card.scores if score.data.startswith(VALIDATION)]
    scores = [*kept, *(score for file in files for score in measured(model.card, file))]
    card = write_model(path, model.graph, model.card.model_copy(update={"scores": scores}))
    if card.checksum != model.card.checksum:
        sys.exit("the graph changed")
    print(f"{path}: {len(scores)} scores")


def measured(card: ModelCard, file: Path) -> Iterator[Score]:
    """Give the scores of a model in a file of results; those of another model of that name are refused."""
    evaluation = load(file)
    for method in evaluation.methods:
        if method.name == card.name and method.checksum != card.checksum:
            sys.exit(f"{file} is about another model: {method.checksum[:12]}")
    for row in evaluation.rows:
        if row.method == card.name:
            yield Score(
                data=f"{evaluation.data.name}: {evaluation.data.pictures} pictures",
                noise=row.noise,
                metric="psnr",
                value=round(row.mean.psnr, 3),
                protocol=evaluation.stamp,
            )


if __name__ == "__main__":
    main()
