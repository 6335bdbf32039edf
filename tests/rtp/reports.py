"""RTCP as phones write it, for tests."""

from __future__ import annotations

import struct


def packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def block(
    ssrc: int,
    fraction: float = 0.0,
    lost: int = 0,
    highest: int = 0,
    jitter: int = 0,
    last: int = 0,
    delay: float = 0.0,
) -> bytes:
    losses = int(fraction * 256) << 24 | lost & 0xFFFFFF
    return struct.pack(">6I", ssrc, losses, highest, jitter, last, round(delay * 65536))


def receiver_report(ssrc: int, sender: int = 99, **more: float) -> bytes:
    return packet(201, 1, struct.pack(">I", sender) + block(ssrc, **more))  # type: ignore[arg-type]


def sender_report(
    ssrc: int,
    moment: tuple[int, int] = (0, 0),
    packets: int = 0,
    octets: int = 0,
    about: bytes = b"",
) -> bytes:
    head = struct.pack(">6I", ssrc, *moment, 0, packets, octets)
    return packet(200, len(about) // 24, head + about)


def bye(*ssrcs: int) -> bytes:
    return packet(203, len(ssrcs), struct.pack(f">{len(ssrcs)}I", *ssrcs))


def voip_metrics(
    ssrc: int,
    loss: float = 0.0,
    discard: float = 0.0,
    delay: float = 0.0,
    within: float = 0.0,
    mos: float = 12.7,
    concealment: int = 3,
    sender: int = 99,
) -> bytes:
    figures = struct.pack(
        ">I4B4H10B3H",
        *(ssrc, int(loss * 256), int(discard * 256), 0, 0),
        *(0, 0, round(delay * 1000), round(within * 1000)),
        *(127, 127, 127, 16, 127, 127, round(mos * 10), 127, concealment << 6, 0),
        *(40, 60, 80),
    )
    return packet(207, 0, struct.pack(">I", sender) + struct.pack(">BBH", 7, 0, 8) + figures)
