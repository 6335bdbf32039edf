"""Users and their phones."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.parts import Bundle, Credential
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows
from appliance.bundle.shape import is_sound


def credentials_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a user name that would prove two users, or one user twice."""
    named = (
        (f"{path}.credentials[{index}].username", (credential.username, credential.realm))
        for path, user in rows("users", bundle.users)
        for index, credential in enumerate(user.credentials)
    )
    return repeated(named, "user name and realm together must be unique")


def credentials_open_this_site(bundle: Bundle) -> Iterator[Problem]:
    """Refuse credentials that no phone could register with here."""
    realm, algorithms = bundle.site.realm, bundle.policies.digest_algorithms
    for path, user in rows("users", bundle.users):
        realms = {credential.realm for credential in user.credentials}
        if realms and realm not in realms and is_sound(realm):
            text = f"none is for the realm `{realm}` of site.realm; add one, or phones fail"
            yield Problem(f"{path}.credentials", text)
        for below, credential in rows(f"{path}.credentials", user.credentials):
            if fault := _unusable(credential, algorithms):
                yield Problem(below, fault)


def users_are_somewhere_known(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a user, a phone or a default in a location that does not exist."""
    locations = {part.id for part in bundle.locations}
    placed = [(path, user.location) for path, user in rows("users", bundle.users)]
    placed += [(path, device.location) for path, device in rows("devices", bundle.devices)]
    placed.append(("emergency", bundle.emergency.location))
    for path, location in placed:
        if location is not None and location not in locations:
            text = f"there is no location `{location}`; add it to `locations`"
            yield Problem(f"{path}.location", text)


def devices_have_known_users(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a phone without a user, and a line whose user does not exist."""
    users = {part.id for part in bundle.users}
    for path, device in rows("devices", bundle.devices):
        if not device.users:
            yield Problem(f"{path}.users", "nobody has a line on it; name a user or remove it")
        lines = rows(f"{path}.users", device.users)
        for below, user in lines:
            if user not in users:
                yield Problem(below, f"there is no user `{user}`; mend the id")
        yield from repeated(lines, "name each user once")


def ldap_accounts_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two accounts of the directory with one name; LDAP does not tell capitals apart."""
    accounts = rows("ldap.accounts", bundle.ldap.accounts)
    named = ((f"{path}.name", account.name.lower()) for path, account in accounts)
    return repeated(named, "give each account its own")


def macs_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two phones with one hardware address."""
    devices = rows("devices", bundle.devices)
    named = ((f"{path}.mac", device.mac) for path, device in devices if device.mac)
    return repeated(named, "each phone has its own")


def _unusable(credential: Credential, algorithms: tuple[str, ...]) -> str:
    if credential.md5 is None and credential.sha256 is None:
        return "has neither `md5` nor `sha256`; add a hash"
    hashes = {"SHA-256": credential.sha256, "MD5": credential.md5}
    # Names we do not know are another rule's matter, and may hold anything.
    wanted = [name for name in hashes if name in algorithms]
    if not wanted or any(hashes[name] for name in wanted):
        return ""
    return f"has no hash for policies.digest_algorithms ({', '.join(wanted)}); add one"
