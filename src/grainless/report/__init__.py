"""Results as people read them: Markdown tables, a page of HTML, a contact sheet of pictures at full size."""

from grainless.report.page import check_packages, write_report
from grainless.report.sheet import SheetRow, contact_sheet
from grainless.report.tables import markdown_table

__all__ = ["SheetRow", "check_packages", "contact_sheet", "markdown_table", "write_report"]
