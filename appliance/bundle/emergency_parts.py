"""The parts of a bundle that calls for help need: places, and what becomes of a call (E6-E8)."""

from __future__ import annotations

from typing import Literal

from appliance.bundle.part import Part
from appliance.bundle.values import Country, Identifier, Line, Name, Number, Target, Text


class Civic(Part, frozen=True, kw_only=True):
    """An address in parts, as emergency services read it (RFC 5139)."""

    country: Country
    state: Line = ""
    """State, province or canton."""
    city: Line = ""
    street: Line = ""
    house_number: Line = ""
    postal_code: Line = ""
    building: Line = ""
    floor: Line = ""
    room: Line = ""


class Location(Part, frozen=True, kw_only=True):
    """A place to send help to (E6)."""

    id: Identifier
    name: Name
    elin: Number | None = None
    """Number that emergency services know to be here; shown by calls from here."""
    address: Text = ""
    """As somebody would say it; spoken to the safety team."""
    civic: Civic | None = None
    """The address in parts, for `emergency.geolocation`."""
    networks: tuple[Line, ...] = ()
    """IP networks, CIDR, longest match wins."""


class Emergency(Part, frozen=True, kw_only=True):
    """Calls for help: what they show, who is told, where they are called back (E6-E8)."""

    caller_id: Literal["elin", "own"] = "elin"
    """Shown first: the location's number, or the caller's own; the other where there is none."""
    pool: tuple[Number, ...] = ()
    """Numbers of the trunk that are lent to callers who have none to be called back on (E7)."""
    location: Identifier | None = None
    """Id in `locations`: where a caller is whom neither phone, network nor user tells."""
    geolocation: bool = False
    """Send the location along as PIDF-LO (RFC 6442); only where the trunk's operator takes it."""
    route_groups: tuple[Identifier, ...] = ()
    """Ids in `route_groups`, in the order in which they are tried; empty: all, in their order."""
    safety_team: tuple[Identifier, ...] = ()
    """Ids of users whose phones are told at once, by text and by a call (E8)."""
    safety_group: Target | None = None
    """Extension of the group that takes call-backs which the caller does not answer (E7)."""
    webhook: Line = ""
    """HTTPS address that is told of every emergency call; empty: none."""
