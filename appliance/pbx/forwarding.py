"""Where each user's calls go instead: as the bundle has it, and as users set it on their phones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from appliance.bundle import Forwarding, User
from appliance.call.actions import Action, SaveForwarding


class OwnForwarding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one user has set by codes; also the row that `SaveForwarding` writes."""

    user: str
    """Id of the bundle's user."""
    always: str | None = None
    """Where calls go; empty: nowhere, whatever the bundle says; None: as the bundle says."""
    busy: str | None = None
    no_answer: str | None = None
    unreachable: str | None = None
    do_not_disturb: bool | None = None


WAYS = ("always", "busy", "no_answer", "unreachable")
"""The fields of a forwarding that lead somewhere."""


class Forwardings:
    """Keep what users have set, over bundles and restarts: one row for each user at most."""

    def __init__(self, emit: Callable[[Action], None]) -> None:
        self._emit = emit
        self._own: dict[str, OwnForwarding] = {}

    def __len__(self) -> int:
        return len(self._own)

    def of(self, user: User) -> Forwarding:
        """Return what is in force for a user: what was set on the phone wins."""
        own = self._own.get(user.id)
        if own is None:
            return user.forwarding
        changes: dict[str, Any] = {}
        for name in WAYS:
            value = getattr(own, name)
            if value is not None:
                changes[name] = value or None
        if own.do_not_disturb is not None:
            changes["do_not_disturb"] = own.do_not_disturb
        return replace(user.forwarding, **changes)

    def has_set(self, user: User) -> bool:
        """Tell whether a user has set anything."""
        return user.id in self._own

    def own(self, user: User) -> OwnForwarding:
        """Return what a user has set."""
        return self._own.get(user.id) or OwnForwarding(user=user.id)

    def set(self, user: User, **changes: str | bool) -> None:
        """Change what a user wants, and have it saved."""
        own = self._own[user.id] = replace(self.own(user), **changes)
        self._emit(SaveForwarding(user.id, msgspec.msgpack.encode(own)))

    def reset(self, user: str) -> bool:
        """Follow the bundle again; return whether anything had been set."""
        if self._own.pop(user, None) is None:
            return False
        self._emit(SaveForwarding(user, None))
        return True

    def restore(self, rows: Iterable[bytes]) -> None:
        """Take back what `SaveForwarding` wrote; a row nobody can read is skipped."""
        for row in rows:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                own = msgspec.msgpack.decode(row, type=OwnForwarding)
                self._own[own.user] = own

    def keep(self, users: Iterable[str]) -> None:
        """Forget what everybody else has set: a new bundle may know fewer users."""
        for user in self._own.keys() - set(users):
            self.reset(user)
