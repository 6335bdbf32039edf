"""Who can be rung now: phones, calls under way, and since when somebody is idle (D2)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from appliance.bundle import User
from appliance.call.call import Call, CallState
from appliance.call.steps import Target
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.location import Location

_NOBODY: Final[frozenset[str]] = frozenset()


class Presence:
    """Keep which extensions are in calls; told of each call when its parties change."""

    def __init__(self, location: Location, forwardings: Forwardings) -> None:
        self._location = location
        self._forwardings = forwardings
        self._waiting: dict[str, Call] = {}
        """Calls whose caller is with nobody yet."""
        self._parties: dict[str, frozenset[str]] = {}
        """By call."""
        self._busy: dict[str, int] = {}
        """In how many calls an extension is; those that are in none are left out."""
        self._idle_since: dict[str, float] = {}

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the phones of a user that can be rung, the preferred first."""
        return tuple(
            Target(binding.target, binding.flow, user.extension)
            for binding in self._location.reachable(user.id)
        )

    def busy(self) -> Container[str]:
        """Return the extensions that are in a call, or begin one."""
        return self._busy

    def ringing(self) -> Container[str]:
        """Return the extensions that are being rung by a call."""
        calls = self._waiting.values()
        return {leg.extension for call in calls for leg in call.branches if leg.alive}

    def do_not_disturb(self, user: User) -> bool:
        """Tell whether a user wants no calls now."""
        return self._forwardings.of(user).do_not_disturb

    def idle_since(self, user: User) -> float:
        """Return when the user's last call ended, Unix seconds; 0: there was none yet."""
        return self._idle_since.get(user.extension, 0.0)

    def changed(self, call: Call) -> None:
        """Look again who is in a call: it has begun, was answered, handed on or ended."""
        before = self._parties.get(call.id, _NOBODY)
        if call.state is CallState.ENDED:
            self._waiting.pop(call.id, None)
            self._parties.pop(call.id, None)
            self._replace(before, _NOBODY)
            record = call.draft.record
            if record.answered is not None and record.ended is not None:
                self._idle_since.update(dict.fromkeys(before, record.ended))
            return
        if call.state is CallState.ANSWERED:
            self._waiting.pop(call.id, None)
        else:
            self._waiting[call.id] = call
        legs = call.joined or (call.caller,)
        now = frozenset([leg.extension for leg in legs if not leg.ended])
        if now != before:
            self._parties[call.id] = now
            self._replace(before, now)

    def _replace(self, before: frozenset[str], now: frozenset[str]) -> None:
        busy = self._busy
        for extension in now - before:
            busy[extension] = busy.get(extension, 0) + 1
        for extension in before - now:
            calls = busy.pop(extension) - 1
            if calls:
                busy[extension] = calls

    def keep(self, extensions: Iterable[str]) -> None:
        """Forget since when anybody is idle but these."""
        kept = set(extensions)
        self._idle_since = {name: at for name, at in self._idle_since.items() if name in kept}
