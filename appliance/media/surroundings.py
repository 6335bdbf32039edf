"""What of others' on this machine the short cut would pass by, and the interfaces it may use.

Packets that take it meet neither rules for forwarded packets nor IPsec. So wherever somebody else
has such, nothing takes it: the rules of ours carry everything, past all that is there.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from appliance.media.netlink import DUMP, Netfilter, Request, ask_kernel, attributes
from appliance.media.ruleset import TABLE
from appliance.media.sysctl import ROOT

_OURS: Final = {TABLE, "holdfast_firewall"}
"""Tables whose rules let what we relay pass as it is."""
_GETCHAIN: Final = 4
_EVERY_FAMILY: Final = 0
_PASSED_BY: Final = {1: (0, 2, 4, 5), 2: (0, 2, 4), 10: (0, 2, 4), 5: (0,)}
"""Hooks by family (inet, ip, ip6, netdev): prerouting, forward, postrouting, ingress."""
_FAMILIES: Final = {1: "inet", 2: "ip", 10: "ip6", 5: "netdev"}
_LEGACY: Final = ("ip_tables_names", "ip6_tables_names")
_ROUTING, _IPSEC = 0, 6
"""Protocols of netlink."""
_GETLINK, _GETSPDINFO = 18, 0x25
_ETHERNET: Final = 1
"""ARPHRD_ETHER."""
_LINK: Final = struct.Struct("=BxHiII")
_NAME, _MASTER = 3, 10
_COUNTS: Final = struct.Struct("=3I")
INTERFACES_LIMIT: Final = 64
"""Interfaces that the short cut uses at most."""


class Interface(NamedTuple):
    """An interface with an Ethernet header that is part of no bridge, bond or VRF."""

    number: int
    name: str


class Surroundings(NamedTuple):
    """What was found."""

    hindrance: str
    """Why nothing may take the short cut, as part of a sentence; empty: it may."""
    entries: tuple[int, ...] = ()
    """Interfaces whose packets may take it."""
    exits: tuple[int, ...] = ()
    """Interfaces they may leave by."""


def look(netfilter: Netfilter) -> Surroundings:
    """Look at the machine; what cannot be seen is in the way."""
    try:
        hindrance = _chains(netfilter) or _old_tables() or _policies()
        if hindrance:
            return Surroundings(hindrance)
        exits = interfaces()[:INTERFACES_LIMIT]
    except OSError as error:
        return Surroundings(f"what else is on this machine cannot be seen ({error.strerror})")
    entries = tuple(one.number for one in exits if not _is_strict(one.name))
    return Surroundings("", entries, tuple(one.number for one in exits))


def foreign_chain(bodies: Iterable[memoryview]) -> str:
    """Return where somebody else looks at forwarded packets, from the kernel's list of chains."""
    for body in bodies:
        family, fields = body[0], dict(attributes(body[4:]))
        table = bytes(fields.get(1, b"")).rstrip(b"\0").decode(errors="replace")
        hook = dict(attributes(fields[4])) if 4 in fields else {}
        number = int.from_bytes(hook.get(1, b"\xff"), "big")
        if number in _PASSED_BY.get(family, ()) and not (family == 1 and table in _OURS):
            return f"table {_FAMILIES[family]} {table} has rules for forwarded packets"
    return ""


def interfaces() -> list[Interface]:
    """Return the interfaces there are; raises OSError."""
    replies = ask_kernel(_ROUTING, _GETLINK, DUMP, _LINK.pack(0, 0, 0, 0, 0))
    return sorted(one for one in map(read_interface, (reply.body for reply in replies)) if one)


def read_interface(body: memoryview) -> Interface | None:
    """Read one; None where packets must not be taken from it or given to it."""
    if len(body) < _LINK.size:
        return None
    _, kind, number, _, _ = _LINK.unpack_from(body)
    fields = dict(attributes(body[_LINK.size :]))
    if kind != _ETHERNET or _MASTER in fields:
        return None
    name = bytes(fields.get(_NAME, b"")).rstrip(b"\0").decode(errors="replace")
    return Interface(number, name)


def _chains(netfilter: Netfilter) -> str:
    replies = netfilter.ask(Request(_GETCHAIN, DUMP, b""), _EVERY_FAMILY)
    return foreign_chain(reply.body for reply in replies)


def _old_tables(folder: Path = Path("/proc/thread-self/net")) -> str:
    """Return which tables of the older packet filter there are; it has no part in nftables."""
    for name in _LEGACY:
        try:
            tables = (folder / name).read_text().split()
        except FileNotFoundError:
            continue
        except PermissionError:
            return "iptables (legacy) may have rules for forwarded packets, and may not be asked"
        if tables:
            return f"iptables (legacy) has the tables {', '.join(sorted(tables))}"
    return ""


def _policies() -> str:
    try:
        replies = ask_kernel(_IPSEC, _GETSPDINFO, 0, bytes(4))
    except OSError as error:
        if error.errno not in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            raise
        return ""
    for reply in replies:
        counts = dict(attributes(reply.body[4:])).get(1, b"")
        if len(counts) >= _COUNTS.size and any(_COUNTS.unpack_from(counts)):
            return "there are IPsec policies"
    return ""


def _is_strict(name: str) -> bool:
    """Tell whether the kernel asks of each packet that its way back be by this interface."""
    modes = [_mode(ROOT / "ipv4/conf" / one / "rp_filter") for one in ("all", name)]
    return max(modes) == 1


def _mode(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 1
