"""Write docs/studies/README.md, a table over all studies, from their JSON files (no arguments)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEAD = """# Five published studies, repeated

Each page has the study's own number, the network as it was (faithful), the same trained without its
adversarial term (twin) where there is one, ours with no more weights (improved), and training-free filters,
measured on the same test pictures. PSNR in dB, by the protocol that the page names; bold is the best. A
published number is shown where it was measured by that protocol. FER2013 has some faces in two of its parts
([check-data-tried.md](../check-data-tried.md)): those of its test part that are trained on too are kept.

| study | noise | published | best filter | faithful | twin | improved | training |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the page."""
    folder = Path(__file__).parent.parent / "docs" / "studies"
    studies = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    lines = [line for study in studies for line in rows(study)]
    (folder / "README.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {folder / 'README.md'}")


def rows(result: dict[str, Any]) -> list[str]:
    """Return a row of the table for each noise of a study."""
    study, claim = result["study"], result["study"]["claim"]
    found: dict[str, dict[str, float]] = {}
    for row in result["measurements"]["seed"]["rows"]:
        found.setdefault(row["noise"], {})[row["method"]] = row["psnr"]
    lines = []
    for noise, psnr in found.items():
        best = max(study["filters"], key=lambda name: psnr[name])
        forms = [psnr.get(form) for form in ("faithful", "twin", "improved")]
        top = max(value for value in [psnr[best], *forms] if value is not None)
        cells = ["-" if value is None else shown(value, top) for value in forms]
        lines.append(
            f"| [{study['name']}]({study['name']}.md) | {noise} | {published(claim)} "
            f"| {best} {shown(psnr[best], top)} | {' | '.join(cells)} | {training(result)} |"
        )
    return lines


def published(claim: dict[str, Any] | None) -> str:
    """Return the study's number where it was measured as ours are."""
    return f"{claim['psnr']:.2f}" if claim is not None and claim["comparable"] else "-"


def shown(value: float, top: float) -> str:
    """Return a number, bold where it is the best."""
    return f"**{value:.2f}**" if value == top else f"{value:.2f}"


def training(result: dict[str, Any]) -> str:
    """Say how far the networks were trained."""
    forms = result["forms"].items()
    if not any(form["cut"] for _, form in forms):
        return "whole"
    return "cut: " + ", ".join(
        f"{name} {form['steps']} of {form['steps_of_recipe']} steps" for name, form in forms
    )


if __name__ == "__main__":
    main()
