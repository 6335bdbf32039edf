"""What handlers share: JSON answers, numbers in the query, and work that takes long."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

Result = TypeVar("Result")

PATIENCE = 0.1
"""Seconds a page waits for what takes long at a large site; then it says that it is at work."""


async def soon(work: Awaitable[Result], patience: float | None = None) -> Result | None:
    """Return what comes of something at once, or None: the page comes without it and asks again.

    `patience` in seconds; None: as long as a page may wait.
    """
    try:
        async with asyncio.timeout(PATIENCE if patience is None else patience):
            return await work
    except TimeoutError:
        return None


def as_json(content: Any, status: int = 200) -> web.Response:
    """Answer with JSON; structures become objects."""
    body = msgspec.json.encode(content)
    return web.Response(body=body, content_type="application/json", status=status)


def number(request: web.Request, name: str, kind: type[int] | type[float], default: Any) -> Any:
    """Return a number of the query, `default` where there is none; raises 400 for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    with contextlib.suppress(msgspec.ValidationError):
        found = msgspec.convert(text, kind, strict=False)
        if math.isfinite(found):
            return found
    raise web.HTTPBadRequest(text=f"{name} must be a number, not {text[:40]!r}")
