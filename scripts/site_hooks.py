"""Makes pages of the site out of the files at the root, so that nothing is written twice (see mkdocs.yml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "licence.md",
}
"""Files at the root, and the pages of the site that they become."""
LINK = re.compile(r"(?P<before>\]\()(?P<path>[^)#\s]+)(?P<after>(#[^)\s]*)?\))")


def on_files(files: Files, *, config: Any, **_: Any) -> Files:
    """Add the files at the root as pages."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        content = f"# Licence\n\n```\n{text}\n```\n" if name == "LICENSE" else text
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    at_root = page.file.src_uri in PAGES.values()

    def turned(link: re.Match[str]) -> str:
        return link["before"] + target(link["path"], at_root=at_root) + link["after"]

    return LINK.sub(turned, markdown)


def target(path: str, *, at_root: bool) -> str:
    """Return where a link of a file at the root, or of one in docs/, leads to in the site.

    >>> target("docs/scans.md", at_root=True), target("../README.md", at_root=False)
    ('scans.md', 'index.md')
    """
    if at_root:
        return PAGES.get(path, path.removeprefix("docs/"))
    above, _, name = path.rpartition("../")
    return f"{above}{PAGES[name]}" if name in PAGES and path != name else path
