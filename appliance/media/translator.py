"""One direction of a stream: straight, packets passing as they are, or translated (RFC 3550, 7.1).

To translate is to open a packet with its sender's keys, show it to who listens, and protect it
with its receiver's keys, all in the packet buffer. Where both keys are the same the packet goes on
as it came.
"""

from __future__ import annotations

from appliance.media.buffer import BUFFER, VIEW
from appliance.media.leg import Leg
from appliance.media.loop import Loop
from appliance.media.srtp import SUITES
from appliance.rtp.disguise import disguise_rtcp, disguise_rtp
from appliance.rtp.packet import HEADER_SIZE, is_rtcp
from appliance.rtp.sampled import SAMPLE_MASK

_MARKER = 0x80
"""In the second byte of RTP: here begins a talkspurt (RFC 3551, 4.1)."""


class Translator:
    """From one leg's phone to the other's; `target` None: packets end here."""

    def __init__(self, loop: Loop, source: Leg, target: Leg | None) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._same_keys = False
        self._muted = False
        self._beginning = False
        self.is_straight = False
        """Whether RTP passes as it is, and nobody in user space needs to see it."""

    def join(self) -> None:
        """Find the shortest way for packets, after any change; raises LocalError for bad keys."""
        source, target = self._source, self._target
        same_mux = target is not None and source.muxed == target.muxed
        self._same_keys = target is not None and source.receives == target.sends
        passes = self._same_keys and same_mux
        was_straight, self.is_straight = (
            self.is_straight,
            passes and not (source.listeners or source.suspect or self._muted or self._beginning),
        )
        if was_straight and not self.is_straight:
            source.forget_inbound()
        source.open_inbound(not self.is_straight)
        if target is not None and not self._same_keys:
            target.open_outbound()
        source.rtp.lead(target.rtp if target else None)
        source.rtcp.lead(target.rtcp if target else None)
        can_check = source.receives is not None and source.receives.suite in SUITES
        source.rtp.alarm(self._suspect if self.is_straight and can_check else None)
        source.rtp.divert(None if self.is_straight else self.rtp)
        source.rtcp.divert(None if passes else self.rtcp)

    def mute(self, muted: bool) -> None:
        """Keep the target from hearing the source, or let it again; `join` must follow."""
        # Under keys that pass from end to end nothing in a packet can be changed.
        if self._muted != muted:
            self._beginning = not muted and self._source.receives is None
        self._muted = muted

    def rtp(self, size: int) -> bool:
        """Translate the packet on an RTP port; False: it is not the phone's."""
        source, now = self._source, self._loop.now
        if source.muxed and is_rtcp(VIEW[:size]):
            return self.rtcp(size)
        kept = None
        if source.inbound is not None:
            if self._same_keys:
                kept = bytes(VIEW[:size])
            size = source.inbound.rtp(size, now)
            if not size:
                return False
        if source.sampler is not None and not BUFFER[3] & SAMPLE_MASK:
            source.sampler(VIEW[:size], now)
        for listen in source.listeners:
            listen(VIEW[:size], now)
        if self._target is not None and not self._muted:
            if self._beginning:
                self._begin()
            self._send(self._target, size, kept)
        return True

    def rtcp(self, size: int) -> bool:
        """Translate the packet on an RTCP port; False: it is not the phone's."""
        source, target = self._source, self._target
        kept = None
        if source.inbound is not None:
            kept = bytes(VIEW[:size]) if self._same_keys else None
            size = source.inbound.rtcp(size)
            if not size:
                return False
        for report in source.reporters:
            report(VIEW[:size], self._loop.now)
        if target is None:
            return True
        port = target.rtp if target.muxed else target.rtcp
        if kept is None and not self._same_keys:
            size = self._protect_rtcp(target, size)
        if size:
            port.send(kept or VIEW[:size])
        return True

    def _protect_rtcp(self, target: Leg, size: int) -> int:
        source = self._source
        mine = target.disguise if target.outbound is not None else 0
        theirs = source.disguise if source.outbound is not None else 0
        if mine or theirs:
            disguise_rtcp(VIEW[:size], mine, theirs)
        return target.outbound.rtcp(size) if target.outbound is not None else size

    def _send(self, target: Leg, size: int, kept: bytes | None) -> None:
        if kept is None and not self._same_keys and target.outbound is not None:
            if target.disguise and size >= HEADER_SIZE:
                disguise_rtp(VIEW[:size], target.disguise)
            size = target.outbound.rtp(size)
        if size:
            target.rtp.send(kept or VIEW[:size])

    def _suspect(self) -> None:
        """Check packets that pass as they are: somebody floods us in the phone's name."""
        self._source.suspect = True
        self.join()

    def _begin(self) -> None:
        """Tell the phone that its jitter buffer may begin anew, and go the shortest way again."""
        self._beginning = False
        BUFFER[1] |= _MARKER
        self.join()
