"""The page on which checks are run, one or all, and what they have found."""

from __future__ import annotations

import time
from collections import Counter

from aiohttp import web

from appliance.web.diagnostics_api import MARKS, DiagnosticsApi, Examination
from appliance.web.gate import form_of
from appliance.web.page import Pages


class DiagnosticsPages:
    """Show checks and their results."""

    def __init__(self, pages: Pages, examination: Examination, api: DiagnosticsApi) -> None:
        self._pages = pages
        self._examination = examination
        self._api = api

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/diagnostics", self.get_diagnostics),
            web.post("/diagnostics", self.post_diagnostics),
        ]

    async def get_diagnostics(self, request: web.Request) -> web.StreamResponse:
        """List the checks with what the latest run has found of each."""
        run = self._examination.latest
        results = {result.check: result for result in run.results} if run else {}
        return self._pages.render(
            request,
            "diagnostics",
            checks=self._examination.describe(),
            run=run,
            results=results,
            counts=Counter(result.verdict for result in results.values()),
            marks=MARKS,
            now=time.time(),
        )

    async def post_diagnostics(self, request: web.Request) -> web.StreamResponse:
        """Begin a run of one check, or of all."""
        name = (await form_of(request)).get("check", "")
        self._api.begin(request, [name] if name else [])
        raise web.HTTPSeeOther("/diagnostics")
