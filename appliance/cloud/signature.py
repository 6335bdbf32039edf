"""Ed25519 signatures of bundles: made by who runs the cloud, checked against pinned keys (G1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.bundle.problem import BundleError, Problem
from appliance.bundle.seal import MARK, opened
from appliance.errors import LocalError

CONTEXT = b"holdfast bundle 1\n"
"""Signed before the JSON, so that no other thing signed with the key can pass for a bundle."""


class PinnedKeys:
    """Say who signed a bundle; without any key every bundle may come unsigned."""

    def __init__(self, written: Iterable[str]) -> None:
        """`written` are public keys, 32 octets in base64; raises LocalError for anything else."""
        self._keys = {_fingerprint(raw): _public(raw) for raw in map(_raw, written)}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def signer(self, data: bytes) -> str:
        """Return the fingerprint of the key that signed a bundle; empty: no key is pinned.

        Raises BundleError for a bundle that none of the pinned keys signed.
        """
        if not self._keys:
            return ""
        written, content = opened(data)
        if not written:
            _refuse("it is not signed, and this appliance takes signed ones only (bundle_keys)")
        try:
            signature = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            _refuse("the signature is not base64; fetch the bundle again")
        for name, key in self._keys.items():
            try:
                key.verify(signature, CONTEXT + content)
            except InvalidSignature:
                continue
            return name
        known = ", ".join(self._keys)
        return _refuse(f"none of the pinned keys signed it ({known}); was it changed on the way?")


def new_key() -> tuple[bytes, str]:
    """Make a key; return its private part in PEM, and the public part as settings have it."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem, written_key(key)


def read_key(pem: bytes) -> Ed25519PrivateKey:
    """Return the private key that a PEM file holds; raises LocalError for any other."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        text = (
            "no PEM of a private key without a passphrase; make one with `holdfast bundle keygen`"
        )
        raise LocalError(f"the signing key is {text}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LocalError("the signing key is not Ed25519; make one with `holdfast bundle keygen`")
    return key


def written_key(key: Ed25519PrivateKey) -> str:
    """Return the public part of a key as `bundle_keys` has it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signed(data: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return a bundle with a signature before it, in place of the one it may have."""
    _, content = opened(data)
    return MARK + base64.b64encode(key.sign(CONTEXT + content)) + b"\n" + content


def _raw(written: str) -> bytes:
    try:
        raw = base64.b64decode(written.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise LocalError(f"bundle_keys: {written[:60]!r} is no Ed25519 key, 32 octets in base64")
    return raw


def _public(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


def _fingerprint(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _refuse(text: str) -> str:
    raise BundleError([Problem("signature", text)])
