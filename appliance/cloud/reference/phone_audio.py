"""A simulated phone's audio: it sends its own tone as real RTP and listens for the other's."""

from __future__ import annotations

import asyncio
import random
import socket
from array import array
from collections import deque
from functools import cache
from typing import cast

from appliance.cloud.reference.phone_srtp import Protector, Unprotector
from appliance.errors import LocalError, RemoteError
from appliance.rtp.g711 import decode_ulaw, encode_ulaw
from appliance.rtp.packet import RtpPacket, is_rtcp
from appliance.rtp.telephone_event import TelephoneEvent, press
from appliance.rtp.tone import RATE, is_heard, tone

PORTS = range(10_000, 19_998, 2)
"""Below Holdfast's 20000-64000, so that both may be on one machine."""
FRAME = 160
"""Samples in a packet: 20 ms."""
INTERVAL = FRAME / RATE
FRAMES = RATE // FRAME
"""Packets in a second; a second of a tone of whole hertz repeats without a seam."""
WINDOW = 10
"""Packets listened to when asked what is heard: 200 ms, which tells tones 10 Hz apart."""
FRESH = 0.5
"""Seconds after which a packet counts as past: no audio is heard from it any more."""
LOUD = 1000
"""Sample of a sound; G.711's noise and comfort noise stay far below."""
TARDY = 0.2
"""Seconds behind schedule after which packets are left out instead of sent in a burst."""
EVENT = 101


@cache
def _second(frequency: int) -> tuple[bytes, ...]:
    """Return the payloads of one second of a tone."""
    octets = encode_ulaw(tone(frequency, RATE))
    return tuple(octets[at : at + FRAME] for at in range(0, RATE, FRAME))


class Audio(asyncio.DatagramProtocol):
    """One RTP stream in both directions; `open_audio` makes it, `close` ends it.

    It sends only while `sending` is true and `aim` has said where to.
    """

    def __init__(self, frequency: int) -> None:
        self.frequency = frequency
        self.port = 0
        self.sending = False
        self.sent = 0
        self.received = 0
        """RTP packets that could be read."""
        self.unreadable = 0
        """Packets that were no RTP or failed SRTP's check."""
        self.missing = 0
        """Packets that the sequence numbers say were lost."""
        self.keys = ""
        """DTMF digits received as RFC 4733 events."""
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._protector: tuple[bytes, Protector] | None = None
        self._unprotector: tuple[bytes, Unprotector] | None = None
        self._heard: deque[tuple[float, bytes]] = deque(maxlen=WINDOW)
        self._tick: asyncio.Handle | None = None
        self._due = 0.0
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(15)
        self._timestamp = random.getrandbits(31)
        self._expected: tuple[int, int] | None = None
        self._events: deque[tuple[int, TelephoneEvent]] = deque()
        self._last_event = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the 20 ms clock."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]
        loop = asyncio.get_running_loop()
        self._due = loop.time()
        self._tick = loop.call_soon(self._send_due)

    def aim(
        self, remote: tuple[str, int] | None, own_key: bytes | None, other_key: bytes | None
    ) -> None:
        """Send to `remote` from now on; keys as in the last offer and answer.

        Unchanged keys keep their state: SRTP's counters must not start again (RFC 3711, 3.3.1).
        """
        self._remote = remote
        if own_key is None:
            self._protector = None
        elif self._protector is None or self._protector[0] != own_key:
            self._protector = (own_key, Protector(own_key))
        if other_key is None:
            self._unprotector = None
        elif self._unprotector is None or self._unprotector[0] != other_key:
            self._unprotector = (other_key, Unprotector(other_key))

    def hears(self, frequency: int) -> bool:
        """Tell whether this tone has just been coming in (Goertzel over the last packets)."""
        samples = self._recent()
        return len(samples) == FRAME * WINDOW and is_heard(samples, frequency)

    def is_silent(self) -> bool:
        """Tell whether nothing has been coming in for half a second."""
        return not self._recent()

    def hears_sound(self) -> bool:
        """Tell whether more than silence has just been coming in, whatever it is."""
        return any(abs(sample) > LOUD for sample in self._recent())

    def press(self, digit: str) -> None:
        """Send one key as RFC 4733 events in place of the tone."""
        start = self._timestamp + FRAME * (len(self._events) + 1)
        self._events.extend((start & 0xFFFFFFFF, event) for event in press(digit))

    def close(self) -> None:
        """Stop the clock and free the port; harmless twice."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one packet."""
        if is_rtcp(data):
            return
        plain = data if self._unprotector is None else self._unprotector[1].unprotect(data)
        try:
            packet = RtpPacket.parse(plain or b"")
        except RemoteError:
            self.unreadable += 1
            return
        self.received += 1
        self._count_missing(packet)
        if packet.payload_type == 0:
            self._heard.append((asyncio.get_running_loop().time(), packet.payload))
        elif packet.payload_type == EVENT:
            self._note_key(packet)

    def _recent(self) -> array[int]:
        oldest = asyncio.get_running_loop().time() - FRESH
        return decode_ulaw(b"".join(payload for when, payload in self._heard if when > oldest))

    def _count_missing(self, packet: RtpPacket) -> None:
        if self._expected is not None and self._expected[0] == packet.ssrc:
            gap = (packet.sequence - self._expected[1]) & 0xFFFF
            # More than half the circle is a late packet, not 32,768 lost ones (RFC 3550, A.1).
            if gap < 0x8000:
                self.missing += gap
        self._expected = (packet.ssrc, (packet.sequence + 1) & 0xFFFF)

    def _note_key(self, packet: RtpPacket) -> None:
        event = TelephoneEvent.parse(packet.payload)
        if event.end and packet.timestamp != self._last_event:
            self._last_event = packet.timestamp
            self.keys += event.digit

    def _send_due(self) -> None:
        """Send the packets that are due and come back for the next."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._due > TARDY:
            self._due = now
        while self._due <= now:
            self._send_one()
            self._due += INTERVAL
        self._tick = loop.call_at(self._due, self._send_due)

    def _send_one(self) -> None:
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        if self._transport is None or self._remote is None or not self.sending:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        packet = self._next_packet().encode()
        if self._protector is not None:
            packet = self._protector[1].protect(packet)
        self._transport.sendto(packet, self._remote)
        self.sent += 1

    def _next_packet(self) -> RtpPacket:
        if not self._events:
            payload = _second(self.frequency)[self.sent % FRAMES]
            return RtpPacket(0, self._sequence, self._timestamp, self._ssrc, payload)
        start, event = self._events.popleft()
        return RtpPacket(EVENT, self._sequence, start, self._ssrc, event.encode())


async def open_audio(address: str, frequency: int) -> Audio:
    """Open an even RTP port; LocalError when none is free."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in random.sample(PORTS, 50):
        rtp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            rtp.bind((address, port))
        except OSError:
            rtp.close()
            continue
        rtp.setblocking(False)
        _, audio = await loop.create_datagram_endpoint(lambda: Audio(frequency), sock=rtp)
        return audio
    raise LocalError(f"no free RTP port from {PORTS.start} to {PORTS.stop}")
