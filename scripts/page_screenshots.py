"""Take the pictures of docs/page.md: `python scripts/page_screenshots.py [CHROMIUM]`.

Starts `grainless serve` on a free port, drops the page's own example into it, and takes what Chromium shows,
wide and on a phone. CHROMIUM is the browser's path, without it the one that is found by its name. Needs the
extra `dev`, which brings playwright.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent.parent / "docs"
SCREENS = {"page": (1000, 680), "page-phone": (390, 820)}
"""Width and height by the name of the picture."""
PATIENCE = 120_000


def take(page: Page, address: str, path: Path) -> None:
    """Clean the example and take the screen."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.click("#example-specks")
    page.wait_for_selector("#download")
    page.wait_for_function("[...document.querySelectorAll('#whole img')].every(image => image.naturalWidth)")
    # The slider finds its place after the pictures have come.
    page.wait_for_timeout(2000)
    page.screenshot(path=path)
    with Image.open(path) as image:
        # Chromium packs quickly and not well. No palette: it would draw bands into the sky.
        plain = image.convert("RGB")
    plain.save(path, optimize=True)
    print(f"wrote {path} ({path.stat().st_size // 1000} kB)")


def main() -> None:
    """Take all pictures."""
    browser_path = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    command = [sys.executable, "-m", "grainless", "serve", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://\S+", server.stderr.readline() if server.stderr else "")
        if found is None:
            sys.exit("the server did not start")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            for name, (width, height) in SCREENS.items():
                phone = width < 500
                context = browser.new_context(
                    viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone
                )
                take(context.new_page(), found[0], DOCS / f"{name}.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
