"""The part of the API about people: log in and out, accounts, tokens, the audit log."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.accounts import told, told_token
from appliance.errors import LocalError
from appliance.web.answers import as_json, number
from appliance.web.gate import (
    CHANGE,
    FORM_LIMIT,
    FORM_TIMEOUT,
    SAFE,
    Change,
    Gate,
    drop_cookie,
    set_cookie,
    visitor_of,
)
from appliance.web.people import Denied
from appliance.web.sessions import COOKIE

Asked = TypeVar("Asked", bound=msgspec.Struct)
AUDIT_LIMIT = 1000
"""Audit entries in one answer."""


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a log-in."""

    name: str
    password: str


class OwnPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a change of one's own password."""

    old: str
    new: str


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that makes an account."""

    name: str
    role: str


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that changes an account."""

    role: str


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that makes a token."""

    name: str
    scopes: Annotated[list[str], Meta(max_length=20)]
    days: float = 90.0


class PeopleApi:
    """Answer about people by asking the gate's `People`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._people = gate.people

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/api/v1/session", self.get_session),
            web.post("/api/v1/session", self.post_session),
            web.delete("/api/v1/session", self.delete_session),
            web.post("/api/v1/session/password", self.post_own_password),
            web.get("/api/v1/accounts", self.get_accounts),
            web.post("/api/v1/accounts", self.post_account),
            web.patch("/api/v1/accounts/{name}", self.patch_account),
            web.delete("/api/v1/accounts/{name}", self.delete_account),
            web.post("/api/v1/accounts/{name}/password", self.post_password),
            web.get("/api/v1/tokens", self.get_tokens),
            web.post("/api/v1/tokens", self.post_token),
            web.delete("/api/v1/tokens/{id}", self.delete_token),
            web.get("/api/v1/audit", self.get_audit),
        ]

    async def get_session(self, request: web.Request) -> web.Response:
        """Tell who asks."""
        visitor = visitor_of(request)
        return as_json(
            {"name": visitor.name, "role": visitor.role, "must_change": visitor.must_change}
        )

    async def post_session(self, request: web.Request) -> web.Response:
        """Log in: the answer has the session's cookie and its CSRF token."""
        asked = await body_of(request, LogIn)
        source = request.remote or "?"
        try:
            key, session = await self._gate.log_in(asked.name, asked.password, source)
        except Denied as error:
            raise web.HTTPUnauthorized(text=str(error)) from None
        account = self._people.account(session.account)
        must_change = account is not None and account.must_change
        response = as_json(
            {"name": session.account, "csrf": session.csrf, "must_change": must_change}
        )
        set_cookie(response, key)
        return response

    async def delete_session(self, request: web.Request) -> web.Response:
        """Log out."""
        self._gate.sessions.end(request.cookies.get(COOKIE, ""))
        request[CHANGE] = Change("session.end")
        response = web.Response(status=204)
        drop_cookie(response)
        return response

    async def post_own_password(self, request: web.Request) -> web.Response:
        """Choose an own password; every other session of the account ends."""
        asked = await body_of(request, OwnPassword)
        await change_own(self._gate, request, asked.old, asked.new)
        return web.Response(status=204)

    async def get_accounts(self, request: web.Request) -> web.Response:
        """List accounts, without their passwords' hashes."""
        return as_json([told(account) for account in self._people.accounts()])

    async def post_account(self, request: web.Request) -> web.Response:
        """Make an account; the answer has its one-time password."""
        asked = await body_of(request, NewAccount)
        password = await self._people.add(asked.name, asked.role)
        name = asked.name.lower()
        request[CHANGE] = Change("account.add", name, after={"role": asked.role})
        return as_json({"name": name, "password": password}, 201)

    async def patch_account(self, request: web.Request) -> web.Response:
        """Change an account's role; its sessions end."""
        name = request.match_info["name"]
        asked = await body_of(request, NewRole)
        known = self._people.account(name)
        await self._people.set_role(name, asked.role)
        self._gate.sessions.end_all(name)
        before = {"role": known.role} if known else None
        request[CHANGE] = Change("account.role", name, before, {"role": asked.role})
        return web.Response(status=204)

    async def delete_account(self, request: web.Request) -> web.Response:
        """Remove an account; its sessions end."""
        name = request.match_info["name"]
        known = self._people.account(name)
        await self._people.remove(name)
        self._gate.sessions.end_all(name)
        request[CHANGE] = Change("account.remove", name, {"role": known.role} if known else None)
        return web.Response(status=204)

    async def post_password(self, request: web.Request) -> web.Response:
        """Give an account a new one-time password; its sessions end."""
        name = request.match_info["name"]
        password = await self._people.reset(name)
        self._gate.sessions.end_all(name)
        request[CHANGE] = Change("account.reset", name)
        return as_json({"name": name, "password": password})

    async def get_tokens(self, request: web.Request) -> web.Response:
        """List API tokens, without what they are."""
        return as_json([told_token(token) for token in self._people.tokens()])

    async def post_token(self, request: web.Request) -> web.Response:
        """Make a token; the answer has it, for the only time."""
        asked = await body_of(request, NewToken)
        by = visitor_of(request).name
        token, text = await self._people.add_token(asked.name, asked.scopes, asked.days, by)
        request[CHANGE] = Change("token.add", token.id, after=told_token(token))
        return as_json({**msgspec.to_builtins(told_token(token)), "token": text}, 201)

    async def delete_token(self, request: web.Request) -> web.Response:
        """Remove a token: from now on it opens nothing."""
        token = await self._people.remove_token(request.match_info["id"])
        request[CHANGE] = Change("token.remove", token.id, told_token(token))
        return web.Response(status=204)

    async def get_audit(self, request: web.Request) -> web.Response:
        """List what was done, the latest first."""
        limit = number(request, "limit", int, 100)
        if not 1 <= limit <= AUDIT_LIMIT:
            raise web.HTTPBadRequest(text=f"limit must be 1 to {AUDIT_LIMIT}")
        before = number(request, "before", int, None)
        if before is not None and abs(before) >= 2**62:
            raise web.HTTPBadRequest(text="before must be the number of an entry")
        return as_json(await self._people.audit(limit, before))


async def change_own(gate: Gate, request: web.Request, old: str, new: str) -> None:
    """Give the visitor of a session the password he chose; raises LocalError or Denied.

    Guessing the old one is slowed as a log-in is: whoever found an open browser is no owner yet.
    """
    visitor, source = visitor_of(request), request.remote or "?"
    if not visitor.csrf:
        raise LocalError("a token has no password; log in with an account")
    if gate.patience.wait(source, visitor.name) > 0:
        raise web.HTTPTooManyRequests(text="too many wrong passwords; try again later")
    try:
        await gate.people.choose_password(visitor.name, old, new)
    except Denied:
        gate.patience.failed(source, visitor.name)
        raise
    mine = gate.sessions.find(request.cookies.get(COOKIE, ""))
    gate.sessions.end_all(visitor.name, but=mine)
    request[CHANGE] = Change("account.password", visitor.name)


async def body_of(request: web.Request, kind: type[Asked]) -> Asked:
    """Return a JSON body as `kind`; raises 400, 408, 413 or 415."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send the body as application/json")
    if request.method in SAFE or (request.content_length or 0) > FORM_LIMIT:
        raise web.HTTPRequestEntityTooLarge(FORM_LIMIT, request.content_length or 0)
    try:
        async with asyncio.timeout(FORM_TIMEOUT):
            data = await request.content.read(FORM_LIMIT + 1)
            while len(data) <= FORM_LIMIT and not request.content.at_eof():
                data += await request.content.read(FORM_LIMIT + 1)
    except TimeoutError:
        text = f"the body did not arrive within {FORM_TIMEOUT:.0f} s"
        raise web.HTTPRequestTimeout(text=text) from None
    return _decoded(data, kind)


def _decoded(data: bytes, kind: type[Asked]) -> Asked:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise web.HTTPBadRequest(text=_blamed(error)) from None


def _blamed(error: Exception) -> str:
    """Say what is wrong with a body, the field first where there is one."""
    text, _, place = str(error).partition(" - at `$")
    field = place.strip(".`")
    return f"{field}: {text[:1].lower()}{text[1:]}" if field else f"the body: {text}"
