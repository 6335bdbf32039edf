"""Pages on the way in: log-in, the own password, log-out, and the files every page needs."""

from __future__ import annotations

import gzip
import mimetypes

from aiohttp import web

from appliance.errors import LocalError
from appliance.web.gate import CHANGE, Change, Gate, drop_cookie, form_of, set_cookie, visitor_of
from appliance.web.page import STATIC, Pages
from appliance.web.people import Denied
from appliance.web.people_api import change_own
from appliance.web.sessions import COOKIE

FOREVER = "public, max-age=31536000, immutable"
"""Addresses of our files change with their content."""


class DoorPages:
    """Let people in and out."""

    def __init__(self, pages: Pages, gate: Gate) -> None:
        self._pages = pages
        self._gate = gate
        self._files = {
            file.name: (file.read_bytes(), gzip.compress(file.read_bytes(), mtime=0))
            for file in STATIC.rglob("*")
            if file.is_file()
        }

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/static/{name}", self.get_file),
            web.get("/login", self.get_login),
            web.post("/login", self.post_login),
            web.post("/logout", self.post_logout),
            web.get("/password", self.get_password),
            web.post("/password", self.post_password),
        ]

    async def get_file(self, request: web.Request) -> web.Response:
        """Send one of the files that were read at the start: no path leads anywhere else."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text=f"there is no file {name[:64]!r}")
        plain, small = self._files[name]
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Content-Type": kind, "Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=small, headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=plain, headers=headers)

    async def get_login(self, request: web.Request) -> web.StreamResponse:
        """Ask for name and password."""
        if self._gate.visitor(request) is not None:
            raise web.HTTPSeeOther(_own_path(request.query.get("next", "/")))
        first = any(account.must_change for account in self._gate.people.accounts())
        there = request.query.get("next", "/")
        return self._pages.render(request, "login", next=there, failure="", typed="", first=first)

    async def post_login(self, request: web.Request) -> web.StreamResponse:
        """Begin a session, or say what was wrong, in the form."""
        fields = await form_of(request)
        name, there = fields.get("name", ""), fields.get("next", "/")
        source = request.remote or "?"
        status = 401
        try:
            key, _ = await self._gate.log_in(name, fields.get("password", ""), source)
        except Denied as error:
            failure = str(error)
        except web.HTTPTooManyRequests as error:
            status, failure = 429, error.text or ""
        else:
            response = web.Response(status=303, headers={"Location": _own_path(there)})
            set_cookie(response, key)
            return response
        shown = {"next": there, "failure": failure, "typed": name[:64], "first": False}
        return self._pages.render(request, "login", status, **shown)

    async def post_logout(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        self._gate.sessions.end(request.cookies.get(COOKIE, ""))
        request[CHANGE] = Change("session.end")
        response = web.Response(status=303, headers={"Location": "/login"})
        drop_cookie(response)
        return response

    async def get_password(self, request: web.Request) -> web.StreamResponse:
        """Ask for an own password."""
        return self._pages.render(request, "password", failure="")

    async def post_password(self, request: web.Request) -> web.StreamResponse:
        """Take an own password, or say what is wrong with it, in the form."""
        fields = await form_of(request)
        try:
            if fields.get("new") != fields.get("again"):
                raise LocalError("password: the two new ones differ")
            await change_own(self._gate, request, fields.get("old", ""), fields.get("new", ""))
        except LocalError as error:
            request[CHANGE] = Change("account.password.refused", visitor_of(request).name)
            return self._pages.render(request, "password", 409, failure=str(error))
        raise web.HTTPSeeOther("/")


def _own_path(path: str) -> str:
    """Return where to go after the log-in: never to another site."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return "/"
    return path
