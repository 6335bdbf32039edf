"""Somebody with a browser, as far as the server can tell: logs in, asks, and counts octets."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any

HOST, PORT = "127.0.0.1", 8443
PASSWORD = "twenty people look on"
"""That an account of a measurement chooses."""


IDLE = 20.0
"""Seconds after which a new connection is made; the server closes those that are idle for 30."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question."""

    status: int
    seconds: float
    """From the first octet sent to the last one received, on a connection that is open."""
    octets: int
    """On the wire, compressed as it came, with the answer's head, without TLS."""
    text: str


class Visitor:
    """One connection that is kept, and who one is."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = http.client.HTTPSConnection(HOST, PORT, timeout=90, context=context)
        self._last = float("-inf")

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Answer:
        """Ask once."""
        return self._ask(path, method, body)[0]

    def post(self, path: str, told: Any) -> Any:
        """Send JSON to the API; raises RuntimeError for a refusal."""
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        answer, _ = self._ask(path, "POST", body)
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {answer.text[:500]}")
        return json.loads(answer.text) if answer.text else None

    def log_in(self, first: str) -> None:
        """Begin a session as the first account, whose one-time password this is."""
        csrf = self._enter(first)
        self.headers["X-CSRF-Token"] = csrf
        self.post("/api/v1/session/password", {"old": first, "new": PASSWORD})
        del self.headers["X-CSRF-Token"]
        self._enter(PASSWORD)

    def _enter(self, password: str) -> str:
        body = json.dumps({"name": "admin", "password": password}).encode()
        answer, cookie = self._ask("/api/v1/session", "POST", body)
        self.headers["Cookie"] = cookie.partition(";")[0]
        return str(json.loads(answer.text)["csrf"])

    def _ask(self, path: str, method: str, body: bytes | None) -> tuple[Answer, str]:
        if time.perf_counter() > self._last + IDLE:
            self._connection.close()
            self._connection.connect()
        headers = {"Accept-Encoding": "gzip", **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        begun = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - begun
        octets = len(content) + sum(len(name) + len(word) + 4 for name, word in answer.getheaders())
        packed = answer.getheader("Content-Encoding") == "gzip"
        text = (gzip.decompress(content) if packed else content).decode(errors="replace")
        self._last = begun + took
        told = Answer(answer.status, took, octets, text)
        return told, answer.getheader("Set-Cookie") or ""
