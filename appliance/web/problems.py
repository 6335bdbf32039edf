"""Errors as they are told: RFC 9457 problem details to programs, a page to people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from appliance.bundle import BundleError
from appliance.errors import LocalError, Unavailable

log = logging.getLogger("holdfast.web")

RETRY_AFTER = "5"
"""Seconds; a process that was killed is back sooner."""
KEPT_HEADERS = ("Allow", "HX-Redirect", "Retry-After", "WWW-Authenticate")

Told = Callable[..., web.StreamResponse]
"""Writes an answer: request, status, title, detail, and what is told besides."""


def tell_problems(for_people: Told, programs: tuple[str, ...]) -> Middleware:
    """Make the outermost middleware, which nothing escapes: every exception becomes an answer.

    Paths that begin with one of `programs` get problem+json, all others what `for_people` writes.
    """

    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        told = no_pages if request.path.startswith(programs) else for_people
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            kept = {name: error.headers[name] for name in KEPT_HEADERS if name in error.headers}
            return told(request, error.status, error.reason, _words(error), headers=kept)
        except BundleError as error:
            return told(request, 422, "Bundle refused", str(error), problems=error.problems)
        except LocalError as error:
            return told(request, 409, "Refused", str(error))
        except (Unavailable, TimeoutError) as error:
            headers = {"Retry-After": RETRY_AFTER}
            text = str(error) or "no answer in time"
            return told(request, 503, "Not available now", text, headers=headers)
        except Exception:
            # A mistake of ours must not show its insides to whoever asks, nor end the process.
            log.exception("%s %s failed", request.method, request.path)
            text = "this is a fault of Holdfast; the journal tells more"
            return told(request, 500, "Internal error", text)

    return tell


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


def problem_words(status: int, title: str) -> str:
    """Return a title that people understand."""
    return PEOPLE.get(status, title)


PEOPLE = {
    403: "Not allowed",
    404: "There is no such page",
    409: "That was not done",
    422: "The configuration was refused",
    429: "Please wait",
    503: "Not available now",
}


def no_pages(
    request: web.Request, status: int, title: str, detail: str, **more: Any
) -> web.Response:
    """Tell a program; people too where there are no pages."""
    return problem(status, title, detail, **more)


def _words(error: web.HTTPException) -> str:
    """Return what aiohttp or we had to say, without its own `404: ` in front."""
    return (error.text or error.reason).removeprefix(f"{error.status}: ")
