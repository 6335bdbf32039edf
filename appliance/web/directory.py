"""The part of the API that finds people."""

from __future__ import annotations

from aiohttp import web

from appliance.phonebook.index import LIMIT
from appliance.phonebook.upkeep import Directory
from appliance.web.answers import as_json, number


class DirectoryApi:
    """Answer who it is that a name, a number or keys mean."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [web.get("/api/v1/directory", self.get_directory)]

    async def get_directory(self, request: web.Request) -> web.Response:
        """List whom `search` (words or a number) or `keys` (T9) means, the likeliest first."""
        limit = number(request, "limit", int, 50)
        if not 1 <= limit <= LIMIT:
            raise web.HTTPBadRequest(text=f"limit must be 1 to {LIMIT}")
        asked, keys = request.query.get("search"), request.query.get("keys")
        if (asked is None) == (keys is None):
            raise web.HTTPBadRequest(text="give either `search`, words or a number, or `keys`")
        if keys is not None:
            return as_json(await self._directory.spelt(keys, limit))
        return as_json(await self._directory.search(asked or "", limit))
