"""What the world tells the core besides SIP messages and time."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.call.record import MediaCounters


@dataclass(frozen=True, slots=True)
class ZoneAnswer:
    """The outcome of one `ProbeZone`."""

    zone: str
    status: int | None
    """Final SIP status, or None when there was none."""
    failure: str = ""
    """Layer and cause in words when `status` is None, e.g. `tls: certificate has expired`."""
    layer: str = ""
    """`dns`, `tcp`, `tls`, `certificate`, `sip` or empty."""
    rtt: float | None = None
    """Seconds from sending OPTIONS to its final answer."""


@dataclass(frozen=True, slots=True)
class RelayEnded:
    """A dropped relay's last counters: packets received from side a and from side b."""

    key: str
    from_a: MediaCounters
    from_b: MediaCounters


@dataclass(frozen=True, slots=True)
class RelayFailed:
    """A relay could not be opened (port taken, address gone)."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class RelaySilent:
    """Neither side of a relay has sent anything for `seconds`."""

    key: str
    seconds: float


MediaEvent = RelayEnded | RelayFailed | RelaySilent
