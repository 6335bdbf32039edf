"""Find a user by spelling the name on the keys: part of a menu (D3)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from appliance.bundle import User
from appliance.call.steps import Collect, Note, Outcome, Play, Step
from sdg.visit import Visit

ENDS, CANCELS = "#", "*"
ENOUGH = 3
"""Keys after which the only name that is left is taken at once."""
LONGEST = 24
"""Keys that anybody spells."""
BETWEEN = 3.0
CHOICES = 4
"""Names that are read out to choose from; of more, further letters are asked for."""

Search = Generator[Step, Outcome, str]


def find(visit: Visit) -> Search:
    """Let the caller spell a name; return an extension, empty when none was found."""
    apology: tuple[str, ...] = ()
    for _ in range(visit.group.retries + 1):
        outcome = yield Collect((*apology, "dial-by-name"), lambda keys: patience(visit, keys))
        keys = outcome.keys
        if keys.endswith(CANCELS):
            return ""
        found = visit.grounds.names.find(keys.removesuffix(ENDS), CHOICES + 1)
        yield Note(f"{keys or 'no key'}: {_named(found)}")
        if len(found) == 1:
            return (yield from _connecting(found[0]))
        if 1 < len(found) <= CHOICES:
            chosen = yield from _choose(visit, found)
            if chosen is not None:
                return (yield from _connecting(chosen))
        apology = _apology(keys, found)
    return ""


def patience(visit: Visit, keys: str) -> float:
    """Return how many seconds to wait for a key after these; 0: they are enough."""
    if not keys:
        return visit.group.key_time
    if keys[-1] in (ENDS, CANCELS) or len(keys) >= LONGEST:
        return 0.0
    alone = len(keys) >= ENOUGH and len(visit.grounds.names.find(keys, 2)) == 1
    return 0.0 if alone else BETWEEN


def _choose(visit: Visit, users: Sequence[User]) -> Generator[Step, Outcome, User | None]:
    """Read the extensions out, each with the key to press for it."""
    sounds: list[str] = []
    for place, user in enumerate(users, 1):
        sounds += ["name-choose", *extension_sounds(user.extension), "press", f"digit-{place}"]
    wait = visit.group.key_time
    outcome = yield Collect(tuple(sounds), lambda keys: 0.0 if keys else wait)
    place = int(outcome.keys) if outcome.keys.isdecimal() else 0
    return users[place - 1] if 1 <= place <= len(users) else None


def _connecting(user: User) -> Search:
    yield Note(f"found {user.name} ({user.extension})")
    yield Play(("connecting-to", *extension_sounds(user.extension)[1:]), answer=True)
    return user.extension


def extension_sounds(extension: str) -> list[str]:
    """Return the sounds that read an extension out."""
    signs = {"*": "star", "#": "pound"}
    return ["extension", *(f"digit-{signs.get(digit, digit)}" for digit in extension)]


def _apology(keys: str, found: Sequence[User]) -> tuple[str, ...]:
    if found:
        return ("name-many",) if len(found) > CHOICES else ("invalid-choice",)
    return ("name-none", "try-again") if keys else ("nothing-entered",)


def _named(found: Sequence[User]) -> str:
    if not found:
        return "nobody has such a name"
    return f"more than {CHOICES} names" if len(found) > CHOICES else f"{len(found)} names"
