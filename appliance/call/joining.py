"""A party is told, by re-INVITE, that it talks with somebody else from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.call.leg import Leg
from appliance.call.media import CallMedia
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer
from appliance.sdp.session import Session
from appliance.sip.message import Response
from appliance.sip.timers import TIMEOUT, Timer

PAUSE = 0.25
"""Seconds until a phone that is in the middle of an offer or answer is tried again."""
AFTER_GLARE = 2.1
"""Seconds until a phone is tried again that offered something at the same time (RFC 3261, 14.1)."""

Joined = Callable[[int, Session | None, float], None]
"""Takes the outcome: 200 with the party's description, or why not: 408 where the party is gone."""


class JoiningOwner(Protocol):
    """The call."""

    media: CallMedia


class Joining:
    """Offer what one party has said to another, as soon as that can be offered anything."""

    def __init__(
        self, call: JoiningOwner, stays: Leg, side: int, offer: Callable[[], bytes], done: Joined
    ) -> None:
        """`offer` returns what `stays`, on its side of the call, is told; it may raise."""
        self._call = call
        self._stays, self._side = stays, side
        self._offer = offer
        self._done: Joined | None = done
        self._timer: Timer | None = None
        self._until = 0.0

    def start(self, now: float) -> None:
        """Offer it."""
        self._until = now + TIMEOUT
        self._try(now)

    def stop(self) -> None:
        """Tell nobody of the outcome any more."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self, now: float) -> None:
        self._timer = None
        stays = self._stays
        if stays.ended:
            self._over(408, None, now)
        elif stays.busy:
            self._later(PAUSE, now)
        else:
            self._tell(now)

    def _later(self, seconds: float, now: float) -> None:
        if now + seconds > self._until:
            self._over(491, None, now)
            return
        self._timer = self._stays.context.timers.arm(now + seconds, self._try)

    def _tell(self, now: float) -> None:
        stays = self._stays
        before = stays.told
        try:
            body = self._offer()
        except (RemoteError, Unavailable) as error:
            stays.told = before
            self._over(error.status if isinstance(error, RemoteError) else 503, None, now)
            return

        def answered(response: Response | None, status: int, now: float) -> None:
            if response is None or status >= 300:
                stays.told = before
                self._refused(status, now)
                return
            stays.acknowledge(response, now)
            self._agreed(response, now)

        stays.reinvite(now, body, answered)

    def _refused(self, status: int, now: float) -> None:
        if status in (491, 500) and self._done is not None:
            self._later(AFTER_GLARE, now)
        else:
            self._over(408 if status == 481 else status, None, now)

    def _agreed(self, response: Response, now: float) -> None:
        stays = self._stays
        try:
            if stays.told is None:
                raise RemoteError(488, "an answer to an offer nobody made")
            session = check_answer(stays.told, Session.parse(response.body))
        except RemoteError as error:
            self._over(error.status, None, now)
            return
        stays.heard = session
        self._over(200, session, now)

    def _over(self, status: int, session: Session | None, now: float) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status, session, now)
