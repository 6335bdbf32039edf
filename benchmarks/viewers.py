"""People who look at the dashboard, without browsers: the same questions at the same times.

A page is asked for with every file it names, then its stream of events is kept open, and its live
part is asked for a quarter of a second after the last of some events: as htmx does it, which has
one timer for all of a page's events and asks once more when others came meanwhile.
`python -m benchmarks.dashboard --compare` counts the questions of a real browser beside these.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.process import CLIENT_CORE, wait_until
from benchmarks.visitor import Visitor

URL = "https://127.0.0.1:8443"
DELAY = 0.25
"""Seconds from the last event to the question for the live part, as the page has it."""
SECOND = 1.0
"""Seconds between two questions where something changes all the time: events come as often."""
EVENTS = "/api/v1/events"
LIVE_PART = "live part"


class Viewers:
    """Some of them, in a thread on the clients' core.

    With `restless` everybody asks at least once a second, as if no second went by without an event.
    """

    def __init__(self, number: int, cookie: str, restless: bool = False) -> None:
        self.asked: Counter[str] = Counter()
        """How often each path was asked for; the live part by its own name."""
        self._number = number
        self._patience = SECOND if restless else None
        self._headers = {"Cookie": cookie}
        self._there = 0
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def open(self) -> None:
        """Begin; returns when everybody has the page and its first live part."""
        self._thread.start()
        if not self._ready.wait(120):
            raise RuntimeError("the viewers did not get their page")

    def close(self) -> None:
        """Have everybody leave."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        os.sched_setaffinity(0, {CLIENT_CORE})
        self._loop = asyncio.get_running_loop()
        views = [asyncio.create_task(self._view()) for _ in range(self._number)]
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([over, *views], return_when=asyncio.FIRST_COMPLETED)
        for view in views:
            view.cancel()
        await asyncio.gather(*views, return_exceptions=True)

    async def _view(self) -> None:
        """Look on with connections of one's own, as every browser does."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=6),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session:
            text = await self._ask(session, "/", "/")
            files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
            await asyncio.gather(*[self._ask(session, file, "/static") for file in files])
            self.asked[EVENTS] += 1
            async with session.get(f"{URL}{EVENTS}") as events:
                come = asyncio.Event()
                parts = asyncio.create_task(self._renew(session, come))
                try:
                    async for line in events.content:
                        if line.startswith(b"event:"):
                            come.set()
                finally:
                    parts.cancel()

    async def _renew(self, session: aiohttp.ClientSession, come: asyncio.Event) -> None:
        first = True
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(come.wait(), self._patience)
            while come.is_set():
                come.clear()
                await asyncio.sleep(DELAY)
            await self._ask(session, "/", LIVE_PART, {"HX-Request": "true"})
            self._there += first
            first = False
            if self._there >= self._number:
                self._ready.set()

    async def _ask(
        self, session: aiohttp.ClientSession, path: str, name: str, more: Any = None
    ) -> str:
        self.asked[name] += 1
        async with session.get(f"{URL}{path}", headers=more) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}")
            return await answer.text()


def admin_cookie(data: Path) -> str:
    """Log in for the first time of all; return the session's cookie."""
    file = data / "admin.password"
    if not wait_until(file.exists, 60):
        raise RuntimeError("there is no first password")
    visitor = Visitor()
    visitor.log_in(file.read_text().split()[1])
    return visitor.headers["Cookie"]


@contextmanager
def looking(number: int, cookie: str, restless: bool = False) -> Iterator[Viewers | None]:
    """Have people look on for as long as the context lasts."""
    if not number:
        yield None
        return
    viewers = Viewers(number, cookie, restless)
    viewers.open()
    try:
        yield viewers
    finally:
        viewers.close()
