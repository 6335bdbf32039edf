"""The one way in: which host was meant, who asks, whether they may, and a line in the audit log."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from appliance.accounts import Account
from appliance.web.access import ACCESS, NOBODY, Visitor
from appliance.web.patience import Patience
from appliance.web.people import Denied, People
from appliance.web.sessions import COOKIE, LONGEST, Session, Sessions

SCHEME = "Bearer "
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1); all others need a CSRF token and are logged."""
FORM_LIMIT = 64 << 10
"""Octets of a form."""
FORM_TIMEOUT = 10.0
"""Seconds in which a form must arrive."""
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
API = ("/api/", "/metrics")
"""Paths that are asked by programs: they get problem+json and no redirect."""


@dataclass(slots=True)
class Change:
    """What a handler tells the audit log; without one the method and path stand there."""

    action: str
    target: str = ""
    before: object = None
    after: object = None


NOTHING = Change("")
"""What a handler tells that was asked by POST and changed nothing."""
VISITOR = web.RequestKey("visitor", Visitor)
CHANGE = web.RequestKey("change", Change)


@dataclass(slots=True)
class Gate:
    """Everything needed to decide who may pass."""

    people: People
    token: str
    """The command line's, in the data folder."""
    hosts: Iterable[str] = ()
    """Names by which this appliance is called, besides its addresses."""
    clock: Callable[[], float] = time.monotonic
    sessions: Sessions = field(init=False)
    patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.clock)
        self.patience = Patience(self.clock)

    def middlewares(self) -> list[Middleware]:
        """Return what every request passes, the outermost first."""
        return [self._check_host(), self._check_visitor()]

    async def log_in(self, name: str, password: str, source: str) -> tuple[str, Session]:
        """Begin a session; raises Denied, HTTPTooManyRequests or Unavailable.

        While somebody waits for earlier failures the password is not even looked at.
        """
        name = name.lower()
        wait = self.patience.wait(source, name)
        if wait > 0:
            raise _too_soon(wait)
        try:
            account = await self.people.check(name, password)
        except Denied:
            self.patience.failed(source, name)
            await self.people.note(name[:64], source, "session.denied")
            raise
        self.patience.succeeded(source, name)
        await self.people.note(account.name, source, "session.begin")
        return self.sessions.begin(account.name)

    def visitor(self, request: web.Request) -> Visitor | None:
        """Return who makes a request, by token or by session."""
        shown = request.headers.get("Authorization", "")
        if shown.startswith(SCHEME):
            return self._by_token(shown.removeprefix(SCHEME).strip())
        session = self.sessions.find(request.cookies.get(COOKIE, ""))
        account = self.people.account(session.account) if session else None
        if session is None or account is None:
            return None
        return of_account(account, session)

    def _by_token(self, text: str) -> Visitor | None:
        # Equal lengths and no early end: the time taken tells nothing about the token.
        if hmac.compare_digest(_digest(text), _digest(self.token)):
            return Visitor("command line", "admin")
        token = self.people.by_token(text)
        return Visitor(f"token {token.name}", "api", frozenset(token.scopes)) if token else None

    def _check_host(self) -> Middleware:
        """Refuse names that are not ours: by one, a stranger's page could become our origin.

        An address cannot be pointed elsewhere by DNS, so every address will do.
        """
        ours = {"localhost", *(name.lower().rstrip(".") for name in self.hosts)}

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            host = _host_of(request.headers.get("Host", ""))
            if host not in ours and not _is_address(host):
                text = f"{host[:80]!r} is no name of this appliance; see admin_hosts in settings"
                raise web.HTTPMisdirectedRequest(text=text)
            return await handler(request)

        return check

    def _check_visitor(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            visitor = self.visitor(request)
            access = ACCESS.get(_route_of(request), NOBODY)
            if request.method not in SAFE:
                _check_origin(request)
            if not access.public:
                if visitor is None:
                    raise _unknown(request)
                if request.match_info.http_exception is None and not visitor.may(access):
                    raise _forbidden(request, visitor)
                if visitor.csrf and request.method not in SAFE:
                    await _check_csrf(request, visitor.csrf)
            if visitor is not None:
                request[VISITOR] = visitor
            answer: web.StreamResponse | web.HTTPException
            try:
                answer = await handler(request)
            except web.HTTPRedirection as done:  # The form of a page leads to a page.
                answer = done
            noted = request.method not in SAFE or (access.noted and answer.status < 400)
            if visitor is not None and noted:
                await self._note(request, visitor)
            if isinstance(answer, web.HTTPException):
                raise answer
            return answer

        return check

    async def _note(self, request: web.Request, visitor: Visitor) -> None:
        change = request.get(CHANGE) or Change(_route_of(request))
        if not change.action:
            return
        origin = request.remote or "?"
        detail = (change.action, change.target, change.before, change.after)
        await self.people.note(visitor.name, origin, *detail)


def of_account(account: Account, session: Session) -> Visitor:
    """Return the visitor of a session."""
    return Visitor(account.name, account.role, must_change=account.must_change, csrf=session.csrf)


def visitor_of(request: web.Request) -> Visitor:
    """Return who passed the gate."""
    return request[VISITOR]


def set_cookie(response: web.StreamResponse, key: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        COOKIE, key, max_age=int(LONGEST), path="/", secure=True, httponly=True, samesite="Strict"
    )


def drop_cookie(response: web.StreamResponse) -> None:
    """Take it back."""
    response.set_cookie(
        COOKIE, "", max_age=0, path="/", secure=True, httponly=True, samesite="Strict"
    )


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; raises 413 or 408 for one that is too large or too slow."""
    if (request.content_length or 0) > FORM_LIMIT or request.content_length is None:
        raise web.HTTPRequestEntityTooLarge(FORM_LIMIT, request.content_length or 0)
    try:
        async with asyncio.timeout(FORM_TIMEOUT):
            fields = await request.post()
    except TimeoutError:
        text = f"the form did not arrive within {FORM_TIMEOUT:.0f} s"
        raise web.HTTPRequestTimeout(text=text) from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
        raise web.HTTPForbidden(text="the request comes from another site's page")


async def _check_csrf(request: web.Request, expected: str) -> None:
    shown = request.headers.get(CSRF_HEADER)
    if shown is None and request.content_type == "application/x-www-form-urlencoded":
        shown = (await form_of(request)).get(CSRF_FIELD)
    if not hmac.compare_digest((shown or "").encode(), expected.encode()):
        raise web.HTTPForbidden(
            text=f"the form is too old or not ours: load the page again ({CSRF_HEADER} is missing "
            "or wrong)"
        )


def _unknown(request: web.Request) -> web.HTTPException:
    if request.path.startswith(API):
        return web.HTTPUnauthorized(
            headers={"WWW-Authenticate": 'Bearer realm="holdfast"'},
            text="show a token as a bearer token: an API token, or that of admin.token in the "
            "data folder",
        )
    if "HX-Request" in request.headers:
        return web.HTTPUnauthorized(headers={"HX-Redirect": "/login"}, text="log in first")
    there = f"?next={quote(request.path_qs)}" if request.method == "GET" else ""
    return web.HTTPSeeOther(f"/login{there if request.path != '/' else ''}")


def _forbidden(request: web.Request, visitor: Visitor) -> web.HTTPException:
    if visitor.must_change:
        if not request.path.startswith(API):
            return web.HTTPSeeOther("/password")
        return web.HTTPForbidden(text="choose an own password first")
    held = f"scopes {', '.join(sorted(visitor.scopes))}" if visitor.scopes else visitor.role
    return web.HTTPForbidden(text=f"this is not for {visitor.name} ({held})")


def _too_soon(wait: float) -> web.HTTPException:
    seconds = max(1, round(wait + 0.5))
    text = f"too many wrong passwords; try again in {seconds} s"
    return web.HTTPTooManyRequests(headers={"Retry-After": str(seconds)}, text=text)


def _route_of(request: web.Request) -> str:
    """Return method and path as the table has them."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return f"{method} {resource.canonical if resource is not None else request.path}"


def _host_of(header: str) -> str:
    """Return the host of a Host header, without its port and without brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
