"""One leg of a stream: our ports towards one phone, its keys, and who listens to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from appliance.call.actions import Keys, RelaySide
from appliance.call.record import MediaCounters
from appliance.media.address import Address, Source
from appliance.media.buffer import VIEW
from appliance.media.loop import Loop
from appliance.media.port import Judge, Port
from appliance.media.srtp import SUITES, Inbound, SrtpReceiver, SrtpSender
from appliance.rtp.packet import is_rtcp, is_rtp

Listener = Callable[[memoryview, float], None]
"""Gets a clear packet, good until it returns, and the monotonic second of its arrival."""


class Leg:
    """Our RTP and RTCP ports towards one phone."""

    def __init__(self, loop: Loop, local: Address, resumed: bool = False) -> None:
        """Bind both ports; raises OSError with neither of them held.

        `resumed`: the call may be older than this process.
        """
        address, port = local
        self._loop = loop
        self._learn_from = ""
        self._fax = False
        self._proof: SrtpReceiver | None = None
        self.receives: Keys | None = None
        self.sends: Keys | None = None
        self.muxed = False
        """Whether the phone has RTP and RTCP on one port (RFC 5761)."""
        self.inbound: Inbound | None = None
        """Opens what the phone sends; only while somebody needs it open."""
        self.outbound: SrtpSender | None = None
        """Protects what the phone is sent; only when that is not protected already."""
        self.disguise = int.from_bytes(os.urandom(4), "big") if resumed else 0
        """Changes the sources that the phone is told when we protect packets for it: nobody knows
        how far rollover counters were in an earlier life; those of other sources begin at 0."""
        self.listeners: tuple[Listener, ...] = ()
        """Who gets every RTP packet of the phone's; then none goes on as it is, unread."""
        self.sampler: Listener | None = None
        """Who gets a sample of the RTP packets that are translated."""
        self.reporters: tuple[Listener, ...] = ()
        """Who gets every RTCP packet that is translated."""
        self.suspect = False
        """Whether packets must prove themselves although they pass as they are."""
        self.rtp = Port(loop, local)
        try:
            self.rtcp = Port(loop, (address, port + 1), is_busy=False)
        except (OSError, OverflowError):
            self.rtp.close()
            raise

    def apply(
        self,
        side: RelaySide,
        before: RelaySide | None,
        newer: bool,
        known: Mapping[Address, Address] | None = None,
    ) -> None:
        """Make ports and keys as wanted; raises OSError for an address that cannot be used.

        `known`: where the phone of each port of ours was learnt to be before we began.
        """
        if side == before and not (newer and side.learn):
            return
        self.suspect = self.suspect and not newer
        self.muxed = side.remote is not None and side.remote_rtcp == side.remote
        self._change_keys(side)
        rtcp = _rtcp_address(side)
        if side.learn:
            self._learn_from, self._fax = side.learn_from, side.fax
            self._proof = _proof(side.receives)
            known = known or {}
            _learn(self.rtp, self._shows_rtp, side.remote, known)
            _learn(self.rtcp, self._shows_rtcp, rtcp, known)
        else:
            _name(self.rtp, side.remote)
            _name(self.rtcp, rtcp)

    def forget_inbound(self) -> None:
        """Begin anew with what opens packets: it has not seen the last 32,768 of them."""
        self.inbound = None

    def open_inbound(self, needed: bool) -> None:
        """Have what opens the phone's packets, or forget it; raises LocalError."""
        if not needed or self.receives is None:
            self.inbound = None
        elif self.inbound is None:
            self.inbound = Inbound(self.receives)
        else:
            self.inbound.change(self.receives, self._loop.now)

    def open_outbound(self) -> None:
        """Have what protects packets for the phone, if it wants that; raises LocalError.

        It lives as long as its key: begun anew it would repeat the key stream.
        """
        if self.outbound is None and self.sends is not None:
            self.outbound = SrtpSender(self.sends)

    def shut(self) -> None:
        """Take and send nothing."""
        self.rtp.shut()
        self.rtcp.shut()

    def close(self) -> None:
        """Give both ports back."""
        self.rtp.close()
        self.rtcp.close()
        self.listeners = self.reporters = ()
        self.sampler = None

    @property
    def heard(self) -> int:
        """Packets of both kinds from the phone."""
        return self.rtp.packets + self.rtcp.packets

    @property
    def counters(self) -> MediaCounters:
        """RTP received from the phone; strangers' and refused packets on both ports."""
        rtp, rtcp = self.rtp, self.rtcp
        return MediaCounters(
            packets=rtp.packets,
            octets=rtp.octets,
            dropped=rtp.dropped + rtcp.dropped,
            refused=rtp.refused + rtcp.refused,
        )

    def _change_keys(self, side: RelaySide) -> None:
        self.receives = side.receives
        if side.sends != self.sends:
            self.sends, self.outbound = side.sends, None

    def _shows_rtp(self, packet: memoryview, source: Source) -> bool:
        if not (self._fax or is_rtp(packet)) or self._learn_from not in ("", source[0]):
            return False
        return self._proof is None or self._is_proven(self._proof, packet)

    def _is_proven(self, proof: SrtpReceiver, packet: memoryview) -> bool:
        """Let nobody take the phone's place who has not its key; the packet stays as it is."""
        kept = bytes(packet)
        opened = proof.rtp(len(kept), self._loop.now)
        VIEW[: len(kept)] = kept
        return opened > 0

    def _shows_rtcp(self, packet: memoryview, source: Source) -> bool:
        """Accept RTCP only from the host whose RTP was learnt."""
        learnt = self.rtp.learnt
        return learnt is not None and source[0] == learnt[0] and is_rtcp(packet)


def _proof(keys: Keys | None) -> SrtpReceiver | None:
    """Return what tells the phone from others, where its suite is one that we can open."""
    return SrtpReceiver(keys) if keys is not None and keys.suite in SUITES else None


def _learn(
    port: Port, judge: Judge, remote: Address | None, known: Mapping[Address, Address]
) -> None:
    if port.local in known:
        port.recall(remote, known[port.local])
    else:
        port.learn(judge, remote)


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
