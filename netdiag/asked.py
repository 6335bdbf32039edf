# SPDX-License-Identifier: GPL-2.0-only
"""What may be asked for, within bounds: who starts us may be less trusted than we are."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from netdiag import wanted
from netdiag.refusal import CARD, Refused

LONGEST = 15.0
"""Seconds a probe may take."""
PROBES = ("arp", "dhcp")
"""Besides `capture`, which a service asks for and no person: it answers with a file."""


@dataclass(frozen=True)
class Asked:
    """One probe."""

    probe: str
    card: str
    address: str = ""
    """IPv4, for `arp`."""
    seconds: float = 3.0


def read(line: str) -> Asked | wanted.Wanted:
    """Read one line of JSON; raises Refused with what is wrong with it."""
    try:
        told = json.loads(line)
    except ValueError as error:
        raise Refused(f"the request is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise Refused("the request is no object")
    if told.get("probe") == "capture":
        return wanted.check(told)
    unknown = set(told) - {"probe", "card", "address", "seconds"}
    if unknown:
        raise Refused(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    return check(told)


def check(told: dict[str, Any]) -> Asked:
    """Return a request whose every field makes sense; raises Refused."""
    probe, card = told.get("probe"), told.get("card")
    if probe not in PROBES:
        raise Refused(f"probe: one of {', '.join(PROBES)}")
    if not isinstance(card, str) or not CARD.fullmatch(card):
        raise Refused("card: the name of a network card, e.g. eth0")
    seconds = told.get("seconds", 3.0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Refused("seconds: a number")
    if not 0.5 <= seconds <= LONGEST:
        raise Refused(f"seconds: 0.5 to {LONGEST:g}")
    address = _address(told.get("address", "")) if probe == "arp" else ""
    return Asked(probe, card, address, float(seconds))


def _address(text: Any) -> str:
    try:
        found = ipaddress.IPv4Address(str(text))
    except ValueError as error:
        raise Refused(f"address: an IPv4 address, not {str(text)[:40]!r}") from error
    if found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified:
        raise Refused(f"address: {found} is nobody's on a network card")
    return str(found)
