"""Sounds on their way to phones: a packet every 20 ms for each, and one timer for all of them.

Players are spread over ten slots of 2 ms, so that five hundred of them are fifty packets at a time
and no burst that others wait for.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Final

from appliance.call.actions import Codec, Sound
from appliance.media.buffer import BUFFER, VIEW
from appliance.media.leg import Leg
from appliance.media.loop import Loop
from appliance.rtp.sampled import Place

PTIME: Final = 0.020
"""Seconds of sound in a packet."""
SLOTS: Final = 10
_SPACING: Final = PTIME / SLOTS
CATCH_UP: Final = 0.1
"""Seconds of sound sent at once after a stall; what a phone's jitter buffer might still use."""

_HEADER: Final = struct.Struct(">BBHII").pack_into
_STEP: Final = 160
"""Timestamp units in a packet: both G.711 codecs have a clock of 8000 Hz."""
_MARKER: Final = 0x80
_AHEAD: Final = 0x7FF0
"""Numbers by which a sound begins ahead of the stream in whose place it comes; 655 s of packets."""
_JUMP: Final = 0x4008


class SynchronizationSource:
    """Us, as one phone hears us: SSRC, sequence and timestamps over all sounds of a call."""

    __slots__ = ("_left", "_sent_at", "sequence", "ssrc", "timestamp")

    def __init__(self, place: Place | None = None) -> None:
        """Begin in the place of a stream that has come so far; None: before any other.

        Some phones do not care that the source is another one, and drop what seems to be older than
        the last they had (baresip 1.0). So timestamps go on, and numbers begin nearly half a circle
        ahead: then we look newer than the stream, and the stream newer than us when it is back.
        """
        # Unpredictable, as RFC 3550, 5.1 asks; numbers low, so that they do not wrap while a phone
        # may not have heard the first (RFC 3711, 3.3.1), and that a stream which follows ours, and
        # keeps to that as most do, looks newer.
        self.ssrc, self.timestamp, self.sequence = struct.unpack(">IIB", os.urandom(9))
        self._left = 0
        """Packets until the numbers have to jump, to stay half a circle away; 0: never."""
        if place is not None:
            self.timestamp = place.timestamp
            self.sequence = place.sequence + _AHEAD & 0xFFFF
            self._left = _AHEAD
        self._sent_at = 0.0

    def begin(self, now: float) -> None:
        """Let the timestamp pass over the time since the sound before."""
        if self._sent_at:
            steps = max(1, round((now - self._sent_at) / PTIME))
            self.timestamp = self.timestamp + steps * _STEP & 0xFFFFFFFF
        self._sent_at = now

    def put_header(self, payload_type: int) -> None:
        """Write the next packet's header into the buffer."""
        _HEADER(BUFFER, 0, 0x80, payload_type, self.sequence, self.timestamp, self.ssrc)
        self.sequence = self.sequence + 1 & 0xFFFF
        if self._left:
            self._left -= 1
            if self._left < 2:  # two jumps in a row: one of half a circle would be one back
                self.sequence = self.sequence + _JUMP & 0xFFFF
            if not self._left:
                self._left = _AHEAD

    def step(self, now: float) -> None:
        """Go on by one packet's time."""
        self.timestamp = self.timestamp + _STEP & 0xFFFFFFFF
        self._sent_at = now


class Player:
    """One sound for one phone, from its first packet to its last."""

    __slots__ = (
        "_frames",
        "_has_begun",
        "_leg",
        "_next",
        "_source",
        "codec",
        "ended",
        "slot",
        "sound",
    )

    def __init__(
        self,
        leg: Leg,
        source: SynchronizationSource,
        sound: Sound,
        codec: Codec,
        frames: tuple[bytes, ...],
        ended: Callable[[], None],
    ) -> None:
        self._leg = leg
        self._source = source
        self._frames = frames
        self._next = 0
        self._has_begun = False
        self.sound = sound
        self.codec = codec
        self.ended = ended
        self.slot: list[Player] | None = None
        """Where it stands among the players; None: it does not play."""

    def send(self, now: float) -> bool:
        """Send the next packet; False when that was the last one."""
        source, leg = self._source, self._leg
        marker = 0
        if not self._has_begun:
            self._has_begun = True
            source.begin(now)
            marker = _MARKER
        payload = self._frames[self._next]
        source.put_header(self.codec.payload_type | marker)
        size = 12 + len(payload)
        VIEW[12:size] = payload
        if leg.outbound is not None:
            size = leg.outbound.rtp(size)
        if size:
            leg.rtp.send(VIEW[:size])
        return self._go_on(now)

    def _go_on(self, now: float) -> bool:
        self._source.step(now)
        self._next += 1
        if self._next < len(self._frames):
            return True
        self._next = 0
        return self.sound.loop


class Players:
    """Everything that plays, by the loop's timer."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._slots: list[list[Player]] = [[] for _ in range(SLOTS)]
        self._turn = 0
        self._due = 0.0
        loop.on_timer(self._ring)

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def start(self, player: Player) -> None:
        """Play; its first packet goes within 20 ms."""
        if not len(self):
            self._due = self._loop.time()
            self._loop.wake_at(self._due)
        player.slot = min(self._slots, key=len)
        player.slot.append(player)

    def stop(self, player: Player) -> None:
        """Send no packet of it any more; `ended` is not called."""
        if player.slot is not None:
            player.slot.remove(player)
            player.slot = None

    def _ring(self, now: float) -> float | None:
        """Play the slots whose time has come; return when the next one's comes."""
        if now - self._due > CATCH_UP:
            self._due = now - CATCH_UP
        while self._due <= now:
            self._play(self._slots[self._turn], self._due)
            self._turn = (self._turn + 1) % SLOTS
            self._due += _SPACING
        return self._due if len(self) else None

    def _play(self, slot: list[Player], now: float) -> None:
        for player in tuple(slot):
            if player.slot is not None and not player.send(now):
                self.stop(player)
                player.ended()
