"""Audio to a zone's echo and back: what is lost, how late it comes, and what became of its mark."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from appliance.adapters.addresses import family_of
from appliance.adapters.zone_address import ZoneAddresses
from appliance.bundle import Zone
from appliance.errors import Unavailable
from appliance.rtp.packet import RtpPacket, is_rtp

SPACING = 0.02
"""Seconds between two packets, as of a phone."""
LATE = 1.0
"""Seconds waited for the last ones."""
SAMPLES = 160
PCMU = 0
_SILENCE = b"\xff" * SAMPLES
_RECEIVE = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS),
}


@dataclass(slots=True)
class Heard:
    """What has come back."""

    sent: int
    round_trips: list[float] = field(default_factory=list)
    """Seconds, in the order of arrival."""
    there: Counter[int] = field(default_factory=Counter)
    """DSCP values with which our packets arrived at the other end."""
    back: Counter[int] = field(default_factory=Counter)
    """DSCP values with which theirs arrived here."""
    jitter: float = 0.0
    """Seconds (RFC 3550, 6.4.1), of the way there and back."""

    @property
    def loss(self) -> float:
        """Share of the packets that did not come back."""
        return 1 - len(self.round_trips) / self.sent


async def loop_back(zone: Zone, packets: int, dscp: int) -> Heard:
    """Send so many packets to a zone's echo; raises Unavailable when the zone is not found."""
    loop = asyncio.get_running_loop()
    addresses = ZoneAddresses(loop)
    try:
        [(host, _), *_] = await addresses.find(zone)
    finally:
        addresses.close()
    heard, sent_at = Heard(packets), [0.0] * packets
    with socket.socket(family_of(host), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
        level, receive, mark = _RECEIVE[line.family]
        try:
            line.setsockopt(level, receive, 1)
            line.setsockopt(level, mark, dscp << 2)
            line.connect((host, zone.echo_port))
        except OSError as error:
            raise Unavailable(f"no way to {host}: {error.strerror}") from error
        loop.add_reader(line, _take_all, line, heard, sent_at)
        try:
            for number in range(packets):
                sent_at[number] = monotonic()
                packet = RtpPacket(PCMU, number, number * SAMPLES, zone.echo_port or 0, _SILENCE)
                with suppress(OSError):
                    line.send(packet.encode())
                await asyncio.sleep(SPACING)
            await asyncio.sleep(LATE if len(heard.round_trips) < packets else 0)
        finally:
            loop.remove_reader(line)
    return heard


def _take_all(line: socket.socket, heard: Heard, sent_at: list[float]) -> None:
    with suppress(OSError):
        while True:
            data, told, _, _ = line.recvmsg(2048, 64)
            _take(data, told, line.family, heard, sent_at)


def _take(
    data: bytes,
    told: list[tuple[int, int, bytes]],
    family: int,
    heard: Heard,
    sent_at: list[float],
) -> None:
    number = int.from_bytes(data[2:4], "big")
    if not is_rtp(data) or number >= len(sent_at) or not sent_at[number]:
        return
    took = monotonic() - sent_at[number]
    sent_at[number] = 0.0  # A second copy of it tells nothing.
    if heard.round_trips:
        change = abs(took - heard.round_trips[-1])
        heard.jitter += (change - heard.jitter) / 16
    heard.round_trips.append(took)
    heard.there[data[-1] >> 2] += 1
    level, _, mark = _RECEIVE[socket.AddressFamily(family)]
    for kind, name, value in told:
        if (kind, name) == (level, mark):
            heard.back[value[0] >> 2] += 1
