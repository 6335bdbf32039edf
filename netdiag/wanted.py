# SPDX-License-Identifier: GPL-2.0-only
"""What may be captured: signalling and heads of audio packets, of some hosts, for a while."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from netdiag.refusal import CARD, Refused

LONGEST = 600
"""Seconds."""
LARGEST = 64 << 20
"""Octets."""
MOST = 32
"""Hosts, ports and ranges of one capture."""
FIELDS = frozenset(("probe", "card", "seconds", "octets", "hosts", "clear", "secure", "audio"))

Host = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Wanted:
    """One capture."""

    card: str
    seconds: float
    octets: int
    """The file's size at which it ends."""
    hosts: tuple[Host, ...]
    """Only packets from and to these; empty: of all."""
    clear: tuple[int, ...]
    """UDP and TCP ports of SIP that anybody can read: secrets are hidden."""
    secure: tuple[int, ...]
    """TCP ports of SIP over TLS."""
    audio: tuple[tuple[int, int], ...]
    """Ranges of UDP ports of which heads of packets are kept."""


def check(told: dict[str, Any]) -> Wanted:
    """Return a request whose every field makes sense; raises Refused."""
    unknown = set(told) - FIELDS
    if unknown:
        raise Refused(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    card = told.get("card")
    if not isinstance(card, str) or not CARD.fullmatch(card):
        raise Refused("card: the name of a network card, e.g. eth0")
    wanted = Wanted(
        card,
        float(_number(told, "seconds", 1, LONGEST)),
        _number(told, "octets", 4096, LARGEST),
        tuple(_host(text) for text in _list(told, "hosts")),
        tuple(_port(port, "clear") for port in _list(told, "clear")),
        tuple(_port(port, "secure") for port in _list(told, "secure")),
        tuple(_range(pair) for pair in _list(told, "audio")),
    )
    if not (wanted.clear or wanted.secure or wanted.audio):
        raise Refused("clear, secure, audio: one of them at least")
    return wanted


def _number(told: dict[str, Any], name: str, low: int, high: int) -> int:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{name}: a whole number from {low} to {high}")
    return value


def _list(told: dict[str, Any], name: str) -> list[Any]:
    value = told.get(name, [])
    if not isinstance(value, list) or len(value) > MOST:
        raise Refused(f"{name}: a list of at most {MOST}")
    return value


def _host(text: Any) -> Host:
    try:
        found = ipaddress.ip_address(str(text))
    except ValueError as error:
        raise Refused(f"hosts: an address, not {str(text)[:40]!r}") from error
    if found.is_loopback or found.is_multicast or found.is_unspecified:
        raise Refused(f"hosts: {found} is nobody's on a network card")
    return found


def _port(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise Refused(f"{name}: ports from 1 to 65535")
    return value


def _range(pair: Any) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Refused("audio: ranges of two ports")
    low, high = (_port(port, "audio") for port in pair)
    if low > high:
        raise Refused("audio: the lower port first")
    return low, high
