"""Relays that the kernel carries: each flow an element of a map in our nftables table.

`want` says which flows a relay should have there; what differs is done for all relays of this
turn of the loop in transactions of a few dozen. A relay whose flows the kernel does not take is
none the worse: its packets reach the ports of user space, which stay open all the while.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from appliance.media.carried import Carried, Entry, Share
from appliance.media.flow import (
    KEY_LIMIT,
    Address,
    Element,
    Flow,
    Mark,
    element_list,
    flow_element,
    flow_index,
    map_name,
    read_flows,
    read_sources,
    source_element,
)
from appliance.media.loop import Loop, log
from appliance.media.netlink import CREATE, DUMP, ECHO, EXCLUSIVE, Netfilter, Reply, Request
from appliance.media.ruleset import (
    DELSETELEM,
    GETSETELEM,
    NEWSETELEM,
    RELAYS,
    SHARDS,
    SLOTS,
    table_number,
)
from appliance.media.shortcut import Sample, Shortcut

BATCH = 64
"""Relays in one transaction: about 2 ms in which no other packet is served."""


class KernelRelay:
    """The flows of one process's relays in the kernel."""

    def __init__(
        self,
        loop: Loop,
        netfilter: Netfilter,
        share: Share,
        carries: Callable[[Flow], bool],
        shortcut: Shortcut | None = None,
    ) -> None:
        """Take over what is there already; `carries` tells which flows the kernel can forward.

        RTP that the rules carry is also offered to `shortcut`.

        Raises OSError where there is no table.
        """
        self._loop = loop
        self._netfilter = netfilter
        self._share = share
        self._carries = carries
        self._shortcut = shortcut or Shortcut({})
        self._entries: dict[str, Entry] = {}
        self._by_number: dict[int, Entry] = {}
        self._taken: set[int] = set()
        """Numbers in use by other processes when we began."""
        self._next = share.number
        self.slots: dict[str, int] = {}
        """Numbers of our addresses as phones see them."""
        self._changed: dict[str, None] = {}
        self._refused: set[str] = set()
        self.table_lost = False
        """Somebody removed the table; `restore` once it is there again."""
        self._adopt()

    @property
    def flows(self) -> int:
        """How many flows are in the kernel."""
        return sum(len(entry.installed) for entry in self._entries.values())

    def want(self, key: str, revision: int, flows: Mapping[int, Flow]) -> None:
        """Let a relay have these flows in the kernel, soon."""
        entry = self._entries.get(key)
        if entry is None:
            if not flows or len(key.encode()) > KEY_LIMIT:
                return
            entry = self._add(key, revision)
        entry.asked = dict(flows)
        wanted = self._carried_of(entry)
        if entry.wanted == wanted and entry.revision == revision:
            return
        entry.wanted, entry.revision = wanted, revision
        self._change(key)

    def withdraw(self, keys: Iterable[str]) -> None:
        """Take these relays back now; `forget` then returns their last counters."""
        there = [key for key in keys if key in self._entries]
        for key in there:
            self._entries[key].asked = self._entries[key].wanted = {}
        for at in range(0, len(there), BATCH):
            self._commit(there[at : at + BATCH])

    def forget(self, key: str) -> Carried:
        """End what is known of a relay and return what it passed on."""
        if key not in self._entries:
            return Carried()
        self.withdraw([key])
        entry = self._entries.pop(key)
        self._by_number.pop(entry.number, None)
        self._changed.pop(key, None)
        self._refused.discard(key)
        return entry.past.plus(entry.now)

    def keep(self, keys: set[str]) -> int:
        """Remove the relays that nobody wants and return how many there were."""
        orphans = [key for key in self._entries if key not in keys]
        self.withdraw(orphans)
        for key in orphans:
            self.forget(key)
        return len(orphans)

    def carried(self, key: str) -> Carried:
        """Return what a relay has passed on: by the rules as last read, beside them now."""
        entry = self._entries.get(key)
        if entry is None:
            return Carried()
        return entry.past.plus(entry.now).plus(entry.carried_beside)

    def samples(self, key: str) -> list[tuple[int, Sample]]:
        """Take what the short cut has noted of a relay's headers, each with its way."""
        entry = self._entries.get(key)
        return [] if entry is None else entry.samples(time.monotonic())

    def learnt(self, key: str, revision: int) -> dict[Address, Address]:
        """Return where phones turned out to be in an earlier life of this process, by our port."""
        entry = self._entries.get(key)
        if entry is None or entry.revision != revision:
            return {}
        return {flow.local: flow.source for flow in entry.installed.values()}

    def key_of(self, mark: Mark) -> str:
        """Return the relay a packet's mark belongs to; empty: none of ours."""
        entry = self._by_number.get(mark.relay)
        return entry.key if entry is not None else ""

    def revision_of(self, key: str) -> int:
        """Return the revision of a relay in the kernel, -1 for any other."""
        entry = self._entries.get(key)
        return -1 if entry is None else entry.revision

    def count(self, mark: Mark, packets: int, octets: int) -> int | None:
        """Note what a flow's counter shows.

        Returns the packets of this way over all its flows so far, None where it is none of ours.
        """
        entry = self._by_number.get(mark.relay)
        if entry is None or mark.way not in entry.installed:
            return None
        entry.now.packets[mark.way] = packets
        entry.now.octets[mark.way] = octets
        beside = entry.beside.get(mark.way)
        return entry.past.packets[mark.way] + packets + (beside.packets if beside else 0)

    def reconsider(self) -> None:
        """Ask again what the kernel can forward, as routes or sysctls have changed."""
        for key, entry in self._entries.items():
            wanted = self._carried_of(entry)
            if wanted != entry.wanted:
                entry.wanted = wanted
                self._change(key)

    def _carried_of(self, entry: Entry) -> dict[int, Flow]:
        return {way: flow for way, flow in entry.asked.items() if self._carries(flow)}

    def lose(self) -> None:
        """Note that somebody has removed the table; user space carries until it is back."""
        if not self.table_lost:
            self.table_lost = True
            for entry in self._entries.values():
                self._take_back(entry, entry.installed)
            log("the nftables table is gone; user space carries until it is back")

    def restore(self) -> None:
        """Put everything into a new table."""
        self.table_lost = False
        self.slots.clear()
        for key, entry in self._entries.items():
            self._take_back(entry, entry.installed)
            entry.past, entry.now = entry.past.plus(entry.now), Carried()
            entry.installed = {}
            self._change(key)

    def flush(self) -> None:
        """Do what has changed."""
        keys = list(self._changed)[:BATCH]
        for key in keys:
            del self._changed[key]
        if self._changed:
            self._loop.later(self.flush)
        self._commit(keys)

    def _change(self, key: str) -> None:
        if not self._changed:
            self._loop.later(self.flush)
        self._changed[key] = None

    def _commit(self, keys: list[str]) -> None:
        """Make the kernel as wanted; a relay that it refuses is left to user space."""
        if not keys or self.table_lost:
            return
        for key in keys:
            entry = self._entries[key]
            # Before the rules let them go: what comes in between is nobody's but user space's.
            self._take_back(entry, _differing(entry.installed, entry.wanted))
        try:
            requests, slots = self._requests(keys)
            answers = self._netfilter.transact(requests) if requests else []
        except OSError as error:
            self._refuse(keys, error)
            return
        self.slots.update(slots)
        self._settle(keys, answers)

    def _refuse(self, keys: list[str], error: OSError) -> None:
        if error.errno == errno.ENOENT and table_number(self._netfilter) is None:
            self.lose()
        elif len(keys) > 1:
            for key in keys:
                self._commit([key])
        else:
            self._give_up(keys[0], error)

    def _give_up(self, key: str, error: OSError) -> None:
        entry = self._entries[key]
        if key not in self._refused:
            self._refused.add(key)
            log(f"relay {key} stays in user space: nftables says {error.strerror}")
        entry.asked = entry.wanted = {}
        self._take_back(entry, entry.installed)
        for way, flow in list(entry.installed.items()):
            # One by one, as some of them may not be there.
            with_key = element_list(f"flows{flow.version}", flow_index(flow))
            with suppress(OSError):
                self._netfilter.transact([Request(DELSETELEM, 0, with_key)])
            del entry.installed[way]

    def _requests(self, keys: list[str]) -> tuple[list[Request], dict[str, int]]:
        """Return what makes the kernel as wanted: first all that goes, then all that comes."""
        gone: dict[str, list[bytes]] = {"flows4": [], "flows6": []}
        come: dict[str, list[bytes]] = {name: [] for name in (*_SOURCES, *gone)}
        slots: dict[str, int] = {}
        for key in keys:
            entry = self._entries[key]
            for flow in _differing(entry.installed, entry.wanted).values():
                gone[f"flows{flow.version}"].append(flow_index(flow))
            for way, flow in _differing(entry.wanted, entry.installed).items():
                slot = self._slot(flow.via[0], slots, come)
                mark = Mark(slot, entry.number, way)
                element = flow_element(flow, mark, entry.revision, key)
                come[f"flows{flow.version}"].append(element)
        requests = [_request(DELSETELEM, ECHO, name, all_) for name, all_ in gone.items() if all_]
        add = CREATE | EXCLUSIVE
        requests += [_request(NEWSETELEM, add, name, all_) for name, all_ in come.items() if all_]
        return requests, slots

    def _slot(self, host: str, new: dict[str, int], come: dict[str, list[bytes]]) -> int:
        slot = self.slots.get(host, new.get(host))
        if slot is not None:
            return slot
        used = {*self.slots.values(), *new.values()}
        # Every process has slots of its own, so that no two give one slot different addresses.
        mine = range(self._share.number, SLOTS, self._share.count)
        slot = next((number for number in mine if number not in used), None)
        if slot is None:
            raise OSError(errno.ENOSPC, f"more than {len(mine)} addresses of ours")
        new[host] = slot
        come[_SOURCES[":" in host]].append(source_element(slot, host))
        return slot

    def _settle(self, keys: list[str], answers: list[Reply]) -> None:
        for element in _elements(answers):
            entry = self._by_number.get(element.mark.relay)
            if entry is not None:
                way = element.mark.way
                entry.past.packets[way] += element.packets
                entry.past.octets[way] += element.octets
        for key in keys:
            entry = self._entries[key]
            for way in _differing(entry.installed, entry.wanted):
                entry.now.packets[way] = entry.now.octets[way] = 0
            come = _differing(entry.wanted, entry.installed)
            entry.installed = dict(entry.wanted)
            self._offer(entry, come)

    def _offer(self, entry: Entry, flows: Mapping[int, Flow]) -> None:
        """Let RTP that the rules carry take the short cut."""
        for way, flow in flows.items():
            mark = Mark(self.slots[flow.via[0]], entry.number, way)
            tally = self._shortcut.put(flow, mark.encode()) if mark.is_rtp else None
            if tally is not None:
                entry.beside[way] = tally

    def _take_back(self, entry: Entry, flows: Mapping[int, Flow]) -> None:
        """Let these go by the rules alone, and keep what the short cut has counted and noted."""
        for way, flow in flows.items():
            entry.leave(way, time.monotonic())
            packets, octets = self._shortcut.take(flow)
            entry.past.packets[way] += packets
            entry.past.octets[way] += octets

    def look_away(self) -> None:
        """Note what the short cut has counted, before it can be read no longer; streams go on."""
        for entry in self._entries.values():
            entry.past = entry.past.plus(entry.carried_beside)
            entry.beside.clear()

    def _add(self, key: str, revision: int) -> Entry:
        number = self._next
        while number in self._by_number or number in self._taken:
            number = (number + SHARDS) % RELAYS
        self._next = (number + SHARDS) % RELAYS
        entry = Entry(key, number, revision)
        self._entries[key] = self._by_number[number] = entry
        return entry

    def _adopt(self) -> None:
        """Read what a process before us has left; raises OSError."""
        sources: dict[int, str] = {}
        for name in _SOURCES:
            for reply in self._netfilter.ask(Request(GETSETELEM, DUMP, map_name(name))):
                sources.update(read_sources(reply.body))
        self.slots = {host: slot for slot, host in sources.items()}
        strange: list[Element] = []
        for name in ("flows4", "flows6"):
            answers = self._netfilter.ask(Request(GETSETELEM, DUMP, map_name(name)))
            for element in _elements(answers):
                if not self._take_over(element, sources.get(element.mark.slot, "")):
                    strange.append(element)
        if strange and self._share.number == 0:
            self._remove(strange)
        for entry in self._entries.values():
            self._offer(entry, entry.installed)

    def _take_over(self, element: Element, via: str) -> bool:
        """Adopt an element; False: it makes no sense to anybody."""
        self._taken.add(element.mark.relay)
        if not element.key or not via:
            return False
        if not self._share.has(element.key):
            return True
        entry = self._entries.get(element.key)
        if entry is None:
            if element.mark.relay in self._by_number:
                return False
            entry = Entry(element.key, element.mark.relay, element.revision)
            self._entries[element.key] = self._by_number[entry.number] = entry
        elif entry.number != element.mark.relay:
            return False
        # Flows that an offer did not change keep the revision they were made for.
        entry.revision = max(entry.revision, element.revision)
        way = element.mark.way
        flow = Flow(element.source, element.local, element.target, (via, element.via_port))
        entry.asked[way] = entry.wanted[way] = entry.installed[way] = flow
        entry.now.packets[way], entry.now.octets[way] = element.packets, element.octets
        return True

    def _remove(self, strange: list[Element]) -> None:
        for element in strange:
            flow = Flow(element.source, element.local, element.target, ("", 0))
            self._shortcut.take(flow)
            body = element_list(f"flows{flow.version}", flow_index(flow))
            self._netfilter.transact([Request(DELSETELEM, 0, body)])


_SOURCES = ("sources4", "sources6")


def _differing(these: Mapping[int, Flow], others: Mapping[int, Flow]) -> dict[int, Flow]:
    return {way: flow for way, flow in these.items() if others.get(way) != flow}


def _request(kind: int, flags: int, name: str, elements: list[bytes]) -> Request:
    return Request(kind, flags, element_list(name, b"".join(elements)))


def _elements(answers: Iterable[Reply]) -> Iterable[Element]:
    for answer in answers:
        yield from read_flows(answer.body)
