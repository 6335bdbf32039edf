"""One relayed stream: RTP and RTCP of two legs (or of one, ended by us), ports joined in pairs.

This is the user-space relay. A kernel relay stands beside it behind `ports.MediaPlane`: it takes
the same `call.actions.Relay` and answers with the same events.

Each direction is *straight*, packets passing as they are, or goes through a `Translator`: where
the legs' keys differ, somebody listens, or the other phone hears something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from appliance.call.actions import Relay, RelaySide
from appliance.call.events import RelayEnded
from appliance.call.record import MediaCounters
from appliance.errors import LocalError
from appliance.media.address import Address
from appliance.media.carried import Carried
from appliance.media.end_system import EndSystem, Studio
from appliance.media.flow import Flow
from appliance.media.leg import Leg
from appliance.media.loop import Loop
from appliance.media.port import Port
from appliance.media.quality import SIDES, RelayQuality
from appliance.media.translator import Translator
from appliance.rtp.quality import Side
from appliance.rtp.sampled import Place

DESCRIPTORS = 6
"""Of one relay: two RTP ports of two sockets each, two RTCP ports of one."""


class RelayedStream:
    """A relay as it is; `apply` makes it as wanted."""

    def __init__(
        self,
        loop: Loop,
        relay: Relay,
        studio: Studio | None = None,
        known: Mapping[Address, Address] | None = None,
        resumed: bool = False,
    ) -> None:
        """Open it; raises OSError or LocalError, with nothing held, when it cannot be had.

        `known`: where phones were learnt to be, by our port, before this process began. `resumed`:
        the call may have begun before.
        """
        self.key = relay.key
        self._loop = loop
        self._studio = studio or Studio(loop)
        self._ends: dict[Leg, EndSystem] = {}
        self._relay: Relay | None = None
        self._a = Leg(loop, relay.a.local, resumed)
        try:
            self._b = Leg(loop, relay.b.local, resumed) if relay.b else None
        except (OSError, OverflowError):
            self._a.close()
            raise
        self._legs = (self._a, self._b) if self._b else (self._a,)
        self._translators = [Translator(loop, self._a, self._b)]
        if self._b is not None:
            self._translators.append(Translator(loop, self._b, self._a))
        self.quality = RelayQuality(loop, self._legs)
        self._known = known or {}
        self.carried: Callable[[], Carried] = Carried
        """What the kernel has passed on beside us."""
        self._packets = 0
        self._heard_at = loop.now
        self._told = False
        try:
            self.apply(relay)
        except (OSError, LocalError):
            self.close()
            raise

    def fits(self, relay: Relay) -> bool:
        """Tell whether this can become `relay` without another port."""
        here = (self._a.rtp.local, self._b.rtp.local if self._b else None)
        return here == (relay.a.local, relay.b.local if relay.b else None)

    def apply(self, relay: Relay) -> None:
        """Make it as wanted; on OSError or LocalError it is shut until the next good one."""
        before = self._relay
        newer = before is None or relay.revision > before.revision
        try:
            self._a.apply(relay.a, before.a if before else None, newer, self._known)
            if self._b is not None and relay.b is not None:
                self._b.apply(relay.b, before.b if before else None, newer, self._known)
            self._attend(relay)
            for translator in self._translators:
                translator.join()
            self.quality.agree(relay)
        except (OSError, LocalError):
            self._relay = None
            for leg in self._legs:
                leg.shut()
            raise
        self._relay, self._known = relay, {}

    def close(self) -> RelayEnded:
        """Give all ports back and return the last counters."""
        a, b = self.counters
        ended = RelayEnded(self.key, self.quality.told(0, a), self.quality.told(1, b))
        for end in self._ends.values():
            end.close()
        self._ends.clear()
        for leg in self._legs:
            leg.close()
        return ended

    @property
    def is_straight(self) -> bool:
        """Tell whether nothing in user space needs to see its packets."""
        return all(translator.is_straight for translator in self._translators)

    @property
    def counters(self) -> tuple[MediaCounters, MediaCounters]:
        """What came from side a and from side b so far."""
        carried = self.carried()
        b = self._b.counters if self._b else MediaCounters()
        return _sum(self._a.counters, carried, 0), _sum(b, carried, 2)

    @property
    def flows(self) -> dict[int, Flow]:
        """What the kernel may carry, by way: nothing while we have to see packets ourselves."""
        if self._b is None or self._relay is None or not self.is_straight:
            return {}
        a, b = self._a, self._b
        ways = ((a.rtp, b.rtp), (a.rtcp, b.rtcp), (b.rtp, a.rtp), (b.rtcp, a.rtcp))
        return {way: flow for way, pair in enumerate(ways) if (flow := _flow(*pair)) is not None}

    @property
    def revision(self) -> int:
        """Of the relay it was made to last."""
        return self._relay.revision if self._relay else 0

    def silent_for(self, now: float, limit: float) -> float | None:
        """Return the seconds without any packet, once in each silence longer than `limit`."""
        packets = sum(leg.heard for leg in self._legs) + sum(self.carried().packets)
        if packets != self._packets:
            self._packets, self._heard_at, self._told = packets, now, False
            return None
        if self._told or now - self._heard_at < limit:
            return None
        self._told = True
        return now - self._heard_at

    def tell_again(self) -> None:
        """Let a silence that was told already be told to a core that has not heard of it."""
        self._told = False

    def _attend(self, relay: Relay) -> None:
        """Play, collect and record as each side asks; a phone we play to hears no other leg."""
        sides = (relay.a, relay.b)
        others = (relay.b, relay.a)
        for leg, side, other in zip(self._legs, sides, others, strict=False):
            if side is not None:
                self._attend_leg(leg, side, other)
        for translator, target in zip(self._translators, others, strict=False):
            translator.mute(target is not None and target.hears is not None)

    def _attend_leg(self, leg: Leg, side: RelaySide, other: RelaySide | None) -> None:
        end = self._ends.get(leg)
        if end is None and (side.hears or side.digits or side.record):
            name, heard = ("a", SIDES[1]) if leg is self._a else ("b", SIDES[0])
            place = partial(self._place, heard)
            end = self._ends[leg] = EndSystem(self._studio, self.key, name, leg, place)
        if end is not None:
            end.apply(side, other)
            leg.listeners = end.listeners

    def _place(self, side: Side) -> Place | None:
        return self.quality.place(side, self._loop.now)


def _flow(one: Port, other: Port) -> Flow | None:
    source, target = one.peer, other.peer
    if source is None or target is None:
        return None
    return Flow(source[:2], one.local, target[:2], other.local)


def _sum(counters: MediaCounters, carried: Carried, way: int) -> MediaCounters:
    if not carried.packets[way]:
        return counters
    return msgspec.structs.replace(
        counters,
        packets=counters.packets + carried.packets[way],
        octets=counters.octets + carried.octets[way],
    )
