"""What admins are shown of calls for help: who is called back, and what a call would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.bundle import Bundle, User
from appliance.bundle.emergency import EmergencyNumbers, emergency_numbers
from appliance.call.emergency import HelpCaller
from appliance.errors import LocalError
from appliance.sip.flow import Flow
from sbc_bridge.emergency.callbacks import Callbacks
from sbc_bridge.emergency.help import Help, Shows
from sbc_bridge.emergency.team import Incident, Phones

Row = dict[str, Any]

NOWHERE = "0.0.0.0"
"""Address of a phone that is nowhere now."""


class Overview:
    """Answer admins by one bundle; makes no call and changes nothing."""

    def __init__(
        self,
        bundle: Bundle,
        help: Help,
        callbacks: Callbacks,
        phones: Phones,
        wall: Callable[[float], float],
    ) -> None:
        self._bundle = bundle
        self._help = help
        self._callbacks = callbacks
        self._phones = phones
        self._wall = wall
        self._users = {user.extension: user for user in bundle.users}

    def state(self, now: float) -> Row:
        """Return the numbers, the ways out, the team and everybody who is called back."""
        return {
            "numbers": list(emergency_numbers(self._bundle)),
            "ways": self._ways(self._shows("", ""), now),
            "safety_team": [self._member(member) for member in self._help.team.members],
            "safety_group": self._bundle.emergency.safety_group,
            "callback_seconds": self._bundle.policies.emergency_callback,
            "callbacks": [
                {
                    "number": one.number,
                    "extension": one.extension,
                    "name": one.name,
                    "proved": one.proved,
                    "address": one.flow.remote[0],
                    "location": one.location,
                    "called": self._wall(one.began),
                    "until": self._wall(one.until),
                }
                for one in self._callbacks.all(now)
            ],
        }

    def trial(self, extension: str, dialled: str, address: str, now: float) -> Row:
        """Return what a call for help would do; raises LocalError for what nobody could dial.

        Without `extension` a stranger calls; without `address` the user's phone tells it.
        """
        numbers = EmergencyNumbers(self._bundle)
        number = numbers.find(dialled or numbers.first)
        if number is None:
            known = ", ".join(emergency_numbers(self._bundle))
            raise LocalError(f"{dialled!r} does not call for help here; these do: {known}")
        caller = self._caller(extension, address)
        place = self._help.places.of(caller)
        identity = self._help.identities.of(caller, place.location, now)
        incident = Incident(caller, number.digits, place.location, identity.number)
        targets = () if number.test else self._help.team.targets(caller)
        return {
            "caller": caller.shown,
            "address": "" if caller.flow.remote[0] == NOWHERE else caller.flow.remote[0],
            "number": number.digits,
            "test": number.test,
            "location": place.location.id if place.location is not None else "",
            "where": incident.where,
            "why_there": place.why,
            "shown": identity.number,
            "why_shown": identity.why,
            "leads_back": identity.leads_back and not number.test,
            "ways": self._ways(self._shows(number.digits, identity.number), now),
            "alerted": list(dict.fromkeys(target.extension for target in targets)),
        }

    def _caller(self, extension: str, address: str) -> HelpCaller:
        user = self._users.get(extension) if extension else None
        if extension and user is None:
            raise LocalError(f"no user has the extension {extension!r}; see `holdfast phones`")
        flow = self._flow(user, address)
        return HelpCaller(
            call_id="trial", user=user, proved=user is not None, flow=flow, contact=""
        )

    def _flow(self, user: User | None, address: str) -> Flow:
        phones = self._phones.phones(user) if user is not None and not address else ()
        if phones:
            return phones[0].flow
        return Flow("UDP", (NOWHERE, 0), (address or NOWHERE, 0))

    def _member(self, member: User) -> Row:
        phones = len(self._phones.phones(member))
        return {"extension": member.extension, "name": member.name, "phones": phones}

    def _ways(self, shows: Shows, now: float) -> list[Row]:
        found = self._help.ways(shows, now)
        return [{"sbc": way.name, "well": way.well, "full": way.full} for way in found]

    def _shows(self, number: str, identity: str) -> Shows:
        return Shows(number, identity, "", (), ())
