"""What the kernel knows of cards, routes and neighbours, asked by netlink without any privilege."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from appliance.adapters.addresses import family_of
from appliance.errors import LocalError

ANYWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses nobody has (RFC 5737, RFC 3849): the way to them is the way to everybody."""
_UP, _LOOPBACK, _LOWER_UP = 0x1, 0x8, 0x10000
_FAILED_DAD = 0x08
SYS = Path("/sys/class/net")


class Card(NamedTuple):
    """One network card."""

    name: str
    signal: bool
    speed: int | None
    """Megabits a second; None: not told, as with virtual cards."""
    duplex: str
    """`full`, `half`, or empty where it is not told."""
    mtu: int
    vlan: int | None
    """VLAN id of a tagged card."""
    errors: int
    """Packets that came or went broken since the card is there."""
    dropped: int
    changes: int
    """How often the signal came or went."""


class Way(NamedTuple):
    """How packets to an address leave this machine."""

    card: str
    number: int
    """Of the card, as the kernel counts them."""
    gateway: str
    """Empty: the address is on our own network."""
    source: str


class Neighbour(NamedTuple):
    """What the kernel knows of a machine on our own network (linux/neighbour.h)."""

    state: str
    mac: str
    confirmed: float
    """Seconds since it was last heard."""


NEIGHBOUR_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x80: "permanent",
}
_TICKS = 100.0
"""Of a second, in which netlink tells ages (USER_HZ)."""


def cards() -> list[Card]:
    """Return every card that is switched on, but loopback; raises LocalError."""
    with _kernel() as kernel:
        links = list(kernel.get_links())
    return [_card(link) for link in links if link["flags"] & _UP and not _is_loopback(link)]


def _is_loopback(link: Any) -> bool:
    return bool(link["flags"] & _LOOPBACK)


def _card(link: Any) -> Card:
    name = str(link.get_attr("IFLA_IFNAME"))
    figures = link.get_attr("IFLA_STATS64") or {}
    speed = _told(name, "speed")
    return Card(
        name=name,
        signal=bool(link["flags"] & _LOWER_UP),
        speed=int(speed) if speed.isdigit() else None,
        duplex=duplex if (duplex := _told(name, "duplex")) in ("full", "half") else "",
        mtu=int(link.get_attr("IFLA_MTU") or 0),
        vlan=_vlan(link),
        errors=int(figures.get("rx_errors", 0)) + int(figures.get("tx_errors", 0)),
        dropped=int(figures.get("rx_missed_errors", 0)) + int(figures.get("tx_dropped", 0)),
        changes=int(link.get_attr("IFLA_CARRIER_CHANGES") or 0),
    )


def _vlan(link: Any) -> int | None:
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "vlan":
        return None
    number = info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_VLAN_ID")
    return None if number is None else int(number)


def _told(card: str, name: str) -> str:
    try:
        return (SYS / card / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def way_to(address: str) -> Way | None:
    """Return how packets to an address leave; None where there is no way; raises LocalError."""
    with _kernel() as kernel:
        try:
            [route, *_] = list(kernel.route("get", dst=address))
            index = int(route.get_attr("RTA_OIF") or 0)
            [link, *_] = list(kernel.get_links(index))
        except NetlinkError as error:
            if error.code in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL):
                return None
            raise LocalError(f"the kernel does not tell the way to {address}: {error}") from error
    return Way(
        str(link.get_attr("IFLA_IFNAME")),
        index,
        str(route.get_attr("RTA_GATEWAY") or ""),
        str(route.get_attr("RTA_PREFSRC") or ""),
    )


def way_out() -> Way | None:
    """Return how packets leave for the internet, IPv4 before IPv6."""
    return way_to(ANYWHERE[4]) or way_to(ANYWHERE[6])


def neighbour(address: str, index: int) -> Neighbour | None:
    """Return what is known of a machine on the network of a card; raises LocalError."""
    with _kernel() as kernel:
        for entry in kernel.get_neighbours(family=family_of(address), ifindex=index):
            if entry.get_attr("NDA_DST") == address and entry["ifindex"] == index:
                ages = entry.get_attr("NDA_CACHEINFO") or {}
                return Neighbour(
                    NEIGHBOUR_STATES.get(entry["state"], "none"),
                    str(entry.get_attr("NDA_LLADDR") or ""),
                    float(ages.get("ndm_confirmed", 0)) / _TICKS,
                )
    return None


def doubled_addresses() -> list[str]:
    """Return our IPv6 addresses that the kernel found to be somebody else's too."""
    with _kernel() as kernel:
        return [
            str(entry.get_attr("IFA_ADDRESS"))
            for entry in kernel.get_addr()
            if entry["flags"] & _FAILED_DAD
        ]


def own_addresses() -> list[tuple[str, str]]:
    """Return card and address of each IPv4 address of ours but loopback's."""
    with _kernel() as kernel:
        names = {link["index"]: str(link.get_attr("IFLA_IFNAME")) for link in kernel.get_links()}
        found = [
            (names.get(entry["index"], "?"), str(entry.get_attr("IFA_LOCAL")))
            for entry in kernel.get_addr(family=2)
        ]
    return [(card, address) for card, address in found if not address.startswith("127.")]


def _kernel() -> IPRoute:
    try:
        return IPRoute()
    except OSError as error:
        raise LocalError(f"the kernel cannot be asked: {error}") from error
