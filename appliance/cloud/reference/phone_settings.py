"""What a simulated phone is configured with, as an admin would type it into a desk phone."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from appliance.cloud.reference.phone_link import KEEPALIVE, Server
from appliance.sip.digest import Algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """One phone with one line."""

    extension: str
    """User part of its address of record."""
    domain: str
    username: str
    """Of its credentials."""
    password: str
    servers: tuple[Server, ...]
    """In order of preference: zone A, zone B, Holdfast."""
    name: str = ""
    """Display name."""
    tls: ssl.SSLContext | None = None
    """Trust for its TLS servers."""
    algorithms: tuple[Algorithm, ...] = ("SHA-256", "MD5")
    """Digest algorithms it knows; many phones know MD5 only."""

    expires: int = 60
    """Seconds it asks to be registered for."""
    answer_timeout: float = 5.0
    """Seconds without an answer to REGISTER after which the next server is tried."""
    retry: float = 4.0
    """Seconds between two rounds through the list when no server takes it."""
    failback: float = 0.0
    """Seconds between two attempts to get back to a better server; 0: only when the present one
    sends it away, as Poly does with `failBack.mode=registration`."""
    keepalive: float = KEEPALIVE
    """Seconds between CRLF pings on TCP and TLS; 0: none."""

    address: str = "127.0.0.1"
    """Where it receives RTP."""
    tone: int = 440
    """Hertz of the tone it sends, so that the other side can tell who is heard."""
    srtp: bool = False
    """Offer SDES and insist on it."""
    answer_after: float | None = 0.3
    """Seconds of ringing before it answers; None: it rings on."""
    busy: bool = False
    """Refuse every call with 486."""
    session_expires: int = 0
    """Session-Expires of its calls in seconds (RFC 4028); 0: none."""

    @property
    def aor(self) -> str:
        """Its address of record."""
        return f"sip:{self.extension}@{self.domain}"
