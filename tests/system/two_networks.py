"""A site whose appliance has a second interface: three phones on one network, one on the other."""

from __future__ import annotations

from tests.system.network import Network

FAR_APPLIANCE, FAR_APPLIANCE_6 = "10.79.0.1", "fd79::1"
FAR_PHONE, FAR_PHONE_6 = "10.79.0.2", "fd79::2"


def build() -> Network:
    """Build it; the last phone is the far one and knows no other network."""
    network = Network(4)
    try:
        far = network.phones[3]
        far.run("ip", "link", "del", "eth0")
        ends = ["type", "veth", "peer", "name", "eth0", "netns", far.name]
        network.appliance.run("ip", "link", "add", "eth1", *ends)
        for host, name, address, address_6 in (
            (network.appliance, "eth1", FAR_APPLIANCE, FAR_APPLIANCE_6),
            (far, "eth0", FAR_PHONE, FAR_PHONE_6),
        ):
            host.run("ip", "addr", "add", f"{address}/24", "dev", name)
            host.run("ip", "-6", "addr", "add", f"{address_6}/64", "dev", name, "nodad")
            host.run("ip", "link", "set", name, "up")
    except BaseException:
        network.close()
        raise
    return network
