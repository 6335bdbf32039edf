"""SDES keys in SDP (RFC 4568), with the suites of RFC 6188 and RFC 7714, checked strictly.

The keys pass through us from phone to phone. They are shown in no `repr` and no reason text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from appliance.errors import RemoteError

SUITES: Final[dict[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "F8_128_HMAC_SHA1_80": 30,
    "AES_192_CM_HMAC_SHA1_80": 38,
    "AES_192_CM_HMAC_SHA1_32": 38,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    # Names some phones still send from the drafts of RFC 6188.
    "AES_CM_256_HMAC_SHA1_80": 46,
    "AES_CM_256_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""Every suite we let pass, with the length of its key and salt together in bytes."""

BRIDGED: Final = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
)
"""Suites the media process can undo and make again, in the order in which we offer them."""
_DRAFT_NAMES: Final = {
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}

LINES_LIMIT = 32
"""a=crypto lines of one m-line; phones offer up to 8."""
KEYS_LIMIT = 8
"""Keys of one line; more than one is rare."""
_WEAKENING = frozenset({"UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP"})
_HARMLESS = ("KDR=", "WSH=", "FEC_ORDER=", "FEC_KEY=", "-")


@dataclass(frozen=True, slots=True)
class KeyParameter:
    """One `inline:` key."""

    key_salt: bytes = field(repr=False)
    """Master key and master salt, joined."""
    lifetime: str = ""
    """Packets the key may protect, as written (`2^31` or a number); empty: the suite's."""
    mki: str = ""
    """Master key identifier and its length, `value:bytes`; empty: none."""

    @classmethod
    def parse(cls, text: str) -> KeyParameter:
        """Read `inline:<base64>[|lifetime][|mki:length]`."""
        method, _, rest = text.partition(":")
        if method.lower() != "inline":
            raise _refused("a key method other than inline")
        key, *options = rest.split("|")
        lifetime = options.pop(0) if options and ":" not in options[0] else ""
        mki = options.pop(0) if options else ""
        if options or not _is_lifetime(lifetime) or not _is_mki(mki):
            raise _refused("a bad lifetime or key identifier")
        return cls(_decode(key), lifetime, mki)

    def __str__(self) -> str:
        key = base64.b64encode(self.key_salt).decode()
        return "|".join(part for part in (f"inline:{key}", self.lifetime, self.mki) if part)


@dataclass(frozen=True, slots=True)
class CryptoAttribute:
    """The value of one a=crypto line."""

    tag: int
    suite: str
    keys: tuple[KeyParameter, ...]
    parameters: tuple[str, ...] = ()
    """Session parameters, as written."""

    @classmethod
    def parse(cls, value: str) -> CryptoAttribute:
        """Read `tag suite key[;key] [parameters]`; raises RemoteError(488).

        Keys of known suites must have exactly their length; unknown suites are read as they are.
        """
        words = value.split()
        if len(words) < 3:
            raise _refused("less than tag, suite and key")
        tag, suite, keys, *parameters = words
        if not (tag.isascii() and tag.isdigit() and len(tag) <= 9):
            raise _refused("a tag that is not a number")
        suite = suite.upper()
        if keys.count(";") >= KEYS_LIMIT:
            raise _refused(f"more than {KEYS_LIMIT} keys in a line")
        attribute = cls(
            int(tag),
            suite,
            tuple(KeyParameter.parse(key) for key in keys.split(";") if key),
            tuple(parameters),
        )
        attribute._check()
        return attribute

    def __str__(self) -> str:
        keys = ";".join(str(key) for key in self.keys)
        return " ".join([str(self.tag), self.suite, keys, *self.parameters])

    @property
    def known(self) -> bool:
        """Tell whether we let its suite pass."""
        return self.suite in SUITES

    @property
    def standard_suite(self) -> str:
        """The suite by the name that an RFC gives it."""
        return _DRAFT_NAMES.get(self.suite, self.suite)

    @property
    def bridgeable(self) -> bool:
        """Tell whether we can end this protection ourselves, and not only let it pass.

        Several keys at a time, key derivation rates and error correction we can only let pass.
        """
        harmless = all(parameter.upper().startswith("WSH=") for parameter in self.parameters)
        return self.standard_suite in BRIDGED and len(self.keys) == 1 and harmless

    def _check(self) -> None:
        if not self.keys:
            raise _refused("no key")
        if len(self.keys) > 1 and not all(key.mki for key in self.keys):
            raise _refused("several keys without identifiers")
        length = SUITES.get(self.suite)
        if length is not None and any(len(key.key_salt) != length for key in self.keys):
            raise _refused(f"a key that is not the {length} bytes of {self.suite}")
        for parameter in self.parameters:
            if parameter.upper() in _WEAKENING:
                raise _refused(f"{parameter} would leave the media open")
            if not parameter.upper().startswith(_HARMLESS):
                raise _refused(f"unknown session parameter {parameter[:32]!r}")


def read_crypto(values: Sequence[str]) -> tuple[CryptoAttribute, ...]:
    """Read all a=crypto lines of one m-line and return those whose suite we know, in order.

    Raises RemoteError(488) when any is malformed, when two have the same tag, or when every suite
    is unknown. Unknown suites beside known ones are left out (RFC 4568, 5.1.2).
    """
    if not values:
        return ()
    if len(values) > LINES_LIMIT:
        raise _refused(f"more than {LINES_LIMIT} lines")
    attributes = [CryptoAttribute.parse(value) for value in values]
    if len({attribute.tag for attribute in attributes}) < len(attributes):
        raise _refused("the same tag twice")
    known = tuple(attribute for attribute in attributes if attribute.known)
    if not known:
        raise _refused("no suite that we know")
    return known


def has_known_suite(value: str) -> bool:
    """Tell whether the value of an a=crypto line names a suite we let pass."""
    words = value.split(None, 2)
    return len(words) == 3 and words[1].upper() in SUITES


def _refused(what: str) -> RemoteError:
    return RemoteError(488, f"SDES: {what}")


def _decode(text: str) -> bytes:
    # Padding may be left out: keys of 46 bytes come both ways from phones.
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if len(text) > len(padded):
        raise _refused("a key that is not base64")
    try:
        return base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("a key that is not base64") from error


def _is_lifetime(text: str) -> bool:
    digits = text.removeprefix("2^")
    if not text:
        return True
    return digits.isascii() and digits.isdigit() and len(digits) <= 15


def _is_mki(text: str) -> bool:
    if not text:
        return True
    value, _, length = text.partition(":")
    if not (value.isascii() and value.isdigit() and len(value) <= 39):
        return False
    return length.isascii() and length.isdigit() and len(length) <= 3 and 1 <= int(length) <= 128
