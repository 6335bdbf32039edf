# SPDX-License-Identifier: GPL-2.0-only
"""What DHCP offers to phones: a DISCOVER that no address is taken from."""

from __future__ import annotations

import random
import time
from typing import Any

from scapy.arch import get_if_hwaddr
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.sendrecv import AsyncSniffer, sendp

from netdiag.asked import Asked

WANTED = (1, 3, 6, 15, 42, 43, 66, 67, 120, 128, 132, 150, 156, 159, 160, 161)
"""What phones ask for: name servers, VLAN, and every option that names a place of provisioning."""
PROVISIONING = (43, 66, 67, 120, 150, 156, 159, 160, 161)
BROADCAST_FLAG = 0x8000
SHOWN = 200
"""Characters of an option that are told."""
READY = 0.3
"""Seconds until the listener hears."""


def look(asked: Asked) -> dict[str, Any]:
    """Return every offer, with the options that lead phones somewhere."""
    own = get_if_hwaddr(asked.card)
    number = random.randrange(1 << 32)
    discover = (
        Ether(src=own, dst="ff:ff:ff:ff:ff:ff")
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(own.replace(":", "")), xid=number, flags=BROADCAST_FLAG)
        / DHCP(options=[("message-type", "discover"), ("param_req_list", list(WANTED)), "end"])
    )
    heard = AsyncSniffer(
        iface=asked.card, store=True, lfilter=lambda packet: _answers(packet, number)
    )
    heard.start()
    time.sleep(READY)
    sendp(discover, iface=asked.card, verbose=False)
    time.sleep(asked.seconds)
    return {"offers": [_offer(packet) for packet in heard.stop() or []]}


def _answers(packet: Any, number: int) -> bool:
    return BOOTP in packet and packet[BOOTP].op == 2 and packet[BOOTP].xid == number


def _offer(packet: Any) -> dict[str, Any]:
    leading = {
        str(number): value.decode("utf-8", "replace").rstrip("\0")[:SHOWN]
        for number, value in _options(bytes(packet[DHCP]))
        if number in PROVISIONING
    }
    server, address = str(packet[IP].src), str(packet[BOOTP].yiaddr)
    return {"server": server, "address": address, "options": leading}


def _options(data: bytes) -> list[tuple[int, bytes]]:
    """Cut options out of their octets (RFC 2132, section 2); a cut-off one ends them."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        found.append((data[at], data[at + 2 : at + 2 + length]))
        at += 2 + length
    return found
