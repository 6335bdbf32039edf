"""The trunk as calls for help see it: every SBC there is, whatever it is said of it (E6)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from appliance.bundle import RouteGroup
from appliance.call.steps import Target
from sbc_bridge.caller_id import Identity, dressed
from sbc_bridge.emergency.help import Shows, Way
from sbc_bridge.gateway import Gateway
from sbc_bridge.numbers import Numbers, Reading
from sbc_bridge.trunk import Trunk


class Ways:
    """Find the ways out; fulfils `help.Outside`."""

    def __init__(self, trunk: Trunk, make_room: Callable[[str, float], str]) -> None:
        """`make_room` ends a call on a line and tells whose."""
        self._trunk = trunk
        self._make_room = make_room

    def ways(self, groups: tuple[str, ...], shows: Shows, now: float) -> list[Way]:
        """Return every SBC of these route groups: those that are well first, then all others.

        One that is drained, has refused calls or does not answer OPTIONS may still carry this one.
        """
        site = self._trunk.site
        if site is None:
            return []
        known = [site.groups[id] for id in groups if id in site.groups]
        rows = [
            (group, gateway, well)
            for group in known
            for gateway, well in self._trunk.gateways.everybody(group.id, now)
        ]
        rows.sort(key=lambda row: not row[2])
        return [self._way(*row, shows, site.numbers) for row in rows]

    def make_room(self, line: str, now: float) -> str:
        """End one call on a line that is not for help; return whose, empty: there is none."""
        return self._make_room(line, now)

    def _way(
        self, group: RouteGroup, gateway: Gateway, well: bool, shows: Shows, numbers: Numbers
    ) -> Way:
        reading = Reading(dialled=shows.number, number=shows.number, kind="short")
        identity = Identity(shows.identity, shows.name)
        uri, shown = dressed(identity, reading, group, gateway, numbers)
        shown = replace(shown, headers=shown.headers + shows.headers, parts=shows.parts)
        target = Target(uri, gateway.flow, shows.number, line=gateway.line, shown=shown)
        return Way(gateway.line.name, target, self._trunk.gateways.full(gateway), well)
