"""How this machine is on the network: what an admin says, checked, and what systemd-networkd reads.

Pure: text in, text out. `machine` has the files.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

from appliance.errors import LocalError

LARGEST_VLAN = 4094
MOST = 8
"""Addresses, gateways and servers of each kind; more is a mistake."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


class NetworkPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine's one connection to the phones' network."""

    interface: str = ""
    """Name of the network card; empty: every Ethernet card, or the first for fixed addresses."""
    method: Literal["dhcp", "static"] = "dhcp"
    addresses: tuple[str, ...] = ()
    """Fixed addresses, IPv4 and IPv6, with their prefix: 192.0.2.10/24."""
    gateways: tuple[str, ...] = ()
    """Next hop of everything else, one for each IP version."""
    vlan: int = 0
    """802.1Q tag, 1 to 4094; 0: none."""
    dns: tuple[str, ...] = ()
    """Addresses of name servers, beside those that DHCP names."""
    ntp: tuple[str, ...] = ()
    """Names or addresses of time servers, beside those that DHCP names."""
    hostname: str = "holdfast"


def read_plan(content: bytes) -> NetworkPlan:
    """Return a plan from JSON; raises LocalError that names every field that is wrong."""
    try:
        plan = msgspec.json.decode(content, type=NetworkPlan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"network: {error}") from error
    return checked(plan)


def checked(plan: NetworkPlan) -> NetworkPlan:
    """Return the plan if it can work; raises LocalError that names every field that is wrong."""
    found = [*_names(plan), *_fixed(plan), *_servers(plan)]
    if found:
        raise LocalError("network: " + "; ".join(found))
    return plan


def _names(plan: NetworkPlan) -> list[str]:
    found = []
    if plan.interface and not INTERFACE.fullmatch(plan.interface):
        found.append(f"interface: {plan.interface!r} is no name of a network card, e.g. eth0")
    if not NAME.fullmatch(plan.hostname):
        found.append(f"hostname: {plan.hostname!r} must be letters, digits and hyphens, 63 at most")
    if not 0 <= plan.vlan <= LARGEST_VLAN:
        found.append(f"vlan: {plan.vlan} must be 1 to {LARGEST_VLAN}, or 0 for none")
    return found


def _fixed(plan: NetworkPlan) -> list[str]:
    found = [text for value in plan.addresses if (text := _wrong_address(value))]
    if plan.method == "static" and not plan.addresses:
        found.append("addresses: method static needs at least one, e.g. 192.0.2.10/24")
    networks = [] if found else [ipaddress.ip_interface(value).network for value in plan.addresses]
    versions = []
    for value in plan.gateways:
        try:
            gateway = ipaddress.ip_address(value)
        except ValueError:
            found.append(f"gateways: {value!r} is no address")
            continue
        versions.append(gateway.version)
        near = gateway.is_link_local or any(gateway in network for network in networks)
        if plan.method == "static" and networks and not near:
            found.append(f"gateways: {value} lies in no network of `addresses`")
    if len(set(versions)) != len(versions):
        found.append("gateways: name one for each IP version")
    return found


def _wrong_address(value: str) -> str:
    try:
        address = ipaddress.ip_interface(value)
    except ValueError:
        return f"addresses: {value!r} is no address with prefix, e.g. 192.0.2.10/24"
    if "/" not in value:
        return f"addresses: {value} needs its prefix, e.g. {value}/24"
    ip, network = address.ip, address.network
    if ip.is_unspecified or ip.is_loopback or ip.is_multicast:
        return f"addresses: {ip} cannot be this machine's"
    ends = (network.network_address, network.broadcast_address)
    if ip.version == 4 and network.prefixlen < 31 and ip in ends:
        return f"addresses: {ip} is the network itself or its broadcast address"
    return ""


def _servers(plan: NetworkPlan) -> list[str]:
    found = []
    for value in plan.dns:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            found.append(f"dns: {value!r} is no address; name servers are named by address")
    for value in plan.ntp:
        if not all(NAME.fullmatch(part) for part in value.split(".")) and not _is_address(value):
            found.append(f"ntp: {value!r} is neither a name nor an address")
    for field in ("addresses", "gateways", "dns", "ntp"):
        if len(getattr(plan, field)) > MOST:
            found.append(f"{field}: {MOST} at most")
    return found


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def rendered(plan: NetworkPlan, first_card: str = "") -> dict[str, str]:
    """Return the files that systemd-networkd reads, by name.

    `first_card` is the card that fixed addresses go to where the plan names none.
    """
    card = plan.interface or (first_card if plan.method == "static" or plan.vlan else "")
    match = f"Name={card}" if card else "Type=ether\nKind=!*"
    if not plan.vlan:
        return {"10-holdfast.network": _network(match, plan)}
    carrier = f"[Match]\n{match}\n\n[Network]\nVLAN=voice\nLinkLocalAddressing=no\n"
    return {
        "10-holdfast.network": carrier,
        "20-voice.netdev": f"[NetDev]\nName=voice\nKind=vlan\n\n[VLAN]\nId={plan.vlan}\n",
        "30-voice.network": _network("Name=voice", plan),
    }


def _network(match: str, plan: NetworkPlan) -> str:
    dynamic = plan.method == "dhcp"
    lines = [f"DHCP={'yes' if dynamic else 'no'}", "IPv6AcceptRA=yes"]
    lines += [f"Address={value}" for value in plan.addresses]
    lines += [f"Gateway={value}" for value in plan.gateways]
    lines += [f"DNS={value}" for value in plan.dns]
    lines += [f"NTP={value}" for value in plan.ntp]
    # The router that gave the address may be what has failed: an address is kept though its lease
    # has run out, and a switch that starts again in a minute costs no connection.
    lines += [*(["KeepConfiguration=dhcp"] if dynamic else []), "IgnoreCarrierLoss=60s"]
    body = f"[Match]\n{match}\n\n[Network]\n" + "\n".join(lines) + "\n"
    if dynamic:
        body += "\n[DHCPv4]\nClientIdentifier=mac\nUseMTU=yes\nSendHostname=yes\n"
    return body
