"""Tells a webhook of calls for help, each at least once, as soon as there is a way to it (E8).

Core keeps on the disk what has to be told and forgets what has been; nothing is kept here, so this
process may end at any moment.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands

log = logging.getLogger("holdfast.webhook")

LOOK_EVERY = 1.0
"""Seconds between two looks whether core has alerts."""
FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds to wait after the first failure in a row, doubled with each, up to the last."""
TIMEOUT = aiohttp.ClientTimeout(total=10)


class _Alert(NamedTuple):
    key: str
    """The same for the same alert, so that the webhook can tell a repetition."""
    url: str
    content: dict[str, Any]


class AlertHook:
    """Fetch alerts from core and post them."""

    def __init__(self, core: Commands, tls: ssl.SSLContext | None = None) -> None:
        self._core = core
        self._tls = tls or ssl.create_default_context()
        self._waiting: list[_Alert] = []
        self._done: set[str] = set()
        """Keys that the webhook has taken and core may not know of yet."""
        self._pause = FIRST_RETRY
        self._failing = ""

    async def run(self) -> None:
        """Look and post until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                await self.look()
                wait = LOOK_EVERY
                if self._waiting and not await self._post_all(session):
                    wait, self._pause = self._pause, min(self._pause * 2, LAST_RETRY)
                await asyncio.sleep(wait)

    async def look(self) -> None:
        """Take what has to be told; without core there is nothing."""
        self._waiting = []
        try:
            if self._done:
                await self._core.call("emergency.told", keys=sorted(self._done))
                self._done.clear()
            told = await self._core.call("emergency.alerts")
        except (Unavailable, LocalError):
            return
        if told["webhook"]:
            rows = told["alerts"]
            self._waiting = [_Alert(row["key"], told["webhook"], row) for row in rows]

    async def _post_all(self, session: aiohttp.ClientSession) -> bool:
        """Post what waits, the oldest first; return whether nothing waits any more."""
        for alert in self._waiting:
            if not await self._post(session, alert):
                return False
            self._done.add(alert.key)
        self._pause, self._failing = FIRST_RETRY, ""
        return True

    async def _post(self, session: aiohttp.ClientSession, alert: _Alert) -> bool:
        body = msgspec.json.encode(alert.content)
        headers = {"Content-Type": "application/json", "Idempotency-Key": alert.key}
        try:
            # A redirect would carry who called from where to wherever it points.
            async with session.post(
                alert.url, data=body, headers=headers, ssl=self._tls, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return True
                failure = f"it answered {answer.status}"
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            failure = str(error) or type(error).__name__
        if failure != self._failing:
            self._failing = failure
            # The path may hold a secret: only the host is told.
            log.warning("the webhook at %s: %s; tried again", urlsplit(alert.url).hostname, failure)
        return False
