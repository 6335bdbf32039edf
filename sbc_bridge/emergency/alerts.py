"""What a webhook is told of calls for help: the latest alerts, for the admin process to fetch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sbc_bridge.emergency.team import Incident

KEPT = 100
"""Alerts that wait to be fetched, which is done every second."""


class Alerts:
    """Number alerts from 1 for each process; what is fetched stays, for whoever asks again."""

    def __init__(self, process: str, wall: Callable[[float], float]) -> None:
        """`process` tells this process's numbers from those of another."""
        self.process = process
        self._wall = wall
        self._rows: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, kind: str, incident: Incident, now: float) -> None:
        """Note that somebody `called` for help, `gave_up`, or that such a call `failed`."""
        caller, location = incident.caller, incident.location
        self._count += 1
        self._rows.append(
            {
                "serial": self._count,
                "kind": kind,
                "at": self._wall(now),
                "call": caller.call_id,
                "number": incident.number,
                "caller": caller.shown,
                "extension": caller.extension,
                "proved": caller.proved,
                "address": caller.flow.remote[0],
                "location": location.id if location is not None else "",
                "where": incident.where,
                "shown": incident.shown,
            }
        )

    def after(self, process: str, serial: int) -> list[dict[str, Any]]:
        """Return what came after a number of this process; all there is, for another's number."""
        seen = serial if process == self.process else 0
        return [row for row in self._rows if row["serial"] > seen]
