"""The part of the API about diagnostics: which checks there are, running them, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.web.answers import as_json
from appliance.web.gate import CHANGE, Change, visitor_of
from appliance.web.people_api import body_of
from appliance.web.words import moment

PREFIX = "/api/v1/diagnostics"
Word = Annotated[str, Meta(max_length=64)]
MARKS = {"ok": "well", "warn": "see to", "fail": "wrong", "not_applicable": "not needed"}
"""Verdicts in words."""


class Examination(Protocol):
    """Runs checks; `diagnostics.examiner.Examiner` fulfils it."""

    @property
    def latest(self) -> Any:
        """The run that was begun last; None before the first."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """Tell which checks there are."""
        ...

    def start(self, names: Sequence[str], by: str) -> Any:
        """Begin a run of these, or of all; raises LocalError."""
        ...

    def find(self, identifier: str) -> Any:
        """Return a run, or None."""
        ...


class AskedRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that begins a run. It says which checks, never whom they ask."""

    checks: Annotated[list[Word], Meta(max_length=100)] = []
    """Names; empty: all."""


class DiagnosticsApi:
    """Begin checks and tell what they find."""

    def __init__(self, examination: Examination) -> None:
        self._examination = examination

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(PREFIX, self.get_checks),
            web.post(PREFIX, self.post_run),
            web.get(f"{PREFIX}/{{id}}", self.get_run),
            web.get(f"{PREFIX}/{{id}}/report", self.get_report),
        ]

    async def get_checks(self, request: web.Request) -> web.Response:
        """List the checks, and tell the latest run."""
        told = self._examination
        return as_json({"checks": told.describe(), "latest": told.latest})

    async def post_run(self, request: web.Request) -> web.Response:
        """Begin a run; how it goes on is asked for by its id."""
        return as_json(self.begin(request, (await body_of(request, AskedRun)).checks), 202)

    def begin(self, request: web.Request, names: Sequence[str]) -> Any:
        """Begin a run for a page or the API; raises LocalError."""
        run = self._examination.start(names, visitor_of(request).name)
        request[CHANGE] = Change("diagnostics.run", ", ".join(names) or "all")
        return run

    async def get_run(self, request: web.Request) -> web.Response:
        """Tell how a run stands."""
        return as_json(self._run(request))

    async def get_report(self, request: web.Request) -> web.Response:
        """Give what a run has found as a text to keep or to send on."""
        run = self._run(request)
        name = f"holdfast-diagnostics-{run.id}.txt"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(text=report(run), content_type="text/plain", headers=headers)

    def _run(self, request: web.Request) -> Any:
        name = request.match_info["id"]
        run = self._examination.find(name)
        if run is None:
            raise web.HTTPNotFound(text=f"there is no run {name[:64]!r}; only the latest are kept")
        return run


def report(run: Any) -> str:
    """Write a run for people."""
    ended = moment(run.ended) if run.ended else "not yet"
    lines = [f"Holdfast diagnostics {run.id}", f"begun {moment(run.begun)}, ended {ended}", ""]
    for result in run.results:
        took = f"{result.seconds:.1f} s"
        lines.append(f"[{MARKS[result.verdict]}] {result.title}: {result.text} ({took})")
        if result.advice:
            lines.append(f"    -> {result.advice}")
        lines += [f"    {line}" for line in result.evidence]
        lines.append("")
    return "\n".join(lines) + "\n"
