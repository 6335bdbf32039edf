"""The signature that may stand before a bundle: one line of text, then the JSON that was signed.

What is signed goes as it is, octet for octet: to write JSON anew would make another text of it.
"""

from __future__ import annotations

MARK = b"holdfast-signature: ed25519 "
LINE_LIMIT = 256
"""Octets of the line; a signature takes 116 with what stands before it."""


def opened(data: bytes) -> tuple[bytes, bytes]:
    """Return the signature (base64; empty: there is none) and the JSON behind it."""
    end = data.find(b"\n", 0, LINE_LIMIT)
    if end < 0 or not data.startswith(MARK):
        return b"", data
    return data[len(MARK) : end].strip(), data[end + 1 :]
