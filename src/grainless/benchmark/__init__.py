"""How fast a picture is cleaned and how much memory that takes, by our models, filters and others.

    result = measure(["universal", "median", "peers:dncnn-20"], Settings(sizes=(1, 12)))
    result.save("speed.json")

The JSON form carries `"version": 1`. Fields may be added under the same version, and readers ignore those
they do not know; removing a field or changing its meaning raises the version, and other versions are refused.
"""

from grainless.benchmark.measuring import measure
from grainless.benchmark.operations import count_multiply_adds, count_weights
from grainless.benchmark.results import Benchmark, Cell, Pace, Row, Settings, load
from grainless.benchmark.rows import DEFAULT_ROWS, PEER_PREFIX
from grainless.benchmark.writing import check_plotting, draw_plot, markdown_tables

__all__ = [
    "DEFAULT_ROWS",
    "PEER_PREFIX",
    "Benchmark",
    "Cell",
    "Pace",
    "Row",
    "Settings",
    "check_plotting",
    "count_multiply_adds",
    "count_weights",
    "draw_plot",
    "load",
    "markdown_tables",
    "measure",
]
