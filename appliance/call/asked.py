"""Waiting for the answer to a request inside a dialog."""

from __future__ import annotations

from collections.abc import Callable

from appliance.sip.matching import ClientTransaction
from appliance.sip.message import Response


class Asked:
    """Wait for the final response to one request inside a dialog."""

    __slots__ = ("_done", "_early")

    def __init__(
        self,
        done: Callable[[Response | None, int, float], None],
        early: Callable[[Response, float], None] | None = None,
    ) -> None:
        self._done = done
        self._early = early

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Pass a final response on; a provisional one where anybody cares."""
        if response.status >= 200:
            self._done(response, response.status, now)
        elif self._early is not None:
            self._early(response, now)

    def failed(self, tx: ClientTransaction | None, status: int, now: float) -> None:
        """Pass on that there will be no response: 408 for silence, 503 for a broken transport."""
        self._done(None, status, now)
