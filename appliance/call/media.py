"""A call's audio: which ports it uses, what SDP each side gets, which relays must exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from appliance.call.actions import DropRelay, PutRelay, Relay, RelaySide, Sound
from appliance.call.codecs import PLAYABLE, codecs_of, playable
from appliance.call.context import CallContext
from appliance.call.leg import Leg
from appliance.call.line import passable, shown
from appliance.call.own_media import own_offer
from appliance.call.relays import CALLEE, CALLER, moved, protection_of, with_keys, with_us
from appliance.call.saved import SavedMedia
from appliance.call.security import answered, keys_of, offered, protectable
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import (
    HELD,
    RemoteMedia,
    check_answer,
    check_offer,
    direction_of,
    relayed,
    remote_media,
    reply_to,
    turned,
    versioned,
)
from appliance.sdp.protection import without_keys
from appliance.sdp.session import Direction, Media, Origin, Session

MUSIC = Sound("music", loop=True)


class End(NamedTuple):
    """One leg's end of a stream, and which way its phone wants it."""

    side: RelaySide
    direction: Direction
    holds: bool
    """Whether the phone does not want to hear the other one, for now."""


class CallMedia:
    """Ports of the caller's and of the callee's side, a pair for each m-line of the session."""

    def __init__(self, context: CallContext, call_id: str, note: Callable[[str], None]) -> None:
        """`note` adds a line to the call's record."""
        self._context = context
        self._call_id = call_id
        self._note = note
        self._ports: tuple[list[int], list[int]] = ([], [])
        self._kept: tuple[int, list[int]] | None = None
        """A side, and the ports of the leg there that somebody else is to take the place of."""
        self._turn = 0
        """How many legs have been replaced: each pair has relays, and so counters, of its own."""
        self._relays: dict[str, Relay] = {}
        self._revision = 0
        self._protection = ""

    @property
    def relays(self) -> list[Relay]:
        """The relays that must exist now."""
        return list(self._relays.values())

    def offer(
        self,
        offer: Session,
        offering: Leg,
        to: Leg,
        side: int,
        lines: tuple[int, ...] | None = None,
    ) -> bytes:
        """Return the SDP that passes `offering`'s offer on to `to`.

        `lines` is what `check_offer` returned, where it was asked already. Raises RemoteError 488
        where a policy forbids it, Unavailable when no RTP port is left.
        """
        if lines is None:
            lines = check_offer(offer, offering.srtp, offering.heard)
        lines = protectable(lines, offer, to)
        media = list(offer.media)
        for index in lines:
            line = offered(passable(media[index], offering.line, to.line), to, index)
            if self._has_music(offer, line):
                line = turned(line, "sendonly")
            media[index] = line
        return self.tell(replace(offer, media=tuple(media)), lines, to, side)

    def offer_early(self, to: Leg, side: int) -> bytes:
        """Return our own offer to a leg outside (E2), for a caller without one; else nothing."""
        if to.line is None:
            return b""
        session = own_offer()
        media = [offered(passable(line, None, to.line), to, 0) for line in session.media]
        return self.tell(replace(session, media=tuple(media)), (0,), to, side)

    def offer_onward(self, answer: Session, answering: Leg, to: Leg, side: int) -> bytes:
        """Return what a callee has said as the offer to a caller, `to`, that made none.

        It is an answer where `offer_early` made an offer; then `to` gets keys of our own.
        """
        if answering.line is None or answering.told is None:
            return self.offer(answer, answering, to, side)
        checked = check_answer(answering.told, answer)
        media = tuple([without_keys(line) for line in checked.media])
        return self.offer(replace(checked, media=media), answering, to, side)

    def answer(self, answer: Session, answering: Leg, to: Leg, side: int, offer: Session) -> bytes:
        """Return the SDP that passes `answering`'s answer on to `to`, whose offer it answers.

        Raises as `offer` does.
        """
        if answering.told is None:
            raise RemoteError(488, "an answer to an offer nobody made")
        checked = check_answer(answering.told, answer)
        lines = tuple([index for index, line in enumerate(checked.media) if line.port])
        media = list(checked.media)
        for index in lines:
            asked = offer.media[index]
            line = answered(media[index], asked, to, index)
            given, wanted = direction_of(checked, line), direction_of(offer, asked)
            if wanted in ("sendrecv", "recvonly") and self._has_music(checked, line):
                line = turned(line, "sendonly")
            elif reply_to(wanted, given) != given:
                line = turned(line, reply_to(wanted, given))
            media[index] = line
        return self.tell(replace(checked, media=tuple(media)), lines, to, side)

    def connect(self, caller: Leg, callee: Leg) -> None:
        """Make the relays fit what both sides said last."""
        ends = (self._ends(caller, CALLER), self._ends(callee, CALLEE))
        self._revision += 1
        wanted = {}
        for index, (a, b) in enumerate(zip(*ends, strict=False)):
            if a is None or b is None:
                continue
            key = self._key(index)
            a_side, b_side = self._entertained(a, b), self._entertained(b, a)
            a_side = with_keys(a_side, b_side, callee.line is not None)
            sides = a_side, with_keys(b_side, a_side, caller.line is not None)
            wanted[key] = Relay(key, self._revision, *sides)
        for key in self._relays.keys() - wanted.keys():
            self._context.emit(DropRelay(key))
        for relay in wanted.values():
            self._context.emit(PutRelay(relay))
        self._relays = wanted
        self._note_protection()

    def alone(
        self, leg: Leg, side: int, hears: Sound | None, digits: bool, renewed: bool = False
    ) -> None:
        """Make one relay with nobody but us at its other end; `renewed` after an offer/answer."""
        if renewed or not self._revision:
            self._revision += 1
        ends = self._ends(leg, side)
        index, end = next(((at, end) for at, end in enumerate(ends) if end), (0, None))
        if end is None:
            return
        key = self._key(index)
        us = replace(end.side, hears=hears, digits=digits)
        before, gone = self._relays.get(key), self._relays.keys() - {key}
        self._relays = {key: with_us(before, key, self._revision, us, side)}
        for other in gone:
            self._context.emit(DropRelay(other))
        self._context.emit(PutRelay(self._relays[key]))
        self._note_protection()

    def put(self, relay: Relay) -> None:
        """Have a relay that exists as it is here."""
        self._relays[relay.key] = relay
        self._context.emit(PutRelay(relay))

    def vacate(self, side: int) -> None:
        """Keep a side's ports for the leg that has them: who is to take its place gets others."""
        if self._kept is None:
            ports = self._ports[side]
            self._kept = side, ports.copy()
            ports.clear()

    def take_back(self) -> None:
        """Give a side the ports again that were kept for it."""
        if self._kept is not None:
            side, kept = self._kept
            self._release(self._ports[side])
            self._ports[side].extend(kept)
            self._kept = None

    def settle(self) -> None:
        """Give up the ports that were kept: their leg has been replaced."""
        self._turn += 1
        if self._kept is not None:
            self._release(self._kept[1])
            self._kept = None

    def _release(self, ports: list[int]) -> None:
        for port in ports:
            self._context.ports.release(port)
        ports.clear()

    def _key(self, index: int) -> str:
        """Return a relay's name: the call's first, the m-line's number last."""
        turn = f"{self._turn}/" if self._turn else ""
        return f"{self._call_id}/{turn}{index}"

    def holds(self, port: int) -> bool:
        """Tell whether a port, or the one below it, is this call's."""
        return any(port & ~1 in ports for ports in self._ports)

    def move(self, port: int) -> tuple[int, int]:
        """Open the relay on another port than this; return which side it is, and the new port.

        Raises Unavailable when no RTP port is left. The side's phone has yet to be told.
        """
        taken = port & ~1
        side = CALLER if taken in self._ports[CALLER] else CALLEE
        new = self._context.ports.take()
        if new is None:
            raise Unavailable("every RTP port is in use")
        ports = self._ports[side]
        index = ports.index(taken)
        ports[index] = new
        self._context.ports.set_aside(taken)
        self._revision += 1
        relay = self._relays.get(self._key(index))
        if relay is not None:
            relay = moved(relay, side, new, self._revision)
            self._relays[relay.key] = relay
            self._context.emit(PutRelay(relay))
        return side, new

    def told_again(self, leg: Leg, side: int) -> bytes:
        """Return what the leg was told last, with the ports of now."""
        if leg.told is None:
            raise AssertionError("a phone to be told again that was told nothing")
        ports = self._ports[side]
        media = [
            replace(line, port=port) if line.port else line
            for line, port in zip(leg.told.media, ports, strict=False)
        ]
        leg.told = versioned(replace(leg.told, media=tuple(media)), leg.told)
        return leg.told.encode()

    def heard_again(self, leg: Leg, body: bytes) -> None:
        """Take a phone's answer to what it was told again; raises RemoteError if it is none."""
        if leg.told is not None:
            leg.heard = check_answer(leg.told, Session.parse(body))

    def save(self) -> SavedMedia:
        """Return what a restart needs to have the same ports and relays."""
        relays, ports = list(self._relays.values()), self._ports
        if self._kept is not None:
            side, kept = self._kept
            ports = (kept, ports[CALLEE]) if side == CALLER else (ports[CALLER], kept)
        return SavedMedia(ports, relays, self._revision, self._protection, self._turn)

    def resume(self, saved: SavedMedia) -> None:
        """Take up the relays of an earlier process; their ports must be claimed."""
        self._ports = saved.ports
        self._revision, self._protection = saved.revision, saved.protection
        self._turn = saved.turn
        self._relays = {relay.key: relay for relay in saved.relays}
        for relay in saved.relays:
            self._context.emit(PutRelay(relay))

    def says_anew(self, leg: Leg, body: bytes) -> bool:
        """Take a phone's answer to a refresh; return whether its audio goes or is kept otherwise.

        What is no answer is ignored: a refresh has nothing to agree on (RFC 4028, 7.4).
        """
        if not body or leg.told is None or leg.heard is None:
            return False
        try:
            session = check_answer(leg.told, Session.parse(body))
        except RemoteError:
            return False
        if _reached(session) == _reached(leg.heard):
            return False
        leg.heard = session
        return True

    def close(self) -> int:
        """End all relays and give the ports back; return how many relays will still report."""
        for key in self._relays:
            self._context.emit(DropRelay(key))
        self.take_back()
        for ports in self._ports:
            self._release(ports)
        count = len(self._relays)
        self._relays = {}
        return count

    def tell(self, session: Session, lines: tuple[int, ...], leg: Leg, side: int) -> bytes:
        """Return a description as the leg is told it: these lines lead to ports of ours.

        Raises Unavailable when no RTP port is left.
        """
        address = leg.flow.local[0]
        ports = self._take(side, len(session.media))
        local = {index: (address, ports[index]) for index in lines}
        origin = Origin(leg.session_id, 1)
        described = shown(relayed(session, local, origin), leg.line)
        leg.told = versioned(described, leg.told)
        return leg.told.encode()

    def _take(self, side: int, count: int) -> list[int]:
        ports = self._ports[side]
        while len(ports) < count:
            port = self._context.ports.take()
            if port is None:
                raise Unavailable("every RTP port is in use")
            ports.append(port)
        return ports

    def _ends(self, leg: Leg, side: int) -> list[End | None]:
        """Return what each m-line of the leg's last SDP means for its end of the relay."""
        heard, told = leg.heard, leg.told
        if heard is None or told is None:
            return []
        address, host = leg.flow.local[0], leg.flow.remote[0]
        ends: list[End | None] = []
        for port, line, ours, media in zip(
            self._ports[side], heard.media, told.media, remote_media(heard), strict=False
        ):
            if not line.port or not ours.port:
                ends.append(None)
                continue
            receives, sends = keys_of(ours, line)
            relay_side = RelaySide(
                (address, port),
                media.rtp,
                media.rtcp,
                # An SDP that names another host than the one that signals is from behind a NAT;
                # from an SBC it means what it says: audio often has a host of its own there.
                learn=leg.line is None and media.rtp is not None and media.rtp[0] != host,
                learn_from=host,
                receives=receives,
                sends=sends,
                codecs=codecs_of(line, ours),
                fax=line.is_fax,
            )
            ends.append(End(relay_side, media.direction, _holds(leg, len(ends), media)))
        return ends

    def _has_music(self, session: Session, line: Media) -> bool:
        """Tell whether the party that does not want to be heard gets music in its place.

        For `inactive` only: with `sendonly` the description says already that something comes.
        """
        return (
            direction_of(session, line) == "inactive"
            and self._context.policies.music_on_hold
            and playable(line)
        )

    def _entertained(self, end: End, other: End) -> RelaySide:
        """Return a side with music where the other phone holds it and its own listens (C4)."""
        side = end.side
        if (
            other.holds
            and end.direction in ("sendrecv", "recvonly")
            and side.remote is not None
            and self._context.policies.music_on_hold
            and any(codec.name in PLAYABLE for codec in side.codecs)
        ):
            return replace(side, hears=MUSIC)
        return side

    def _note_protection(self) -> None:
        said = "; ".join(filter(None, map(protection_of, self._relays.values())))
        if said != self._protection:
            self._protection = said
            self._note(said or "SRTP: no more")


def _holds(leg: Leg, index: int, media: RemoteMedia) -> bool:
    """Tell whether a phone holds the other one; one that only plays an announcement does not."""
    announces = media.direction == "sendonly" and media.rtp is not None
    leg.announces[index] = announces = announces and leg.announces.get(index, True)
    return media.direction in HELD and not announces


def _reached(session: Session) -> list[tuple[RemoteMedia, list[str]]]:
    """Return where and with which keys each stream reaches a phone."""
    keys = [line.crypto for line in session.media]
    return list(zip(remote_media(session), keys, strict=True))
