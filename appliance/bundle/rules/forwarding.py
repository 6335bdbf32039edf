"""Where users' calls are forwarded, and the codes by which users say so (C10)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.bundle.emergency import emergency_numbers
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.groups import places
from appliance.bundle.rules.names import repeated, rows

WAYS = ("always", "busy", "no_answer", "unreachable")


def forwarding_leads_somewhere(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a forwarding that could not be dialled, and one to an emergency number."""
    known, beginnings = places(bundle)
    prefix = bundle.number_plan.outside_prefix or ""
    emergency = {before + number for number in emergency_numbers(bundle) for before in ("", prefix)}
    for path, user in rows("users", bundle.users):
        for way in WAYS:
            target = getattr(user.forwarding, way)
            below = f"{path}.forwarding.{way}"
            if target in emergency:
                text = f"`{target}` is for emergencies; calls of others are not forwarded there"
                yield Problem(below, text)
            elif target is not None and target not in known and not target.startswith(beginnings):
                text = f"nothing has the extension `{target}`; forward somewhere else"
                yield Problem(below, text)


def nobody_forwards_round(bundle: Bundle) -> Iterator[Problem]:
    """Refuse users who forward every call to one another in a circle."""
    users = {user.extension: (path, user) for path, user in rows("users", bundle.users)}
    names = {
        name: user.extension
        for _, user in users.values()
        for name in (*user.aliases, *user.numbers)
    }
    names |= {name: name for name in users} | {bundle.site.code + name: name for name in users}
    after = {
        extension: names[target]
        for extension, (_, user) in users.items()
        if (target := user.forwarding.always) in names and names[target] != extension
    }
    done: set[str] = set()
    for start in after:
        trail: list[str] = []
        at: str | None = start
        while at is not None and at not in done:
            done.add(at)
            trail.append(at)
            at = after.get(at)
        if at in trail:
            circle = " → ".join([*trail[trail.index(at) :], at])
            path = users[trail[-1]][0]
            text = f"every call goes round: {circle}; forward one of them elsewhere"
            yield Problem(f"{path}.forwarding.always", text)


def codes_are_told_apart(bundle: Bundle) -> Iterator[Problem]:
    """Refuse codes of which one begins another, or what is dialled for somebody."""
    codes = [
        (f"feature_codes.{name}", code)
        for name, code in msgspec.structs.asdict(bundle.feature_codes).items()
        if code
    ]
    yield from repeated(codes, "give each its own code, or none")
    for path, code in codes:
        for there, other in codes:
            if code != other and code.startswith(other):
                text = f"`{code}` begins with the code `{other}` at {there}; change one of them"
                yield Problem(path, text)
    named = [(f"{path}.extension", user.extension) for path, user in rows("users", bundle.users)]
    named += [(f"{path}.extension", one.extension) for path, one in rows("groups", bundle.groups)]
    for path, name in named:
        for there, code in codes:
            if name.startswith(code):
                text = f"`{name}` begins with the code `{code}` at {there}; change one of them"
                yield Problem(path, text)
