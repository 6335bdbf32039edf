"""What a simulated phone offers and answers: G.711 mu-law, key presses, SDES when it is to."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from appliance.errors import RemoteError
from appliance.sdp.crypto import CryptoAttribute, KeyParameter, read_crypto
from appliance.sdp.session import Attribute, Direction, Media, Origin, Session

SUITE = "AES_CM_128_HMAC_SHA1_80"
"""The one suite every SRTP phone knows (RFC 4568, 6.2.1)."""
FORMATS = ("0", "101")
CONTENT_TYPE = "application/sdp"

MIRROR: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
"""How a direction looks from the other side (RFC 3264, 6.1)."""


@dataclass(frozen=True, slots=True)
class Side:
    """One end of an audio stream as its description tells it."""

    address: str
    port: int
    """0: the stream is refused."""
    direction: Direction
    key: bytes | None = None
    """SRTP master key and salt of the packets this side sends; None: plain RTP."""

    @property
    def sends(self) -> bool:
        """Tell whether this side means to send."""
        return self.direction in ("sendrecv", "sendonly")


class Describer:
    """Write one phone's descriptions of one call; the version grows when they change."""

    def __init__(self, session_id: int, address: str, port: int) -> None:
        self._origin = Origin(session_id, 0, "phone", address)
        self._port = port
        self._last: Media | None = None

    def describe(self, direction: Direction, key: bytes | None, tag: int = 1) -> bytes:
        """Return the SDP; with a key it is an SRTP description, `tag` the crypto line's."""
        attributes = [
            Attribute("rtpmap", "0 PCMU/8000"),
            Attribute("rtpmap", "101 telephone-event/8000"),
            Attribute("fmtp", "101 0-15"),
            Attribute("ptime", "20"),
            Attribute(direction),
        ]
        if key is not None:
            line = CryptoAttribute(tag, SUITE, (KeyParameter(key),))
            attributes.insert(0, Attribute("crypto", str(line)))
        protocol = "RTP/AVP" if key is None else "RTP/SAVP"
        media = Media("audio", self._port, protocol, FORMATS, attributes=tuple(attributes))
        if media != self._last:
            self._origin = replace(self._origin, version=self._origin.version + 1)
            self._last = media
        return Session(self._origin, connection=self._origin.address, media=(media,)).encode()


def read_side(body: bytes) -> tuple[Side, int]:
    """Return the other side of the first audio stream, and the tag of its crypto line (0: none).

    Raises RemoteError(488) when it is nothing this phone can do, 400 when it is malformed.
    """
    session = Session.parse(body)
    media = next((line for line in session.media if line.kind == "audio"), None)
    if media is None or "0" not in media.formats:
        raise RemoteError(488, "This phone speaks G.711 mu-law only")
    key, tag = _key(media) if media.secure else (None, 0)
    address = session.connection_of(media) or ""
    return Side(address, media.port, session.direction_of(media), key), tag


def _key(media: Media) -> tuple[bytes, int]:
    for line in read_crypto(media.crypto):
        if line.suite == SUITE:
            return line.keys[0].key_salt, line.tag
    raise RemoteError(488, f"This phone encrypts with {SUITE} only")
