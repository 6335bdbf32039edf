"""Would each phone work if the cloud went now, and if not, why (A8)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Literal, NamedTuple

import msgspec

from appliance.bundle import Bundle, User
from appliance.pbx.location import Location
from appliance.pbx.sightings import Sighting, Sightings

Verdict = Literal["ready", "doubtful", "not_ready"]

LATELY = 30 * 86400.0
"""Seconds for which a sighting counts: longer than a holiday."""
CAPACITY = 10_000
"""Phones one appliance is made for."""


class Reason(NamedTuple):
    """Something that speaks against a phone."""

    code: str
    """Stable name: `no_credentials`, `no_algorithm`, `wrong_password`, `never_seen`,
    `not_seen_lately`, `too_many_phones`, `over_capacity` or `no_location`."""
    text: str
    """One sentence: what is wrong and what to do."""
    fatal: bool = False
    """Whether the phone will not work; else it is only doubtful."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One user on one phone, or a user whose phones the bundle does not list."""

    user: str
    name: str
    extension: str
    device: str = ""
    """Id of the bundle's device."""
    model: str = ""
    mac: str = ""
    tier: str = "normal"
    verdict: Verdict
    reasons: list[dict[str, str]] = []
    """What speaks against it, the worst first: `code` and `text`."""
    seen_at: float | None = None
    """When a phone of the user was last here, wall-clock seconds; None: never."""
    address: str = ""
    """Where it was."""


def readiness(bundle: Bundle, location: Location, sightings: Sightings, wall: float) -> list[Line]:
    """Return a line for each phone and user, in the bundle's order; `wall` is the time now."""
    places = _networks(bundle)
    devices: dict[str, list[int]] = {}
    for index, device in enumerate(bundle.devices):
        for id in device.users:
            devices.setdefault(id, []).append(index)
    lines: list[Line] = []
    for user in bundle.users:
        own: list[int | None] = list(devices.get(user.id, ()))
        seen = _seen(user, location, sightings, wall)
        found = [
            *_credentials(bundle, user),
            *_sighted(seen, wall),
            *_numbers(bundle, len(own)),
            *_place(user, seen, places),
        ]
        lines += [_line(bundle, user, index, seen, found) for index in own or [None]]
    return lines


def _line(
    bundle: Bundle, user: User, index: int | None, seen: Sighting | None, found: list[Reason]
) -> Line:
    device = bundle.devices[index] if index is not None else None
    beyond = index is not None and index >= CAPACITY
    if beyond:
        text = f"the appliance is made for {CAPACITY} phones, and this is one more; add another"
        found = [*found, Reason("over_capacity", text)]
    found = sorted(found, key=lambda reason: not reason.fatal)
    fatal = bool(found) and found[0].fatal
    return Line(
        user=user.id,
        name=user.name,
        extension=user.extension,
        device=device.id if device else "",
        model=device.model if device else "",
        mac=device.mac if device else "",
        tier=device.tier if device else "normal",
        verdict="not_ready" if fatal else "doubtful" if found else "ready",
        reasons=[{"code": reason.code, "text": reason.text} for reason in found],
        seen_at=_last(seen),
        address=seen.address if seen else "",
    )


def _seen(user: User, location: Location, sightings: Sightings, wall: float) -> Sighting | None:
    """Return what is known of a user's phones; whoever is registered was seen now."""
    bindings = location.of_user(user.id)
    if not bindings:
        return sightings.of(user.id)
    flow = bindings[-1].flow
    return Sighting(user=user.id, registered_at=wall, address=flow.remote[0])


def _last(seen: Sighting | None) -> float | None:
    """Return when a phone was here, whether it was let in or not."""
    times = [seen.registered_at, seen.knocked_at] if seen else []
    return max((at for at in times if at is not None), default=None)


def _credentials(bundle: Bundle, user: User) -> Iterator[Reason]:
    realm = bundle.site.realm
    ours = [proof for proof in user.credentials if proof.realm == realm]
    if not ours:
        text = f"no password for the realm {realm} has come from the cloud; sync it"
        yield Reason("no_credentials", text, fatal=True)
        return
    offered = bundle.policies.digest_algorithms
    has = {"MD5": any(p.md5 for p in ours), "SHA-256": any(p.sha256 for p in ours)}
    if not any(has[algorithm] for algorithm in offered):
        text = f"the password is known by no hash that is offered ({', '.join(offered)})"
        yield Reason("no_algorithm", text, fatal=True)


def _sighted(seen: Sighting | None, wall: float) -> Iterator[Reason]:
    last = _last(seen)
    if seen is not None and seen.failed_at is not None and wall - seen.failed_at < LATELY:
        if seen.registered_at is None or seen.failed_at > seen.registered_at:
            text = f"the last password from {seen.address} was wrong; set the cloud's on the phone"
            yield Reason("wrong_password", text, fatal=True)
        return
    if last is None:
        text = "no phone has ever come here; give it Holdfast as its last server, or run a test"
        yield Reason("never_seen", text)
    elif wall - last > LATELY:
        days = f"{(wall - last) / 86400:.0f} days"
        yield Reason("not_seen_lately", f"no phone was here for {days}; run a test")


def _numbers(bundle: Bundle, devices: int) -> Iterator[Reason]:
    most = bundle.policies.bindings_per_user
    if devices > most:
        text = f"{devices} phones, and `policies.bindings_per_user` lets {most} register; raise it"
        yield Reason("too_many_phones", text)


Networks = list[tuple[int, int, int]]
"""Version of IP, first and last address."""


def _networks(bundle: Bundle) -> Networks:
    networks = [ip_network(net, strict=False) for loc in bundle.locations for net in loc.networks]
    return [(net.version, int(net[0]), int(net[-1])) for net in networks]


def _place(user: User, seen: Sighting | None, places: Networks) -> Iterator[Reason]:
    """Yield a reason when nobody would know where a call for help comes from (E6)."""
    if user.location is not None:
        return
    if seen is not None and seen.address:
        address = ip_address(seen.address.partition("%")[0])
        version, value = address.version, int(address)
        if any(v == version and first <= value <= last for v, first, last in places):
            return
    elif places:
        return  # the network will tell, once the phone is there
    text = "a call for help would say no place; set the user's `location` or its networks"
    yield Reason("no_location", text)
