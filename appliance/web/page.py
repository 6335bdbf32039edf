"""Write pages: templates with autoescape, the visitor's rights, and one answer for each question.

A page asked for by htmx is answered with its live part only: the same address, the same handler.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance import __version__
from appliance.web.access import ACCESS, Visitor
from appliance.web.gate import VISITOR
from appliance.web.live import View
from appliance.web.problems import problem_words
from appliance.web.words import age, milliseconds, moment, size, ways

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
MENU = (
    ("/", "Dashboard"),
    ("/survivability", "Survivability"),
    ("/phones", "Phones & users"),
    ("/readiness", "Readiness"),
    ("/calls", "Calls"),
    ("/waiting", "Parked & forwarded"),
    ("/records", "Records"),
    ("/groups", "Groups"),
    ("/trunk", "Trunk"),
    ("/sites", "Sites"),
    ("/emergency", "Emergency"),
    ("/directory", "Directory"),
    ("/configuration", "Configuration"),
    ("/diagnostics", "Diagnostics"),
    ("/system", "System"),
)
LAYER_WORDS = {
    "link": "Cable",
    "gateway": "Gateway",
    "dns": "DNS",
    "tcp": "TCP",
    "tls": "TLS",
    "certificate": "Certificate",
    "sip": "SIP",
    "https": "Cloud's HTTPS",
}
"""Layers on the way to a zone."""
MODE_WORDS = {
    "standby": "Standby",
    "survivability": "Survivability",
    "recovering": "Recovering",
    "testing": "Testing",
    "no_bundle": "No configuration",
}


class Pages:
    """Render templates; made once, the templates are compiled once."""

    def __init__(self) -> None:
        self._shared: dict[str, tuple[object, bytes, bytes]] = {}
        """Live parts by name: the moment, plain, and packed."""
        self._files = {file.name: _digest(file) for file in STATIC.rglob("*") if file.is_file()}
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            age=age, moment=moment, ms=milliseconds, size=size, forwarded=ways
        )
        self._templates.globals.update(
            menu=MENU,
            mode_words=MODE_WORDS,
            layer_words=LAYER_WORDS,
            version=__version__,
            asset=self._asset,
        )
        for name in self._templates.list_templates():
            self._templates.get_template(name)  # compiled now: nobody waits for it later

    def render(
        self, request: web.Request, name: str, status: int = 200, **context: Any
    ) -> web.Response:
        """Answer with a page, or with its live part alone when htmx asks for it."""
        visitor = request.get(VISITOR)
        part = "HX-Request" in request.headers and status == 200
        template = f"parts/{name}.html" if part else f"{name}.html"
        text = self._templates.get_template(template).render(
            visitor=visitor,
            may=_rights(visitor),
            here=request.path,
            address=request.path_qs,
            **context,
        )
        response = web.Response(text=text, content_type="text/html", status=status)
        response.enable_compression()
        return response

    def shared(
        self, request: web.Request, name: str, moment: object, make: Callable[[], dict[str, Any]]
    ) -> web.Response:
        """Answer with a live part that is the same for all who look at one moment, written once.

        It knows nothing of the visitor: a template that asks for one fails.
        """
        known = self._shared.get(name)
        if known is None or known[0] is not moment:
            text = self._templates.get_template(f"parts/{name}.html").render(make()).encode()
            known = self._shared[name] = moment, text, gzip.compress(text, mtime=0)
        _, text, small = known
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        response = web.Response(body=small if packed else text, content_type="text/html")
        response.charset = "utf-8"
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        return response

    def refuse(
        self, request: web.Request, status: int, title: str, detail: str, **more: Any
    ) -> web.StreamResponse:
        """Answer a page's request that failed; as the API's are, but for people to read."""
        headers = more.get("headers") or {}
        if "HX-Redirect" in headers or "HX-Request" in request.headers:
            # The live part that is shown stays; the browser's own error would replace it.
            return web.Response(text=detail, status=status, headers=headers)
        asked_by_post = request.method not in ("GET", "HEAD")
        words = problem_words(status, title)
        visitor = request.get(VISITOR)
        inside = visitor is not None and not visitor.must_change
        name = "error" if inside else "error_outside"
        shown = {"title": words, "detail": detail, "asked_by_post": asked_by_post}
        response = self.render(request, name, status, **shown)
        response.headers.update(headers)
        return response

    def _asset(self, name: str) -> str:
        """Return the address of a file of ours, which changes when the file does."""
        return f"/static/{name}?{self._files[name]}"


def _rights(visitor: Visitor | None) -> Callable[[str], bool]:
    def may(route: str) -> bool:
        access = ACCESS.get(route)
        return visitor is not None and access is not None and visitor.may(access)

    return may


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


class Verdict:
    """Whether the site would survive now, in a few words."""

    def __init__(self, view: View) -> None:
        self.level, self.title, self.text = _judge(view)


def _judge(view: View) -> tuple[str, str, str]:
    """Return how bad it is (`good`, `warning`, `alarm`), a title and a sentence."""
    if view.status is None:
        return "alarm", "Not ready", "The signalling process does not answer."
    mode = view.status["mode"]
    phones = view.status["phones"]
    if mode == "no_bundle" or not view.status.get("bundle"):
        return "alarm", "Not ready", "There is no configuration yet: no phone could register."
    if mode == "survivability":
        text = f"The cloud is gone. {phones['registered']} of {phones['expected']} phones are here."
        return "alarm", "Serving the site", text
    if mode == "recovering":
        return "warning", "Cloud is back", "Phones stay here until it has been steady."
    if mode == "testing":
        whose = view.status.get("test_scope") or "the site"
        return "warning", "Test running", f"Phones of {whose} are served on purpose."
    serious = [issue for issue in view.issues if issue.severity == "alarm"]
    if serious:
        return "alarm", "At risk", serious[0].title
    doubts = [issue for issue in view.issues if issue.severity == "warning"]
    if doubts:
        number = "one thing" if len(doubts) == 1 else f"{len(doubts)} things"
        return "warning", "Ready", f"The site would survive an outage now; see to {number} below."
    return "good", "Ready", "The site would survive an outage now."
