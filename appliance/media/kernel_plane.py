"""A worker's end of the kernel: which relays are there, their counters, copies of packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from appliance.media.carried import Carried, Share
from appliance.media.flow import Flow, Mark, map_name, read_counts, read_left, read_mark
from appliance.media.kernel_relay import KernelRelay
from appliance.media.loop import Loop, log
from appliance.media.netlink import DONE, DUMP, ERROR, Netfilter, Reply, Request
from appliance.media.passage import Passage
from appliance.media.rates import Rates
from appliance.media.reach import Reach
from appliance.media.ruleset import GETSETELEM, table_number
from appliance.media.shortcut import Shortcut
from appliance.media.tap import Take, Tap

Read = Callable[[Mark, int], None]
"""Gets the mark of a flow and how many packets have gone that way in all."""
COUNT_EVERY: Final = 5.0
"""Seconds between two readings of all counters: 16,000 flows take 80 ms, in slices of 1 ms."""
FEW_FLOWS: Final = 200
"""While there are no more, counters are read every second until all is known to pass."""
_READ: Final = ("flows4", "flows6", "sources4", "sources6")
"""In this order: what left is read after what came."""
REACH_EVERY: Final = 5.0
"""Seconds between two looks at what the kernel can carry."""


class KernelPlane:
    """Relays in the kernel, watched."""

    def __init__(self, loop: Loop, share: Share, arrays: Mapping[int, int] | None = None) -> None:
        """Take over what is there; raises OSError where nftables or its table cannot be had.

        `arrays` are those of the short cut, where there is one.
        """
        self._loop = loop
        self._share = share
        self._reach = Reach()
        self._shortcut = Shortcut(arrays or {})
        self._changing = Netfilter()
        self._reading = Netfilter()
        self.tap: Tap | None = None
        self._tell_count: Read | None = None
        try:
            carries = self._reach.carries
            self.relays = KernelRelay(loop, self._changing, share, carries, self._shortcut)
        except OSError:
            self._changing.close()
            self._reading.close()
            self._shortcut.close()
            raise
        self._reading.unblock()
        loop.add(self._reading.fileno(), self._read)
        self._table = table_number(self._changing)
        self._question = 0
        self._asked = ""
        self._left: Iterator[str] = iter(())
        self._counted_at = self._reached_at = loop.now
        self._rates = Rates()
        self._passage = Passage()
        self._flooded: dict[str, int] = {}
        """Revisions of relays with more packets than a phone sends."""
        loop.every_second(self._sweep)

    def listen(self, take: Take, read: Read) -> None:
        """Give copies of packets to `take`, and to `read` what counters show.

        Without NFLOG nobody is given any copies.
        """
        self._tell_count = read
        try:
            self.tap = Tap(self._loop, self._share.number, take)
        except OSError as error:
            log(f"no copies of relayed packets: {error.strerror}")

    def close(self) -> None:
        """Let go, leaving the relays in the kernel."""
        if self.tap is not None:
            self.tap.close()
        self._loop.remove(self._reading.fileno())
        self._reading.close()
        self._changing.close()
        self.relays.look_away()
        self._shortcut.close()

    def want(self, key: str, revision: int, flows: Mapping[int, Flow]) -> None:
        """Let a relay have these flows in the kernel; see `KernelRelay.want`.

        One that was flooded stays in user space until the next offer and answer.
        """
        if self._flooded.get(key) == revision:
            flows = {}
        else:
            self._flooded.pop(key, None)
        self.relays.want(key, revision, flows)

    def forget(self, key: str) -> Carried:
        """End what is known of a relay and return what it passed on."""
        self._flooded.pop(key, None)
        return self.relays.forget(key)

    def count(self) -> None:
        """Begin to read all counters."""
        if not self._question:
            self._left = iter(_READ)
            self._rates.begin(self._loop.time())
            self._passage.begin()
            self._ask_next()

    def _sweep(self) -> None:
        now = self._loop.now
        if now - self._reached_at >= REACH_EVERY:
            self._reached_at = now
            if self._reach.refresh():
                self.relays.reconsider()
        self._look_for_table()
        if self.relays.flows and (now - self._counted_at >= COUNT_EVERY or self._is_urgent):
            self._counted_at = now
            self.count()

    @property
    def _is_urgent(self) -> bool:
        """Tell whether somebody may not be heard: packets did not leave, or nobody has seen it yet.

        The latter only while looking costs little.
        """
        unproven = set(self.relays.slots.values()) - self._passage.proven
        return bool(self._passage.suspected or (unproven and self.relays.flows <= FEW_FLOWS))

    def _look_for_table(self) -> None:
        """Notice when somebody has removed the table, and put everything into a new one."""
        table = table_number(self._changing)
        if table is None:
            self.relays.lose()
        elif table != self._table or self.relays.table_lost:
            self.relays.restore()
            self._passage = Passage()
            self._table = table

    def _ask_next(self) -> None:
        self._asked = next(self._left, "")
        self._question = 0
        if self._asked:
            question = Request(GETSETELEM, DUMP, map_name(self._asked))
            self._question = self._reading.begin(question)

    def _read(self, _events: int) -> None:
        try:
            replies = self._reading.receive()
        except BlockingIOError:
            return
        except OSError:
            # Some answers were lost, the last one perhaps among them.
            self._question = 0
            return
        for reply in replies:
            if reply.sequence == self._question:
                self._hear(reply)

    def _hear(self, reply: Reply) -> None:
        if reply.kind == ERROR:
            self._question = 0
        elif reply.kind == DONE:
            self._ask_next()
        elif self._asked.startswith("sources"):
            for slot, packets in read_left(reply.body):
                if self._passage.blocks(slot, packets):
                    self._block(slot)
        else:
            for value, packets, octets in read_counts(reply.body):
                self._take_count(value, packets, octets)

    def _take_count(self, value: int, packets: int, octets: int) -> None:
        mark = read_mark(value)
        total = self.relays.count(mark, packets, octets) if mark is not None else None
        if mark is None or total is None:
            return
        # Of the rules alone, like what is counted where packets leave by them.
        self._passage.taken(mark.slot, value, packets)
        if self._tell_count is not None:
            self._tell_count(mark, total)
        if self._rates.floods(value, total):
            self._expel(self.relays.key_of(mark))

    def _block(self, slot: int) -> None:
        """Leave to user space what the kernel takes in and does not let out again."""
        for host in [host for host, number in self.relays.slots.items() if number == slot]:
            log(
                f"what the kernel relays from {host} does not leave this machine: rules of others"
                " drop forwarded packets (docs/audio.md); user space carries it until media starts"
                " anew"
            )
            self._reach.block(host)
        self.relays.reconsider()

    def _expel(self, key: str) -> None:
        revision = self.relays.revision_of(key)
        if self._flooded.get(key) != revision:
            log(f"relay {key} is flooded; it is left to user space, which has a limit")
            self._flooded[key] = revision
            self.relays.want(key, revision, {})


def open_plane(
    loop: Loop, share: Share, arrays: Mapping[int, int] | None = None
) -> KernelPlane | None:
    """Return the worker's end of the kernel; None where it cannot be had."""
    try:
        return KernelPlane(loop, share, arrays)
    except OSError as error:
        log(f"worker {share.number} relays in user space only: {error.strerror}")
        return None
