"""Keys a phone's user presses: as RFC 4733 events, or as tones in speech where it has no events."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Final

from appliance.call.actions import Codec
from appliance.errors import RemoteError
from appliance.rtp.dtmf import FRAME, DtmfDetector
from appliance.rtp.g711 import decode_alaw, decode_ulaw
from appliance.rtp.packet import RtpPacket
from appliance.rtp.telephone_event import TelephoneEvent

DIGITS_PER_SECOND = 20
"""From one phone: RFC 4733 and Q.24 want 40 ms of tone and 40 ms of pause at least."""
EVENT: Final = "TELEPHONE-EVENT"
_LONGEST: Final = 0xFFFF
_GAP_LIMIT: Final = 5
"""Frames of silence at most that stand for lost packets."""
DECODE: Final = {"PCMU": decode_ulaw, "PCMA": decode_alaw}


class DigitCollector:
    """Tells each key of one phone once."""

    def __init__(self, codecs: Mapping[int, Codec], tell: Callable[[str], None]) -> None:
        """`codecs` are those the phone sends, by payload type."""
        self.codecs = codecs
        self._tell = tell
        self._event: tuple[int, int, int] | None = None
        self._length = 0
        self._over = False
        self._detector = DtmfDetector()
        self._samples: array[int] = array("h")
        self._expected: int | None = None
        self._second = 0.0
        self._told = 0

    def hear(self, packet: memoryview, now: float) -> None:
        """Take an RTP packet of the phone's."""
        codec = self.codecs.get(packet[1] & 0x7F) if len(packet) > 1 else None
        if codec is None:
            return
        is_event = codec.name == EVENT
        if not is_event and (codec.name not in DECODE or self._has_events):
            return
        try:
            parsed = RtpPacket.parse(bytes(packet))
            if is_event:
                self._hear_event(parsed, now)
            else:
                self._hear_speech(parsed, codec.name, now)
        except RemoteError:
            return

    @property
    def _has_events(self) -> bool:
        return any(codec.name == EVENT for codec in self.codecs.values())

    def _hear_event(self, packet: RtpPacket, now: float) -> None:
        event = TelephoneEvent.parse(packet.payload)
        place = (packet.ssrc, packet.timestamp, event.event)
        if not event.digit or self._is_known(place):
            self._length = max(self._length, event.duration)
            self._over = self._over or event.end
            return
        goes_on = self._is_next_segment(place)
        self._event, self._length, self._over = place, event.duration, event.end
        if not goes_on:
            self._press(event.digit, now)

    def _is_known(self, place: tuple[int, int, int]) -> bool:
        """Tell whether this is the last event again, or one before it come late."""
        if self._event is None or place[0] != self._event[0]:
            return False
        return (place[1] - self._event[1] & 0xFFFFFFFF) >= 1 << 31 or place[1] == self._event[1]

    def _is_next_segment(self, place: tuple[int, int, int]) -> bool:
        """Tell whether a key held for over 8 s goes on (RFC 4733, 2.5.1.3)."""
        if self._event is None or self._over:
            return False
        source, timestamp, event = self._event
        next_begin = timestamp + self._length & 0xFFFFFFFF
        return self._length >= _LONGEST - 480 and place == (source, next_begin, event)

    def _hear_speech(self, packet: RtpPacket, codec_name: str, now: float) -> None:
        samples = DECODE[codec_name](packet.payload)
        if self._expected is not None:
            gap = packet.timestamp - self._expected & 0xFFFFFFFF
            if gap >= 1 << 31:
                return
            self._samples.extend([0] * min(gap, _GAP_LIMIT * FRAME))
        self._expected = packet.timestamp + len(samples) & 0xFFFFFFFF
        self._samples.extend(samples)
        while len(self._samples) >= FRAME:
            frame = self._samples[:FRAME]
            del self._samples[:FRAME]
            digit = self._detector.hear(frame)
            if digit:
                self._press(digit, now)

    def _press(self, digit: str, now: float) -> None:
        if now - self._second >= 1.0:
            self._second, self._told = now, 0
        self._told += 1
        if self._told <= DIGITS_PER_SECOND:
            self._tell(digit)
