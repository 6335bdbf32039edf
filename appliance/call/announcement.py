"""A call of our own to one phone: it rings, says what there is to say, and takes a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from appliance.call.actions import Relay, Sound
from appliance.call.branch import Branch, Invitation
from appliance.call.context import CallContext
from appliance.call.events import DigitPressed, Heard, SoundEnded
from appliance.call.leg import Leg
from appliance.call.media import CallMedia
from appliance.call.own_media import own_offer
from appliance.call.relays import CALLER
from appliance.call.security import offered, other_profile
from appliance.call.steps import Target
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer
from appliance.sdp.session import Session
from appliance.sip.digit import digit_of
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response
from appliance.sip.timers import Timer

AGAIN, CONFIRM = "1", "2"
"""Keys: hear it again, and say that it was understood."""
LISTEN: Final = 4.0
"""Seconds to wait for a key before it is said again."""
LONGEST = 120.0
"""Seconds after which a sound that never ended is given up: the media process is not there."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is said to a phone, and how often."""

    caller: str
    """From without tag."""
    callee: str
    """To."""
    sounds: tuple[str, ...]
    """Names as in `actions.Sound`; one that is not there is passed over."""
    thanks: str = ""
    """Sound for somebody who has confirmed; empty: none."""
    times: int = 3
    """How often it is said to somebody who presses no key."""
    ring_time: float = 60.0
    """Seconds."""


class Announcement:
    """Ring one phone and tell it something; fulfils `branch.BranchOwner` and `leg.LegOwner`."""

    def __init__(
        self,
        context: CallContext,
        target: Target,
        message: Message,
        over: Callable[[Announcement, str, float], None],
    ) -> None:
        """`over` is told once, with one word: confirmed, heard, no_answer, declined, failed."""
        self.context = context
        self.id = context.identifiers.token()
        self.extension = target.extension
        self.media = CallMedia(context, self.id, lambda text: None)
        self._message = message
        self._over: Callable[[Announcement, str, float], None] | None = over
        self._sounds: tuple[str, ...] = ()
        self._said = 0
        self._confirmed = False
        self._serial = 0
        self._hears: Sound | None = None
        self._timer: Timer | None = None
        invitation = Invitation(
            call_id=context.identifiers.token(),
            caller=message.caller,
            callee=message.callee,
            max_forwards=70,
            early_reliable=False,
        )
        self._branch = Branch(context, self, target, invitation, self)

    def start(self, now: float) -> None:
        """Ring the phone."""
        self._wait(self._message.ring_time, now, lambda now: self._end("no_answer", now))
        try:
            self._branch.invite(now, self._describe())
        except (RemoteError, Unavailable):
            self._end("failed", now)

    @property
    def relays(self) -> list[Relay]:
        """The relays that must exist now."""
        return self.media.relays

    def stop(self, now: float) -> None:
        """Hang up, or stop ringing."""
        self._end("stopped", now)

    # -- what the phone says ------------------------------------------------------------------

    def ringing(self, branch: Branch, response: Response, now: float) -> None:
        """Do nothing: it rings."""

    def answered(self, branch: Branch, response: Response, now: float) -> None:
        """Say what there is to say."""
        branch.acknowledge(response, now)
        try:
            if branch.told is None:
                raise RemoteError(488, "an answer to no offer")
            branch.heard = check_answer(branch.told, Session.parse(response.body))
            self._begin(now)
            if not self.relays:
                raise RemoteError(488, "the phone takes no audio")
        except (RemoteError, Unavailable):
            self._end("failed", now)

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Give up."""
        self._end("declined", now)

    def refused_profile(self, branch: Branch, status: int) -> bytes:
        """Offer SRTP in place of RTP, or the reverse."""
        branch.asked_for_srtp = other_profile(branch)
        if branch.asked_for_srtp is None:
            return b""
        try:
            return self._describe()
        except (RemoteError, Unavailable):
            return b""

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request inside the dialog: its end, a key, or a change that we do without."""
        if request.method == "BYE":
            leg.refuse(tx, 200, now)
            leg.close()
            self._end("confirmed" if self._confirmed else "heard", now)
        elif request.method == "INFO":
            digit = digit_of(request.first("Content-Type") or "", request.body)
            leg.refuse(tx, 200 if digit else 415, now)
            if digit:
                self._pressed(digit, now)
        elif request.method == "UPDATE" and not request.body:
            leg.refuse(tx, 200, now, leg.timer.accept(request, now))
        else:
            leg.refuse(tx, 488 if request.method in ("INVITE", "UPDATE") else 200, now)

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """Take that the phone is gone."""
        self._end("failed", now)

    def described(self, leg: Leg, body: bytes) -> None:
        """Do nothing: nothing can have changed."""

    def changed(self) -> None:
        """Do nothing: a restart ends announcements, and does not save them."""

    # -- what the media process says ----------------------------------------------------------

    def heard(self, event: Heard, now: float) -> None:
        """Take the end of a sound, or a key."""
        if isinstance(event, DigitPressed):
            self._pressed(event.digit, now)
        elif isinstance(event, SoundEnded) and self._is_over(event):
            self._next(now)

    def _is_over(self, event: SoundEnded) -> bool:
        return self._hears is not None and event.serial == self._hears.serial

    def relay_failed(self, now: float) -> None:
        """Give up: without audio there is nothing to say."""
        self._end("failed", now)

    # -- the message --------------------------------------------------------------------------

    def _describe(self) -> bytes:
        session, branch = own_offer(), self._branch
        media = [offered(line, branch, index) for index, line in enumerate(session.media)]
        return self.media.tell(replace(session, media=tuple(media)), (0,), branch, CALLER)

    def _begin(self, now: float) -> None:
        self._said += 1
        self._sounds = self._message.sounds
        self._next(now)

    def _next(self, now: float) -> None:
        if self._sounds:
            self._serial += 1
            self._hears = Sound(self._sounds[0], serial=self._serial)
            self._sounds = self._sounds[1:]
            self.media.alone(self._branch, CALLER, self._hears, True)
            self._wait(LONGEST, now, lambda now: self._end("failed", now))
        elif self._confirmed:
            self._end("confirmed", now)
        else:
            self._hears = None
            self.media.alone(self._branch, CALLER, None, True)
            self._wait(LISTEN, now, self._again)

    def _again(self, now: float) -> None:
        if self._said >= self._message.times:
            self._end("heard", now)
        else:
            self._begin(now)

    def _pressed(self, digit: str, now: float) -> None:
        if not self._said or self._confirmed or self._over is None:
            return
        if digit == CONFIRM:
            self._confirmed = True
            self._sounds = (self._message.thanks,) if self._message.thanks else ()
            self._next(now)
        elif digit == AGAIN:
            self._said = 0  # whoever listens may do so as often as it takes
            self._begin(now)

    def _wait(self, seconds: float, now: float, then: Callable[[float], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.context.timers.arm(now + seconds, then)

    def _end(self, word: str, now: float) -> None:
        over, self._over = self._over, None
        if over is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hears = None
        self._branch.cancel(now)
        self._branch.bye(now)
        self.media.close()
        over(self, word, now)
