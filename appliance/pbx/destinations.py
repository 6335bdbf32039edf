"""What a call does that goes somewhere: the plan for whatever was dialled, and for what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.bundle import Bundle, Group, User
from appliance.call.actions import Action, Notice
from appliance.call.path import follow
from appliance.call.steps import Plan, Reject, Target
from appliance.pbx import user as user_destination
from appliance.pbx.dialplan import Destination, DialPlan, Nowhere, ToGroup, ToUser
from appliance.sip.flow import Flow


class GroupPlans(Protocol):
    """Makes plans for calls to groups; `sdg.group.Groups` fulfils it."""

    def plan(self, group: Group, at: float) -> Plan:
        """Return the plan of a call that comes to a group at a time (Unix seconds)."""
        ...


class Phones(Protocol):
    """Knows the phones of users; `presence.Presence` fulfils it."""

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the phones of a user that can be rung, the preferred first."""
        ...


class Destinations:
    """Make the plan of a call from what was dialled, and follow where it leads."""

    def __init__(
        self,
        bundle: Bundle,
        dialplan: DialPlan,
        phones: Phones,
        groups: GroupPlans,
        wall: Callable[[float], float],
        emit: Callable[[Action], None],
    ) -> None:
        self._bundle = bundle
        self._dialplan = dialplan
        self._phones = phones
        self._groups = groups
        self._wall = wall
        self._emit = emit

    def plan(self, caller: User, dialled: str, flow: Flow | None, now: float) -> Plan:
        """Return the plan of a call; the phone on the caller's own `flow` is not rung."""

        def resolve(dialled: str, now: float) -> Plan:
            return self._one(caller, self._dialplan.find(dialled), flow, now)

        return follow(resolve(dialled, now), resolve, now)

    def _one(self, caller: User, destination: Destination, flow: Flow | None, now: float) -> Plan:
        if isinstance(destination, ToUser):
            user = destination.user
            targets = tuple(one for one in self._phones.phones(user) if one.flow != flow)
            return user_destination.plan(targets, self._bundle.policies.ring_time, user.name)
        if isinstance(destination, ToGroup):
            return self._groups.plan(destination.group, self._wall(now))
        if isinstance(destination, Nowhere):
            return rejected(Reject(destination.status, destination.reason))
        text = f"{caller.name} ({caller.extension}) dialled {destination.number}: no trunk here"
        self._emit(Notice("alarm", "emergency.no_trunk", text))
        return rejected(Reject(503, "no trunk to the emergency services"))


def rejected(reject: Reject) -> Plan:
    """Return the plan of a call that cannot be tried at all."""
    yield reject
