"""Calls that ring elsewhere and are taken by somebody who dials a code (C9)."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.bundle import Bundle, User
from appliance.call.call import Call
from appliance.pbx.dialplan import ToFeature

DIRECTED, GROUP = "pickup", "pickup_group"
"""Fields of `bundle.FeatureCodes`."""


class Pickups:
    """Know whose calls a user may take; built once for each bundle."""

    def __init__(self, bundle: Bundle) -> None:
        extensions = {user.id: user.extension for user in bundle.users}
        self._anybody = bundle.policies.pickup == "site"
        self._users = frozenset(extensions.values())
        self._near: dict[str, set[str]] = {}
        """Extensions whose calls somebody takes who names nobody, by extension."""
        for group in bundle.pickup_groups:
            members = {extensions[id] for id in group.members if id in extensions}
            for extension in members:
                self._near.setdefault(extension, set()).update(members)

    def may_take(self, extension: str, other: str) -> bool:
        """Tell whether a user may take a call that rings at another's phone."""
        if extension == other:
            return True
        return other in self._near.get(extension, ()) or (self._anybody and other in self._users)

    def found(self, calls: Iterable[Call], user: User, feature: ToFeature) -> Call | None:
        """Return the call a user means by a code: the one that has rung for longest."""
        if feature.code == DIRECTED:
            wanted = {feature.rest} if self.may_take(user.extension, feature.rest) else set()
        elif feature.code == GROUP and not feature.rest:
            wanted = self._near.get(user.extension, set()) - {user.extension}
        else:
            return None
        return next((call for call in calls if _rings(call, wanted, user.extension)), None)


def _rings(call: Call, wanted: set[str], taker: str) -> bool:
    """Tell whether a call rings one of these, for somebody else than who wants to take it."""
    waiting = call.waiting
    if waiting is None or waiting.over or waiting.client.extension == taker:
        return False
    return any(branch.alive and branch.extension in wanted for branch in call.branches)
