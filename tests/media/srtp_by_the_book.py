"""SRTP written a second time from the RFCs, on AES and HMAC alone: what the relay must agree with.

It is slow and has no replay window. Its parts are proven by the vectors of RFC 3711, 6188 and 7714,
which speak of session keys and so cannot be put to a library that only takes master keys.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_LENGTHS = {
    "AES_CM_128": 16,
    "AES_192_CM": 24,
    "AES_256_CM": 32,
    "AES_CM_256": 32,
    "AEAD_AES_128": 16,
    "AEAD_AES_256": 32,
}


def counter_mode(key: bytes, block: bytes, data: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()
    return cipher.update(data) + cipher.finalize()


def first_block(salt: bytes, ssrc: int, index: int) -> bytes:
    """RFC 3711, 4.1.1."""
    value = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
    return value.to_bytes(16, "big")


def derive(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """RFC 3711, 4.3, with a key derivation rate of 0; a GCM salt is filled up from the right."""
    value = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ label << 48
    return counter_mode(key, (value << 16).to_bytes(16, "big"), bytes(length))


def gcm_rtp(key: bytes, salt: bytes, packet: bytes, rollover: int = 0) -> bytes:
    """RFC 7714, 8."""
    head, body = packet[:12], packet[12:]
    ssrc, sequence = packet[8:12], packet[2:4]
    place = b"\0\0" + ssrc + rollover.to_bytes(4, "big") + sequence
    nonce = bytes(a ^ b for a, b in zip(place, salt, strict=True))
    return head + AESGCM(key).encrypt(nonce, body, head)


def gcm_rtcp(key: bytes, salt: bytes, packet: bytes, index: int) -> bytes:
    """RFC 7714, 9."""
    place = b"\0\0" + packet[4:8] + b"\0\0" + index.to_bytes(4, "big")
    nonce = bytes(a ^ b for a, b in zip(place, salt, strict=True))
    trailer = struct.pack(">I", 1 << 31 | index)
    return packet[:8] + AESGCM(key).encrypt(nonce, packet[8:], packet[:8] + trailer) + trailer


class Book:
    """One direction under one master key."""

    def __init__(self, suite: str, key_salt: bytes, mki: bytes = b"") -> None:
        length = next(n for name, n in KEY_LENGTHS.items() if suite.startswith(name))
        self.key, self.salt = key_salt[:length], key_salt[length:]
        self.is_aead = suite.startswith("AEAD")
        self.tag = 4 if suite.endswith("_32") else 10
        self.mki = mki

    def keys(self, label: int) -> tuple[bytes, bytes, bytes]:
        """Return cipher key, authentication key and salt, from the first of three labels."""
        sizes = (len(self.key), 20, len(self.salt))
        return tuple(derive(self.key, self.salt, label + n, size) for n, size in enumerate(sizes))  # type: ignore[return-value]

    def rtp(self, packet: bytes, rollover: int = 0) -> bytes:
        """Protect a packet without extension and contributing sources."""
        key, authentication, salt = self.keys(0)
        if self.is_aead:
            return gcm_rtp(key, salt, packet, rollover) + self.mki
        sequence, ssrc = struct.unpack_from(">2xH4xI", packet)
        block = first_block(salt, ssrc, rollover << 16 | sequence)
        secret = packet[:12] + counter_mode(key, block, packet[12:])
        signed = secret + rollover.to_bytes(4, "big")
        return secret + self.mki + hmac.digest(authentication, signed, hashlib.sha1)[: self.tag]

    def rtcp(self, packet: bytes, index: int) -> bytes:
        """Protect an RTCP packet; its tag is the long one in every suite (RFC 4568, 6.2)."""
        key, authentication, salt = self.keys(3)
        if self.is_aead:
            return gcm_rtcp(key, salt, packet, index) + self.mki
        (ssrc,) = struct.unpack_from(">4xI", packet)
        secret = packet[:8] + counter_mode(key, first_block(salt, ssrc, index), packet[8:])
        secret += struct.pack(">I", 1 << 31 | index)
        return secret + self.mki + hmac.digest(authentication, secret, hashlib.sha1)[:10]
