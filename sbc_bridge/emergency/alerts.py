"""Who still has to be told of calls for help: kept on the disk until all of them have been (E8).

An alert is written before the call goes on. It is over when the webhook has taken it and each
member of the safety team has answered, declined or let it ring; so neither a crash of this process
nor one of admin's costs anybody the news, and some may hear it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from appliance.call.actions import Action, DropAlert, Notice, SaveAlert
from appliance.sip.flow import Flow
from appliance.sip.timers import Timer, TimerQueue

CAPACITY = 100
"""Alerts at a time, 60 KB: anybody on the site may call for help, and nobody has to prove it."""
LASTS = 86_400.0
"""Seconds after which nobody needs to be told any more."""
CALLS_LAST = 600.0
"""Seconds in which members are called who have no phone here yet, or none any more."""
LOOK_AGAIN = 3.0
"""Seconds between two looks whether they have one."""
HIDDEN = ("flow", "began", "due", "posts")
"""What no webhook is told."""

_pack = msgspec.msgpack.Encoder().encode


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news of a call for help; also the row that `SaveAlert` writes."""

    key: str
    """The same whenever it is told, so that a repetition can be recognised."""
    kind: str
    """`called`, `failed` when nothing carried the call, `gave_up` when the caller hung up."""
    at: float
    """Unix seconds."""
    call: str
    number: str
    caller: str
    extension: str
    proved: bool
    address: str
    location: str
    """Id; empty: unknown."""
    where: str
    shown: str
    """Number that was shown outside; empty: none."""
    flow: Flow
    """The way the call came."""
    began: float
    """Monotonic seconds."""
    due: tuple[str, ...] = ()
    """Extensions of the safety team that have to be called yet."""
    posts: bool = False
    """Whether the webhook has to be told yet."""

    @property
    def over(self) -> bool:
        """Tell whether everybody has been told."""
        return not self.due and not self.posts


Remind = Callable[[Alert, str, float], bool]
"""Call one member's phones for an alert; False: there are none now."""


class Alerts:
    """Keep alerts until they are over; they outlive bundles and processes."""

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Action], None],
        wall: Callable[[float], float],
    ) -> None:
        self._timers = timers
        self._emit = emit
        self._wall = wall
        self._alerts: dict[str, Alert] = {}
        """By key, the oldest first."""
        self._ringing: dict[str, set[str]] = {}
        """Whose phones have been called by this process, by key."""
        self._timer: Timer | None = None
        self.remind: Remind = lambda alert, extension, now: False
        """Calls a member; the safety team of the bundle in force."""

    def __len__(self) -> int:
        return len(self._alerts)

    def restore(self, rows: Iterable[bytes], offset: float, now: float) -> None:
        """Take back what `SaveAlert` wrote, and call who has not been reached."""
        for row in rows:
            try:
                found = msgspec.msgpack.decode(row, type=Alert)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            # Whatever the clocks say, nothing is from the future.
            alert = replace(found, began=min(found.began + offset, now), flow=found.flow.gone)
            self._alerts[alert.key] = alert
            if offset:  # its times are of a clock that is no more
                self._emit(SaveAlert(alert.key, _pack(alert)))
        self._look(now)

    def add(self, alert: Alert, waits: bool) -> None:
        """Keep an alert; with `waits` it is on the disk before anything else happens.

        Whom of the team it names is called by whoever adds it, or else from `LOOK_AGAIN` on.
        """
        if alert.over or alert.key in self._alerts:
            return
        if len(self._alerts) >= CAPACITY:
            text = f"{CAPACITY} alerts wait to be told: the oldest is given up"
            self._emit(Notice("alarm", "emergency.alerts_full", text))
            self._drop(next(iter(self._alerts)))
        self._alerts[alert.key] = alert
        self._emit(SaveAlert(alert.key, _pack(alert), waits))
        self._look_later(alert.began)

    def rings(self, key: str, extension: str) -> None:
        """Note that a member's phones are being called."""
        if key in self._alerts:
            self._ringing.setdefault(key, set()).add(extension)

    def reached(self, key: str, extension: str) -> None:
        """Note that nobody has to call a member any more."""
        alert = self._alerts.get(key)
        if alert is not None and extension in alert.due:
            left = tuple(one for one in alert.due if one != extension)
            self._change(replace(alert, due=left))

    def posted(self, keys: Iterable[str]) -> None:
        """Note what the webhook has taken."""
        for key in keys:
            alert = self._alerts.get(key)
            if alert is not None and alert.posts:
                self._change(replace(alert, posts=False))

    def waiting(self, now: float) -> list[dict[str, Any]]:
        """Return what the webhook has to be told, the oldest first."""
        self._look(now)
        return [_told(alert) for alert in self._alerts.values() if alert.posts]

    def _change(self, alert: Alert) -> None:
        if alert.over:
            self._drop(alert.key)
        else:
            self._alerts[alert.key] = alert
            self._emit(SaveAlert(alert.key, _pack(alert)))

    def _drop(self, key: str) -> None:
        del self._alerts[key]
        self._ringing.pop(key, None)
        self._emit(DropAlert(key))

    # -- members without a phone, and news that is old ----------------------------------------

    def _look_later(self, now: float) -> None:
        if self._timer is None and any(alert.due for alert in self._alerts.values()):
            self._timer = self._timers.arm(now + LOOK_AGAIN, self._looked)

    def _looked(self, now: float) -> None:
        self._timer = None
        self._look(now)

    def _look(self, now: float) -> None:
        for alert in list(self._alerts.values()):
            age = now - alert.began
            if age > LASTS:
                text = f"an alert a day old was given up: {alert.caller} called {alert.number}"
                self._emit(Notice("alarm", "emergency.untold", text))
                self._drop(alert.key)
            elif alert.due and age > CALLS_LAST:
                self._change(replace(alert, due=()))
            else:
                self._remind(alert, now)
        self._look_later(now)

    def _remind(self, alert: Alert, now: float) -> None:
        called = self._ringing.get(alert.key, ())
        for extension in alert.due:
            if extension not in called and self.remind(alert, extension, now):
                self.rings(alert.key, extension)


def _told(alert: Alert) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(alert)
    for name in HIDDEN:
        del told[name]
    return told
