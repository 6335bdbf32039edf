"""What a packet that passes as it is needs of its port, and nothing else: a lane.

With a thousand calls the parts of a port lie cold in memory when its packet comes, so their number
is most of what Python costs: a lane is one small object with both system calls at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from appliance.media.buffer import BUFFER, VIEW

Event = tuple[int, int]
"""A descriptor and what epoll says of it."""
Watcher = Callable[[int], None]
"""Looks at a packet of so many octets in the buffer, which it may change."""
Transmit = Callable[[bytes | memoryview], int]
"""Sends one packet to where its port sends; raises OSError."""

_READY_MADE: Final = 512
"""Octets up to which a view of the buffer lies ready: audio. A view takes 0.1 us to make."""
_VIEWS: Final = tuple(VIEW[:size] for size in range(_READY_MADE))


class Lane:
    """The way of one port's packets onward, and what it has counted."""

    __slots__ = (
        "hand_over",
        "is_flooded",
        "limit",
        "octets",
        "outlet",
        "packets",
        "receive",
        "transmit",
        "unwatched",
        "watch",
    )

    def __init__(self, receive: Callable[[bytearray], int], is_flooded: Callable[[], bool]) -> None:
        """`receive` reads a packet into the buffer; `is_flooded` is asked beyond `limit`."""
        self.receive = receive
        self.transmit: Transmit = lose
        self.outlet = 0
        """The connected socket that `transmit` sends by (`ring.outlet`); 0: it must be called."""
        self.hand_over: Callable[[int], object] = pass_over
        """Takes a packet in the buffer that was read while this lane was still in use."""
        self.packets = 0
        self.octets = 0
        self.limit = 0
        """Packets beyond which `is_flooded` says whether one more passes; it sets the next."""
        self.is_flooded = is_flooded
        self.watch: Watcher = pass_over
        self.unwatched = 0
        """Packets with one of these bits in their fourth octet are not shown to `watch`."""

    def pass_on(self, size: int) -> None:
        """Pass on the packet in the buffer; `serve` does the same."""
        self.octets += size
        self.packets += 1
        if self.packets > self.limit and self.is_flooded():
            return
        try:
            self.transmit(VIEW[:size])
        except OSError:
            # The phone's port is closed or the network is away: as lost as on the wire.
            return
        if not BUFFER[3] & self.unwatched:
            self.watch(size)


def lose(_packet: bytes | memoryview) -> int:
    """Send nowhere."""
    return 0


def never() -> bool:
    """Find no flood."""
    return False


def pass_over(_size: int) -> None:
    """Do not look."""


def serve(
    events: Iterable[Event], lanes: Sequence[Lane | None], fail: Callable[[int], None]
) -> list[Event]:
    """Pass on one packet of each lane that is ready; return the events that are of no lane.

    One packet for each event, so that every stream has its turn. `lanes` is by descriptor; `fail`
    is told, while the exception is at hand, of a descriptor whose lane raised what it must not.
    """
    others: list[Event] = []
    # All here is local and in line: this is the loop that decides how many calls a core carries.
    buffer, views, ready_made = BUFFER, _VIEWS, _READY_MADE
    for event in events:
        lane = lanes[event[0]]
        if lane is None:
            others.append(event)
            continue
        try:
            size = lane.receive(buffer)
            lane.octets += size
            lane.packets = packets = lane.packets + 1
            if packets > lane.limit and lane.is_flooded():
                continue
            lane.transmit(views[size] if size < ready_made else VIEW[:size])
            if not buffer[3] & lane.unwatched:
                lane.watch(size)
        except OSError:
            # Nothing there after all, the ICMP error of an earlier packet, or a phone whose port
            # is closed: as lost as on the wire.
            continue
        except Exception:
            fail(event[0])
    return others
