"""We as the far end of a call: prompts and tones for one party, and the digits it presses.

A plan says `Play` and `Collect`; the first of them opens a relay with nobody at its other end. When
the plan then rings somebody, a caller keeps what it agreed on with us, and the other is offered
just that. The party is the caller, or whoever is left of two that talked.
"""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from appliance.call.actions import Sound
from appliance.call.caller import Caller
from appliance.call.context import CallContext
from appliance.call.events import SoundEnded
from appliance.call.leg import Leg
from appliance.call.media import MUSIC, CallMedia
from appliance.call.own_media import own_answer, own_offer, passed_on
from appliance.call.record import RecordDraft
from appliance.call.relays import opposite
from appliance.call.security import answered, offered
from appliance.call.steps import Collect, Outcome, Play
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer, check_offer, parse_offer
from appliance.sdp.session import Session
from appliance.sip.digit import digit_of
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request
from appliance.sip.timers import Timer

LONGEST = 600.0
"""Seconds after which a sound that never ended is given up: the media process is not there."""
RINGBACK = Sound("tone/ringback", loop=True)


class TerminalOwner(Protocol):
    """The attempt, as its own end sees it."""

    context: CallContext
    client: Leg
    """Who hears us."""
    side: int
    talks: bool
    label: str
    media: CallMedia
    draft: RecordDraft
    offer: Session | None
    """What the caller's INVITE offered; None: it left that to us."""

    def picked_up(self, now: float) -> None:
        """Note that the caller has its 2xx, from us."""
        ...

    def resume(self, outcome: Outcome, now: float) -> None:
        """Go on with the plan."""
        ...

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: the caller is gone."""
        ...


class Terminal:
    """Play to one party and collect its digits."""

    def __init__(self, call: TerminalOwner) -> None:
        self._call = call
        self._step: Play | Collect | None = None
        self._sounds: tuple[str, ...] = ()
        """Those of the step that were not begun yet."""
        self._keys = ""
        self._serial = 0
        self._hears: Sound | None = None
        self._timer: Timer | None = None
        self.told = call.talks
        """Whether the client has a description of ours, and nobody else's."""

    def perform(self, step: Play | Collect, now: float) -> None:
        """Begin a step; `resume` gets its outcome."""
        self._step, self._sounds, self._keys = step, step.sounds, ""
        try:
            connected = self._connect(isinstance(step, Collect) or step.answer, now)
        except RemoteError as error:
            self._call.draft.step(f"no prompt: {error.reason}")
            self._over("failed", error.status, now)
        except Unavailable as error:
            self._call.draft.step(f"no prompt: {error}")
            self._over("failed", 503, now)
        else:
            if connected:
                self._go_on(now)

    def entertain(self, sound: str, now: float) -> None:
        """Let the caller hear a sound again and again while others ring; ring-back if it cannot."""
        try:
            if self._connect(False, now):
                self._show(Sound(sound, loop=True))
        except (RemoteError, Unavailable):
            pass  # it hears what its phone makes of our 180

    def stop(self) -> None:
        """Wait for nothing more."""
        self._step = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ring_back(self) -> None:
        """Let a caller hear that somebody else is rung, and music who is transferred (C5)."""
        if self.told and self._call.client.heard is not None:
            music = self._call.talks and self._call.context.policies.music_on_hold
            self._show(MUSIC if music else RINGBACK)

    def offer_to(self, leg: Leg) -> bytes:
        """Return the offer for a phone that is rung for the caller, or has come to it."""
        caller = self._call.client
        if caller.heard is None or caller.told is None:
            raise Unavailable("the caller has not said where its audio goes")
        session = passed_on(caller.heard, caller.told)
        lines = tuple([index for index, line in enumerate(session.media) if line.port])
        media = list(session.media)
        for index in lines:
            media[index] = offered(media[index], leg, index)
        told = replace(session, media=tuple(media))
        return self._call.media.tell(told, lines, leg, opposite(self._call.side))

    def joined_by(self, leg: Leg, session: Session) -> bytes:
        """Take the answer of a phone that was rung; return what the caller is told, as before."""
        client = self._call.client
        if leg.told is None or client.told is None:
            raise RemoteError(488, "an answer to an offer nobody made")
        leg.heard = check_answer(leg.told, session)
        return client.told.encode()

    # -- what the caller does -----------------------------------------------------------------

    def sound_ended(self, event: SoundEnded, now: float) -> None:
        """Go on after a sound; news of an earlier one is ignored."""
        hears = self._hears
        if self._step is None or hears is None or event.serial != hears.serial:
            return
        self._hears = None
        if event.reason:
            self._call.draft.step(f"{hears.name} could not be played: {event.reason}")
        if event.reason and isinstance(self._step, Play) and not self._sounds:
            self._over("failed", 500, now)
        else:
            self._go_on(now)

    def digit(self, digit: str, now: float) -> None:
        """Take a key the caller has pressed."""
        step = self._step
        if not isinstance(step, Collect) or (self._hears is not None and not step.barge_in):
            return
        self._sounds = ()
        if self._hears is not None:
            self._show(None)
        self._keys += digit
        self._wait_for_key(step, now)

    def received(self, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request of the caller inside its dialog."""
        caller = self._call.client
        try:
            if request.method in ("INVITE", "UPDATE"):
                self._renegotiate(request, tx, now)
                return
            if request.method == "INFO":
                digit = digit_of(request.first("Content-Type") or "", request.body)
                caller.refuse(tx, 200 if digit else 415, now)
                if digit:
                    self.digit(digit, now)
                return
            caller.refuse(tx, 200 if request.method == "OPTIONS" else 501, now)
        except RemoteError as error:
            caller.refuse(tx, error.status, now, list(error.headers))
        except Unavailable:
            caller.refuse(tx, 503, now)

    def reconnect(self) -> None:
        """Make the relay as it must be after an offer and its answer."""
        self._alone(renewed=True)

    # -- the session --------------------------------------------------------------------------

    @property
    def _collects(self) -> bool:
        return isinstance(self._step, Collect)

    def _connect(self, answer: bool, now: float) -> bool:
        """Answer, or send early media; return whether the caller's audio can flow already."""
        caller = self._call.client
        first = not self.told
        if not isinstance(caller, Caller) or not caller.answering:
            return caller.heard is not None
        body = self._describe() if first or caller.told is None else caller.told.encode()
        self.told = True
        if not answer and self._call.offer is not None:
            if first:
                caller.progress(183, now, body)
            return True
        if self._call.offer is None:
            caller.on_ack = self._acknowledged
        caller.answer(now, body)
        self._call.picked_up(now)
        return caller.heard is not None

    def _describe(self) -> bytes:
        caller = self._call.client
        if self._call.offer is not None:
            return self._answer_to(self._call.offer)
        session = own_offer()
        media = [offered(line, caller, index) for index, line in enumerate(session.media)]
        session = replace(session, media=tuple(media))
        return self._call.media.tell(session, (0,), caller, self._call.side)

    def _answer_to(self, offer: Session) -> bytes:
        caller = self._call.client
        lines = check_offer(offer, caller.srtp, caller.heard)
        session, index = own_answer(offer, lines)
        media = list(session.media)
        media[index] = answered(media[index], offer.media[index], caller, index)
        told = replace(session, media=tuple(media))
        return self._call.media.tell(told, (index,), caller, self._call.side)

    def _acknowledged(self, answer: bytes, now: float) -> None:
        caller = self._call.client
        try:
            if caller.told is None or not answer:
                raise RemoteError(488, "the ACK brought no answer to our offer")
            caller.heard = check_answer(caller.told, Session.parse(answer))
        except RemoteError as error:
            self._call.lapsed(caller, error.reason, now)
            return
        self.reconnect()
        if self._step is not None and self._timer is None and self._hears is None:
            self._go_on(now)

    def _renegotiate(self, request: Request, tx: ServerTransaction, now: float) -> None:
        caller = self._call.client
        if caller.busy:
            caller.refuse(tx, 491, now)
            return
        headers = caller.timer.accept(request, now)
        offer = parse_offer(request.body)
        if offer is not None:
            body = self._answer_to(offer)
            caller.heard, caller.offered = offer, request.body
            self.reconnect()
        elif request.method == "INVITE":
            body = caller.told.encode() if caller.told is not None else b""
            caller.on_ack = self._acknowledged
        else:
            body = b""
        if request.method == "INVITE":
            caller.accept(tx, now, body, headers)
            return
        tx.respond(caller.reply_to(request, 200, headers, body), now)

    # -- one step -----------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        """Play the step's next sound; after the last wait for a key, or be done."""
        step = self._step
        if self._sounds:
            sound, *rest = self._sounds
            self._sounds = tuple(rest)
            self._call.draft.step(f"play {sound}", to=(self._call.label,))
            self._serial += 1
            self._show(Sound(sound, serial=self._serial))
            self._wait(LONGEST, now)
        elif isinstance(step, Collect):
            self._show(None)
            self._wait_for_key(step, now)
        else:
            self._over("played", 200, now)

    def _show(self, hears: Sound | None) -> None:
        self._hears = hears
        self._alone()

    def _alone(self, renewed: bool = False) -> None:
        call = self._call
        call.media.alone(call.client, call.side, self._hears, self._collects, renewed)

    def _wait_for_key(self, step: Collect, now: float) -> None:
        seconds = step.wait(self._keys)
        if seconds > 0:
            self._wait(seconds, now)
        else:
            self._collected(now)

    def _collected(self, now: float) -> None:
        self._over("keys" if self._keys else "no_key", 200 if self._keys else 408, now)

    def _wait(self, seconds: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._call.context.timers.arm(now + seconds, self._waited)

    def _waited(self, now: float) -> None:
        self._timer = None
        if self._hears is None:
            self._collected(now)
        else:  # the sound never ended
            self._over("failed", 500, now)

    def _over(self, word: str, status: int, now: float) -> None:
        keys, self._hears = self._keys, None
        self.stop()
        self._call.resume(Outcome(word, status, now, keys), now)
