"""What reaches a phone: the audio of each RTP stream that comes in on its host's interface."""

from __future__ import annotations

import array
import socket
import struct
import time
from collections import defaultdict

from appliance.rtp.g711 import decode_ulaw
from tests.system.network import Host
from tests.system.tone import PACKET, presence

EVERY_PROTOCOL = 3
PACKET_HOST = 0
"""Kind of a packet that is for this host (packet(7))."""
ETHERNET, UDP = 14, 8


def listen(host: Host, seconds: float = 0.5) -> dict[int, array.array[int]]:
    """Give the samples that come in for a while, by the port they are for."""
    with host.inside():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    streams: defaultdict[int, array.array[int]] = defaultdict(lambda: array.array("h"))
    end = time.monotonic() + seconds
    with wire:
        wire.bind(("eth0", EVERY_PROTOCOL))
        while (left := end - time.monotonic()) > 0:
            wire.settimeout(left)
            try:
                frame, about = wire.recvfrom(2048)
            except TimeoutError:
                break
            if about[2] == PACKET_HOST and (found := _rtp(frame)):
                streams[found[0]].extend(decode_ulaw(found[1]))
    return dict(streams)


def tones(host: Host, *wanted: int, seconds: float = 0.5) -> list[int]:
    """Tell which of these tones come in, one for each stream, in the order of `wanted`."""
    streams = listen(host, seconds).values()
    enough = [part for part in streams if len(part) > 8000 * seconds * 0.7]
    return [tone for tone in wanted for part in enough if presence(part, tone) > 0.7]


def _rtp(frame: bytes) -> tuple[int, bytes] | None:
    """Read an Ethernet frame: the port and the payload of a packet of G.711, or None."""
    if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
        return None
    start = ETHERNET + (frame[ETHERNET] & 15) * 4
    (port,) = struct.unpack_from(">H", frame, start + 2)
    packet = frame[start + UDP :]
    if len(packet) != 12 + PACKET or packet[0] >> 6 != 2 or packet[1] & 127:
        return None
    return port, packet[12:]
