"""What a new bundle would take away: more than a set share is held until an admin says yes (G2)."""

from __future__ import annotations

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem

GUARDED = {
    "users": "id",
    "devices": "id",
    "groups": "extension",
    "locations": "id",
    "route_groups": "id",
    "peers": "site",
}
"""Lists that are looked at, and what tells their parts apart."""
COUNTED = ("contacts",)
"""Lists whose parts have no lasting name: they are only counted."""
FEW = 20
"""Parts of such a list that may go unasked: no call needs them, and they are soon written anew."""


def shrinkage(old: Bundle, new: Bundle, share: float) -> list[Problem]:
    """Return each list of which more than a share (0 to 1) would be gone."""
    found = []
    for name, key in GUARDED.items():
        before = {getattr(part, key) for part in getattr(old, name)}
        gone = len(before - {getattr(part, key) for part in getattr(new, name)})
        if before and gone > len(before) * share:
            found.append(_told(name, gone, len(before)))
    for name in COUNTED:
        number = len(getattr(old, name))
        fewer = number - len(getattr(new, name))
        if fewer > max(FEW, number * share):
            found.append(_told(name, fewer, number))
    return found


def _told(name: str, gone: int, number: int) -> Problem:
    return Problem(name, f"{gone} of {number} would be removed")
