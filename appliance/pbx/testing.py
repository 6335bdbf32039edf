"""Whom a test of survivability is for: the site, or the users of chosen phones and groups (A6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from appliance.bundle import Bundle
from appliance.errors import LocalError
from appliance.pbx.directory import Directory

WORDS_LIMIT = 500
"""Phones and groups named one by one; whoever wants more tests the site."""
SHOWN = 5
"""Names in the words of a scope."""


class AskedTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `test.begin`."""

    seconds: float
    who: list[str] = []
    """Extensions, ids or MACs of phones, extensions of groups; empty: the whole site."""
    by: str = ""
    """Who asks, for the history."""


class Scope(NamedTuple):
    """Who is served while a test runs; nobody named: everybody."""

    users: tuple[str, ...] = ()
    """Ids, in their order."""
    text: str = "the site"
    """For people."""


def scope_of(bundle: Bundle, directory: Directory, words: Iterable[str]) -> Scope:
    """Return whom these words name: extensions, ids, MACs of phones, extensions of groups.

    Raises LocalError for a word that names nobody.
    """
    words = list(dict.fromkeys(words))
    if not words:
        return Scope()
    if len(words) > WORDS_LIMIT:
        raise LocalError(f"name up to {WORDS_LIMIT} phones and groups, or test the whole site")
    users = {user for word in words for user in _users(bundle, directory, word)}
    if not users:
        raise LocalError(f"nobody belongs to {' or '.join(words[:SHOWN])}; name somebody else")
    shown = ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" * (len(words) > SHOWN))
    return Scope(tuple(sorted(users)), shown)


def _users(bundle: Bundle, directory: Directory, word: str) -> Iterator[str]:
    if (user := directory.by_name(word)) is not None:
        return iter((user.id,))
    plain = _plain(word)
    for device in bundle.devices:
        if word == device.id or (device.mac and plain == _plain(device.mac)):
            return iter(device.users)
    for group in bundle.groups:
        if word in (group.extension, group.id):
            if not group.members:
                raise LocalError(f"group {word} has no members of its own; name phones instead")
            return iter(group.members)
    raise LocalError(f"{word[:64]!r} is no extension, phone or group of this site")


def _plain(mac: str) -> str:
    return mac.lower().replace(":", "").replace("-", "")
