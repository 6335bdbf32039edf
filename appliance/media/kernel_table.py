"""The kernel relay's table as one process owns it: made, watched, put back, removed.

off        nothing of the kernel is touched
auto       the kernel relays where it may; else user space does, and the log says why, once
required   a media process that may not use nftables does not start
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.errors import LocalError
from appliance.marking import MEDIA
from appliance.media.flow import Flow, map_name, read_counts, read_flows
from appliance.media.gate import Gate
from appliance.media.loop import log
from appliance.media.netlink import ACK, DUMP, Netfilter, Request
from appliance.media.ruleset import GETSETELEM, GETTABLE, install, remove, table_name, table_number
from appliance.media.sysctl import Sysctls
from appliance.settings import Settings

_LOCK: Final = "\0holdfast-media-kernel"
"""Abstract Unix socket: one to a network namespace, like the table, and gone with its owner."""


class KernelTable:
    """The table and what goes with it, for as long as this process has them."""

    def __init__(self, settings: Settings, workers: int) -> None:
        """Make them; raises OSError, with nothing held, where that is not possible."""
        self._workers = workers
        self._dscp = MEDIA.value
        self._lock = _lock()
        self._netfilter: Netfilter | None = None
        self._gate: Gate | None = None
        try:
            self._netfilter = Netfilter()
            # Asked before any kernel setting is touched: without permission nothing changes.
            _ask_leave(self._netfilter)
            self._sysctls = Sysctls(_memory(settings), log)
            self._sysctls.apply()
            install(self._netfilter, workers, self._sysctls.closed, self._dscp)
        except OSError:
            self._let_go()
            raise
        if settings.media_shortcut == "auto":
            self._gate = _open_gate(self._netfilter, self._dscp)

    @property
    def arrays(self) -> Mapping[int, int]:
        """Descriptors of the short cut's arrays by IP version; none where there is no short cut."""
        return self._gate.arrays if self._gate is not None else {}

    def watch(self) -> None:
        """Make the table again where somebody has removed it, as `nft flush ruleset` does."""
        if self._netfilter is None:
            return
        if table_number(self._netfilter) is None:
            with suppress(OSError):
                install(self._netfilter, self._workers, self._sysctls.closed, self._dscp)
                log("the nftables table is there again")
        if self._gate is not None:
            self._gate.watch()

    def mark(self, dscp: int) -> None:
        """Have the kernel mark what it relays with this value, calls under way included."""
        if self._netfilter is None or dscp == self._dscp:
            return
        self._dscp = dscp
        if self._gate is not None:
            self._gate.mark(dscp)
        try:
            install(self._netfilter, self._workers, self._sysctls.closed, dscp)
        except OSError as error:
            # Where the table has gone, `watch` makes it again with the new value.
            log(f"the kernel keeps marking with another DSCP value than {dscp}: {error.strerror}")

    def close(self) -> None:
        """Leave calls in the kernel for the next start; without any, leave nothing."""
        is_needed = self._netfilter is not None and _has_flows(self._netfilter)
        if self._gate is not None:
            self._gate.close(keep=is_needed)
        if self._netfilter is not None and not is_needed:
            with suppress(OSError):
                remove(self._netfilter)
                self._sysctls.restore()
        self._let_go()

    def _let_go(self) -> None:
        if self._netfilter is not None:
            self._netfilter.close()
        self._netfilter = self._gate = None
        self._lock.close()


def open_table(settings: Settings, workers: int) -> KernelTable | None:
    """Make the table as the settings ask; None: user space carries everything.

    Raises LocalError where it is required and cannot be had.
    """
    if settings.media_kernel == "off":
        return None
    try:
        table = KernelTable(settings, workers)
    except OSError as error:
        reason = f"the kernel cannot relay here ({error.strerror or error})"
        if settings.media_kernel == "required":
            raise LocalError(f"{reason}; give CAP_NET_ADMIN or set media_kernel") from error
        log(f"{reason}; user space carries all audio")
        return None
    log("the kernel relays, by nftables")
    return table


def clear(settings: Settings) -> None:
    """Remove what a media process has left in the kernel, unless one still runs."""
    if settings.media_kernel == "off":
        return
    with suppress(OSError):
        lock = _lock()
        netfilter = Netfilter()
        try:
            remove(netfilter)
            Sysctls(_memory(settings), log).restore()
        finally:
            netfilter.close()
            lock.close()


def _open_gate(netfilter: Netfilter, dscp: int) -> Gate | None:
    """Return the short cut beside the table; None where it cannot be had, which is said once."""
    streams = [
        Flow(element.source, element.local, element.target, ("", element.via_port))
        for version in (4, 6)
        for reply in netfilter.ask(Request(GETSETELEM, DUMP, map_name(f"flows{version}")))
        for element in read_flows(reply.body)
    ]
    try:
        return Gate(netfilter, dscp, streams)
    except OSError as error:
        log(f"no short cut beside nftables ({error.strerror or error})")
        return None


def _memory(settings: Settings) -> Path:
    return settings.run / "kernel-settings.json"


def _lock() -> socket.socket:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(_LOCK)
    except OSError as error:
        lock.close()
        raise OSError(error.errno, "another media process has the kernel relay") from error
    return lock


def _ask_leave(netfilter: Netfilter) -> None:
    """Raise OSError where we may not use nftables."""
    with suppress(FileNotFoundError):
        netfilter.ask(Request(GETTABLE, ACK, table_name()))


def _has_flows(netfilter: Netfilter) -> bool:
    try:
        return any(
            True
            for name in ("flows4", "flows6")
            for reply in netfilter.ask(Request(GETSETELEM, DUMP, map_name(name)))
            for _ in read_counts(reply.body)
        )
    except OSError:
        return False
