"""A benchmark as people read it: Markdown tables and a plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from grainless.benchmark.results import Benchmark, Cell
from grainless.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLOT_FORMATS = (".png", ".svg", ".pdf")


def markdown_tables(result: Benchmark) -> str:
    """Write time, memory and networks as Markdown tables, a row per method, and how it was measured."""
    parts = [
        *_table(result, "Seconds per megapixel", _time),
        *_table(result, "Peak memory in MB", _memory),
        *_networks(result),
        *_notes(result),
    ]
    return "\n".join([*parts, ""])


MARKS = "os^v"


def draw_plot(result: Benchmark, path: str | Path) -> None:
    """Draw seconds and peak memory over megapixels, a line per row, into a picture file.

    The name's ending tells the format: png, svg or pdf. Raises what `check_plotting` raises.
    """
    check_plotting(path)
    figure = _figure()
    time, memory = figure.subplots(1, 2)
    for number, row in enumerate(result.rows):
        # Colours come again after ten lines, with another mark.
        mark = MARKS[number // 10 % len(MARKS)]
        cells = [result.cell(row.name, size) for size in result.settings.sizes]
        _line(time, row.name, [(_megapixels(cell), _run_seconds(cell)) for cell in cells], mark=mark)
        _line(memory, row.name, [(_megapixels(cell), _megabytes(cell)) for cell in cells], mark=mark)
    for axes, label in ((time, "seconds"), (memory, "peak memory of the process, MB")):
        axes.set(xlabel="megapixels", ylabel=label, xscale="log", yscale="log")
        axes.grid(alpha=0.3, which="both")
    time.set_title(f"{_threads(result)}, {result.machine.processor}", fontsize=9)
    figure.legend(*time.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)


def check_plotting(path: str | Path) -> None:
    """Raise MissingExtraError without matplotlib, InputError for a name of another format."""
    if Path(path).suffix not in _PLOT_FORMATS:
        raise InputError(
            f"{path} is no name of a plot", expected=f"one that ends in {', '.join(_PLOT_FORMATS)}"
        )
    _figure()


def _figure() -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Plots", "evaluate") from error
    return Figure(figsize=(12, 4.5), layout="constrained")


def _line(axes: Axes, name: str, points: list[tuple[float, float | None]], *, mark: str) -> None:
    """Draw what is known of a row; one without any points keeps its place in the legend."""
    known = [(x, y) for x, y in points if y is not None]
    axes.plot([x for x, _ in known], [y for _, y in known], marker=mark, label=name)


def _megapixels(cell: Cell) -> float:
    return cell.height * cell.width / 1e6


def _run_seconds(cell: Cell) -> float | None:
    per_megapixel = cell.seconds_per_megapixel
    return None if per_megapixel is None else per_megapixel * _megapixels(cell)


def _megabytes(cell: Cell) -> float | None:
    return None if cell.peak_bytes is None else cell.peak_bytes / 1e6


def _table(result: Benchmark, title: str, shown: Callable[[Cell], str]) -> list[str]:
    """Return a table of rows by sizes."""
    sizes = result.settings.sizes
    lines = [
        f"### {title}",
        "",
        f"| method | {' | '.join(f'{size:g} MP' for size in sizes)} |",
        f"| --- |{' --- |' * len(sizes)}",
    ]
    for row in result.rows:
        cells = (_cell(result.cell(row.name, size), shown) for size in sizes)
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(cell: Cell, shown: Callable[[Cell], str]) -> str:
    if cell.status == "skipped":
        return f"skipped: would take {cell.would_take:.0f} s"
    return "failed" if cell.status == "failed" else shown(cell)


def _time(cell: Cell) -> str:
    """Return median, fastest and slowest round, and the ratio to the reference."""
    numbers = (cell.seconds_per_megapixel, cell.fastest, cell.slowest)
    median, fastest, slowest = ("-" if number is None else f"{number:.3g}" for number in numbers)
    ratio = "" if cell.ratio is None else f", x {cell.ratio:.3g}"
    return f"{median} ({fastest} to {slowest}){ratio}"


def _memory(cell: Cell) -> str:
    megabytes = _megabytes(cell)
    return "-" if megabytes is None else f"{megabytes:.0f}"


def _networks(result: Benchmark) -> list[str]:
    """Return a table of how large the networks are and how near they come to the processor's peak."""
    rows = [row for row in result.rows if row.kind != "filter"]
    if not rows:
        return []
    sizes = result.settings.sizes
    lines = [
        "### Networks",
        "",
        "| method | weights | multiply-adds per pixel | tile + halo |"
        + "".join(f" of peak, {size:g} MP |" for size in sizes),
        f"| --- | --- | --- | --- |{' --- |' * len(sizes)}",
    ]
    for row in rows:
        count = "-" if row.multiply_adds is None else f"{row.multiply_adds:,.0f}"
        tile = "whole" if row.tile is None else f"{row.tile} + {row.halo}"
        weights = "-" if row.weights is None else f"{row.weights:,}"
        shares = (_cell(result.cell(row.name, size), _share) for size in sizes)
        lines.append(f"| {row.name} | {weights} | {count} | {tile} | {' | '.join(shares)} |")
    return [*lines, ""]


def _share(cell: Cell) -> str:
    return "-" if cell.share_of_peak is None else f"{cell.share_of_peak:.0%}"


def _threads(result: Benchmark) -> str:
    return f"{result.threads} thread{'s' if result.threads != 1 else ''}"


def _notes(result: Benchmark) -> list[str]:
    settings, machine = result.settings, result.machine
    paces = (
        f"{pace.multiply_adds_per_second / 1e9:.0f} at {pace.megapixels:g} MP"
        for pace in result.paces
        if pace.multiply_adds_per_second is not None
    )
    loads = (f"{pace.load:g}" for pace in result.paces if pace.load is not None)
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    notes = [
        f"- {_rounds(settings.repeats)}, x the time of "
        f"`{result.reference}` in the same round; each run in a process of its own, methods in turn, "
        "loading left out.",
        f"- {_threads(result)} of {machine.cores} cores; {machine.processor}, {machine.system}; "
        f"{settings.runtime}, precision {settings.precision}.",
        f"- Picture drawn with {result.noise}, 8 bit, seed {settings.seed}; in colour{_gray_rows(result)}.",
        "- Memory is that of the whole process: Python, libraries, model, picture and result.",
        "- Of peak: multiply-adds per second, halos included, by those of a float32 matrix product: "
        f"{', '.join(paces) or 'not measured'} (10^9/s). Load before: {', '.join(loads) or 'not known'}.",
        *(f"- `{row.name}`: {row.about}." for row in result.rows if row.kind == "peer"),
        *_cell_notes(result),
        f"- Budget {settings.budget:g} s for the rounds of a method at a size; "
        f"Python {machine.python}, {packages}, grainless {result.grainless}.",
    ]
    return [*notes, *(["", f"      {result.command}"] if result.command else [])]


def _rounds(repeats: int) -> str:
    return "One round" if repeats == 1 else f"Median of up to {repeats} rounds (fastest to slowest)"


def _cell_notes(result: Benchmark) -> list[str]:
    """Say once what happened to a row, with the sizes where it did."""
    sizes: dict[tuple[str, str], list[str]] = {}
    for cell in result.cells:
        if cell.note and cell.status != "skipped":
            sizes.setdefault((cell.row, cell.note), []).append(f"{cell.megapixels:g}")
    return [f"- `{row}` at {', '.join(where)} MP: {note}." for (row, note), where in sizes.items()]


def _gray_rows(result: Benchmark) -> str:
    """Name the rows that are given a gray picture."""
    gray = ", ".join(f"`{row.name}`" for row in result.rows if row.channels == 1)
    return f", for {gray} in gray" if gray else ""
