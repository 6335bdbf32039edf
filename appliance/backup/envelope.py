"""Encrypt a stream with a passphrase, so that it can be read whole and unchanged or not at all.

The key is scrypt's (RFC 7914) over the passphrase and a salt of its own. The stream is cut into
parts, each sealed with AES-256-GCM under a nonce that counts them and marks the last: no part can
be left out, exchanged or added, nor the end cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from appliance.errors import LocalError

MAGIC = b"holdfast-backup 1\n"
SALT = 16
PART, TAG = 1 << 16, 16
"""Octets of a part, and of what proves it."""
COST = 1 << 15
"""32 MiB and a tenth of a second for each guess of a passphrase."""
SHORTEST = 12
"""Characters of a passphrase: whoever has the file may guess for as long as they like."""


def seal(source: BinaryIO, target: BinaryIO, passphrase: str) -> None:
    """Write what `source` holds to `target`, encrypted; raises LocalError, OSError."""
    if len(passphrase) < SHORTEST:
        raise LocalError(f"passphrase: it has {len(passphrase)} characters; choose {SHORTEST}")
    head = MAGIC + os.urandom(SALT)
    cipher = _cipher(passphrase, head)
    target.write(head)
    for number, part, last in _parts(source, PART):
        target.write(cipher.encrypt(_nonce(number, last), part, head))


def unseal(source: BinaryIO, target: BinaryIO, passphrase: str) -> None:
    """Write what was sealed to `target`; raises LocalError, after which that is worth nothing."""
    head = source.read(len(MAGIC) + SALT)
    if not head.startswith(MAGIC) or len(head) != len(MAGIC) + SALT:
        raise LocalError("this is no backup of Holdfast")
    cipher = _cipher(passphrase, head)
    for number, part, last in _parts(source, PART + TAG):
        try:
            target.write(cipher.decrypt(_nonce(number, last), part, head))
        except InvalidTag:
            why = "the passphrase is wrong" if number == 0 else "the file is damaged or cut off"
            raise LocalError(f"the backup cannot be read: {why}") from None


def _cipher(passphrase: str, head: bytes) -> AESGCM:
    salt = head[len(MAGIC) :]
    return AESGCM(Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _parts(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield each part with its number, and whether it is the last; there is one at least."""
    number, part = 0, source.read(size)
    while True:
        following = source.read(size)
        yield number, part, not following
        if not following:
            return
        number, part = number + 1, following
