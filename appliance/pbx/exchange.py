"""The way of calls that are handed on: what a phone may ask for once its call is answered (C5)."""

from __future__ import annotations

from appliance.call.party import Party
from appliance.call.steps import Park, Plan, Reject
from appliance.pbx.destinations import Destinations, rejected
from appliance.pbx.directory import Directory
from appliance.sip.flow import Flow


class Exchange:
    """Find plans and names for calls; fulfils `call.context.Exchange`."""

    def __init__(self, directory: Directory, destinations: Destinations, domain: str) -> None:
        self._directory = directory
        self._destinations = destinations
        self._domain = domain

    def plan(self, extension: str, dialled: str, now: float, at: Flow | None = None) -> Plan:
        """Return the plan of what a user's phone has asked for: by that user's rights."""
        user = self._directory.by_extension(extension)
        if user is None:
            return rejected(Reject(403, f"{extension} is no user of this site any more"))
        return self._destinations.plan(user, dialled, None, now, at)

    def wait_on(self, extension: str, waits: Park, now: float) -> Plan:
        """Return the plan of somebody whom a user has parked, as an earlier process knew it."""
        user = self._directory.by_extension(extension)
        if user is None:
            return rejected(Reject(480, f"{extension} is no user of this site any more"))
        return self._destinations.wait_on(user, waits, now)

    def party(self, extension: str) -> Party:
        """Return how a user is shown to others."""
        user = self._directory.by_extension(extension)
        name = user.name if user is not None else extension
        return Party(extension, name, f"sip:{extension}@{self._domain}")
