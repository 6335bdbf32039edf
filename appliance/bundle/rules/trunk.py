"""The outside: certificates, numbers, rules and headers of the trunk (E1-E4)."""

from __future__ import annotations

from collections.abc import Iterator

from phonenumbers import SUPPORTED_REGIONS

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import extensions, repeated, rows
from appliance.bundle.shape import is_sound
from appliance.bundle.trunk_parts import DialRule, Peer, RouteGroup

OURS = frozenset(
    {
        "via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route",
        "content-length", "content-type", "allow", "supported", "require", "session-expires",
        "min-se", "privacy", "p-asserted-identity", "diversion", "history-info", "authorization",
    }
)  # fmt: skip
"""Headers that no rule may write: the call lives by them, or identity is proved by them."""


def trunk_certificates_can_be_read(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a CA or revocation list of a route group or another site that is not PEM."""
    trusting: list[tuple[str, RouteGroup | Peer]] = [*rows("route_groups", bundle.route_groups)]
    for path, group in [*trusting, *rows("peers", bundle.peers)]:
        if group.ca and "-----BEGIN CERTIFICATE-----" not in group.ca:
            yield Problem(f"{path}.ca", "not a PEM certificate; paste it with its BEGIN line")
        if group.crl and "-----BEGIN X509 CRL-----" not in group.crl:
            yield Problem(f"{path}.crl", "not a PEM revocation list; paste it with its BEGIN line")
        if group.crl and not group.ca:
            yield Problem(f"{path}.crl", "useless without `ca`; add the CA that has signed it")


def certificates_name_one(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a site whose host is another's or an SBC's: its certificate tells who calls."""
    taken = {
        sbc.host.lower(): f"{path}.sbcs[{index}].host"
        for path, group in rows("route_groups", bundle.route_groups)
        for index, sbc in enumerate(group.sbcs)
    }
    for path, peer in rows("peers", bundle.peers):
        there = taken.setdefault(peer.host.lower(), f"{path}.host")
        if there != f"{path}.host":
            text = f"`{peer.host}` is also at {there}, and its certificate tells who calls"
            yield Problem(f"{path}.host", f"{text}; give each its own")


def header_rules_are_harmless(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a rule for a header that is ours to write, or one header twice."""
    for path, group in rows("route_groups", bundle.route_groups):
        headers = rows(f"{path}.headers", group.headers)
        for below, rule in headers:
            if rule.name.lower() in OURS:
                text = f"`{rule.name}` is written by Holdfast itself; choose another header"
                yield Problem(f"{below}.name", text)
        named = ((f"{below}.name", rule.name.lower()) for below, rule in headers)
        yield from repeated(named, "write each header once")


def codecs_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a codec that a route group names twice."""
    for path, group in rows("route_groups", bundle.route_groups):
        yield from repeated(rows(f"{path}.codecs", group.codecs), "name each codec once")


def prefixes_lead_one_way(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a prefix of two route groups, and one that calls for help or out of the house."""
    named = [
        row
        for path, group in rows("route_groups", bundle.route_groups)
        for row in rows(f"{path}.prefixes", group.prefixes)
    ]
    yield from repeated(named, "let it lead to one route group")
    outside = bundle.number_plan.outside_prefix
    for path, prefix in named:
        if outside is not None and (prefix.startswith(outside) or outside.startswith(prefix)):
            yield Problem(path, f"`{prefix}` and the outside prefix `{outside}` begin alike")
        if any(number.startswith(prefix) for number in bundle.emergency_numbers):
            yield Problem(path, f"`{prefix}` begins an emergency number; choose another")


def trunk_numbers_lead_somewhere(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a number of the trunk that is named twice, rings somebody itself, or leads nowhere."""
    numbers = rows("trunk_numbers", bundle.trunk_numbers)
    yield from repeated([(f"{path}.number", row.number) for path, row in numbers], "name it once")
    owned = {number for user in bundle.users for number in user.numbers}
    owned |= {number for group in bundle.groups for number in group.numbers}
    for path, row in numbers:
        if row.number in owned:
            text = f"`{row.number}` rings a user or group itself; remove it there or here"
            yield Problem(f"{path}.number", text)
        for below, number in rows(f"{path}.cloud_numbers", row.cloud_numbers):
            if number not in owned:
                text = f"`{number}` rings nobody; give it to a user or group in `numbers`"
                yield Problem(below, text)
        if not row.cloud_numbers and row.target is None:
            yield Problem(path, "leads nowhere; name its `cloud_numbers` or a `target`")
        if row.target is not None and row.target not in extensions(bundle):
            text = f"nothing has the extension `{row.target}`; lead somewhere else"
            yield Problem(f"{path}.target", text)


def the_country_has_a_number_plan(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a country whose numbers nobody knows."""
    country = bundle.number_plan.country
    if country not in SUPPORTED_REGIONS and is_sound(country):
        text = f"no number plan is known of `{country}`; write an ISO 3166 code like US or DE"
        yield Problem("number_plan.country", text)


def dial_rules_can_be_kept(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two rules with one beginning, and one that leads to an unknown route group."""
    known = {group.id for group in bundle.route_groups}
    yield from _rules("number_plan.rules", bundle.number_plan.rules, known)
    for path, user in rows("users", bundle.users):
        if user.rules:
            yield from _rules(f"{path}.rules", user.rules, known)


def _rules(path: str, rules: tuple[DialRule, ...], known: set[str]) -> Iterator[Problem]:
    numbered = rows(path, rules)
    yield from repeated([(f"{at}.begins", rule.begins) for at, rule in numbered], "keep one rule")
    for at, rule in numbered:
        for below, group in rows(f"{at}.route_groups", rule.route_groups):
            if group not in known:
                yield Problem(below, f"there is no route group `{group}`; mend the id")
        if rule.refuse and (rule.becomes is not None or rule.route_groups):
            yield Problem(at, "refuses and leads on at once; remove `refuse`, or all else")
