"""Call records as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from typing import Any

from appliance.web.words import moment

COLUMNS = (
    "id",
    "started",
    "caller",
    "caller_name",
    "callee",
    "answered_by",
    "outcome",
    "status",
    "answered",
    "ended",
    "ended_by",
    "reason",
    "mode",
    "uploaded",
)
TIMES = ("started", "answered", "ended", "uploaded")
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection)."""


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Write records as CSV (RFC 4180); no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = [
            moment(row[name]) if name in TIMES and row.get(name) else row.get(name) or ""
            for name in COLUMNS
        ]
        writer.writerow([guarded(str(cell)) for cell in cells])
    return text.getvalue()


def guarded(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would reckon; callers name themselves."""
    return f"'{cell}" if cell.startswith(DANGEROUS) else cell
