"""What a call does that goes somewhere: the plan for whatever was dialled, and for what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.bundle import Bundle, Group, User
from appliance.call.emergency import HelpCaller
from appliance.call.outside import Leaving, Outside
from appliance.call.path import Resolve, follow
from appliance.call.steps import Diverted, Park, Plan, Play, Reject, Target
from appliance.pbx import user as user_destination
from appliance.pbx.dialplan import (
    Destination,
    DialPlan,
    Emergency,
    Nowhere,
    ToFeature,
    ToGroup,
    ToOrbit,
    ToUser,
)
from appliance.pbx.emergency import HelpPlans
from appliance.pbx.features import Features, nothing_there
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.park import Parking
from appliance.pbx.user import Called
from appliance.sip.flow import Flow

NO_FLOW = Flow("UDP", ("0.0.0.0", 0), ("0.0.0.0", 0))
"""Of a caller who is only imagined."""


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
        forwardings: Forwardings,
        parking: Parking,
        outside: Outside,
        wall: Callable[[float], float],
        help: HelpPlans | None = None,
        outage: Callable[[], bool] = lambda: False,
    ) -> None:
        """Without `help` a call for help that a group leads to is refused.

        `outage` tells whether the site serves itself because its cloud is gone.
        """
        self._bundle = bundle
        self._dialplan = dialplan
        self._phones = phones
        self._groups = groups
        self._forwardings = forwardings
        self._parking = parking
        self._features = Features(dialplan, forwardings, parking, outside)
        self._outage = outage
        self._users = {user.extension: user for user in bundle.users}
        self._outside = outside
        self._wall = wall
        self._help = help

    def plan(
        self,
        caller: User,
        dialled: str,
        flow: Flow | None,
        now: float,
        at: Flow | None = None,
        passed: tuple[str, ...] = (),
    ) -> Plan:
        """Return the plan of a call; the phone on the caller's own `flow` is not rung.

        Without a flow nobody dials: somebody is handed on, by the caller's rights, from a phone
        that is `at` some place, which a call for help tells. `passed` is as in `Leaving`.
        """
        resolve = self._resolver(caller, flow, at, passed)
        destination = self._dialplan.find(dialled)
        dials = flow is not None and self._is_ours(caller)
        if isinstance(destination, ToFeature) and dials:
            return follow(self._features.plan(caller, destination, now), resolve, now)
        plan = resolve(dialled, now, ())
        if isinstance(destination, ToUser | ToGroup) and flow is not None:
            plan = self._greeted(caller, plan)
        return follow(plan, resolve, now)

    def wait_on(self, parker: User, waits: Park, now: float) -> Plan:
        """Return the plan of somebody who is parked already."""
        return follow(self._parking.wait_on(parker, waits), self._resolver(parker), now)

    def _resolver(
        self,
        caller: User,
        flow: Flow | None = None,
        at: Flow | None = None,
        passed: tuple[str, ...] = (),
    ) -> Resolve:
        """Return what finds the plan of whatever a caller's call goes on to; as `plan`."""
        gone = list(passed)

        def resolve(dialled: str, now: float, way: tuple[Diverted, ...]) -> Plan:
            destination = self._dialplan.find(dialled)
            if isinstance(destination, ToFeature):
                return rejected(Reject(404, f"{dialled[:40]} is a code, and nobody's extension"))
            payer = self._users.get(way[-1].extension, caller) if way else caller
            if isinstance(destination, Nowhere):
                leaving = Leaving(
                    dialled=dialled,
                    caller=caller,
                    payer=payer,
                    passed=tuple(gone),
                    diverted=way[-1].reason if way else "",
                )
                return self._away(leaving, destination, now)
            gone.extend(self._stop(destination))
            if way and isinstance(destination, Emergency):
                return rejected(Reject(403, "no call is forwarded to an emergency number"))
            return self._one(caller, destination, flow, now, None if way else at)

        return resolve

    def _is_ours(self, caller: User) -> bool:
        user = self._users.get(caller.extension)
        return user is not None and user.id == caller.id

    def _greeted(self, caller: User, plan: Plan) -> Plan:
        """Let the caller hear first that the site serves itself, where the policy says so (A5)."""
        inside = self._is_ours(caller)
        policy = self._bundle.policies.outage_prompt
        if self._outage() and (policy == "everybody" or (policy == "outside" and not inside)):
            return greeting("survivability-inside" if inside else "survivability", plan)
        return plan

    def _stop(self, destination: Destination) -> tuple[str, ...]:
        """Return who may send a call on, as other sites dial it."""
        if isinstance(destination, ToUser):
            return (f"{self._bundle.site.code}{destination.user.extension}",)
        if isinstance(destination, ToGroup):
            return (f"{self._bundle.site.code}{destination.group.extension}",)
        return ()

    def _away(self, leaving: Leaving, nowhere: Nowhere, now: float) -> Plan:
        """Return the plan of a call to what nobody has here."""
        outside = self._outside.plan(leaving, now) if leaving.dialled else None
        return outside or rejected(Reject(nowhere.status, nowhere.reason))

    def _one(
        self,
        caller: User,
        destination: Destination,
        flow: Flow | None,
        now: float,
        at: Flow | None = None,
    ) -> Plan:
        """Return the plan of one destination here."""
        if isinstance(destination, ToUser):
            return user_destination.plan(self._called(destination.user, caller, flow))
        if isinstance(destination, ToGroup):
            return self._groups.plan(destination.group, self._wall(now))
        if isinstance(destination, ToOrbit):
            if flow is None:
                return self._parking.plan(caller, destination.orbit)
            return nothing_there("park-empty", f"nobody is parked at {destination.orbit}")
        if isinstance(destination, ToFeature | Nowhere):
            raise AssertionError("what is nothing here has a plan of its own")
        if self._help is None:
            return rejected(Reject(503, f"nobody here calls {destination.number.digits}"))
        return self._help.plan(_led(caller, flow or at, now), destination.number, now)

    def callback(self, number: str, now: float) -> Plan | None:
        """Return the plan of a call from outside on which somebody is called back, if any is."""

        def resolve(dialled: str, now: float, way: tuple[Diverted, ...]) -> Plan:
            found = self._dialplan.find(dialled)
            if isinstance(found, Nowhere):
                leaving = Leaving(dialled=dialled, caller=OUTSIDE, payer=OUTSIDE)
                return self._away(leaving, found, now)
            return self._one(OUTSIDE, found, None, now)

        plan = self._help.callback(number, now) if self._help is not None else None
        return follow(plan, resolve, now) if plan is not None else None

    def _called(self, user: User, caller: User, flow: Flow | None) -> Called:
        return Called(
            user=user,
            forwarding=self._forwardings.of(user),
            targets=tuple(one for one in self._phones.phones(user) if one.flow != flow),
            ring_time=self._bundle.policies.ring_time,
            caller=caller,
            leads_to=self._dialplan.user,
        )


def greeting(sound: str, plan: Plan) -> Plan:
    """Return a plan that is gone through once a sound has been heard."""
    yield Play((sound,))
    yield from plan


OUTSIDE = User(id="", name="outside", extension="outside")
"""Who calls from outside, for plans that ask."""


def _led(caller: User, flow: Flow | None, now: float) -> HelpCaller:
    """Return who calls for help by way of a group: a user who has proved to be one."""
    return HelpCaller(
        call_id=f"{caller.id}-{now:.6f}",
        user=caller,
        proved=True,
        flow=flow or NO_FLOW,
        contact="",
    )


def rejected(reject: Reject) -> Plan:
    """Return the plan of a call that cannot be tried at all."""
    yield reject
