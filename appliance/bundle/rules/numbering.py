"""What can be dialled: each name leads to one place, and emergency numbers always to theirs."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.emergency import emergency_numbers
from appliance.bundle.parts import Bundle, Group, User
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import extensions, repeated, rows


def emergency_numbers_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an emergency number listed twice."""
    return repeated(rows("emergency_numbers", bundle.emergency_numbers), "remove one")


def dialled_names_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an extension or alias that two users or groups share."""
    first: dict[str, tuple[str, str]] = {}
    for path, name, owner in _dialled(bundle):
        there, other = first.setdefault(name, (path, owner))
        if other != owner:
            yield Problem(path, f"`{name}` is also at {there}; give each its own")


def emergency_numbers_stay_free(bundle: Bundle) -> Iterator[Problem]:
    """Refuse names that would catch an emergency call, dialled with the outside prefix or not."""
    emergency = set(emergency_numbers(bundle))
    prefix = bundle.number_plan.outside_prefix
    caught = emergency | {f"{prefix}{number}" for number in emergency if prefix}
    for path, name, _ in _dialled(bundle):
        if name in caught:
            text = f"`{name}` is dialled in an emergency; choose another"
            usual = "" if bundle.emergency_numbers else ", or name the site's `emergency_numbers`"
            yield Problem(path, text + usual)
    for path, code in _site_codes(bundle):
        if code in emergency:
            yield Problem(path, f"`{code}` is an emergency number; choose another site code")


def site_codes_are_unambiguous(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two sites whose codes are equal or begin one another, and a site named twice."""
    codes = _site_codes(bundle)
    yield from repeated(codes, "give each site its own code")
    for path, code in codes:
        for there, other in codes:
            if code != other and code.startswith(other):
                text = f"`{code}` begins with the code `{other}` at {there}; change one of them"
                yield Problem(path, text)
    names = [("site.id", bundle.site.id)]
    names += [(f"{path}.site", peer.site) for path, peer in rows("peers", bundle.peers)]
    yield from repeated(names, "list each site once and leave this one out")


def extensions_leave_site_codes_free(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an extension that is a site code, or this site's code and another extension."""
    codes = {code: path for path, code in _site_codes(bundle)}
    own = bundle.site.code
    known = extensions(bundle)
    for path, name, _ in _dialled(bundle):
        if name in codes:
            yield Problem(path, f"`{name}` is the site code at {codes[name]}; choose another")
        elif name.startswith(own) and (rest := name[len(own) :]) in known:
            text = f"`{name}` is also site code {own} with extension {rest}; choose another"
            yield Problem(path, text)


def numbers_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a number that leads to two users or groups."""
    owners: list[tuple[str, User | Group]] = [*rows("users", bundle.users)]
    owners += rows("groups", bundle.groups)
    named = (row for path, owner in owners for row in rows(f"{path}.numbers", owner.numbers))
    return repeated(named, "let it ring one user or group")


def _dialled(bundle: Bundle) -> Iterator[tuple[str, str, str]]:
    """Yield path, name and the owner's path for everything dialled within the site."""
    for path, user in rows("users", bundle.users):
        yield f"{path}.extension", user.extension, path
        for below, alias in rows(f"{path}.aliases", user.aliases):
            yield below, alias, path
    for path, group in rows("groups", bundle.groups):
        yield f"{path}.extension", group.extension, path


def _site_codes(bundle: Bundle) -> list[tuple[str, str]]:
    own = [("site.code", bundle.site.code)]
    return own + [(f"{path}.code", peer.code) for path, peer in rows("peers", bundle.peers)]
