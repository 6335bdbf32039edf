"""What handlers of the API share: JSON answers and numbers in the query."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web


def as_json(content: Any, status: int = 200) -> web.Response:
    """Answer with JSON; structures become objects."""
    body = msgspec.json.encode(content)
    return web.Response(body=body, content_type="application/json", status=status)


def number(request: web.Request, name: str, kind: type[int] | type[float], default: Any) -> Any:
    """Return a number of the query, `default` where there is none; raises 400 for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise web.HTTPBadRequest(text=f"{name} must be a number, not {text[:40]!r}") from None
