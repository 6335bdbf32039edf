"""Where a caller is: by its phone, its network, its user, or as the site says of all others (E6).

What is nearest to the place wins. A phone with a location of its own was put there by somebody who
knew. The network tells where a phone is plugged in today, the user only where its desk is.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from appliance.bundle import Bundle, Location, User
from appliance.call.emergency import HelpCaller

Network = IPv4Network | IPv6Network

_HEX = frozenset("0123456789abcdef")
MAC_DIGITS = 12


class Place(NamedTuple):
    """Where somebody is, and how that is known."""

    location: Location | None
    """None: nobody knows."""
    why: str
    """One sentence."""


class Places:
    """The locations of one bundle, indexed for the questions a call for help asks."""

    def __init__(self, bundle: Bundle) -> None:
        self._locations = {location.id: location for location in bundle.locations}
        self._default = self._locations.get(bundle.emergency.location or "")
        self._phones = {
            device.mac: self._locations[device.location]
            for device in bundle.devices
            if device.mac and device.location in self._locations
        }
        networks = [
            (ip_network(network), location)
            for location in bundle.locations
            for network in location.networks
        ]
        self._networks = sorted(networks, key=lambda row: -row[0].prefixlen)
        """The longest prefix first."""

    def of(self, caller: HelpCaller) -> Place:
        """Return where somebody is who calls for help."""
        return self.find(caller.user, caller.flow.remote[0], caller.says)

    def find(self, user: User | None, address: str, says: str = "") -> Place:
        """Return where a user's phone at an address is."""
        for mac in macs_in(says):
            if mac in self._phones:
                return Place(self._phones[mac], f"the phone {mac} stands there")
        network = self._network(address)
        if network is not None:
            return Place(network[1], f"{address} is in {network[0]}")
        location = self._locations.get(user.location or "") if user is not None else None
        if user is not None and location is not None:
            return Place(location, f"{user.name} ({user.extension}) belongs there")
        if self._default is not None:
            return Place(self._default, "the site's location for everybody else")
        return Place(None, f"neither the phone, {address} nor the user has a location")

    def _network(self, text: str) -> tuple[Network, Location] | None:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        rows = self._networks
        return next(
            (row for row in rows if row[0].version == address.version and address in row[0]), None
        )


def macs_in(text: str) -> list[str]:
    """Return every hardware address a text may name: twelve hexadecimal digits at a word's end.

    Instances are UUIDs whose last part is the address (RFC 5626, 4.1); phones' User-Agents have it
    plain, with colons or with hyphens.
    """
    lower = text.lower()
    words = "".join(c if c in _HEX else " " if c not in ":-" else c for c in lower).split()
    found = [word.replace(":", "").replace("-", "")[-MAC_DIGITS:] for word in words]
    return [mac for mac in found if len(mac) == MAC_DIGITS]
