"""Which appliances the reference cloud knows: one-time tokens, and certificates for them."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable

import msgspec
from aiohttp import web

from appliance.cloud.reference.authority import SERVER_DAYS, Authority
from appliance.errors import LocalError

TOKEN_LIFE = 86_400.0
"""Seconds in which a one-time token must be used."""
TOKENS_LIMIT = 1000


class AskedCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a request for a certificate."""

    request: str
    """PKCS 10, PEM."""
    token: str = ""
    """One-time, where the appliance has no certificate yet."""


class Registry:
    """Give tokens out, take each once, and sign what its bearer asks for."""

    def __init__(
        self,
        authority: Authority,
        site: str,
        bundle_key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority
        self._site = site
        self._bundle_key = bundle_key
        self._clock = clock
        self._tokens: dict[str, float] = {}
        self.days: float = SERVER_DAYS
        """How long certificates are good for."""

    def new_token(self) -> str:
        """Return a token that enrols one appliance within a day."""
        if len(self._tokens) >= TOKENS_LIMIT:
            del self._tokens[next(iter(self._tokens))]
        token = secrets.token_urlsafe(24)
        self._tokens[token] = self._clock() + TOKEN_LIFE
        return token

    def enrol(self, asked: AskedCertificate) -> dict[str, object]:
        """Answer a token with a certificate; raises LocalError for one that is no good."""
        ends = self._tokens.pop(asked.token, None)
        if ends is None or ends < self._clock():
            raise LocalError("the token is wrong, used already or older than a day")
        return self.renew(asked)

    def renew(self, asked: AskedCertificate) -> dict[str, object]:
        """Answer whoever has proved itself with a certificate; raises LocalError."""
        pem = self._authority.certify(asked.request, self._site, self.days)
        return {"site": self._site, "certificate": pem, "bundle_keys": [self._bundle_key]}

    def knows(self, request: web.Request) -> bool:
        """Tell whether a request comes with a certificate of ours for the site."""
        transport = request.transport
        shown = transport.get_extra_info("ssl_object") if transport is not None else None
        if not isinstance(shown, ssl.SSLObject):
            return False
        # OpenSSL has checked that it is ours, in time and meant for clients.
        subject = (shown.getpeercert() or {}).get("subject", ())
        return (("commonName", self._site),) in tuple(subject)
