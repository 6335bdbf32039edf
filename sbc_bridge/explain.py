"""What would happen to dialled digits, rule by rule, without a call (E4)."""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, User
from sbc_bridge.caller_id import identity_of
from sbc_bridge.numbers import Numbers
from sbc_bridge.peers import Away, Peers
from sbc_bridge.permission import refusal


class Explained(NamedTuple):
    """What dialled digits would come to outside."""

    lines: tuple[str, ...]
    """One sentence for each rule."""
    number: str
    """E.164, or the digits as the SBC gets them; empty: nothing is dialled."""
    kind: str
    shown: str
    """Number that is shown; empty: none."""
    route_groups: tuple[str, ...]
    """In the order in which they are tried."""
    refused: str
    """Why the call is not made; empty: it is."""


def explain(bundle: Bundle, user: User, dialled: str) -> Explained:
    """Return what a user who dials this would meet beyond the site; limits and health apart."""
    away = Peers(bundle).find(dialled)
    return _outside(bundle, user, dialled) if away is None else _visit(bundle, user, dialled, away)


def _visit(bundle: Bundle, user: User, dialled: str, away: Away) -> Explained:
    """Return what becomes of a call to another site, whether it serves its users itself or not."""
    site = away.peer.site
    lines = [
        f"{dialled} is extension {away.extension} at the site {site}",
        f"goes there directly while {site} serves its users itself",
    ]
    if away.peer.numbers is None or not bundle.route_groups:
        lines.append("refused with 503 while they are with their cloud: no trunk leads there")
        return Explained(tuple(lines), "", "site", "", (), "")
    number = away.number(bundle.number_plan.outside_prefix or "")
    trunk = _outside(bundle, user, number)
    lines.append(f"over the trunk, as {number}, while they are with their cloud:")
    return Explained((*lines, *trunk.lines), "", "site", trunk.shown, trunk.route_groups, "")


def _outside(bundle: Bundle, user: User, dialled: str) -> Explained:
    if not bundle.route_groups:
        return _nothing("the bundle has no route_groups, so nothing is dialled outside")
    reading = Numbers(bundle).read(dialled, user.rules)
    if reading is None:
        prefix = bundle.number_plan.outside_prefix
        needs = f"; outside numbers are dialled with {prefix} before them" if prefix else ""
        return _nothing(f"{dialled} is no number outside{needs}")
    lines = list(reading.trail)
    why = refusal(user, reading)
    if why:
        lines.append(f"refused with 403: {why}")
        return Explained(tuple(lines), reading.number, reading.kind, "", (), why)
    lines.append(f"{user.name} may call {reading.kind} numbers")
    identity = identity_of(bundle, user, reading, "")
    hidden = identity.anonymous or not identity.number
    lines.append("no number is shown" if hidden else f"shown as {identity.number}")
    groups = reading.route_groups or tuple(group.id for group in bundle.route_groups)
    lines.append(f"by route group {', then '.join(groups)}")
    shown = "" if hidden else identity.number
    return Explained(tuple(lines), reading.number, reading.kind, shown, groups, "")


def _nothing(text: str) -> Explained:
    return Explained((text,), "", "unknown", "", (), text)
