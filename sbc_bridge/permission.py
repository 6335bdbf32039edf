"""Who may call what outside, by class of service (E5)."""

from __future__ import annotations

from typing import Final

from appliance.bundle import User
from sbc_bridge.numbers import Kind, Reading

CLASSES: Final[dict[str, frozenset[Kind]]] = {
    "internal": frozenset({"private"}),
    "national": frozenset({"private", "short", "national"}),
    "international": frozenset({"private", "short", "national", "international"}),
}
"""Class of service to the kinds of numbers it may call; premium ones are a right of their own."""


def refusal(user: User, reading: Reading) -> str:
    """Return why a user may not call this, in words; empty: it may."""
    if reading.refusal:
        return reading.refusal
    if reading.kind == "premium":
        return "" if user.premium else f"{user.name} may not call premium-rate numbers"
    if reading.kind in CLASSES[user.class_of_service]:
        return ""
    kind = "short" if reading.kind == "short" else reading.kind
    return f"{user.name} may not call {kind} numbers (class of service {user.class_of_service})"
