"""Move a call's audio away from a port that another process holds, if need be while people talk.

The core chooses ports without asking anybody (an offer must not wait), so one may be taken already:
by a program that has one of its own in our range. The relay then opens on another port, and the
phone that was told the first is told the second by re-INVITE.
"""

from __future__ import annotations

from typing import Protocol

from appliance.call.context import CallContext
from appliance.call.events import RelayFailed
from appliance.call.leg import GONE, Leg
from appliance.call.media import CallMedia
from appliance.call.record import RecordDraft
from appliance.errors import RemoteError, Unavailable
from appliance.sip.message import Response
from appliance.sip.timers import Timer

TRIES = 8
"""Ports that may fail in one call. A second one is bad luck, the ninth a machine to look at."""
ASIDE = 600.0
"""Seconds for which no other call is given a port that failed."""
PAUSE = 0.25
"""Seconds until a phone that is in the middle of an offer or answer is tried again."""


class MoveOwner(Protocol):
    """The call, as what moves its audio sees it."""

    context: CallContext
    draft: RecordDraft
    media: CallMedia

    @property
    def joined(self) -> tuple[Leg, ...]:
        """The legs by side that are answered; before, nobody can be asked to move."""
        ...

    def reconnect(self) -> None:
        """Make the relays fit what was said last."""
        ...

    def end(self, who: str, reason: str, now: float, status: int = 500) -> None:
        """End the call on both sides."""
        ...

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: this leg's phone is gone."""
        ...


class Move:
    """The moves of one call."""

    def __init__(self, call: MoveOwner) -> None:
        self._call = call
        self._tries = 0
        self._untold: set[int] = set()
        """Sides whose phone still sends to a port that we could not have."""
        self._timer: Timer | None = None

    def failed(self, event: RelayFailed, now: float) -> None:
        """Take another port where one is taken; end the call where that is of no use."""
        call = self._call
        if event.port and not call.media.holds(event.port):
            return  # of a relay that has moved already
        self._tries += 1
        if not event.port or self._tries > TRIES:
            tried = f" ({TRIES} ports tried)" if event.port else ""
            call.end("system", f"no relay for its audio: {event.reason}{tried}", now)
            return
        try:
            side, port = call.media.move(event.port)
        except Unavailable as error:
            call.end("system", str(error), now)
            return
        call.draft.step(f"port {event.port} is held by another process: moved to {port}")
        ports = call.context.ports
        call.context.timers.arm(now + ASIDE, lambda now: ports.forgive(event.port & ~1))
        self._untold.add(side)
        self.tell(now)

    def tell(self, now: float) -> None:
        """Offer each phone concerned its new port, as soon as it can be offered anything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for side, leg in enumerate(self._call.joined):
            if side not in self._untold or leg.ended:
                continue
            if leg.busy:
                self._later(now, PAUSE)
            else:
                self._untold.discard(side)
                self._reinvite(side, leg, now)

    def stop(self) -> None:
        """Forget it all: the call is over."""
        self._untold.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, now: float, pause: float) -> None:
        if self._timer is None:
            self._timer = self._call.context.timers.arm(now + pause, self.tell)

    def _reinvite(self, side: int, leg: Leg, now: float) -> None:
        def answered(response: Response | None, status: int, now: float) -> None:
            if response is None or status in GONE:
                self._call.lapsed(leg, "the phone did not answer when its audio had to move", now)
            elif status == 491:
                self._untold.add(side)
                self._later(now, 2.0 + side)  # RFC 3261, 14.1: not both again at once
            elif status >= 300:
                self._call.end("system", f"a phone would not move its audio ({status})", now)
            else:
                self._moved(leg, response, now)

        leg.reinvite(now, self._call.media.told_again(leg, side), answered)

    def _moved(self, leg: Leg, response: Response, now: float) -> None:
        leg.acknowledge(response, now)
        try:
            self._call.media.heard_again(leg, response.body)
        except (RemoteError, Unavailable) as error:
            self._call.end("system", f"its audio could not be moved: {error}", now)
            return
        self._call.reconnect()
