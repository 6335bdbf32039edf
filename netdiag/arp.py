# SPDX-License-Identifier: GPL-2.0-only
"""Who else has an address: ARP probes as RFC 5227 has them, which change nobody's memory."""

from __future__ import annotations

from typing import Any

from scapy.arch import get_if_hwaddr
from scapy.layers.l2 import ARP, Ether
from scapy.sendrecv import srp

from netdiag.asked import Asked

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "0.0.0.0"
PROBES = 3
"""Sent in a row; one may be lost."""


def look(asked: Asked) -> dict[str, Any]:
    """Return the cards that answer for an address, ours not among them."""
    own = get_if_hwaddr(asked.card).lower()
    probe = Ether(src=own, dst=BROADCAST) / ARP(
        op="who-has", hwsrc=own, psrc=NOBODY, hwdst="00:00:00:00:00:00", pdst=asked.address
    )
    found: set[str] = set()
    for _ in range(PROBES):
        answered, _ = srp(
            probe, iface=asked.card, timeout=asked.seconds / PROBES, multi=True, verbose=False
        )
        found |= {answer[ARP].hwsrc.lower() for _, answer in answered}
    return {"address": asked.address, "cards": sorted(found - {own})}
