"""What the core asks of the world; `runtime` performs them in the order given.

The core never does anything itself: each entry point returns a list of these. They are msgspec
structures, as there are some per message: a frozen dataclass costs 0.9 us to make, they 0.2.
"""

from __future__ import annotations

import msgspec

from appliance.bundle import Zone
from appliance.call.record import CallRecord
from appliance.sip.flow import Flow, Transport


class Send(msgspec.Struct, frozen=True, gc=False):
    """Put bytes on the wire; a stream flow with `connection == 0` is connected first."""

    flow: Flow
    data: bytes


class Close(msgspec.Struct, frozen=True):
    """Close a stream connection."""

    flow: Flow


class Keys(msgspec.Struct, frozen=True):
    """The SDES keys that protect one direction of a stream (RFC 4568); shown in no `repr`."""

    suite: str
    """Its name in SDP, one of `sdp.crypto.SUITES`."""
    key_salt: bytes
    """Master key and master salt, joined."""
    mki: str = ""
    """Master key identifier and its length, `value:bytes`; empty: none."""

    def __repr__(self) -> str:
        return f"Keys({self.suite})"


class Codec(msgspec.Struct, frozen=True):
    """One payload type that a phone takes."""

    payload_type: int
    name: str
    """Encoding name in capitals, e.g. `PCMU`, `OPUS`, `TELEPHONE-EVENT`."""
    clock: int
    """RTP clock rate in Hz."""
    channels: int = 1


class Sound(msgspec.Struct, frozen=True):
    """What a phone hears from us in place of the other leg."""

    name: str
    """`music`, `tone/<name>` or a prompt's id."""
    loop: bool = False
    """Again from the start until something else is wanted; else `SoundEnded` tells its end."""
    serial: int = 0
    """Another number: begin anew, even with the same name."""


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
    receives: Keys | None = None
    """Keys of what the phone sends; None: clear RTP."""
    sends: Keys | None = None
    """Keys of what the phone is sent; None: clear RTP.

    Where each side's `sends` is the other's `receives`, packets pass as they are.
    """
    codecs: tuple[Codec, ...] = ()
    """What the phone takes, most preferred first, telephone events included."""
    hears: Sound | None = None
    """What the phone hears instead of the other leg; None: the other leg."""
    digits: bool = False
    """Tell `DigitPressed` for each key the phone's user presses."""
    record: str = ""
    """Write what the phone sends to this file under the data folder (WAV); empty: do not."""
    fax: bool = False
    """UDPTL in place of RTP (T.38): any packet of the phone's may show its address."""


class Relay(msgspec.Struct, frozen=True):
    """One RTP stream with its RTCP, between two legs or ended by us: the wanted state."""

    key: str
    """`<call id>/<m-line index>`."""
    revision: int
    """Grows with each offer/answer; a learnt address is forgotten when it does."""
    a: RelaySide
    b: RelaySide | None
    """None: no other leg, we are the far end (prompts, digits, recording)."""


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


class SaveForwarding(msgspec.Struct, frozen=True):
    """Write what a user has set by codes on the phone, before the phone is told so."""

    user: str
    """Id of the bundle's user."""
    row: bytes | None
    """msgpack of `pbx.forwarding.OwnForwarding`; None: forget it."""


class SaveSighting(msgspec.Struct, frozen=True, gc=False):
    """Write when a user's phone was last here; committed as bindings are."""

    user: str
    """Id of the bundle's user."""
    row: bytes | None
    """msgpack of `pbx.sightings.Sighting`; None: forget it."""


class SaveStop(msgspec.Struct, frozen=True):
    """Write that a user calls nowhere outside for now, or that it may again (E5)."""

    user: str
    """Id of the bundle's user."""
    row: bytes | None
    """msgpack of `sbc_bridge.toll.Stopped`; None: it may again."""


class SaveCall(msgspec.Struct, frozen=True):
    """Write what a restart needs to go on with a call, or at least to leave its record."""

    call_id: str
    row: bytes
    """As `call.saved.pack` writes it."""


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


class SaveCallback(msgspec.Struct, frozen=True):
    """Write who is called back after a call for help; on the disk before the next action (E7)."""

    call_id: str
    row: bytes
    """As `sbc_bridge.emergency.callbacks` packs it."""


class DropCallback(msgspec.Struct, frozen=True):
    """Forget who is called back."""

    call_id: str


class SaveAlert(msgspec.Struct, frozen=True):
    """Write who still has to be told of a call for help (E8)."""

    key: str
    row: bytes
    """msgpack of `sbc_bridge.emergency.alerts.Alert`."""
    waits: bool = False
    """Whether it has to be on the disk before the next action."""


class DropAlert(msgspec.Struct, frozen=True):
    """Forget an alert: everybody has been told."""

    key: str


class ProbeZone(msgspec.Struct, frozen=True):
    """Send one OPTIONS to a zone and report `ZoneAnswer` within `timeout` seconds."""

    zone: Zone
    timeout: float


class LocateGateway(msgspec.Struct, frozen=True):
    """Find where an SBC or another site is, and report `GatewayLocated` soon."""

    key: str
    host: str
    port: int | None
    """None: SRV decides, else 5061 for TLS and 5060 for TCP and UDP."""
    transport: Transport


class TrustGateways(msgspec.Struct, frozen=True):
    """Trust exactly these certificates' names on connections out of the site, from now on."""

    trusts: tuple[Trust, ...]


class Trust(msgspec.Struct, frozen=True):
    """Whom a name out of the site is believed by (RFC 5922)."""

    name: str
    """The name that the certificate has to carry, and `Flow.identity` where it does."""
    ca: str
    """PEM of its authority; empty: the system's."""
    crl: str = ""
    """PEM of revocation lists of that authority."""
    grace: float = 0.0
    """Seconds for which a certificate is believed that has expired."""


class Notice(msgspec.Struct, frozen=True):
    """Tell the admins something: journal now, alarms later."""

    severity: str
    """`info`, `warning` or `alarm`."""
    topic: str
    """Stable machine name, e.g. `registrar.brute_force`."""
    text: str
    """One sentence for a human."""
    call: str = ""
    """Id of the call record it belongs to; empty: of none, or not of one."""


Action = (
    Send
    | Close
    | PutRelay
    | DropRelay
    | SaveBinding
    | DropBinding
    | SaveForwarding
    | SaveSighting
    | SaveStop
    | SaveCall
    | SaveRecord
    | SaveMode
    | SaveCallback
    | DropCallback
    | SaveAlert
    | DropAlert
    | ProbeZone
    | LocateGateway
    | TrustGateways
    | Notice
)
