"""Which number a call for help shows: one on which its caller can be called back (E6, E7)."""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, Location
from appliance.call.emergency import HelpCaller
from sbc_bridge.emergency.callbacks import Callbacks


class Identity(NamedTuple):
    """What is shown."""

    number: str
    """E.164; empty: the site has none to show."""
    why: str
    """One sentence."""
    leads_back: bool
    """Whether call-backs on it are to reach the caller; not where it rings a group already."""


class Identities:
    """Choose the number by the policy of one bundle."""

    def __init__(self, bundle: Bundle, callbacks: Callbacks) -> None:
        self._policy = bundle.emergency.caller_id
        self._pool = bundle.emergency.pool
        self._site = bundle.number_plan.site_number
        self._callbacks = callbacks
        self._owners = {number: user.id for user in bundle.users for number in user.numbers}
        self._groups = {number: group.name for group in bundle.groups for number in group.numbers}

    def of(self, caller: HelpCaller, location: Location | None, now: float) -> Identity:
        """Return what a caller shows who calls from a location."""
        elin = self._elin(location)
        own = self._own(caller)
        first, second = (elin, own) if self._policy == "elin" else (own, elin)
        return first or second or self._lent(caller, now) or self._of_site()

    def _elin(self, location: Location | None) -> Identity | None:
        if location is None or location.elin is None:
            return None
        return self._identity(location.elin, f"the number of {location.name}")

    def _own(self, caller: HelpCaller) -> Identity | None:
        """Return the caller's own number; what From says is no proof that it is theirs."""
        if caller.user is None or not caller.proved or not caller.user.numbers:
            return None
        return Identity(caller.user.numbers[0], "the caller's own number", True)

    def _lent(self, caller: HelpCaller, now: float) -> Identity | None:
        number = self._callbacks.lend(self._pool, caller, now)
        return Identity(number, "lent from the pool", True) if number else None

    def _of_site(self) -> Identity:
        if self._site is None:
            return Identity("", "the site has no number to show", False)
        return self._identity(self._site, "the site's main number")

    def _identity(self, number: str, why: str) -> Identity:
        if number in self._groups:
            return Identity(number, f"{why}, which rings {self._groups[number]}", False)
        return Identity(number, why, number not in self._owners)
