"""Judge certificates: for how long they are good, whose they are, and whether our files hold."""

from __future__ import annotations

import ipaddress
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from appliance.diagnostics.check import Outcome, Surroundings, fail, ok, warn
from appliance.errors import HoldfastError
from appliance.settings import Settings
from appliance.web.machine import CERTIFICATE_LIMIT, Certificate, read_certificate
from appliance.web.words import age

DAY = 86_400.0
SOON, VERY_SOON = 30 * DAY, 7 * DAY
NOT_THEIRS = "Ask whoever runs it for one that fits, or put the right CA into the configuration."


def lasting(about: str, ends: float, cure: str, *lines: str) -> Outcome:
    """Judge a certificate by what is left of its time."""
    left = ends - time.time()
    if left <= 0:
        return fail(f"{about} expired {age(-left)} ago", cure, *lines)
    text = f"{about} lasts for {age(left)}"
    if left < VERY_SOON:
        return fail(text, cure, *lines)
    return warn(text, cure, *lines) if left < SOON else ok(text, *lines)


def of_ours(use: str, file: Path, key: Path, settings: Settings) -> Outcome:
    """Judge a certificate of this appliance by its files: time, names, chain and key."""
    told = read_certificate(use, file)
    about = f"our certificate for {use}"
    if told.failure or told.ends is None or told.begins is None:
        text = f"{about} cannot be read: {told.failure}"
        return warn(text, "Put a certificate in PEM there; until then Holdfast shows its own.")
    lines = [f"  names: {', '.join(told.names)}", f"  signed by: {told.issuer}"]
    if told.issuer == told.subject:
        lines.append("  it is its own authority: phones and browsers have to be told to trust it")
    if told.begins > time.time():
        text = f"{about} is not valid for another {age(told.begins - time.time())}"
        return fail(text, "Set the clock; if it is right, have the certificate made anew.", *lines)
    if fault := _broken_chain(file) or _wrong_key(file, key):
        return fail(f"{about} {fault}", "Mend the files that the settings name.", *lines)
    if fault := _wrong_names(told, settings):
        return warn(f"{about} {fault}", "Have one made for the names in use.", *lines)
    return lasting(about, told.ends, "Install a new one.", *lines)


def _broken_chain(file: Path) -> str:
    """Tell where a chain is broken: each certificate has to be signed by the next in the file."""
    with open(file, "rb") as stream:
        chain = x509.load_pem_x509_certificates(stream.read(CERTIFICATE_LIMIT))
    for place, (one, above) in enumerate(itertools.pairwise(chain), start=2):
        try:
            one.verify_directly_issued_by(above)
        except (InvalidSignature, TypeError, ValueError):
            return f"is out of order: number {place} in its file did not sign the one before it"
    return ""


def _wrong_key(file: Path, key: Path) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, key)
    except PermissionError:
        return ""  # It is for another of our processes, which says so itself.
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "reason", None) or error.strerror or "it cannot be read"
        return f"has no use without its key, {key}: {why}"
    return ""


def _wrong_names(told: Certificate, settings: Settings) -> str:
    if told.use == "the cloud":
        return ""
    if not told.names:
        return "names nobody (subjectAltName): phones and browsers refuse it"
    wanted = [socket.gethostname(), *settings.admin_hosts]
    if "web" in told.use and not any(_is_for(one, name) for one in told.names for name in wanted):
        return f"does not name {' or '.join(wanted)}: browsers warn of it"
    return ""


def _is_for(written: str, name: str) -> bool:
    """Tell whether a name in a certificate is this one, also by address or with a wildcard."""
    try:
        ipaddress.ip_address(written)
    except ValueError:
        first, _, rest = written.lower().partition(".")
        name = name.lower()
        return written.lower() == name or (first == "*" and rest == name.partition(".")[2] != "")
    return True


async def of_outside(around: Surroundings) -> list[Outcome]:
    """Judge what SBCs and other sites have shown, as core keeps it: nobody is asked anew."""
    places = [] if around.bundle is None else list(_places(around))
    if not places:
        return []
    try:
        shown = (await around.ask("status"))["certificates"]
        rows = (await around.ask("trunk"))["sbcs"] + await around.ask("peers")
    except HoldfastError as error:
        text = f"the certificates of SBCs and other sites are not known: {error}"
        return [warn(text, "See why the signalling process is away.")]
    return [
        _of_place(about, shown.get(host.lower()), [row for row in rows if _is_of(row, key)])
        for about, host, key in places
    ]


def _places(around: Surroundings) -> Iterator[tuple[str, str, str]]:
    """Yield whom certificates are expected of: words, host, and what core's rows call it."""
    assert around.bundle is not None
    for group in around.bundle.route_groups:
        for sbc in group.sbcs:
            if sbc.transport == "TLS":
                yield f"SBC {sbc.host}", sbc.host, f"{group.id}/{sbc.host}"
    for peer in around.bundle.peers:
        yield f"site {peer.site}", peer.host, peer.site


def _is_of(row: dict[str, Any], key: str) -> bool:
    name = str(row.get("sbc") or row["site"]).lower()
    return name == key.lower() or name.startswith(f"{key.lower()}:")


def _of_place(who: str, shown: dict[str, Any] | None, rows: list[dict[str, Any]]) -> Outcome:
    about = f"the certificate of {who}"
    reasons = [row["reason"] for row in rows if row["state"] in ("down", "failing", "rising")]
    refused = [reason for reason in reasons if "certificate" in reason.lower()]
    if refused:
        return fail(f"{about} is not good: {refused[0]}", NOT_THEIRS)
    if shown is None:
        text = f"{about} has not been seen yet" + (f": {reasons[0]}" if reasons else "")
        return warn(text, "See why it does not answer: the check of the trunk tells more.")
    lines = f"  names: {', '.join(shown['names'])}", f"  signed by: {shown['issuer']}"
    return lasting(about, shown["expires"], "Ask whoever runs it for a new one.", *lines)
