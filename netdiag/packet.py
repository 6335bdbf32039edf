# SPDX-License-Identifier: GPL-2.0-only
"""Packets from their IP header on: what they carry, and how they are written to the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from netdiag.redaction import Streams, redacted
from netdiag.wanted import Wanted

UDP, TCP, FRAGMENT = 17, 6, 44
SYN = 0x02
PENDING = 64
"""Datagrams in fragments that are waited for: 4 MB at most."""
RTP_HEAD = 12
RTCP = range(192, 224)
"""Packet types of RTCP where RTP has marker and payload type (RFC 5761, section 4)."""


@dataclass(frozen=True)
class Kept:
    """What goes into the file of a packet."""

    data: bytes
    length: int
    """Octets that it had."""
    comment: str = ""


@dataclass(frozen=True)
class _Ip:
    """An IP header taken apart."""

    head: bytes
    protocol: int
    length: int
    """Octets behind it."""
    fragment: tuple[bytes, int, bool] | None = None
    """Which datagram it is a part of, from which octet on, and whether more come."""

    @property
    def hosts(self) -> bytes:
        return self.head[12:20] if self.head[0] >> 4 == 4 else self.head[8:40]

    def with_length(self, length: int) -> bytes:
        """Return the header of a datagram that is whole and as long as this."""
        if self.head[0] >> 4 == 6:
            return self.head[:4] + struct.pack("!HB", length, self.protocol) + self.head[7:40]
        size = struct.pack("!H", len(self.head) + length)
        head = self.head[:2] + size + self.head[4:6] + bytes(2) + self.head[8:10] + bytes(2)
        head += self.head[12:]
        return head[:10] + struct.pack("!H", _checksum(head)) + head[12:]


class Trimmer:
    """Decide what of each packet is kept, and hide what is secret."""

    def __init__(self, wanted: Wanted) -> None:
        self._clear, self._secure = frozenset(wanted.clear), frozenset(wanted.secure)
        self._audio, self._hosts = wanted.audio, frozenset(host.packed for host in wanted.hosts)
        self._streams = Streams()
        self._parts: dict[bytes, list[tuple[int, bytes, bool]]] = {}
        self.incomplete = 0
        """Datagrams in fragments of which one never came."""

    def take(self, packet: bytes) -> Kept | None:
        """Return what is kept of a packet; None: nothing, or it is a fragment to be joined."""
        ip = _read(packet)
        if ip is None:
            return None
        data = packet[len(ip.head) :][: ip.length]
        comment = ""
        if ip.fragment is not None:
            whole = self._join(ip, data)
            if whole is None or not self._named(ip):
                return None
            comment, data = "was in fragments; joined here", whole
            ip = _Ip(ip.head[:40] if ip.head[0] >> 4 == 6 else ip.head, ip.protocol, len(data))
            packet = ip.with_length(len(data)) + data
        if ip.protocol == UDP and len(data) >= 8:
            return self._udp(ip, packet, data, comment)
        if ip.protocol == TCP and len(data) >= 20:
            return self._tcp(ip, packet, data)
        return None

    def _udp(self, ip: _Ip, packet: bytes, data: bytes, comment: str) -> Kept | None:
        ports = struct.unpack("!HH", data[:4])
        head = len(ip.head)
        if self._clear.intersection(ports):
            shown = redacted(data[8:])
            return self._rewritten(ip, packet, data[:8] + shown, 6, comment)
        if not any(low <= port <= high for low, high in self._audio for port in ports):
            return None
        kept = head + 8 + _audio_kept(data[8:])
        return Kept(packet[:kept], head + ip.length, comment)

    def _tcp(self, ip: _Ip, packet: bytes, data: bytes) -> Kept | None:
        source, target, sequence = struct.unpack("!HHI", data[:8])
        ports, start = {source, target}, (data[12] >> 4) * 4
        payload = data[start:]
        clear = bool(self._clear & ports)
        if not clear and not self._secure & ports:
            return None
        if not clear and b"SIP/2.0" not in payload and b"inline:" not in payload:
            return Kept(packet[: len(ip.head) + ip.length], len(ip.head) + ip.length)
        flow = ip.hosts + data[:4]
        shown = self._streams.take(flow, sequence, bool(data[13] & SYN), payload)
        return self._rewritten(ip, packet, data[:start] + shown, 16, "")

    def _rewritten(self, ip: _Ip, packet: bytes, data: bytes, place: int, comment: str) -> Kept:
        head = packet[: len(ip.head)]
        if data != packet[len(head) : len(head) + len(data)]:
            pseudo = ip.hosts + struct.pack("!II", len(data), ip.protocol)
            blank = data[:place] + bytes(2) + data[place + 2 :]
            total = _checksum(pseudo + blank) or 0xFFFF
            data = blank[:place] + struct.pack("!H", total) + blank[place + 2 :]
        return Kept(head + data, len(head) + ip.length, comment)

    def _named(self, ip: _Ip) -> bool:
        half = len(ip.hosts) // 2
        ends = {ip.hosts[:half], ip.hosts[half:]}
        return not self._hosts or bool(self._hosts & ends)

    def _join(self, ip: _Ip, data: bytes) -> bytes | None:
        """Keep a fragment; return the datagram once it is whole (RFC 791, RFC 8200)."""
        if ip.fragment is None:
            return None
        name, at, more = ip.fragment
        parts = self._parts.setdefault(name, [])
        parts.append((at, data, more))
        if len(self._parts) > PENDING or len(parts) > PENDING:
            self._parts.pop(next(iter(self._parts)))
            self.incomplete += 1
            return None
        whole, ended = b"", False
        for start, part, follows in sorted(parts, key=lambda one: one[0]):
            if start != len(whole):
                return None
            whole, ended = whole + part, not follows
        if not ended:
            return None
        del self._parts[name]
        return whole


def _read(packet: bytes) -> _Ip | None:
    """Return the header; None for what is no IP or is cut."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        size = (packet[0] & 15) * 4
        total, _, flags = struct.unpack("!HHH", packet[2:8])
        if size < 20 or len(packet) < size:
            return None
        length = (total or len(packet)) - size  # 0: the kernel has joined more than 64 KiB
        name = packet[12:20] + packet[4:6] + packet[9:10]
        part = (name, (flags & 0x1FFF) * 8, bool(flags & 0x2000)) if flags & 0x3FFF else None
        return _Ip(packet[:size], packet[9], max(0, length), part)
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        length, following = struct.unpack("!HB", packet[4:7])
        if following != FRAGMENT:
            return _Ip(packet[:40], following, length or len(packet) - 40)
        if len(packet) < 48:
            return None
        after, _, place = struct.unpack("!BBH", packet[40:44])
        name = packet[8:40] + packet[44:48]
        part = (name, place & 0xFFF8, bool(place & 1))
        return _Ip(packet[:48], after, max(0, length - 8), part)
    return None


def _audio_kept(payload: bytes) -> int:
    """Return how many octets of an audio packet are kept: RTP's head, or all of RTCP."""
    if len(payload) < RTP_HEAD or payload[0] >> 6 != 2:
        return 0
    if payload[1] in RTCP:
        return len(payload)
    return RTP_HEAD + 4 * (payload[0] & 15)


def _checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
