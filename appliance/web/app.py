"""The admin process's HTTPS server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from appliance.errors import Unavailable
from appliance.marking import MANAGEMENT
from appliance.supervision import given_sockets
from appliance.web.api import BODY_LIMIT
from appliance.web.gate import API, Gate
from appliance.web.hurry import HANDSHAKE_TIMEOUT, Hurry
from appliance.web.problems import Told, no_pages, tell_problems

KEEPALIVE = 30.0
"""Seconds an idle connection is kept."""
BACKLOG = 128
"""Connections the kernel holds for us; people and their scripts are few."""
HURRY = web.AppKey("hurry", Hurry)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "Server": "Holdfast",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing inline, nothing evaluated, nothing from elsewhere, in nobody's frame."""


def make_application(
    gate: Gate, routes: Iterable[web.AbstractRouteDef], for_people: Told = no_pages
) -> web.Application:
    """Build the application: errors outermost, then the gate, then the routes.

    `for_people` writes errors for who does not ask the API.
    """
    middlewares = [tell_problems(for_people, API), *gate.middlewares()]
    hurry = Hurry()
    middlewares.insert(0, hurry.middleware())
    application = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT)
    application[HURRY] = hurry
    application.add_routes(routes)
    application.on_response_prepare.append(_add_headers)
    return application


@asynccontextmanager
async def serving(
    application: web.Application, address: str, port: int, tls: ssl.SSLContext
) -> AsyncIterator[int]:
    """Serve while the context lasts; gives the port, which matters when `port` is 0.

    Sockets that systemd opened for us are served instead of `address`: a low port costs us no
    privilege then, and whoever connects while we start again waits instead of being refused.
    Raises Unavailable when the address cannot be had.
    """
    runner = web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=2.0,
    )
    await runner.setup()
    servers: list[asyncio.Server] = []
    try:
        try:
            listeners = _marked(given_sockets()) or _listen(address, port)
            servers += [await _serve(runner, application[HURRY], one, tls) for one in listeners]
        except OSError as error:
            raise Unavailable(f"{address} port {port}: {error.strerror}") from error
        yield servers[0].sockets[0].getsockname()[1]
    finally:
        for server in servers:
            server.close()
        await runner.cleanup()


async def _serve(
    runner: web.AppRunner, hurry: Hurry, listener: socket.socket, tls: ssl.SSLContext
) -> asyncio.Server:
    server = runner.server
    if server is None:
        raise AssertionError("a runner that is set up has a server")
    return await asyncio.get_running_loop().create_server(
        lambda: hurry.begin(server),
        sock=listener,
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
        backlog=BACKLOG,
    )


def _marked(listeners: list[socket.socket]) -> list[socket.socket]:
    for listener in listeners:
        MANAGEMENT.mark(listener)
    return listeners


def _listen(address: str, port: int) -> list[socket.socket]:
    """Open a socket for each address that a name or nothing stands for; raises OSError."""
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=flags)
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, place in dict.fromkeys(found):
            listener = socket.create_server(place, family=family, backlog=BACKLOG)
            opened.append(listener)
            MANAGEMENT.mark(listener)
    except OSError:
        for listener in opened:
            listener.close()
        raise
    return opened


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
