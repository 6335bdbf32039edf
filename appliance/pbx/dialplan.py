"""What dialled digits mean at this site (C1, C2)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from appliance.bundle import Bundle, Group, User
from appliance.bundle.emergency import EmergencyNumber, EmergencyNumbers
from appliance.pbx.directory import Directory

CODES_BEGIN = ("*", "#")
LONGEST_CODE = 8
"""As `bundle.values.Code` has it."""


@dataclass(frozen=True, slots=True)
class ToUser:
    """Ring a user's phones."""

    user: User


@dataclass(frozen=True, slots=True)
class ToGroup:
    """Follow a distribution group."""

    group: Group


@dataclass(frozen=True, slots=True)
class Emergency:
    """Call for help."""

    number: EmergencyNumber


@dataclass(frozen=True, slots=True)
class ToOrbit:
    """Park at a place, or take what is parked there."""

    orbit: str


@dataclass(frozen=True, slots=True)
class ToFeature:
    """Do what a code stands for."""

    code: str
    """Field of `bundle.FeatureCodes`."""
    rest: str
    """What was dialled behind the code."""
    dialled: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Answer with a failure: the dial plan does not know the number."""

    status: int
    reason: str


Destination = ToUser | ToGroup | ToOrbit | ToFeature | Emergency | Nowhere


class DialPlan:
    """Turn what was dialled into a destination."""

    def __init__(self, bundle: Bundle, directory: Directory) -> None:
        self._directory = directory
        self._code = bundle.site.code
        self.emergency = EmergencyNumbers(bundle)
        self._groups = {group.extension: group for group in bundle.groups}
        self._groups |= {number: group for group in bundle.groups for number in group.numbers}
        self._orbits = frozenset(bundle.park.orbits)
        codes = msgspec.structs.asdict(bundle.feature_codes)
        self._codes = {code: name for name, code in codes.items() if code}

    def find(self, dialled: str) -> Destination:
        """Return where the user part of a Request-URI leads: emergency first, then our own."""
        number = self.emergency.find(dialled)
        if number is not None:
            return Emergency(number)
        found = self._own(dialled)
        if found is None and dialled.startswith(self._code):
            found = self._own(dialled[len(self._code) :])  # own site code and extension (C2)
        if found is None and dialled.startswith(CODES_BEGIN):
            found = self._feature(dialled)
        if found is not None:
            return found
        if not dialled:
            return Nowhere(484, "no number was dialled")
        if dialled.startswith("+"):
            return Nowhere(480, f"{dialled[:40]} is outside, and no trunk leads there")
        return Nowhere(404, f"{dialled[:40]} is not in the dial plan of this site")

    def user(self, dialled: str) -> User | None:
        """Return the user whom something leads to; None: it leads elsewhere, or nowhere."""
        found = self.find(dialled)
        return found.user if isinstance(found, ToUser) else None

    def _feature(self, dialled: str) -> ToFeature | None:
        """Return which code something begins with; no code begins with another."""
        for end in range(1, min(len(dialled), LONGEST_CODE) + 1):
            name = self._codes.get(dialled[:end])
            if name is not None:
                return ToFeature(name, dialled[end:], dialled[:end])
        return None

    def _own(self, dialled: str) -> Destination | None:
        user = self._directory.by_name(dialled) or self._directory.by_number(dialled)
        if user is not None:
            return ToUser(user)
        group = self._groups.get(dialled)
        if group is not None:
            return ToGroup(group)
        return ToOrbit(dialled) if dialled in self._orbits else None
