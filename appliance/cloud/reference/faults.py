"""The failures a zone and the API of the reference cloud can be commanded into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

State = Literal["up", "down", "silent", "slow", "refusing", "flapping", "tls-broken", "wrong-name"]
STATES: tuple[State, ...] = (
    "up",
    "down",
    "silent",
    "slow",
    "refusing",
    "flapping",
    "tls-broken",
    "wrong-name",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a zone does in one state."""

    listening: bool = True
    """False: no listener, and open connections are cut, as when a server dies."""
    speaking: bool = True
    """False: packets and connections are taken and nothing answers, as behind a dead firewall."""
    delay: float = 0.0
    """Seconds before every answer."""
    refusing: bool = False
    """503 with Retry-After to every request, as an overloaded server does."""
    tls_broken: bool = False
    """TLS shows a certificate that ended yesterday."""
    misnamed: bool = False
    """TLS shows a certificate that is for another name."""


EFFECTS: dict[State, Effect] = {
    "up": Effect(),
    "down": Effect(listening=False),
    "silent": Effect(speaking=False),
    "slow": Effect(delay=2.0),
    "refusing": Effect(refusing=True),
    "tls-broken": Effect(tls_broken=True),
    "wrong-name": Effect(misnamed=True),
}
"""Effect of each state; `flapping` is none of its own but `up` and `down` in turn."""


class ZoneOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command to one zone."""

    state: State
    period: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds down, then as many up, while flapping."""
    delay: Annotated[float, Meta(ge=0, le=60)] | None = None
    """Seconds before every answer; None: what the state says."""


class ApiOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command to the HTTPS API; what is left out goes back to normal."""

    drop_records: Annotated[int, Meta(ge=0)] = 0
    """Cut the connection in the middle of the answer to this many records, after storing them."""
    delay: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Seconds before every answer."""
    failing: bool = False
    """503 to everything but /control."""
    broken_bundle: bool = False
    """Serve half of the bundle."""
    broken_delta: bool = False
    """Send deltas that make another file."""


class ApiFaults:
    """The API's present faults; `drop_record` uses one up."""

    def __init__(self) -> None:
        self.order = ApiOrder()
        self._drops_left = 0

    def command(self, order: ApiOrder) -> None:
        """Take a new order in place of the last."""
        self.order = order
        self._drops_left = order.drop_records

    def drop_record(self) -> bool:
        """Tell whether this record's answer is to be cut, and count it."""
        if self._drops_left == 0:
            return False
        self._drops_left -= 1
        return True

    @property
    def drops_left(self) -> int:
        """How many answers are still to be cut."""
        return self._drops_left
