"""What the world tells the core besides SIP messages and time."""

from __future__ import annotations

import msgspec

from appliance.call.record import MediaCounters


class ZoneAnswer(msgspec.Struct, frozen=True):
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


class RelayEnded(msgspec.Struct, frozen=True):
    """A dropped relay's last counters: packets received from side a and from side b."""

    key: str
    from_a: MediaCounters
    from_b: MediaCounters


class RelayFailed(msgspec.Struct, frozen=True):
    """A relay could not be opened (port taken, address gone)."""

    key: str
    reason: str


class RelaySilent(msgspec.Struct, frozen=True):
    """Neither side of a relay has sent anything for `seconds`."""

    key: str
    seconds: float


class SoundEnded(msgspec.Struct, frozen=True):
    """A `Sound` without `loop` was played to its end."""

    key: str
    side: str
    """`a` or `b`."""
    serial: int
    """`Sound.serial`."""


class DigitPressed(msgspec.Struct, frozen=True):
    """A phone's user pressed a key."""

    key: str
    side: str
    """`a` or `b`."""
    digit: str
    """One of `0`-`9`, `*`, `#`, `A`-`D`."""


MediaEvent = RelayEnded | RelayFailed | RelaySilent
