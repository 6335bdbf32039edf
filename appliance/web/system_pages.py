"""Pages about the appliance: the machine, its logs, who may use it, and who did what."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from appliance.accounts import ROLES, SCOPES, told_token
from appliance.errors import LocalError
from appliance.web.answers import number
from appliance.web.gate import CHANGE, Change, form_of, visitor_of
from appliance.web.page import Pages
from appliance.web.site_pages import Desk

AUDIT_SHOWN = 100
LOG_SHOWN = 200


class SystemPages:
    """Show the appliance, and change who may use it."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk
        self._people = desk.gate.people

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/system", self.get_system),
            web.get("/system/logs", self.get_logs),
            web.get("/system/access", self.get_access),
            web.get("/system/audit", self.get_audit),
            web.post("/system/accounts", self.post_account),
            web.post("/system/accounts/{name}/role", self.post_role),
            web.post("/system/accounts/{name}/reset", self.post_reset),
            web.post("/system/accounts/{name}/remove", self.post_remove),
            web.post("/system/tokens", self.post_token),
            web.post("/system/tokens/{id}/remove", self.post_token_remove),
        ]

    async def get_system(self, request: web.Request) -> web.StreamResponse:
        """Show the machine and its certificates."""
        view = await self._desk.live.view()
        return self._pages.render(request, "system", view=view)

    async def get_logs(self, request: web.Request) -> web.StreamResponse:
        """Show the latest notices of the signalling process, the latest first."""
        severity = request.query.get("severity", "")
        notices = await self._desk.ask("notices")
        found = [one for one in notices if severity in ("", one["severity"])]
        return self._pages.render(
            request, "logs", notices=found[::-1][:LOG_SHOWN], severity=severity
        )

    async def get_audit(self, request: web.Request) -> web.StreamResponse:
        """Show who did what."""
        before = number(request, "before", int, None)
        if before is not None and abs(before) >= 2**62:
            raise web.HTTPBadRequest(text="before must be the number of an entry")
        entries = await self._people.audit(AUDIT_SHOWN, before)
        return self._pages.render(request, "audit", entries=entries, shown=AUDIT_SHOWN)

    async def get_access(self, request: web.Request) -> web.StreamResponse:
        """Show accounts and tokens."""
        return self._pages.render(
            request,
            "access",
            accounts=self._people.accounts(),
            tokens=self._people.tokens(),
            roles=ROLES,
            scopes=SCOPES,
            flash=self._desk.said(request),
        )

    async def post_account(self, request: web.Request) -> web.StreamResponse:
        """Make an account; its one-time password is on the next page, once."""
        fields = await form_of(request)
        name, role = fields.get("name", "").strip().lower(), fields.get("role", "")
        password = await self._people.add(name, role)
        request[CHANGE] = Change("account.add", name, after={"role": role})
        return self._back(request, text=f"One-time password of {name}:", secret=password)

    async def post_role(self, request: web.Request) -> web.StreamResponse:
        """Change what an account may do."""
        fields = await form_of(request)
        name, role = request.match_info["name"], fields.get("role", "")
        known = self._people.account(name)
        await self._people.set_role(name, role)
        self._desk.gate.sessions.end_all(name)
        before: Any = {"role": known.role} if known else None
        request[CHANGE] = Change("account.role", name, before, {"role": role})
        return self._back(request, text=f"{name} is {role} now.")

    async def post_reset(self, request: web.Request) -> web.StreamResponse:
        """Give an account a new one-time password."""
        name = request.match_info["name"]
        if name == visitor_of(request).name:
            raise LocalError("this is your own account; choose another password instead")
        password = await self._people.reset(name)
        self._desk.gate.sessions.end_all(name)
        request[CHANGE] = Change("account.reset", name)
        return self._back(request, text=f"One-time password of {name}:", secret=password)

    async def post_remove(self, request: web.Request) -> web.StreamResponse:
        """Remove an account whose name was typed."""
        fields = await form_of(request)
        name = request.match_info["name"]
        if fields.get("typed", "").strip().lower() != name:
            raise LocalError(f"type the name {name} to remove the account")
        known = self._people.account(name)
        await self._people.remove(name)
        self._desk.gate.sessions.end_all(name)
        request[CHANGE] = Change("account.remove", name, {"role": known.role} if known else None)
        return self._back(request, text=f"{name} is removed.")

    async def post_token(self, request: web.Request) -> web.StreamResponse:
        """Make a token; it is on the next page, once."""
        fields = await form_of(request)
        scopes = [scope for scope in SCOPES if fields.get(f"scope_{scope}")]
        try:
            days = float(fields.get("days", ""))
        except ValueError:
            raise LocalError("days: write a number") from None
        name, by = fields.get("name", ""), visitor_of(request).name
        token, text = await self._people.add_token(name, scopes, days, by)
        request[CHANGE] = Change("token.add", token.id, after=told_token(token))
        return self._back(request, text=f"Token for {token.name}:", secret=text)

    async def post_token_remove(self, request: web.Request) -> web.StreamResponse:
        """Remove a token."""
        token = await self._people.remove_token(request.match_info["id"])
        request[CHANGE] = Change("token.remove", token.id, told_token(token))
        return self._back(request, text=f"The token for {token.name} is removed.")

    def _back(self, request: web.Request, **flash: str) -> web.StreamResponse:
        self._desk.say(request, **flash)
        return web.Response(status=303, headers={"Location": "/system/access"})
