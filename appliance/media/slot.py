"""Slots of the short cut's arrays: one stream's addresses, as the program reads them.

A slot is found by our port, halved, as RTP has the even ones. Offsets grow with the size of
addresses, four octets or sixteen:

    source  local  ends  generation  via  target  ports  sum  ports' sum  mark  packets  octets

`ends` is the source's port and ours, as in the packet; 0: the slot is empty. Behind, from the next
line of the processor's cache on, are the headers of the sample: two bursts of four, each packet at
the place that its sequence number has.

    stamp  header

`stamp` is when it came, in units of 1,024 ns of the monotonic clock, the low 32 bits; 0: there is
nothing, or nothing that was not read already. `header` is the RTP header as it was in the packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from appliance.media.flow import Flow, packed

ENTRIES: Final = 1 << 15
"""Slots of an array: one for each even port."""
SAMPLES: Final = 8
"""Headers in a slot."""
SAMPLE: Final = 16
"""Octets of each: a stamp and twelve of RTP."""
STAMP_SHIFT: Final = 10
"""Bits of a monotonic nanosecond that a stamp leaves out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where what is in a slot, by the octets of an address."""

    address: int

    @property
    def size(self) -> int:
        """Octets of a slot: what a packet needs is in one line of the processor's cache, or two."""
        return self.samples + SAMPLES * SAMPLE

    @property
    def source(self) -> int:
        """Who may send."""
        return 0

    @property
    def local(self) -> int:
        """The address of ours it must be sent to."""
        return self.address

    @property
    def ends(self) -> int:
        """The ports of both."""
        return 2 * self.address

    @property
    def generation(self) -> int:
        """A number that changes whenever anything does."""
        return self.ends + 4

    @property
    def via(self) -> int:
        """Our address as the other phone sees it."""
        return self.ends + 8

    @property
    def target(self) -> int:
        """The other phone's."""
        return self.via + self.address

    @property
    def ports(self) -> int:
        """The ports of these two."""
        return self.target + self.address

    @property
    def sum(self) -> int:
        """What the checksums change by, for the addresses."""
        return self.ports + 4

    @property
    def ports_sum(self) -> int:
        """The same for the ports."""
        return self.ports + 8

    @property
    def mark(self) -> int:
        """The packet's mark from then on."""
        return self.ports + 12

    @property
    def packets(self) -> int:
        """How many went this way."""
        return self.ports + 16

    @property
    def octets(self) -> int:
        """Octets of UDP payload in them."""
        return self.ports + 24

    @property
    def samples(self) -> int:
        """The headers of the sample."""
        return 64 if self.address == 4 else 128


LAYOUTS: Final = {4: Layout(4), 6: Layout(16)}


def number(port: int) -> int | None:
    """Return the slot of a port of ours; None: it has none."""
    return None if port & 1 else port >> 1


def ends(flow: Flow) -> int:
    """Return the ports of source and ours as the processor reads them from a packet."""
    return _ports(flow.source[1], flow.local[1])


def key(flow: Flow) -> bytes:
    """Return the part of a slot that says whose packets it is for, but for the ports."""
    return packed(flow.source[0]) + packed(flow.local[0])


def way(flow: Flow, mark: int) -> bytes:
    """Return what follows the generation, up to the counters."""
    via, target = packed(flow.via[0]), packed(flow.target[0])
    addresses = difference(packed(flow.source[0]) + packed(flow.local[0]), via + target)
    new = _ports(flow.via[1], flow.target[1])
    ports = difference(ends(flow).to_bytes(4, "little"), new.to_bytes(4, "little"))
    return via + target + struct.pack("=IIII", new, addresses, ports, mark)


def difference(old: bytes, new: bytes) -> int:
    """Return what the Internet checksum (RFC 1071) changes by, as the processor reads its words.

    That is the new words and the complements of the old ones, added with end-around carry.
    """
    words = struct.Struct(f"={len(old) // 2}H")
    total: int = sum(words.unpack(new)) + sum(0xFFFF - word for word in words.unpack(old))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _ports(first: int, second: int) -> int:
    return int.from_bytes(first.to_bytes(2, "big") + second.to_bytes(2, "big"), "little")
