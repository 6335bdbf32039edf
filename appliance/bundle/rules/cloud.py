"""Zones, policies, trunk and code points."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from appliance.bundle.dscp import plain
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows


def zones_differ(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two zones at one address: they would fail together and count as two."""
    named = (
        (f"{path}.host", (zone.host.lower(), zone.port or "", zone.transport))
        for path, zone in rows("zones", bundle.zones)
    )
    return repeated(named, "zones must differ in host, port or transport")


def authorities_are_certificates(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a zone's CA that is not PEM."""
    for path, zone in rows("zones", bundle.zones):
        if zone.ca and "-----BEGIN CERTIFICATE-----" not in zone.ca:
            yield Problem(f"{path}.ca", "not a PEM certificate; paste it with its BEGIN line")


def issued_is_a_time(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a time of issue that cannot be read."""
    issued = bundle.issued
    if issued:
        try:
            sound = datetime.fromisoformat(issued).tzinfo is not None
        except ValueError:
            sound = False
        if not sound:
            text = f"`{issued}` is not an RFC 3339 time; write it like 2026-11-20T08:00:00Z"
            yield Problem("issued", text)


def expiries_leave_a_choice(bundle: Bundle) -> Iterator[Problem]:
    """Refuse bounds of the registration expiry that no phone can keep."""
    policies = bundle.policies
    if policies.min_expires > policies.max_expires:
        text = f"{policies.min_expires} is more than max_expires {policies.max_expires}; lower it"
        yield Problem("policies.min_expires", text)


def digest_algorithms_are_usable(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an empty or repeated choice of digest algorithms."""
    names = bundle.policies.digest_algorithms
    if not names:
        yield Problem("policies.digest_algorithms", "empty; name SHA-256, MD5 or both")
    named = ((f"policies.digest_algorithms[{index}]", name) for index, name in enumerate(names))
    yield from repeated(named, "name each once")


def trunk_keys_travel_hidden(bundle: Bundle) -> Iterator[Problem]:
    """Refuse route groups without an SBC, SBCs named twice, and media keys sent in clear."""
    for path, group in rows("route_groups", bundle.route_groups):
        if not group.sbcs:
            yield Problem(f"{path}.sbcs", "empty; name an SBC or remove the route group")
        hosts = (
            (f"{path}.sbcs[{index}].host", (sbc.host.lower(), sbc.port, sbc.transport))
            for index, sbc in enumerate(group.sbcs)
        )
        yield from repeated(hosts, "name each once; `weight` shares the calls")
        for index, sbc in enumerate(group.sbcs):
            if group.srtp == "required" and sbc.transport != "TLS":
                text = f"{sbc.transport} shows the keys of srtp `required` to anybody; use TLS"
                yield Problem(f"{path}.sbcs[{index}].transport", text)


def dscp_traffic_is_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a kind of traffic in two rows of the DSCP table."""
    named = ((f"{path}.traffic", plain(queue.traffic)) for path, queue in rows("dscp", bundle.dscp))
    return repeated(named, "one row for each kind of traffic")
