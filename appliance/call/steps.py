"""What a destination asks of a call: it yields steps and is resumed with their outcome.

A plan is a generator, `Plan`, and so reads from top to bottom; it has no clock and awaits nothing.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from appliance.bundle import SrtpPolicy
from appliance.sip.flow import Flow


class Target(msgspec.Struct, frozen=True):
    """One phone to ring."""

    uri: str
    """Request-URI: the contact the phone registered."""
    flow: Flow
    """The flow it registered on; requests go back on it (RFC 5626)."""
    extension: str
    """Whose phone it is, for the record."""
    srtp: SrtpPolicy | None = None
    """Whether this leg has to be SRTP, may be, or must not; None: as the site's policy has it."""


class Ring(msgspec.Struct, frozen=True):
    """Ring all targets at once; the first answer wins."""

    targets: tuple[Target, ...]
    timeout: float
    """Seconds until nobody has answered."""


class Reject(msgspec.Struct, frozen=True):
    """Give the caller a final answer; the plan ends."""

    status: int
    reason: str = ""
    """One sentence for the record."""


Step = Ring | Reject


class Outcome(msgspec.Struct, frozen=True):
    """How a step ended."""

    word: str
    """`busy`, `no_answer`, `rejected`, `unavailable` or `failed`."""
    status: int
    """The best SIP status seen, 300 to 699."""


Plan = Generator[Step, Outcome, None]
"""`answered` never comes back: an answered call has left its plan."""
