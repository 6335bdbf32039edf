"""One bundle, indexed for the questions the switchboard asks."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.bundle import Bundle, User
from appliance.call.call import Call
from appliance.pbx.dialplan import DialPlan, ToFeature, ToOrbit
from appliance.pbx.directory import Directory
from appliance.pbx.park import Parking
from appliance.pbx.pickup import Pickups
from appliance.pbx.survival import Survival


class Site:
    """One bundle, indexed for the questions the switchboard asks."""

    def __init__(self, bundle: Bundle, survival: Survival) -> None:
        self.bundle = bundle
        self.survival = survival
        self.directory = Directory(bundle)
        self.dialplan = DialPlan(bundle, self.directory)
        self.pickups = Pickups(bundle)

    def meant(
        self, calls: Mapping[str, Call], parking: Parking, caller: User, dialled: str
    ) -> Call | None:
        """Return the call that somebody who dials an orbit or a code wants to take over, if any.

        Nobody outside may.
        """
        destination = self.dialplan.find(dialled)
        if self.directory.user(caller.id) is None:
            return None
        if isinstance(destination, ToOrbit):
            return parking.parked().get(destination.orbit)
        if isinstance(destination, ToFeature):
            return self.pickups.found(calls.values(), caller, destination)
        return None
