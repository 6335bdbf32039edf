"""SRTP for simulated phones (RFC 3711), keyed by SDES."""

from __future__ import annotations

import secrets

import pylibsrtp

KEY_SALT = 30
"""Bytes of master key and salt of AES_CM_128_HMAC_SHA1_80."""


def new_key() -> bytes:
    """Return a fresh master key and salt."""
    return secrets.token_bytes(KEY_SALT)


class Protector:
    """Encrypt and authenticate what one phone sends."""

    def __init__(self, key: bytes) -> None:
        self._session = _session(key, outbound=True)

    def protect(self, packet: bytes) -> bytes:
        """Return the SRTP packet."""
        return bytes(self._session.protect(packet))


class Unprotector:
    """Check and decrypt what one phone receives."""

    def __init__(self, key: bytes) -> None:
        self._session = _session(key, outbound=False)

    def unprotect(self, packet: bytes) -> bytes | None:
        """Return the RTP packet, None for one that is forged, replayed or damaged."""
        try:
            return bytes(self._session.unprotect(packet))
        except pylibsrtp.Error:
            return None


def _session(key: bytes, *, outbound: bool) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy
    kind = policy.SSRC_ANY_OUTBOUND if outbound else policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(policy(key=key, ssrc_type=kind))
