"""What a hypervisor or a script gives the machine at its first start: cloud-init's NoCloud files.

`user-data`, `meta-data` and `network-config` (version 2) are read as far as they mean something
here; what is not understood is told, never guessed. Pure: `machine` finds the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.console.plan import NetworkPlan, checked
from appliance.errors import LocalError

LIMIT = 4 << 20
"""Bytes of one file of a seed; a bundle of 10,000 users is half of it."""
USER_KEYS = ("hostname", "ssh_authorized_keys", "ntp", "holdfast")
OWN_KEYS = ("settings", "bundle", "cloud_ca")
LINK_KEYS = (
    *("match", "set-name", "dhcp4", "dhcp6", "addresses", "gateway4", "gateway6", "routes"),
    *("nameservers", "id", "link"),
)


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a seed asked for, with what could not be understood."""

    instance: str = ""
    """Its identity: the same one is applied once."""
    network: NetworkPlan | None = None
    keys: tuple[str, ...] = ()
    """Public SSH keys that may open the console."""
    settings: Mapping[str, Any] = {}
    """Keys of docs/settings.md."""
    bundle: Any = None
    """The site's bundle, for sites without a cloud's API."""
    cloud_ca: str = ""
    """PEM of the authority of the cloud's certificate."""
    problems: tuple[str, ...] = ()


def read_seed(user: Any, meta: Any, network: Any) -> Seed:
    """Return what the three files ask for, each already parsed (None: not there)."""
    problems: list[str] = []
    about = _mapping(user, "user-data", problems)
    own = _mapping(about.get("holdfast"), "user-data: holdfast", problems)
    _unknown(about, USER_KEYS, "user-data", problems)
    _unknown(own, OWN_KEYS, "user-data: holdfast", problems)
    facts = _mapping(meta, "meta-data", problems)
    hostname = str(about.get("hostname") or facts.get("local-hostname") or "holdfast")
    ntp = _mapping(about.get("ntp"), "user-data: ntp", problems).get("servers")
    extra = {"hostname": hostname, "ntp": tuple(_texts(ntp, "ntp", problems))}
    return Seed(
        instance=str(facts.get("instance-id") or "seed"),
        network=_plan(network, extra, problems),
        keys=tuple(_texts(about.get("ssh_authorized_keys"), "ssh_authorized_keys", problems)),
        settings=_mapping(own.get("settings"), "user-data: holdfast: settings", problems),
        bundle=own.get("bundle"),
        cloud_ca=str(own.get("cloud_ca") or ""),
        problems=tuple(problems),
    )


def _plan(network: Any, extra: dict[str, Any], problems: list[str]) -> NetworkPlan | None:
    config = _mapping(network, "network-config", problems)
    config = _mapping(config.get("network", config), "network-config", problems)
    if config and config.get("version") != 2:
        problems.append("network-config: version must be 2")
        config = {}
    card, link = _first(config.get("ethernets"), "ethernets", problems)
    _, vlan = _first(config.get("vlans"), "vlans", problems)
    _unknown(link | vlan, LINK_KEYS, "network-config", problems)
    fields = {
        **extra,
        "interface": "" if "match" in link else card,
        **_link(vlan or link, problems),
    }
    if vlan:
        fields |= {"vlan": vlan.get("id", 0)}
    try:
        return checked(msgspec.convert(fields, NetworkPlan))
    except (LocalError, msgspec.ValidationError) as error:
        problems.append(f"network-config: {error}; DHCP is used instead")
        return None


def _link(link: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    addresses = _texts(link.get("addresses"), "addresses", problems)
    gateways = [str(link[key]) for key in ("gateway4", "gateway6") if link.get(key)]
    for route in link.get("routes") or []:
        to = str(route.get("to", "")) if isinstance(route, dict) else ""
        if to in ("default", "0.0.0.0/0", "::/0") and route.get("via"):
            gateways.append(str(route["via"]))
        else:
            problems.append(
                f"network-config: routes: only a default route is possible, not {route}"
            )
    servers = _mapping(link.get("nameservers"), "network-config: nameservers", problems)
    dynamic = bool(link.get("dhcp4")) or not addresses
    return {
        "method": "dhcp" if dynamic else "static",
        "addresses": tuple(addresses),
        "gateways": tuple(gateways),
        "dns": tuple(_texts(servers.get("addresses"), "nameservers", problems)),
    }


def _first(value: Any, name: str, problems: list[str]) -> tuple[str, dict[str, Any]]:
    links = _mapping(value, f"network-config: {name}", problems)
    if len(links) > 1:
        problems.append(f"network-config: {name}: only the first of {len(links)} is used")
    for key, link in links.items():
        return str(key), _mapping(link, f"network-config: {name}: {key}", problems)
    return "", {}


def _mapping(value: Any, where: str, problems: list[str]) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return {str(key): content for key, content in value.items()}
    problems.append(f"{where}: must be a mapping")
    return {}


def _texts(value: Any, where: str, problems: list[str]) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    problems.append(f"{where}: must be a list of texts")
    return []


def _unknown(
    found: dict[str, Any], known: tuple[str, ...], where: str, problems: list[str]
) -> None:
    for key in found:
        if key not in known:
            problems.append(f"{where}: {key} is not understood; known are {', '.join(known)}")
