"""How the page looks: colours, fonts of the machine it is seen on, and room for thumbs."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

HEADER = (
    "<h1>grainless</h1><p>Takes the noise out of pictures. Format, depth and metadata stay as they are.</p>"
)
_HERE = Path(__file__).parent
# Not as Gradio's `css`: that puts another selector before each rule, and not before those of media queries.
HEAD = (
    f"<style>{(_HERE / 'looks.css').read_text(encoding='utf-8')}</style>"
    f"<script>{(_HERE / 'looks.js').read_text(encoding='utf-8')}</script>"
)
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "Noto Sans", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def footer(version: str) -> str:
    """Return the last line of the page."""
    return (
        f"<p>grainless {version}. Pictures are cleaned on the machine that this page comes from, "
        "and deleted there an hour after they were last used.</p>"
    )


def theme() -> gr.themes.Base:
    """Return the theme; its fonts are names of installed ones, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=[gr.themes.Font(name) for name in _FONT],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )
