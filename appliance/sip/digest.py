"""Digest authentication (RFC 7616, RFC 8760): challenges without state, answers without replay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from hmac import compare_digest
from typing import Literal

import msgspec

from appliance.errors import RemoteError
from appliance.sip import scan
from appliance.sip.credentials import Challenge, Credentials
from appliance.sip.spent import Spent
from appliance.sip.uri import parse_uri

Algorithm = Literal["MD5", "SHA-256"]
Freshness = Literal["fresh", "stale", "forged"]

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
"""Every algorithm we offer and answer; anything else is refused."""

_STAMP = 10
"""Hexadecimal digits of a nonce's time in milliseconds: good for 34 years of uptime."""
_MAC = 20
"""Hexadecimal digits of a nonce's signature: 80 bits, for a guess that lives 5 minutes."""
_LONGEST_NONCE = 128
_LARGEST_COUNT = 0xFFFFFFFF
"""A nonce-count has eight hexadecimal digits (RFC 7616, section 3.4)."""


class Nonces:
    """Sign nonces so that checking one needs no memory; remember only those used with success.

    Call `used` after `verify` succeeded and never before: strangers then cost no memory.
    """

    def __init__(self, key: bytes, lifetime: float = 300, capacity: int = 50_000) -> None:
        self._signer = hashlib.blake2s(key=key, digest_size=_MAC // 2)
        self._lifetime = int(lifetime * 1000)
        self._spent = Spent(capacity)
        """By the last 64 bits of their signatures."""
        self._floor = -1
        self._oldest = -1
        """When the first of the order was issued; -1: to be looked up."""
        self._checked = 0

    def __len__(self) -> int:
        return len(self._spent)

    def issue(self, now: float, token: str, holder: str = "") -> str:
        """Return a new nonce; `token` must not repeat within a lifetime.

        It is good for `holder` only: with an address there, nobody can fail in another's name.
        """
        stamp = f"{int(now * 1000):0{_STAMP}x}{token}"
        return stamp + self._sign(stamp, holder)

    def _sign(self, stamp: str, holder: str) -> str:
        signer = self._signer.copy()
        signer.update(f"{stamp} {holder}".encode())
        return signer.hexdigest()

    def check(self, nonce: str, now: float, holder: str = "") -> Freshness:
        """Tell whether we made the nonce for this holder, and whether it may still be used."""
        if len(nonce) > _LONGEST_NONCE or not nonce.isascii():
            return "forged"
        if not compare_digest(self._sign(nonce[:-_MAC], holder), nonce[-_MAC:]):
            return "forged"
        self._checked = int(now * 1000)
        issued = _issued(nonce)
        if not 0 <= self._checked - issued <= self._lifetime:
            return "stale"
        if issued <= self._floor and _key(nonce) not in self._spent:
            return "stale"
        return "fresh"

    def used(self, nonce: str, count: int) -> bool:
        """Tell whether this count of a valid nonce was spent before, and spend it."""
        key, spent = _key(nonce), self._spent
        unspent = spent.spend(key, count)
        if unspent is not None:
            return not unspent
        if self._oldest < self._checked - self._lifetime or spent.full:
            self._make_room()
        spent.add(key, _issued(nonce), count)
        return False

    def _make_room(self) -> None:
        """Forget nonces that are too old, and at the cap the oldest.

        Whatever is as old as a forgotten one turns stale, so that none is ever replayed.
        """
        expired, spent = self._checked - self._lifetime, self._spent
        for _ in range(min(2, len(spent))):
            self._oldest = spent.oldest
            if self._oldest >= expired and not spent.full:
                return
            spent.drop_oldest()
            self._floor = max(self._floor, self._oldest)
        self._oldest = -1


def _key(nonce: str) -> int:
    return int(nonce[-16:], 16)


def _issued(nonce: str) -> int:
    return int(nonce[:_STAMP], 16)


def ha1(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Return the hash that stands for a password: what a bundle carries."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def _hash(algorithm: str, text: str) -> str:
    return HASHES[algorithm](text.encode()).hexdigest()


def count_of(credentials: Credentials) -> int:
    """Return the nonce-count; 1 where the client knows no qop and so may use a nonce once."""
    text = credentials.nc
    if not text or text == "00000001":
        return 1
    if len(text) > 8 or not scan.is_hexadecimal(text):
        scan.malformed("Bad nonce-count")
    return int(text, 16)


def verify(
    credentials: Credentials,
    method: str,
    ha1_md5: str | None,
    ha1_sha256: str | None,
    uri: str | None = None,
    body: bytes = b"",
    without_qop: bool = False,
) -> bool:
    """Tell whether the credentials prove the password, in constant time.

    `uri` is the Request-URI; when given, the signed one must name the same resource.
    `without_qop` admits clients of RFC 2069, whose nonces then count as spent at first use.
    """
    algorithm = credentials.algorithm
    secret = ha1_md5 if algorithm == "MD5" else ha1_sha256 if algorithm == "SHA-256" else None
    if secret is None or not (credentials.qop or without_qop):
        return False
    if uri is not None and credentials.uri != uri and not _same_resource(credentials.uri, uri):
        return False
    expected = _response(credentials, secret, method, body)
    return compare_digest(expected.encode(), credentials.response.lower().encode())


def _same_resource(signed: str, uri: str) -> bool:
    try:
        one, two = parse_uri(signed), parse_uri(uri)
    except RemoteError:
        return False
    return one == two


def _response(credentials: Credentials, secret: str, method: str, body: bytes) -> str:
    digest, nonce, qop = HASHES[credentials.algorithm], credentials.nonce, credentials.qop
    if qop == "auth-int":
        whole = f"{method}:{credentials.uri}:{digest(body).hexdigest()}"
        asked = digest(whole.encode()).hexdigest()
    else:
        asked = _asked(credentials.algorithm, method, credentials.uri)
    counted = f"{credentials.nc}:{credentials.cnonce}:{qop}:" if qop else ""
    return digest(f"{secret}:{nonce}:{counted}{asked}".encode()).hexdigest()


@lru_cache(maxsize=64)
def _asked(algorithm: str, method: str, uri: str) -> str:
    """Return the hash of what is asked: all phones that register ask the same."""
    return _hash(algorithm, f"{method}:{uri}")


def challenge(
    realm: str, nonce: str, algorithms: Iterable[Algorithm], stale: bool = False
) -> list[str]:
    """Return one WWW-Authenticate value for each algorithm, the preferred first (RFC 8760)."""
    start = f'Digest realm={scan.quote(realm)}, nonce="{nonce}", algorithm='
    end = ', qop="auth", stale=true' if stale else ', qop="auth"'
    return [f"{start}{algorithm}{end}" for algorithm in algorithms]


def respond(
    challenge: Challenge,
    username: str,
    password: str,
    method: str,
    uri: str,
    nc: int = 1,
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """Return the Authorization value that answers a challenge with a password.

    Raises RemoteError(401) for a scheme or algorithm we do not speak.
    """
    algorithm, realm = challenge.algorithm, challenge.realm
    if challenge.scheme != "digest" or algorithm not in HASHES:
        raise RemoteError(401, "The challenge asks for an algorithm unknown here")
    qops = challenge.qop
    credentials = Credentials(
        "digest",
        username=username,
        realm=realm,
        nonce=challenge.nonce,
        uri=uri,
        algorithm=algorithm,
        opaque=challenge.fields.get("opaque", ""),
        qop="auth" if "auth" in qops else qops[0] if qops else "",
        nc=f"{nc:08x}" if qops else "",
        cnonce=cnonce if qops else "",
    )
    secret = _hash(algorithm, f"{username}:{realm}:{password}")
    response = _response(credentials, secret, method, body)
    return str(msgspec.structs.replace(credentials, response=response))
