"""What the core asks of the world; `runtime` performs them in the order given.

The core never does anything itself: each entry point returns a list of these. They are msgspec
structures, as there are some per message: a frozen dataclass costs 0.9 us to make, they 0.2.
"""

from __future__ import annotations

import msgspec

from appliance.bundle import Zone
from appliance.call.record import CallRecord
from appliance.sip.flow import Flow


class Send(msgspec.Struct, frozen=True, gc=False):
    """Put bytes on the wire; a stream flow with `connection == 0` is connected first."""

    flow: Flow
    data: bytes


class Close(msgspec.Struct, frozen=True):
    """Close a stream connection."""

    flow: Flow


class RelaySide(msgspec.Struct, frozen=True):
    """One leg's end of a relayed stream: where we receive, and where its phone receives."""

    local: tuple[str, int]
    """Our address and RTP port (RTCP is the next port)."""
    remote: tuple[str, int] | None
    """The phone's RTP address from its SDP; None until it has said one, or while it takes none."""
    remote_rtcp: tuple[str, int] | None = None
    """The phone's RTCP address; None: `remote` with the next port; equal to `remote`: muxed."""
    learn: bool = False
    """Take the source of the first packet as the phone's address, once (phone behind NAT)."""
    learn_from: str = ""
    """Learn from this host only, the one the phone signals from; empty: whoever comes first."""


class Relay(msgspec.Struct, frozen=True):
    """One RTP stream with its RTCP between two legs: the wanted state, not a change."""

    key: str
    """`<call id>/<m-line index>`."""
    revision: int
    """Grows with each offer/answer; a learnt address is forgotten when it does."""
    a: RelaySide
    b: RelaySide


class PutRelay(msgspec.Struct, frozen=True):
    """Make this relay exist as described, opening or changing it."""

    relay: Relay


class DropRelay(msgspec.Struct, frozen=True):
    """End a relay; its counters come back as `RelayEnded`."""

    key: str


class SaveBinding(msgspec.Struct, frozen=True, gc=False):
    """Write a registrar binding; committed at most 100 ms later."""

    aor: str
    contact: str
    row: bytes
    """msgpack of `pbx.location.Binding`."""


class DropBinding(msgspec.Struct, frozen=True):
    """Delete a registrar binding."""

    aor: str
    contact: str


class SaveCall(msgspec.Struct, frozen=True):
    """Write what a restart needs to go on with a call, or at least to leave its record."""

    call_id: str
    row: bytes
    """msgpack of `call.call.CallState`."""


class SaveRecord(msgspec.Struct, frozen=True):
    """Write a call's record and delete its `SaveCall` row in one transaction (G3)."""

    record: CallRecord


class SaveMode(msgspec.Struct, frozen=True):
    """Write the survivability state and, where it changed, one row of its history (A2)."""

    row: bytes
    """msgpack of `pbx.survival.SurvivalState`."""
    change: ModeChange | None = None


class ModeChange(msgspec.Struct, frozen=True):
    """One change of mode and why."""

    before: str
    after: str
    reason: str


class ProbeZone(msgspec.Struct, frozen=True):
    """Send one OPTIONS to a zone and report `ZoneAnswer` within `timeout` seconds."""

    zone: Zone
    timeout: float


class Notice(msgspec.Struct, frozen=True):
    """Tell the admins something: journal now, alarms later."""

    severity: str
    """`info`, `warning` or `alarm`."""
    topic: str
    """Stable machine name, e.g. `registrar.brute_force`."""
    text: str
    """One sentence for a human."""


Action = (
    Send
    | Close
    | PutRelay
    | DropRelay
    | SaveBinding
    | DropBinding
    | SaveCall
    | SaveRecord
    | SaveMode
    | ProbeZone
    | Notice
)
