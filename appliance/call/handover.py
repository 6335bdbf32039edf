"""One of two that talk is to be replaced: what is common to all ways (C5, C6; RFC 3891).

Nothing is given up before the party that stays has agreed to talk with who comes: its ports, its
relay and the leg that leaves are kept until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.call.attempt import Attempt
from appliance.call.caller import dismiss
from appliance.call.context import CallContext
from appliance.call.joining import Joined, Joining
from appliance.call.leg import Leg, LegOwner
from appliance.call.media import CallMedia
from appliance.call.party import Party
from appliance.call.record import RecordDraft
from appliance.call.relays import opposite
from appliance.call.saved import SavedPark
from appliance.errors import RemoteError
from appliance.sdp.session import Session
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request

HARMLESS = ("UPDATE", "INFO", "OPTIONS")
"""Methods that are answered 200 and passed on to nobody while it is open who talks with whom."""


class HandoverOwner(LegOwner, Protocol):
    """The call, as its handover sees it."""

    context: CallContext
    media: CallMedia
    draft: RecordDraft
    legs: list[Leg | None]
    party: Party
    transfers: int

    @property
    def talks(self) -> bool:
        """Tell whether two talk here, and none of them is to be replaced."""
        ...

    @property
    def handing_on(self) -> bool:
        """Tell whether one of the two is to be replaced."""
        ...

    @property
    def caller(self) -> Leg:
        """The party whose INVITE began the call."""
        ...

    def hand_on(self, handover: Handover) -> None:
        """Begin to look for somebody in place of one of the two."""
        ...

    def replace(self, side: int, comes: Leg, text: str) -> None:
        """Let a leg take part in place of the one on this side."""
        ...

    def rejoin(self, now: float) -> None:
        """Let the two talk again."""
        ...

    def end(self, who: str, reason: str, now: float, status: int = 500, told: str = "") -> None:
        """End the call on both sides; phones that ring are `told` that reason."""
        ...

    def release(self, leg: Leg, reason: str, now: float) -> None:
        """End the call but for a leg that talks in another one."""
        ...


class Handover:
    """Put somebody in the place of one party."""

    def __init__(self, call: HandoverOwner, leaves: Leg) -> None:
        self.call = call
        self.context, self.media, self.draft = call.context, call.media, call.draft
        self.leaves = leaves
        self.side = call.legs.index(leaves)
        stays = call.legs[opposite(self.side)]
        if stays is None:
            raise AssertionError("a handover needs two that talk")
        self.stays = stays
        self.attempt: Attempt | None = None
        """What reaches somebody for the party that stays, if it has to be looked for."""
        self.comes: Leg | None = None
        """Who has been found."""
        self.joining: Joining | None = None
        self._agreed = stays.told, stays.heard

    # -- for those who know how it is to go ---------------------------------------------------

    def join(self, comes: Leg, now: float, done: Joined) -> None:
        """Tell the party that stays with whom it is to talk; `done` gets its answer or refusal."""
        stays, side = self.stays, opposite(self.side)

        def offer() -> bytes:
            if comes.heard is None:
                raise RemoteError(488, "who comes has said nothing of its audio")
            return self.media.offer(comes.heard, comes, stays, side)

        def joined(status: int, session: Session | None, now: float) -> None:
            self.joining = None
            if status == 408:
                text = "the phone did not answer when it was to talk with somebody else"
                self.call.lapsed(stays, text, now)
                return
            done(status, session, now)

        self.joining = Joining(self.call, stays, side, offer, joined)
        self.joining.start(now)

    def unchanged(self) -> bool:
        """Tell whether the party that stays was told nothing new, and has said nothing new."""
        return (self.stays.told, self.stays.heard) == self._agreed

    def back_together(self, now: float, done: Callable[[float], None]) -> None:
        """Let the two talk again; end the call where they cannot."""

        def rejoined(status: int, session: Session | None, now: float) -> None:
            if status != 200:
                text = f"{self.stays.extension} would not go back to who it talked with ({status})"
                self.call.end("system", text, now)
                return
            self.detach(now)
            self.call.rejoin(now)
            done(now)

        self.media.take_back()
        if self.unchanged():
            rejoined(200, None, now)
        else:
            self.join(self.leaves, now, rejoined)

    def detach(self, now: float) -> None:
        """Let go of everything that is under way."""
        if self.joining is not None:
            self.joining.stop()
            self.joining = None
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.stop(now)
            attempt.close()

    @property
    def waits_at(self) -> SavedPark | None:
        """Return where the party that stays waits for somebody, if it does."""
        attempt = self.attempt
        if attempt is None or attempt.parked is None:
            return None
        waits, until = attempt.parked, attempt.parked_until
        side = opposite(self.side)
        return SavedPark(waits.place, waits.left, until, side, self.leaves.ended)

    @property
    def found(self) -> list[Leg]:
        """Return who has been found and answered, though nobody talks with it yet."""
        comes = self.comes
        return [comes] if comes is not None and comes.owner is self.call and comes.heard else []

    # -- what may happen meanwhile ------------------------------------------------------------

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request of a party: who waits may change how it talks with us, nobody else."""
        terminal = self.attempt.terminal if self.attempt is not None else None
        offers = request.method == "INVITE" or bool(request.body and request.method == "UPDATE")
        if leg is self.stays and terminal is not None and self.joining is None:
            terminal.received(request, tx, now)
        elif offers:
            leg.refuse(tx, 491, now)
        else:
            leg.refuse(tx, 200 if request.method in HARMLESS else 501, now)

    def left(self, leg: Leg, now: float) -> bool:
        """Take that a leg has ended; return whether the call goes on without it."""
        if leg is self.leaves:
            self.draft.step(f"{leg.extension} hung up", leg.extension)
            return True
        if leg is self.comes:
            self.comes = None
            self.lost(now)
            return True
        return False

    def lost(self, now: float) -> None:
        """Take that who was found is gone again; if `joining` is under way it goes on."""

    def stop(self, now: float) -> None:
        """End: the call is over."""
        self.detach(now)
        if self.comes is not None:
            dismiss(self.comes, 487, now)
