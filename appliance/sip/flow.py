"""The way a message came and its answer goes back (RFC 5626, section 3.3)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Transport = Literal["UDP", "TCP", "TLS"]
Address = tuple[str, int]


GONE = -1
"""Connection number of a flow whose connection has ended; no connection has it."""


class Flow(NamedTuple):
    """Name one path between us and a peer; equal flows are the same path."""

    transport: Transport
    local: Address
    """Our own address and port as this peer sees it."""
    remote: Address
    """The address and port the peer's packets come from."""
    connection: int = 0
    """Number of a TCP or TLS connection in this process; 0 for UDP and for "connect anew"."""
    identity: str = ""
    """Name proved by the peer's TLS certificate (RFC 5922), empty where it showed none."""

    @property
    def reliable(self) -> bool:
        """Tell whether the transport retransmits by itself, so that SIP must not (RFC 3261, 17)."""
        return self.transport != "UDP"

    @property
    def gone(self) -> Flow:
        """Return the flow as it is once its connection has ended; the same over UDP."""
        return self._replace(connection=GONE) if self.reliable else self

    def __str__(self) -> str:
        return f"{self.transport} {host_port(self.remote)}"


def host_port(address: Address) -> str:
    """Write an address as SIP does: IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
