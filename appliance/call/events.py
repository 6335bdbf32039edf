"""What the world tells the core besides SIP messages and time."""

from __future__ import annotations

import msgspec

from appliance.call.record import MediaCounters
from appliance.sip.flow import Address


class ZoneAnswer(msgspec.Struct, frozen=True):
    """The outcome of one `ProbeZone`."""

    zone: str
    status: int | None
    """Final SIP status, or None when there was none."""
    failure: str = ""
    """Layer and cause in words when `status` is None, e.g. `tls: certificate has expired`."""
    layer: str = ""
    """`link` (our own cable), `dns`, `tcp`, `tls`, `certificate`, `sip` or empty."""
    rtt: float | None = None
    """Seconds from sending OPTIONS to its final answer."""


class GatewayLocated(msgspec.Struct, frozen=True):
    """The outcome of one `LocateGateway`."""

    key: str
    ways: tuple[tuple[Address, str], ...] = ()
    """Its addresses, the preferred first, each with our own address on the way there."""
    failure: str = ""
    """Why there are none, in words."""
    shares: tuple[tuple[int, int], ...] = ()
    """Priority and weight of each by SRV; empty: all are alike."""


class RelayEnded(msgspec.Struct, frozen=True):
    """A dropped relay's last counters: packets received from side a and from side b."""

    key: str
    from_a: MediaCounters
    from_b: MediaCounters


class RelayFailed(msgspec.Struct, frozen=True):
    """A relay could not be opened (port taken, address gone)."""

    key: str
    reason: str
    port: int = 0
    """The port of ours that another process holds; 0: it failed for another reason."""


class RelaySilent(msgspec.Struct, frozen=True):
    """Neither side of a relay has sent anything for `seconds`."""

    key: str
    seconds: float


class SoundEnded(msgspec.Struct, frozen=True):
    """A `Sound` without `loop` was played to its end, or no sound at all could be played."""

    key: str
    side: str
    """`a` or `b`."""
    serial: int
    """`Sound.serial`."""
    reason: str = ""
    """Why nothing was played, e.g. that the phone takes no codec we can encode."""


class DigitPressed(msgspec.Struct, frozen=True):
    """A phone's user pressed a key."""

    key: str
    side: str
    """`a` or `b`."""
    digit: str
    """One of `0`-`9`, `*`, `#`, `A`-`D`."""


class RecordingEnded(msgspec.Struct, frozen=True):
    """A file of `RelaySide.record` is closed."""

    key: str
    side: str
    """`a` or `b`."""
    file: str
    """As it was asked for."""
    seconds: float
    """Length of what was recorded."""
    reason: str = ""
    """Why it ended before it was asked to, e.g. that the disk is full."""


Heard = SoundEnded | DigitPressed | RecordingEnded
"""What came of a `RelaySide`'s `hears`, `digits` and `record`."""
MediaEvent = RelayEnded | RelayFailed | RelaySilent | Heard
