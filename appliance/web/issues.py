"""What is not as it should be, why it matters, and what to do: each issue with its cure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from appliance.web.machine import Certificate, Machine
from appliance.web.words import age

Severity = Literal["alarm", "warning", "info"]
DAY = 86400.0
STALE, OLD = 36 * 3600.0, 7 * DAY
"""Seconds without an answer of the cloud's API after which the configuration may be old, and is."""
DISK_LOW, DISK_FULL = 0.15, 0.05
"""Share of the disk that is free."""
MEMORY_LOW = 0.08
EXPIRES_SOON = 30 * DAY
FEW_PHONES = 0.9
"""Share of the expected phones, in a mode in which they ought to be here."""


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an admin should see to."""

    id: str
    """Stable name, e.g. `zone.down`; with what it is about where there may be several."""
    severity: Severity
    title: str
    detail: str = ""
    cure: str
    """What to do, in one sentence."""
    link: str = ""
    """Page on which to do it."""


def find_issues(
    status: dict[str, Any] | None,
    machine: Machine,
    now: float,
    emergency: dict[str, Any] | None = None,
) -> list[Issue]:
    """Return what is wrong, the worst first.

    `status` and `emergency` are the API's; None while core is away or does not know.
    """
    found = [*_of_machine(machine, now)]
    if status is None:
        found.append(
            Issue(
                id="core.away",
                severity="alarm",
                title="The signalling process does not answer",
                detail="No phone can register or call while this lasts.",
                cure="It is started again by itself; if this stays, read the logs and restart it.",
                link="/system/logs",
            )
        )
    else:
        found += _of_site(status, now)
        if emergency is not None and status.get("bundle"):
            found += _of_emergency(emergency, status["mode"])
    order = {"alarm": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda issue: order[issue.severity])


def _of_site(status: dict[str, Any], now: float) -> Iterator[Issue]:
    yield from _of_mode(status)
    yield from _of_zones(status["zones"], now)
    yield from _of_configuration(status, now)
    yield from _of_phones(status)
    yield from _of_records(status)
    yield from _of_others(status.get("certificates") or {}, now)
    if banned := (status.get("guard") or {}).get("banned"):
        shown = ", ".join(str(ban["source"]) for ban in banned[:3])
        yield Issue(
            id="guard.banned",
            severity="warning",
            title=f"Banned for wrong passwords: {_count(len(banned), 'address', 'es')}",
            detail=shown,
            cure="If it is a phone of yours, correct its password; the ban ends by itself.",
            link="/phones",
        )
    if status.get("faults"):
        yield Issue(
            id="core.faults",
            severity="warning",
            title=f"Faults of Holdfast since its start: {status['faults']}",
            detail="Each cost one message only.",
            cure="Send the logs to whoever supports you.",
            link="/system/logs",
        )


def _of_mode(status: dict[str, Any]) -> Iterator[Issue]:
    found = MODES.get(status["mode"])
    if found is not None:
        severity, title, cure = found
        yield Issue(
            id="mode",
            severity=severity,
            title=title,
            detail=status["reason"],
            cure=cure,
            link="/survivability",
        )


MODES: dict[str, tuple[Severity, str, str]] = {
    "survivability": (
        "alarm",
        "The site is cut off from its cloud; phones are served here",
        "Find out why the zones do not answer; phones go back by themselves.",
    ),
    "recovering": (
        "info",
        "The cloud is back; phones stay here until it has been steady",
        "Nothing to do: they go back when the stable window is over.",
    ),
    "testing": (
        "info",
        "A test of survivability is running",
        "It ends by itself, or end it now.",
    ),
}
"""Modes in which something is not as always: severity, title and cure."""


def _of_zones(zones: list[dict[str, Any]], now: float) -> Iterator[Issue]:
    for zone in zones:
        if zone["state"] == "up":
            continue
        failure = zone.get("last_failure") or {}
        since = f" for {age(now - zone['since'])}" if zone.get("since") else ""
        down = zone["state"] == "down"
        yield Issue(
            id=f"zone.{zone['id']}",
            severity="alarm" if down else "warning",
            title=f"Zone {zone['id']} is down{since}" if down else f"Zone {zone['id']} is untested",
            detail=failure.get("text") or zone.get("reason") or "It has not answered yet.",
            cure=CURES.get(failure.get("layer", ""), "Check the way to the cloud and its state."),
            link="/survivability",
        )


CURES = {
    "dns": "Check the site's DNS servers and the zone's name.",
    "tcp": "Check the internet line, and that the firewall lets the zone's port out.",
    "tls": "See to firewalls that look into TLS, and to the zone.",
    "certificate": "Check the zone's certificate, its CA in the configuration, and our clock.",
    "sip": "The zone answers but does not serve: ask the cloud's operator.",
}
"""By the layer at which a zone failed."""


def _of_configuration(status: dict[str, Any], now: float) -> Iterator[Issue]:
    stored = (status.get("sync") or {}).get("bundle") or {}
    if not status.get("bundle"):
        yield Issue(
            id="bundle.none",
            severity="alarm",
            title="There is no configuration: no phone can register",
            detail=stored.get("failure", ""),
            cure="Connect the cloud (cloud_url, cloud_site) or apply a bundle by hand.",
            link="/configuration",
        )
    if stored.get("problems"):
        yield Issue(
            id="bundle.refused",
            severity="warning",
            title=f"A configuration was refused: {_count(len(stored['problems']), 'mistake')}",
            detail="The last good one stays in force.",
            cure="Have the mistakes corrected in the cloud.",
            link="/configuration",
        )
    if held := stored.get("held"):
        yield Issue(
            id="bundle.held",
            severity="warning",
            title=f"Configuration version {held['version']} is held: it would remove much",
            detail="; ".join(f"{one['path']}: {one['text']}" for one in held["reasons"][:3]),
            cure="Look at what it would change, then apply it or do not take it.",
            link="/configuration#held",
        )
    if (stored.get("newest") or 0) > (stored.get("version") or 0):
        yield Issue(
            id="bundle.rolled_back",
            severity="info",
            title=f"The configuration was rolled back to version {stored['version']}",
            detail=f"Only a version above {stored['newest']} replaces it.",
            cure="Have the cloud's configuration corrected; the next version takes over by itself.",
            link="/configuration",
        )
    if stored.get("core_failure"):
        yield Issue(
            id="bundle.core",
            severity="warning",
            title="The stored configuration is not in force",
            detail=stored["core_failure"],
            cure="It is tried again every 5 seconds; read the logs if this stays.",
            link="/configuration",
        )
    silent = silent_for(stored, now)
    if silent > STALE:
        yield Issue(
            id="bundle.stale",
            severity="alarm" if silent > OLD else "warning",
            title=f"The cloud could not be asked for changes for {age(silent)}",
            detail=f"{stored['failure']}; who came, left or moved since then is not known here.",
            cure=ASK_AGAIN,
            link="/configuration",
        )
    elif stored.get("failure") and status.get("bundle"):
        yield Issue(
            id="bundle.pull",
            severity="info",
            title="The cloud's API does not answer",
            detail=stored["failure"],
            cure="Nothing to do in an outage: the last good configuration is in force.",
            link="/configuration",
        )


ASK_AGAIN = "Check the way to the cloud's API and this appliance's token or certificate."


def silent_for(stored: dict[str, Any], now: float) -> float:
    """Return for how many seconds the cloud's API has not answered; 0: it does, or is not asked."""
    since = stored.get("asked_at") or stored.get("failing_since") or now
    return max(0.0, now - since) if stored.get("failure") else 0.0


def _of_phones(status: dict[str, Any]) -> Iterator[Issue]:
    phones = status["phones"]
    missing = phones["expected"] - phones["registered"]
    if status["mode"] in ("survivability", "recovering") and phones["registered"] < (
        phones["expected"] * FEW_PHONES
    ):
        yield Issue(
            id="phones.missing",
            severity="warning",
            title=f"{missing} of {phones['expected']} phones are not here",
            detail="",
            cure="See who is missing, and whether those phones know this appliance as a server.",
            link="/phones?state=missing",
        )


def _of_emergency(emergency: dict[str, Any], mode: str) -> Iterator[Issue]:
    numbers = ", ".join(emergency["numbers"][:3])
    ways = emergency["ways"]
    if not ways:
        yield Issue(
            id="emergency.none",
            severity="warning",
            title=f"In an outage no call for help could leave the site ({numbers})",
            detail="There is no SBC to the outside; only the safety team on the site is told.",
            cure="Name a route group with an SBC in the configuration.",
            link="/emergency",
        )
    elif not any(way["well"] for way in ways):
        yield Issue(
            id="emergency.down",
            severity="alarm",
            title=f"No call for help could leave the site now ({numbers})",
            detail=f"None of {len(ways)} SBCs answers.",
            cure="Check the SBCs and the way to them; a cell phone is the way out until then.",
            link="/emergency",
        )
    served = mode in ("survivability", "recovering")
    if served and not any(one["phones"] for one in emergency["safety_team"]):
        yield Issue(
            id="emergency.team",
            severity="warning",
            title="Nobody of the safety team has a phone here now",
            detail="A call for help would be told to nobody on the site.",
            cure="Name a safety group in the configuration, and see that its phones are ready.",
            link="/emergency",
        )


def _of_records(status: dict[str, Any]) -> Iterator[Issue]:
    uploads = (status.get("sync") or {}).get("records") or {}
    if uploads.get("refused"):
        yield Issue(
            id="records.refused",
            severity="warning",
            title=f"The cloud will not take {_count(len(uploads['refused']), 'call record')}",
            detail=next(iter(uploads["refused"].values())),
            cure="They stay here; ask the cloud's operator why.",
            link="/records",
        )
    if uploads.get("failure") and status["mode"] == "standby":
        yield Issue(
            id="records.waiting",
            severity="info",
            title="Call records wait for the cloud",
            detail=uploads["failure"],
            cure="They are sent again by themselves, none is lost.",
            link="/records",
        )


def _of_machine(machine: Machine, now: float) -> Iterator[Issue]:
    for certificate in machine.certificates:
        yield from _of_certificate(certificate, now)
    if machine.clock_synchronised is False:
        yield Issue(
            id="clock",
            severity="warning",
            title="Nothing keeps the clock right",
            detail="Records would have wrong times, and certificates may look expired.",
            cure="Name a time server (NTP) in the network settings of this machine.",
            link="/system",
        )
    free = machine.disk_free / machine.disk_size if machine.disk_size else 1.0
    if free < DISK_LOW:
        yield Issue(
            id="disk",
            severity="alarm" if free < DISK_FULL else "warning",
            title=f"The disk is {100 - round(free * 100)} % full",
            detail="Calls go on with a full disk, but records then wait in memory.",
            cure="Remove what is not Holdfast's, or give the machine a larger disk.",
            link="/system",
        )
    if machine.memory_size and machine.memory_available < machine.memory_size * MEMORY_LOW:
        yield Issue(
            id="memory",
            severity="warning",
            title="Memory is nearly used up",
            cure="See what else runs on this machine, or give it more memory.",
            link="/system",
        )


def _of_certificate(certificate: Certificate, now: float) -> Iterator[Issue]:
    about = f"The certificate for {certificate.use}"
    if certificate.failure:
        yield Issue(
            id=f"certificate.{certificate.use}",
            severity="warning",
            title=f"{about} cannot be read",
            detail=f"{certificate.file}: {certificate.failure}",
            cure="Put a certificate in PEM there; until then Holdfast shows its own.",
            link="/system",
        )
    elif certificate.ends is not None:
        yield from _ending(
            about,
            certificate.ends - now,
            id=f"certificate.{certificate.use}",
            detail=certificate.file,
            cure="Install a new one before phones and browsers refuse this one.",
            link="/system",
        )


def _of_others(certificates: dict[str, dict[str, Any]], now: float) -> Iterator[Issue]:
    """Tell which SBCs and sites have shown a certificate that ends soon."""
    for name, shown in certificates.items():
        yield from _ending(
            f"The certificate of {name}",
            shown["expires"] - now,
            id=f"certificate.{name}",
            detail=f"Signed by {shown['issuer']}.",
            cure="Ask whoever runs it for a new one: calls to it fail when this one is over.",
            link="/diagnostics",
        )


def _ending(about: str, left: float, **more: str) -> Iterator[Issue]:
    if left < EXPIRES_SOON:
        when = "has expired" if left <= 0 else f"expires in {age(left)}"
        severity: Severity = "alarm" if left <= 0 else "warning"
        yield Issue(severity=severity, title=f"{about} {when}", **more)


def _count(number: int, thing: str, plural: str = "s") -> str:
    return f"{number} {thing}{plural if number != 1 else ''}"


def worst(issues: Iterable[Issue]) -> Severity | None:
    """Return the worst severity there is; None: all is well."""
    found = {issue.severity for issue in issues}
    order: tuple[Severity, ...] = ("alarm", "warning", "info")
    return next((severity for severity in order if severity in found), None)
