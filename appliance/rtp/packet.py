"""RTP packets (RFC 3550, 5.1) and telling RTP from RTCP (RFC 5761, 4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from appliance.errors import RemoteError

HEADER_SIZE = 12
"""Bytes of the fixed header."""

_HEADER = struct.Struct(">BBHII")
_RTCP_TYPES = range(192, 224)
"""Second byte of an RTCP packet; as RTP it would be a marked payload type 64 to 95."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    """Profile number and data; whole 32-bit words."""

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Read a packet; raises RemoteError(400) when it is none or ends too early."""
        if not is_rtp(data):
            raise RemoteError(400, "RTP: no packet of version 2")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        start = HEADER_SIZE + 4 * (first & 0x0F)
        extension = None
        if first & 0x10:
            extension, start = _extension(data, start)
        end = len(data) - (data[-1] if first & 0x20 else 0)
        if start > end or (first & 0x20 and not data[-1]):
            raise RemoteError(400, "RTP: the packet ends within its header or padding")
        csrcs = struct.unpack_from(f">{first & 0x0F}I", data, HEADER_SIZE)
        return cls(
            second & 0x7F,
            sequence,
            timestamp,
            ssrc,
            data[start:end],
            bool(second & 0x80),
            csrcs,
            extension,
        )

    def encode(self) -> bytes:
        """Write the packet, without padding."""
        first = 0x80 | len(self.csrcs) | (0x10 if self.extension else 0)
        second = self.payload_type | (0x80 if self.marker else 0)
        head = _HEADER.pack(
            first,
            second,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        csrcs = struct.pack(f">{len(self.csrcs)}I", *self.csrcs)
        if self.extension is None:
            return head + csrcs + self.payload
        profile, words = self.extension
        return head + csrcs + struct.pack(">HH", profile, len(words) // 4) + words + self.payload


def is_rtp(data: bytes | memoryview) -> bool:
    """Tell whether this may be an RTP packet: version 2, whole fixed header, not RTCP."""
    return len(data) >= HEADER_SIZE and data[0] >> 6 == 2 and data[1] not in _RTCP_TYPES


def is_rtcp(data: bytes | memoryview) -> bool:
    """Tell whether this may be an RTCP packet: version 2, a header, a type of RTCP's."""
    return len(data) >= 8 and data[0] >> 6 == 2 and data[1] in _RTCP_TYPES


def _extension(data: bytes, start: int) -> tuple[tuple[int, bytes], int]:
    if len(data) < start + 4:
        raise RemoteError(400, "RTP: the packet ends within its extension")
    profile, words = struct.unpack_from(">HH", data, start)
    end = start + 4 + 4 * words
    if end > len(data):
        raise RemoteError(400, "RTP: the packet ends within its extension")
    return (profile, data[start + 4 : end]), end
