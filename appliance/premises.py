"""A site as trials find it: its bundle, indexed once, and people who all have a phone and wait."""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property

from appliance.bundle import Bundle, User
from appliance.call.steps import Target
from appliance.pbx.dialplan import DialPlan
from appliance.pbx.directory import Directory
from appliance.sip.flow import Flow
from sdg.group import Groups
from sdg.turns import Turns


class Crowd:
    """Everybody has one phone and waits, but for those who are said not to."""

    def __init__(
        self, busy: frozenset[str] = frozenset(), unregistered: frozenset[str] = frozenset()
    ) -> None:
        """Take extensions."""
        self._busy = busy
        self._unregistered = unregistered

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the user's only phone, which is nowhere."""
        if user.extension in self._unregistered:
            return ()
        flow = Flow("UDP", ("0.0.0.0", 0), (user.extension, 0), 0)
        return (Target(f"sip:{user.extension}@phone.invalid", flow, user.extension),)

    def busy(self) -> Container[str]:
        """Return who is said to be on another call, and who calls."""
        return self._busy

    def ringing(self) -> Container[str]:
        """Return nobody: no other call is under way."""
        return ()

    def do_not_disturb(self, user: User) -> bool:
        """Return what the bundle says: what users have set on their phones is not in it."""
        return user.forwarding.do_not_disturb

    def idle_since(self, user: User) -> float:
        """Return that nobody has had a call yet."""
        return 0.0


class Premises:
    """One bundle, indexed for any number of trials; none of them changes anything here.

    For 10,000 users the index takes 15 ms, and 40 more where a menu asks for names.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.directory = Directory(bundle)
        self.dialplan = DialPlan(bundle, self.directory)

    @cached_property
    def _groups(self) -> Groups:
        return Groups(self.bundle, Turns(), Crowd())

    def groups(self, crowd: Crowd) -> Groups:
        """Return every group as it is for these people, whose turn has never come."""
        return self._groups.among(crowd, Turns())
