"""The world as the core's shell sees it: protocols that adapters fulfil and `main` joins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from appliance.bundle import Zone
from appliance.call.actions import LocateGateway, Relay, Trust
from appliance.call.events import GatewayLocated, MediaEvent, ZoneAnswer
from appliance.call.record import LiveQuality
from appliance.sip.flow import Flow


@dataclass(frozen=True, slots=True)
class Restored:
    """What the last process left in the store; rows are as the core packed them."""

    bindings: tuple[bytes, ...] = ()
    """Rows of `SaveBinding`, expired ones too."""
    calls: tuple[bytes, ...] = ()
    """Rows of `SaveCall` whose record was never written."""
    callbacks: tuple[bytes, ...] = ()
    """Rows of `SaveCallback` that were not dropped."""
    alerts: tuple[bytes, ...] = ()
    """Rows of `SaveAlert` that were not dropped."""
    mode: bytes | None = None
    """Row of the last `SaveMode`; None: there was none."""
    offset: float = 0.0
    """Seconds to add to every monotonic time in the rows to have it on today's clock.

    0 when only the process restarted; after a reboot the wall clock tells how long it took.
    """
    forwardings: tuple[bytes, ...] = ()
    """Rows of `SaveForwarding`."""
    stops: tuple[bytes, ...] = ()
    """Rows of `SaveStop`."""
    sightings: tuple[bytes, ...] = ()
    """Rows of `SaveSighting`."""


class Inbox(Protocol):
    """Takes what a `Wire` receives; nothing here raises or blocks."""

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram or one whole message of a stream."""
        ...

    def lost(self, flow: Flow, reason: str = "") -> None:
        """Learn that a stream connection ended, or could not be made, without our `close`.

        `reason` says why, in words.
        """
        ...

    def settled(self) -> None:
        """Learn that a batch of received messages ends here; timers may be looked at now."""
        ...


class Wire(Protocol):
    """Sends SIP over every transport; receives through the callbacks it was built with."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Send now or queue; never blocks. Failure of a stream is told by the `lost` callback."""
        ...

    def close(self, flow: Flow) -> None:
        """Close one stream connection after what is queued has been sent."""
        ...


class MediaPlane(Protocol):
    """Carries RTP between legs. The user-space relay fulfils it; the kernel relay will as well.

    Both take the *wanted state*: `put` is idempotent, and after a restart of either side every live
    relay is put again and all others dropped (`resync`).
    """

    def put(self, relay: Relay) -> None:
        """Open or change one relay."""
        ...

    def drop(self, key: str) -> None:
        """End one relay; `RelayEnded` follows."""
        ...

    def resync(self, relays: list[Relay]) -> None:
        """Make exactly these relays exist."""
        ...

    async def quality(self, keys: list[str] | None = None) -> list[LiveQuality]:
        """Return how relays are heard now, all or these; nothing while nobody can tell."""
        ...

    def on_event(self, receive: Callable[[MediaEvent], None]) -> None:
        """Name who is told of every `MediaEvent`."""
        ...


class ZoneProber(Protocol):
    """Asks a zone for a sign of life."""

    def probe(self, zone: Zone, timeout: float, answer: Callable[[ZoneAnswer], None]) -> None:
        """Send one OPTIONS and call `answer` exactly once, within `timeout` seconds."""
        ...


class GatewayLocator(Protocol):
    """Finds SBCs and other sites."""

    def locate(self, asked: LocateGateway, answer: Callable[[GatewayLocated], None]) -> None:
        """Call `answer` once, soon, never now."""
        ...


class CertificateShown(msgspec.Struct, frozen=True):
    """A certificate that has proved a name."""

    names: tuple[str, ...]
    """Everything it is for (RFC 5922)."""
    issuer: str
    expires: float
    """Unix seconds."""


class Certificates(Protocol):
    """Knows whose certificates count on connections out of the site."""

    def trust(self, trusts: Iterable[Trust]) -> None:
        """Believe exactly these from now on; connections that are there go on."""
        ...

    def shown_by(self, name: str) -> CertificateShown | None:
        """Return what whoever is trusted as `name` has shown last; None: nothing yet."""
        ...

    def shown(self) -> dict[str, CertificateShown]:
        """Return what everybody who is trusted has shown last, by name."""
        ...


class Commands(Protocol):
    """Asks another of our processes over its Unix socket; `adapters.ipc.IpcClient` fulfils it."""

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Return the answer to one command.

        Raises Unavailable when the process is away (ask again later), LocalError when it refused.
        """
        ...
