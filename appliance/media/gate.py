"""The short cut as one process owns it: its arrays, its program, and the interfaces it is on.

It is open while nobody else has rules for what is forwarded (`surroundings`). What the kernel has
of it lives as long as a descriptor: systemd holds them while this process is away, so that calls
and counters outlive it. With nobody to hold them, calls go on by the rules, and what the short cut
has counted in the life that ended is lost.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from appliance.media import bpf
from appliance.media.flow import Flow
from appliance.media.loop import log
from appliance.media.netlink import Netfilter
from appliance.media.shortcut import Shortcut
from appliance.media.shortcut_program import shortcut
from appliance.media.slot import ENTRIES, LAYOUTS
from appliance.media.surroundings import Surroundings, look
from appliance.supervision import leave_with_systemd, left_with_systemd

_ARRAYS: Final = "slots2"
"""Name under which systemd keeps the arrays; the number is that of their layout."""
_LINKS: Final = "ways"


class _Facts(NamedTuple):
    """What the program is made from."""

    around: Surroundings
    dscp: int


class Gate:
    """Opens and closes the short cut.

    To put a program on an interface or to take it off keeps the caller waiting for 15 ms, until no
    processor runs it any more. So all but the first opening is done by a thread.
    """

    def __init__(self, netfilter: Netfilter, dscp: int, streams: Iterable[Flow]) -> None:
        """Take over what there is and open; `streams` are those in the table.

        Raises OSError, with nothing held, where the machine or our permissions do not do.
        """
        self._netfilter = netfilter
        self._dscp = dscp
        self._done = _Facts(Surroundings(""), dscp)
        self._thread: threading.Thread | None = None
        self._links: list[int] = []
        if not bpf.is_known():
            raise OSError(errno.EOPNOTSUPP, "not on this kind of processor")
        self.arrays, old = _left()
        """Descriptors of the arrays, by IP version."""
        try:
            self._make_arrays()
            self._forget_others(streams)
            self._follow(_Facts(look(netfilter), dscp))
        except OSError:
            self.close(keep=False)
            raise
        finally:
            # After the new ones are there, so that no packet goes another way meanwhile.
            _detach(old)

    def watch(self) -> None:
        """Open or close, soon, as others' rules and the interfaces ask for."""
        if self._thread is not None and self._thread.is_alive():
            return
        facts = _Facts(look(self._netfilter), self._dscp)
        if facts != self._done:
            self._thread = threading.Thread(target=self._try_to_follow, args=(facts,), daemon=True)
            self._thread.start()

    def mark(self, dscp: int) -> None:
        """Mark with another DSCP value, soon."""
        self._dscp = dscp
        self.watch()

    def close(self, keep: bool) -> None:
        """Let go; `keep`: calls go on by it, where systemd holds what they need."""
        if self._thread is not None:
            self._thread.join()
        if not keep:
            self._shut()
            leave_with_systemd(_ARRAYS, ())
        for descriptor in (*self._links, *self.arrays.values()):
            os.close(descriptor)
        self._links, self.arrays = [], {}

    def _make_arrays(self) -> None:
        if self.arrays:
            return
        for version, layout in LAYOUTS.items():
            self.arrays[version] = bpf.create_array(f"holdfast{version}", layout.size, ENTRIES)
        leave_with_systemd(_ARRAYS, list(self.arrays.values()))

    def _forget_others(self, streams: Iterable[Flow]) -> None:
        """Empty the slots of streams that the table has lost while nobody looked."""
        slots = Shortcut(self.arrays)
        gone = slots.keep(streams)
        slots.close()
        if gone:
            log(f"{gone} streams on the short cut were nobody's; removed")

    def _try_to_follow(self, facts: _Facts) -> None:
        try:
            self._follow(facts)
        except OSError as error:
            # A program that knows yesterday's facts is worse than none.
            self._shut()
            log(f"nothing takes the short cut: {error.strerror}")

    def _follow(self, facts: _Facts) -> None:
        before, self._done = self._done.around.hindrance, facts
        hindrance = facts.around.hindrance
        if hindrance or not facts.around.entries:
            self._shut()
        else:
            self._open(facts)
        if hindrance and hindrance != before:
            log(f"nothing takes the short cut: {hindrance}")
        elif before and not hindrance:
            log("calls take the short cut again")

    def _open(self, facts: _Facts) -> None:
        """Be on these interfaces, with a program that knows the present facts."""
        code = shortcut(self.arrays, facts.around.exits, facts.dscp)
        program = bpf.load_program("holdfast", code)
        links: list[int] = []
        try:
            for interface in facts.around.entries:
                # One that has just gone is seen at the next look.
                with suppress(FileNotFoundError):
                    links.append(_attached(program, interface))
        except OSError:
            _detach(links)
            raise
        finally:
            os.close(program)
        old, self._links = self._links, links
        _detach(old)
        leave_with_systemd(_LINKS, links)

    def _shut(self) -> None:
        old, self._links = self._links, []
        _detach(old)
        leave_with_systemd(_LINKS, ())


def abandon() -> None:
    """Let go of what an earlier life has left, where this one does without a short cut."""
    arrays, links = _left()
    _detach(links)
    for array in arrays.values():
        os.close(array)
    leave_with_systemd(_ARRAYS, ())


def _left() -> tuple[dict[int, int], list[int]]:
    """Take what an earlier life has left: the arrays, and what keeps programs where they are."""
    left = left_with_systemd()
    arrays = _adopted(left.pop(_ARRAYS, []))
    for name in left:
        leave_with_systemd(name, ())
    return arrays, [link for links in left.values() for link in links]


def _attached(program: int, interface: int) -> int:
    try:
        return bpf.attach(program, interface)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise FileNotFoundError(error.errno, error.strerror) from error
        if error.errno == errno.EINVAL:
            raise OSError(error.errno, "Linux before 6.6") from error
        raise


def _detach(links: Iterable[int]) -> None:
    for link in links:
        # Of an interface that is gone nothing can be detached.
        with suppress(OSError):
            bpf.detach(link)
        os.close(link)


def _adopted(descriptors: list[int]) -> dict[int, int]:
    """Return the arrays that an earlier life has left, by version; none unless all are there."""
    arrays: dict[int, int] = {}
    for descriptor in descriptors:
        sizes = {layout.size: version for version, layout in LAYOUTS.items()}
        version = sizes.get(_array_size(descriptor))
        if version is not None:
            arrays.setdefault(version, descriptor)
    if arrays.keys() == LAYOUTS.keys() and len(descriptors) == len(arrays):
        return arrays
    for descriptor in descriptors:
        os.close(descriptor)
    return {}


def _array_size(descriptor: int) -> int:
    """Return the octets of an array's values; 0: it is none of ours."""
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    except OSError:
        return 0
    facts: Mapping[str, str] = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    if facts.get("map_type", "").strip() != "2" or facts["max_entries"].strip() != str(ENTRIES):
        return 0
    return int(facts["value_size"])
