"""DTMF as named events in RTP (RFC 4733, 2.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from appliance.errors import RemoteError

DIGITS = "0123456789*#ABCD"
"""The digit of event number 0 to 15 (RFC 4733, table 3)."""
END_PACKETS = 3
"""How often the last packet of an event is sent (RFC 4733, 2.5.1.4)."""

_PAYLOAD = struct.Struct(">BBH")


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one packet of an event."""

    event: int
    """0 to 15 are DTMF digits, 16 is flash."""
    duration: int
    """Timestamp units since the event began."""
    end: bool = False
    volume: int = 10
    """Tone level as -dBm0, 0 to 63."""

    @classmethod
    def parse(cls, payload: bytes) -> TelephoneEvent:
        """Read a payload; raises RemoteError(400) when it is too short."""
        if len(payload) < _PAYLOAD.size:
            raise RemoteError(400, "RTP: a telephone event has four bytes")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event, duration, bool(flags & 0x80), flags & 0x3F)

    def encode(self) -> bytes:
        """Write the payload."""
        flags = (0x80 if self.end else 0) | self.volume & 0x3F
        return _PAYLOAD.pack(self.event, flags, min(self.duration, 0xFFFF))

    @property
    def digit(self) -> str:
        """The DTMF digit, `` for other events."""
        return DIGITS[self.event] if self.event < len(DIGITS) else ""


def press(digit: str, milliseconds: int = 100, ptime: int = 20) -> list[TelephoneEvent]:
    """Return what is sent for one key, a payload every `ptime` milliseconds, then the end.

    All go out with the same timestamp, at a clock of 8000 Hz.
    """
    event = DIGITS.index(digit.upper())
    steps = range(ptime, milliseconds + 1, ptime)
    begun = [TelephoneEvent(event, step * 8) for step in steps]
    return begun + [TelephoneEvent(event, milliseconds * 8, end=True)] * END_PACKETS
