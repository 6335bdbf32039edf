"""What phones are told, and tell, of calls meant for somebody else (RFC 7044, RFC 5806; C10)."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from appliance.bundle.trunk_parts import DiversionHeaders
from appliance.call.steps import Diverted
from appliance.errors import RemoteError
from appliance.sip.headers import NameAddr
from appliance.sip.message import Response
from appliance.sip.uri import SipUri


class _Cause(NamedTuple):
    code: int
    """Cause of the redirection (RFC 4458, section 3)."""
    words: str
    """Reason in Diversion (RFC 5806, section 4)."""


CAUSES: Final[dict[str, _Cause]] = {
    "always": _Cause(302, "unconditional"),
    "busy": _Cause(486, "user-busy"),
    "no_answer": _Cause(408, "no-answer"),
    "unreachable": _Cause(503, "unavailable"),
    "do_not_disturb": _Cause(486, "do-not-disturb"),
    "deflected": _Cause(480, "deflection"),
}
"""By `Diverted.reason`."""


def told_of(way: tuple[Diverted, ...], target: str, domain: str) -> list[tuple[str, str]]:
    """Return the headers of an INVITE to an extension that a call was forwarded to; or none."""
    if not way:
        return []
    last_first = [
        ("Diversion", f"<sip:{by.extension}@{domain}>;reason={CAUSES[by.reason].words};counter=1")
        for by in reversed(way)
    ]
    return [("History-Info", ", ".join(_history(way, target, domain))), *last_first]


def told_outside(
    by: str, callee: str, reason: str, kind: DiversionHeaders, private: bool
) -> list[tuple[str, str]]:
    """Return the headers of a forwarded call that leaves the site: who forwarded last, and why.

    `by` and `callee` are URIs as the outside knows them; whoever else forwarded is nobody's
    business there. `private` asks that no callee be shown who forwarded.
    """
    cause = CAUSES[reason]
    headers = []
    if kind in ("history_info", "both"):
        escaped = f"Reason=SIP%3Bcause%3D{cause.code}"
        first = f"<{by}?{'Privacy=history&' if private else ''}{escaped}>;index=1"
        headers.append(("History-Info", f"{first}, <{callee};cause={cause.code}>;index=1.1;mp=1"))
    if kind in ("diversion", "both"):
        private_too = ";privacy=full" if private else ""
        value = f"<{by}>;reason={cause.words};counter=1{private_too}"
        headers.append(("Diversion", value))
    return headers


def moved_to(response: Response) -> str:
    """Return what a phone wants to be dialled in its place, by its 3xx; empty: nothing we know."""
    if not 300 <= response.status < 400:
        return ""
    with suppress(RemoteError):
        for contact in response.contacts:
            if isinstance(contact, NameAddr) and isinstance(contact.uri, SipUri):
                return contact.uri.user or ""
    return ""


def _history(way: tuple[Diverted, ...], target: str, domain: str) -> list[str]:
    """List where the call was to go, with why it went on from there (RFC 7044, 10.3)."""
    entries = []
    index, cause, mapped = "1", "", ""
    for by in way:
        code = CAUSES[by.reason].code
        uri = f"sip:{by.extension}@{domain}{cause}?Reason=SIP%3Bcause%3D{code}"
        entries.append(f"<{uri}>;index={index}{mapped}")
        index, cause, mapped = f"{index}.1", f";cause={code}", f";mp={index}"
    return [*entries, f"<sip:{target}@{domain}{cause}>;index={index}{mapped}"]
