"""Who may use the API: whoever shows the token that lies in the data folder."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import stat
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from appliance.errors import Unavailable
from appliance.files import write_durably

log = logging.getLogger("holdfast.web")

SCHEME = "Bearer "


def ensure_token(file: Path) -> str:
    """Return the token in `file`, making one when there is none; only its owner may read it.

    Raises Unavailable when the file can neither be read nor written.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
        if token and stat.S_IMODE(file.stat().st_mode) & 0o077:
            log.warning("%s could be read by others; mended, consider a new token", file)
            file.chmod(0o600)
    except FileNotFoundError:
        token = ""
    except (OSError, ValueError) as error:
        raise Unavailable(f"{file} cannot be read: {error}") from error
    if not token:
        token = secrets.token_urlsafe(32)
        write_durably(file, f"{token}\n".encode(), 0o600)
    return token


def require_token(token: str) -> Middleware:
    """Make the middleware that lets nobody pass without the token, whatever they ask for."""
    expected = _digest(token)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "")
        if not (
            shown.startswith(SCHEME)
            # Equal lengths and no early end: the time taken tells nothing about the token.
            and hmac.compare_digest(_digest(shown.removeprefix(SCHEME).strip()), expected)
        ):
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Bearer realm="holdfast"'},
                text="show the token of admin.token in the data folder as a bearer token",
            )
        return await handler(request)

    return check


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
