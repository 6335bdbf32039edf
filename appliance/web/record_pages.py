"""Pages of call records: search, one call with its path, and CSV."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from appliance.errors import LocalError
from appliance.web.answers import number
from appliance.web.call_pages import shown_of
from appliance.web.messages_api import MessagesApi
from appliance.web.page import Pages
from appliance.web.record_csv import as_csv
from appliance.web.site_pages import Desk

SHOWN = 100
"""Records on a page."""
PART = 500
"""Records asked of core at a time, so that it is never kept busy for long."""
SEARCHED = 5000
"""Records that are looked through for a text; then the page says so."""
CSV_LIMIT = 20_000
"""Records in one file."""


class RecordPages:
    """Show call records."""

    def __init__(self, pages: Pages, desk: Desk, said: MessagesApi) -> None:
        self._pages = pages
        self._desk = desk
        self._said = said

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/records", self.get_records),
            web.get("/records.csv", self.get_csv),
            web.get("/records/{id}", self.get_record),
        ]

    async def get_records(self, request: web.Request) -> web.StreamResponse:
        """List records, the latest first, found by day and by text."""
        query = {name: request.query.get(name, "")[:100] for name in ("since", "until", "search")}
        offset = max(0, min(number(request, "offset", int, 0), SEARCHED))
        failure, whole = "", True
        rows: list[dict[str, Any]] = []
        try:
            rows, whole = await self._find(query, offset + SHOWN + 1, SEARCHED)
        except LocalError as error:
            failure = str(error)
        return self._pages.render(
            request,
            "records",
            rows=rows[offset : offset + SHOWN],
            more=len(rows) > offset + SHOWN,
            whole=whole,
            offset=offset,
            shown=SHOWN,
            searched=SEARCHED,
            query=query,
            failure=failure,
        )

    async def get_record(self, request: web.Request) -> web.StreamResponse:
        """Show one call: its path with times, and how it was heard."""
        name = request.match_info["id"]
        found = await self._desk.ask("records", limit=1, call_id=name)
        if not found:
            raise web.HTTPNotFound(text=f"there is no call record {name[:64]!r}")
        shown = {"record": found[0], "path": path_of(found[0]), **await shown_of(self._said, name)}
        return self._pages.render(request, "record", **shown)

    async def get_csv(self, request: web.Request) -> web.StreamResponse:
        """Send what the search finds as a table for spreadsheets."""
        query = {name: request.query.get(name, "")[:100] for name in ("since", "until", "search")}
        rows, _ = await self._find(query, CSV_LIMIT, CSV_LIMIT)
        headers = {"Content-Disposition": 'attachment; filename="call-records.csv"'}
        return web.Response(
            text=as_csv(rows), content_type="text/csv", charset="utf-8", headers=headers
        )

    async def _find(
        self, query: dict[str, str], wanted: int, searched: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return records, and whether all were looked at; raises LocalError for no day."""
        bounds: dict[str, float] = {}
        if query["since"]:
            bounds["since"] = _day(query["since"], "since").timestamp()
        if query["until"]:
            after = _day(query["until"], "until") + timedelta(days=1)
            bounds["until"] = after.timestamp() - 0.001
        text = query["search"].casefold().strip()
        found: list[dict[str, Any]] = []
        for offset in range(0, searched, PART):
            part = await self._desk.ask("records", limit=PART, offset=offset, **bounds)
            found += [row for row in part if not text or matches(row, text)]
            if len(part) < PART or len(found) >= wanted:
                return found[:wanted], True
        return found[:wanted], False


def matches(row: dict[str, Any], text: str) -> bool:
    """Tell whether a record has a text in what people look for."""
    shown = ("id", "caller", "caller_name", "callee", "answered_by", "outcome", "reason")
    return any(text in str(row.get(name, "")).casefold() for name in shown)


def path_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each line of a call's path with its seconds and legs, where they are known."""
    stamps = record.get("stamps") or []
    lines = []
    for number_, text in enumerate(record.get("steps") or ()):
        stamp = stamps[number_] if number_ < len(stamps) else None
        lines.append(
            {
                "text": text,
                "after": None if stamp is None else max(0.0, stamp["at"] - record["started"]),
                "source": "" if stamp is None else stamp.get("source") or "Holdfast",
                "to": "" if stamp is None else ", ".join(stamp.get("to") or ()) or "Holdfast",
            }
        )
    return lines


def _day(text: str, name: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone()
    except ValueError:
        raise LocalError(f"{name}: write the day like 2026-12-25, not {text[:20]!r}") from None
