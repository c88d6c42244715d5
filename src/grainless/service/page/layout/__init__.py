"""The page's components and what each does when it is used."""

from __future__ import annotations

from pathlib import Path

import fastapi
import gradio as gr

from grainless.service.page.desk import Desk
from grainless.service.page.layout import looks
from grainless.service.page.layout.clean_tab import lay_out_clean
from grainless.service.page.layout.folder_tab import lay_out_folder
from grainless.service.page.layout.lab_tab import lay_out_lab
from grainless.version import __version__


def build(desk: Desk) -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="grainless", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(looks.HEADER, elem_id="head")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Clean a picture", id="clean"):
                lay_out_clean(desk)
            with gr.Tab("Folder", id="folder"):
                lay_out_folder(desk, page)
            with gr.Tab("Lab", id="lab"):
                lay_out_lab(desk)
        gr.HTML(looks.footer(__version__), elem_id="foot")
    page.queue(max_size=desk.settings.queue + 1, default_concurrency_limit=1, api_open=False)
    return page


def mount(app: fastapi.FastAPI, desk: Desk) -> None:
    """Put the page at "/" of an application."""
    gr.mount_gradio_app(
        app,
        build(desk),
        path="/",
        footer_links=[],
        run_history=False,
        favicon_path=str(Path(__file__).parent / "icon.png"),
        max_file_size=desk.settings.max_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=looks.theme(),
        head=looks.HEAD,
    )
