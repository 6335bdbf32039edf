"""What the switchboard knows of the site: one bundle, indexed, and the mode it is in."""

from __future__ import annotations

from appliance.bundle import Bundle
from appliance.pbx.dialplan import DialPlan
from appliance.pbx.directory import Directory
from appliance.pbx.survival import Survival


class Site:
    """One bundle, indexed for the questions the switchboard asks."""

    def __init__(self, bundle: Bundle, survival: Survival) -> None:
        self.bundle = bundle
        self.survival = survival
        self.directory = Directory(bundle)
        self.dialplan = DialPlan(bundle, self.directory)
