"""Who calls, as the outside is shown it: From, P-Asserted-Identity, Privacy, Diversion (E4).

What the caller's phone says of itself never counts: the number comes from the bundle alone.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, Group, RouteGroup, User
from appliance.call.diversion import told_outside
from appliance.call.steps import Shown
from appliance.call.wording import quoted
from appliance.sip.flow import host_port
from sbc_bridge.gateway import Gateway
from sbc_bridge.numbers import Numbers, Reading

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323, 4.1.1.3."""


class Identity(NamedTuple):
    """By whose right a call leaves, and whom it shows."""

    number: str
    """E.164 of ours; empty: there is none to show."""
    name: str = ""
    anonymous: bool = False
    first_caller: str = ""
    """Number from outside whose call is sent on; empty: the call begins here."""
    diverted: str = ""
    """Why the call is sent on, as `steps.Diverted.reason`; empty: it is not."""


def identity_of(
    bundle: Bundle,
    payer: User,
    reading: Reading,
    first_caller: str,
    group: Group | None = None,
    diverted: str = "",
) -> Identity:
    """Return what is shown for a user, or for a group that leads outside."""
    own = next(iter(group.numbers if group is not None else payer.numbers), None)
    chosen = own if group is not None else payer.caller_id or own
    number = chosen or bundle.number_plan.site_number or ""
    hidden = reading.anonymous or (group is None and payer.hides_caller_id)
    if first_caller and not diverted:
        diverted = "always"  # handed on by a group or a transfer: nobody rang before
    return Identity(number, bundle.site.name, hidden, first_caller, diverted)


def dressed(
    identity: Identity, reading: Reading, group: RouteGroup, gateway: Gateway, numbers: Numbers
) -> tuple[str, Shown]:
    """Return the Request-URI of a call through a gateway, and what else it shows there."""
    there, here = gateway.domain, group.domain or _host(gateway)
    callee = numbers.written(reading.number, group.number_format)
    own = numbers.written(identity.number, group.number_format)
    phone = ";user=phone" if reading.kind != "private" else ""
    uri = f"sip:{callee}@{there}{phone}"
    ours = f"<sip:{own}@{here}{phone}>" if own else ""
    caller = f"{quoted(identity.name)} {ours}" if ours else f"<sip:{here}>"
    headers: list[tuple[str, str]] = []
    if identity.first_caller and group.shows_caller and not identity.anonymous:
        first = numbers.written(identity.first_caller, group.number_format)
        caller = f"<sip:{first}@{here}{phone}>"
    if identity.diverted and ours:
        by, why = ours.strip("<>"), identity.diverted
        headers += told_outside(by, uri, why, group.diversion, identity.anonymous)
    if ours:
        headers.append(("P-Asserted-Identity", ours))
    if identity.anonymous:
        caller = ANONYMOUS
        headers.append(("Privacy", "id"))
    for rule in group.headers:
        value = rule.value.replace("{caller}", identity.number)
        headers.append((rule.name, value.replace("{callee}", reading.number)))
    return uri, Shown(caller, f"<{uri}>", tuple(headers))


def _host(gateway: Gateway) -> str:
    """Return our own address as the SBC knows it, without port."""
    host, _ = gateway.flow.local
    return host_port((host, 0)).rpartition(":")[0]
