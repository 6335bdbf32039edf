"""A call's audio: which ports it uses, what SDP each side gets, which relays must exist."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.call.actions import DropRelay, PutRelay, Relay, RelaySide
from appliance.call.context import CallContext
from appliance.call.leg import Leg
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import (
    check_answer,
    check_offer,
    relayed,
    remote_media,
    versioned,
)
from appliance.sdp.session import Origin, Session

CALLER, CALLEE = 0, 1


class CallMedia:
    """Ports of the caller's and of the callee's side, a pair for each m-line of the session."""

    def __init__(self, context: CallContext, call_id: str) -> None:
        self._context = context
        self._call_id = call_id
        self._ports: tuple[list[int], list[int]] = ([], [])
        self._relays: dict[str, Relay] = {}
        self._revision = 0

    @property
    def relays(self) -> list[Relay]:
        """The relays that must exist now."""
        return list(self._relays.values())

    def offer(self, offer: Session, offering: Leg, to: Leg, side: int) -> bytes:
        """Return the SDP that passes `offering`'s offer on to `to`.

        Raises RemoteError 488 where policy forbids it, Unavailable when no RTP port is left.
        """
        lines = check_offer(offer, self._context.policies.srtp, offering.heard)
        return self._tell(offer, lines, to, side)

    def answer(self, answer: Session, answering: Leg, to: Leg, side: int) -> bytes:
        """Return the SDP that passes `answering`'s answer on to `to`; raises as `offer` does."""
        if answering.told is None:
            raise RemoteError(488, "an answer to an offer nobody made")
        checked = check_answer(answering.told, answer)
        lines = tuple(index for index, media in enumerate(checked.media) if media.port)
        return self._tell(checked, lines, to, side)

    def connect(self, caller: Leg, callee: Leg) -> None:
        """Make the relays fit what both sides said last."""
        sides = (self._sides(caller, CALLER), self._sides(callee, CALLEE))
        self._revision += 1
        wanted = {}
        for index, (a, b) in enumerate(zip(*sides, strict=False)):
            if a is None or b is None:
                continue
            key = f"{self._call_id}/{index}"
            wanted[key] = Relay(key, self._revision, a, b)
        for key in self._relays.keys() - wanted.keys():
            self._context.emit(DropRelay(key))
        for relay in wanted.values():
            self._context.emit(PutRelay(relay))
        self._relays = wanted

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
        relay = self._relays.get(f"{self._call_id}/{index}")
        if relay is not None:
            moved = _moved(relay, side, new, self._revision)
            self._relays[relay.key] = moved
            self._context.emit(PutRelay(moved))
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

    def close(self) -> int:
        """End all relays and give the ports back; return how many relays will still report."""
        for key in self._relays:
            self._context.emit(DropRelay(key))
        for ports in self._ports:
            for port in ports:
                self._context.ports.release(port)
            ports.clear()
        count = len(self._relays)
        self._relays = {}
        return count

    def _tell(self, session: Session, lines: tuple[int, ...], leg: Leg, side: int) -> bytes:
        address = leg.flow.local[0]
        ports = self._take(side, len(session.media))
        local = {index: (address, ports[index]) for index in lines}
        origin = Origin(leg.session_id, 1)
        policy = self._context.policies.srtp
        leg.told = versioned(relayed(session, local, origin, policy), leg.told)
        return leg.told.encode()

    def _take(self, side: int, count: int) -> list[int]:
        ports = self._ports[side]
        while len(ports) < count:
            port = self._context.ports.take()
            if port is None:
                raise Unavailable("every RTP port is in use")
            ports.append(port)
        return ports

    def _sides(self, leg: Leg, side: int) -> list[RelaySide | None]:
        """Return what each m-line of the leg's last SDP means for its end of the relay."""
        if leg.heard is None:
            return []
        ports = self._ports[side]
        sides: list[RelaySide | None] = []
        for port, line, media in zip(ports, leg.heard.media, remote_media(leg.heard), strict=False):
            if not line.port:
                sides.append(None)
                continue
            # An SDP that names another host than the one that signals comes from behind a NAT.
            host = leg.flow.remote[0]
            behind_nat = media.rtp is not None and media.rtp[0] != host
            local = (leg.flow.local[0], port)
            sides.append(RelaySide(local, media.rtp, media.rtcp, learn=behind_nat, learn_from=host))
        return sides


def _moved(relay: Relay, side: int, port: int, revision: int) -> Relay:
    end = relay.a if side == CALLER else relay.b
    if end is None:
        return relay
    end = replace(end, local=(end.local[0], port))
    if side == CALLER:
        return replace(relay, revision=revision, a=end)
    return replace(relay, revision=revision, b=end)


def parse_offer(body: bytes) -> Session | None:
    """Parse the SDP of an INVITE, None for a late offer.

    Raises RemoteError 400 or 488 with the reason.
    """
    if not body:
        return None
    session = Session.parse(body)
    if not session.media:
        raise RemoteError(488, "the offer has no media")
    return session
