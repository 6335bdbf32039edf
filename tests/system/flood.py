"""Sends SIP over UDP at a steady rate, from one source or from many forged ones.

    python -m tests.system.flood APPLIANCE RATE SECONDS [SOURCES]

With SOURCES it forges so many addresses of 10.99.0.0/16, which needs root. Prints how many it sent.
"""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

STEP = 0.005
"""Seconds between two bursts; a burst of 100 is shorter than what a kernel queues."""


def message(number: int) -> bytes:
    """Write a REGISTER, OPTIONS or INVITE from nobody."""
    method = ("REGISTER", "OPTIONS", "INVITE")[number % 3]
    return (
        f"{method} sip:site.example SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 10.77.0.99:5060;branch=z9hG4bK{number};rport\r\n"
        f"From: <sip:101@site.example>;tag={number}\r\nTo: <sip:101@site.example>\r\n"
        f"Call-ID: flood-{number}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
        "Contact: <sip:101@10.77.0.99>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def datagram(source: int, target: str, body: bytes) -> bytes:
    """Write a whole IPv4 packet with the source 10.99.x.y; the kernel adds its checksum."""
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(body), 0) + body
    address = bytes((10, 99, source >> 8, source & 255))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return head + address + socket.inet_aton(target) + udp


def packets(target: str, sources: int) -> Iterator[bytes]:
    """Give what to send, over and over; made beforehand, as the rate is what matters."""
    bodies = [message(number) for number in range(max(sources, 300))]
    if not sources:
        return itertools.cycle(bodies)
    return itertools.cycle(datagram(n, target, body) for n, body in enumerate(bodies[:sources]))


def main(target: str, rate: int, seconds: float, sources: int = 0) -> int:
    """Send and return how many went out."""
    kind = (socket.SOCK_RAW, socket.IPPROTO_RAW) if sources else (socket.SOCK_DGRAM, 0)
    line = socket.socket(socket.AF_INET, *kind)
    line.connect((target, 5060))
    ready = packets(target, sources)
    began = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - began) < seconds:
        for data in itertools.islice(ready, max(0, int(passed * rate) - sent)):
            with suppress(ConnectionRefusedError):
                line.send(data)
            sent += 1
        time.sleep(STEP)
    return sent


if __name__ == "__main__":
    words = sys.argv[1:]
    print(main(words[0], int(words[1]), float(words[2]), *map(int, words[3:])))
