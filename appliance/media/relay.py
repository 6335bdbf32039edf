"""One relayed stream: RTP and RTCP of two legs (or of one, ended by us), ports joined in pairs.

This is the user-space relay. A kernel relay stands beside it behind `ports.MediaPlane`: it takes
the same `call.actions.Relay` and answers with the same events.

Each direction is *straight*, packets passing as they are, or goes through a `Translator`: where
the legs' keys differ, somebody listens, or the other phone hears something else.
"""

from __future__ import annotations

from appliance.call.actions import Relay
from appliance.call.events import RelayEnded
from appliance.call.record import MediaCounters
from appliance.errors import LocalError
from appliance.media.leg import Leg
from appliance.media.loop import Loop
from appliance.media.translator import Translator

DESCRIPTORS = 8
"""Of one relay: four ports with a guard and a live socket each."""


class RelayedStream:
    """A relay as it is; `apply` makes it as wanted."""

    def __init__(self, loop: Loop, relay: Relay) -> None:
        """Open it; raises OSError or LocalError, with nothing held, when it cannot be had."""
        self.key = relay.key
        self._relay: Relay | None = None
        self._a = Leg(loop, relay.a.local)
        try:
            self._b = Leg(loop, relay.b.local) if relay.b else None
        except (OSError, OverflowError):
            self._a.close()
            raise
        self._legs = (self._a, self._b) if self._b else (self._a,)
        self._translators = [Translator(loop, self._a, self._b)]
        if self._b is not None:
            self._translators.append(Translator(loop, self._b, self._a))
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
            self._a.apply(relay.a, before.a if before else None, newer)
            if self._b is not None and relay.b is not None:
                self._b.apply(relay.b, before.b if before else None, newer)
            for translator in self._translators:
                translator.join()
        except (OSError, LocalError):
            self._relay = None
            for leg in self._legs:
                leg.shut()
            raise
        self._relay = relay

    def close(self) -> RelayEnded:
        """Give all ports back and return the last counters."""
        ended = RelayEnded(self.key, *self.counters)
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
        return self._a.counters, self._b.counters if self._b else MediaCounters()

    def silent_for(self, now: float, limit: float) -> float | None:
        """Return the seconds without any packet, once in each silence longer than `limit`."""
        packets = sum(leg.heard for leg in self._legs)
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
