"""Every page there is, out of the table of routes: whoever walks them all forgets none."""

from __future__ import annotations

import re

from appliance.web.access import ACCESS

FILES = frozenset({"/static/{name}", "/records.csv", "/metrics"})
"""Routes outside the API that answer with something else than a page."""
OUTSIDE = frozenset({"/login"})
"""Pages for people who have not logged in."""


def every_page() -> list[str]:
    """Return the path of each page, as the table has it."""
    paths = [route.removeprefix("GET ") for route in ACCESS if route.startswith("GET ")]
    return [path for path in paths if path not in FILES and not path.startswith("/api/")]


def inner_pages() -> list[str]:
    """Return the path of each page behind the log-in."""
    return [path for path in every_page() if path not in OUTSIDE]


def page_of(address: str) -> str:
    """Return the path, as the table has it, of the page at an address."""
    asked = address.partition("?")[0]
    if asked in every_page():
        return asked
    return next(path for path in every_page() if _pattern(path).fullmatch(asked))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path))))
