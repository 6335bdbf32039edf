"""Errors as the API tells them: RFC 9457 problem details, whatever went wrong."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from appliance.bundle import BundleError
from appliance.errors import LocalError, Unavailable

log = logging.getLogger("holdfast.web")

RETRY_AFTER = "5"
"""Seconds; a process that was killed is back sooner."""


@web.middleware
async def tell_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an answer; the outermost middleware, so nothing escapes it."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in KEPT_HEADERS if name in error.headers}
        return problem(error.status, error.reason, _words(error), kept)
    except BundleError as error:
        return problem(422, "Bundle refused", str(error), problems=error.problems)
    except LocalError as error:
        return problem(409, "Refused", str(error))
    except (Unavailable, TimeoutError) as error:
        headers = {"Retry-After": RETRY_AFTER}
        return problem(503, "Not available now", str(error) or "no answer in time", headers)
    except Exception:
        # A mistake of ours must not show its insides to whoever asks, nor end the process.
        log.exception("%s %s failed", request.method, request.path)
        return problem(500, "Internal error", "this is a fault of Holdfast; the journal tells more")


KEPT_HEADERS = ("Allow", "HX-Redirect", "Retry-After", "WWW-Authenticate")


def problem(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> web.Response:
    """Build the answer to a request that failed."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return web.Response(
        body=msgspec.json.encode(content),
        content_type="application/problem+json",
        status=status,
        headers=headers,
    )


def _words(error: web.HTTPException) -> str:
    """Return what aiohttp or we had to say, without its own `404: ` in front."""
    return (error.text or error.reason).removeprefix(f"{error.status}: ")
