"""One relayed stream: RTP and RTCP of two legs (or of one, ended by us), ports joined in pairs.

This is the user-space relay. A kernel relay stands beside it behind `ports.MediaPlane`: it takes
the same `call.actions.Relay` and answers with the same events.
"""

from __future__ import annotations

from appliance.call.actions import Relay, RelaySide
from appliance.call.events import RelayEnded
from appliance.call.record import MediaCounters
from appliance.media.loop import Loop
from appliance.media.port import Address, Port, Source
from appliance.rtp.packet import is_rtcp, is_rtp

DESCRIPTORS = 8
"""Of one relay: four ports with a guard and a live socket each."""


class Leg:
    """Our RTP and RTCP ports towards one phone."""

    def __init__(self, loop: Loop, local: Address) -> None:
        """Bind both ports; raises OSError with neither of them held."""
        address, port = local
        self._learn_from = ""
        self.rtp = Port(loop, local)
        try:
            self.rtcp = Port(loop, (address, port + 1))
        except (OSError, OverflowError):
            self.rtp.close()
            raise

    def apply(self, side: RelaySide, before: RelaySide | None, newer: bool) -> None:
        """Make the ports as wanted; raises OSError when the phone's address cannot be used."""
        if side == before and not (newer and side.learn):
            return
        rtcp = _rtcp_address(side)
        if side.learn:
            self._learn_from = side.learn_from
            self.rtp.learn(self._shows_rtp, side.remote)
            self.rtcp.learn(self._shows_rtcp, rtcp)
        else:
            _name(self.rtp, side.remote)
            _name(self.rtcp, rtcp)

    def shut(self) -> None:
        """Take and send nothing."""
        self.rtp.shut()
        self.rtcp.shut()

    def close(self) -> None:
        """Give both ports back."""
        self.rtp.close()
        self.rtcp.close()

    @property
    def counters(self) -> MediaCounters:
        """RTP received from the phone; strangers' packets on both ports."""
        dropped = self.rtp.dropped + self.rtcp.dropped
        return MediaCounters(packets=self.rtp.packets, octets=self.rtp.octets, dropped=dropped)

    def _shows_rtp(self, packet: memoryview, source: Source) -> bool:
        return is_rtp(packet) and self._learn_from in ("", source[0])

    def _shows_rtcp(self, packet: memoryview, source: Source) -> bool:
        """Accept RTCP only from the host whose RTP was learnt."""
        learnt = self.rtp.learnt
        return learnt is not None and source[0] == learnt[0] and is_rtcp(packet)


class RelayedStream:
    """A relay as it is; `apply` makes it as wanted."""

    def __init__(self, loop: Loop, relay: Relay) -> None:
        """Open it; raises OSError with nothing held when a port or an address cannot be had."""
        self.key = relay.key
        self._relay: Relay | None = None
        self._a = Leg(loop, relay.a.local)
        try:
            self._b = Leg(loop, relay.b.local) if relay.b else None
        except (OSError, OverflowError):
            self._a.close()
            raise
        self._join()
        self._packets = 0
        self._heard_at = loop.now
        self._told = False
        try:
            self.apply(relay)
        except OSError:
            self.close()
            raise

    def fits(self, relay: Relay) -> bool:
        """Tell whether this can become `relay` without another port."""
        here = (self._a.rtp.local, self._b.rtp.local if self._b else None)
        return here == (relay.a.local, relay.b.local if relay.b else None)

    def apply(self, relay: Relay) -> None:
        """Make it as wanted; on OSError the stream is shut until the next good one."""
        before = self._relay
        newer = before is None or relay.revision > before.revision
        try:
            self._a.apply(relay.a, before.a if before else None, newer)
            if self._b is not None and relay.b is not None:
                self._b.apply(relay.b, before.b if before else None, newer)
        except OSError:
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
    def counters(self) -> tuple[MediaCounters, MediaCounters]:
        """What came from side a and from side b so far."""
        return self._a.counters, self._b.counters if self._b else MediaCounters()

    def silent_for(self, now: float, limit: float) -> float | None:
        """Return the seconds without any packet, once in each silence longer than `limit`."""
        packets = sum(leg.rtp.packets + leg.rtcp.packets for leg in self._legs)
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

    @property
    def _legs(self) -> tuple[Leg, ...]:
        return (self._a, self._b) if self._b else (self._a,)

    def _join(self) -> None:
        if self._b is None:
            return
        for one, other in ((self._a, self._b), (self._b, self._a)):
            one.rtp.onward = other.rtp
            one.rtcp.onward = other.rtcp


def _name(port: Port, remote: Address | None) -> None:
    if remote is None:
        port.shut()
    else:
        port.name(remote)


def _rtcp_address(side: RelaySide) -> Address | None:
    if side.remote is None or side.remote_rtcp is not None:
        return side.remote_rtcp
    address, port = side.remote
    return (address, port + 1) if port < 65535 else None
