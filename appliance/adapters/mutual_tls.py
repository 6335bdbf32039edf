"""Certificates on connections out of the site, both ways: each side proves its name (RFC 5922).

OpenSSL checks the chain, and the time where nobody has a grace. Names and revocation are checked
here: OpenSSL would take a common name or a wildcard, which RFC 5922 forbids, knows no SIP addresses
in certificates, and on our own port cannot know yet whose authority counts: only the certificate
tells who calls.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.adapters.tls import TlsSession, load_certificate, restrict
from appliance.call.actions import Notice, Trust
from appliance.errors import HoldfastError, LocalError
from appliance.ports import CertificateShown

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python's ssl has no name."""
EXPIRES_SOON = datetime.timedelta(days=30)
"""Admins are told this long before a certificate ends."""
NO_GRACE = datetime.timedelta(0)


class Untrusted(Exception):
    """Say why a certificate is not believed, in words."""


class _Authority:
    """Whom a name is believed by."""

    def __init__(self, trust: Trust) -> None:
        self.name = trust.name
        self.certificates = _load_certificates(trust)
        self.roots = {one.public_bytes(Encoding.DER) for one in self.certificates}
        self.revoked = _revoked(trust, self.certificates)
        self.grace = datetime.timedelta(seconds=trust.grace)

    def context(self, protocol: int) -> ssl.SSLContext:
        """Build a context that believes this authority alone."""
        context = ssl.SSLContext(protocol)
        restrict(context)
        context.check_hostname = False  # by `check`, after the handshake
        context.verify_mode = ssl.CERT_REQUIRED
        self.add_to(context)
        return context

    def add_to(self, context: ssl.SSLContext) -> None:
        """Have a context believe this authority as well."""
        if self.grace:
            # `check_time` looks in its place, also for others on the same context.
            context.verify_flags |= NO_CHECK_TIME
        if not self.certificates:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            return
        pem = "".join(one.public_bytes(Encoding.PEM).decode() for one in self.certificates)
        context.load_verify_locations(cadata=pem)

    def check_time(self, chain: list[x509.Certificate]) -> None:
        """Raise Untrusted where one is not valid yet, or is not any more and beyond its grace."""
        now = datetime.datetime.now(datetime.UTC)
        for one in chain:
            if now < one.not_valid_before_utc:
                raise Untrusted("certificate is not yet valid")
            if now > one.not_valid_after_utc + self.grace:
                raise Untrusted("certificate has expired")


class MutualTls:
    """What connections out of the site are secured with."""

    def __init__(
        self,
        certificate: Callable[[], tuple[Path, Path]],
        notify: Callable[[Notice], None],
    ) -> None:
        """`certificate` returns the files of our own certificate and key."""
        self.server: ssl.SSLContext | None = None
        """For connections to us; None: nobody out there is trusted, so nobody is served."""
        self._certificate = certificate
        self._notify = notify
        self._authorities: dict[str, _Authority] = {}
        self._clients: dict[str, ssl.SSLContext] = {}
        self._trusts: tuple[Trust, ...] = ()
        self._warned: dict[str, datetime.date] = {}
        self._shown: dict[str, CertificateShown] = {}
        """By the name that was proved with it."""

    def trust(self, trusts: Iterable[Trust]) -> None:
        """Believe exactly these from now on; connections that are there go on."""
        self._trusts = tuple(trusts)
        self.server = None
        self._authorities, self._clients = {}, {}
        names = {trust.name.lower() for trust in self._trusts}
        self._shown = {name: one for name, one in self._shown.items() if name in names}
        for trust in self._trusts:
            try:
                authority = _Authority(trust)
                context = authority.context(ssl.PROTOCOL_TLS_CLIENT)
                load_certificate(context, *self._certificate())
            except (HoldfastError, ssl.SSLError, ValueError) as error:
                text = f"{trust.name} cannot be reached over TLS: {error}"
                self._notify(Notice("alarm", "trunk.certificate", text))
                continue
            self._authorities[trust.name.lower()] = authority
            self._clients[trust.name.lower()] = context
        if self._authorities:
            self._serve()

    def reload(self) -> None:
        """Show new connections the certificate that is in its file now."""
        self.trust(self._trusts)

    def _serve(self) -> None:
        first, *others = self._authorities.values()
        server = first.context(ssl.PROTOCOL_TLS_SERVER)
        server.num_tickets = 0  # a resumed session would not show its certificate again
        server.options |= ssl.OP_NO_TICKET
        for authority in others:
            authority.add_to(server)
        certificate, key = self._certificate()
        load_certificate(server, certificate, key)
        self.server = server
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
        self._warn("our own, shown to SBCs and other sites,", own)

    def shown_by(self, name: str) -> CertificateShown | None:
        """Return what whoever is trusted as `name` has shown last; None: nothing yet."""
        return self._shown.get(name.lower())

    def shown(self) -> dict[str, CertificateShown]:
        """Return what everybody who is trusted has shown last, by name."""
        return dict(self._shown)

    def client(self, name: str) -> ssl.SSLContext | None:
        """Return what to connect to a name with; None: it is not trusted."""
        return self._clients.get(name.lower())

    def identify(self, session: TlsSession, expected: str = "") -> str:
        """Return the name a peer has proved; raises Untrusted with the reason.

        With `expected` it must be that one; else any that is trusted.
        """
        peer: dict[str, Any] = session.certificate() or {}
        named = names_of(peer)
        wanted = [expected] if expected else list(named)
        for name in wanted:
            authority = self._authorities.get(name.lower())
            if authority is not None and name.lower() in named:
                self._check(authority, session)
                self._keep(authority, named, session)
                return authority.name
        shown = ", ".join(sorted(named)) or "nobody"
        who = f"not {expected}" if expected else "none of the SBCs and sites we know"
        raise Untrusted(f"its certificate names {shown}, {who}")

    def _check(self, authority: _Authority, session: TlsSession) -> None:
        chain = session.verified_chain()
        private = set().union(*(one.roots for one in self._authorities.values()))
        believed = not private.intersection(chain)
        if authority.roots:
            believed = bool(authority.roots.intersection(chain))
        if not believed:
            raise Untrusted(f"its certificate for {authority.name} is from another authority")
        certificates = [x509.load_der_x509_certificate(one) for one in chain]
        authority.check_time(certificates)
        if certificates[0].serial_number in authority.revoked:
            raise Untrusted("its certificate has been revoked")

    def _keep(self, authority: _Authority, named: set[str], session: TlsSession) -> None:
        """Keep what was shown, and tell once a day of a certificate that ends soon or has."""
        leaf = x509.load_der_x509_certificate(session.verified_chain()[0])
        ends = leaf.not_valid_after_utc.timestamp()
        issuer = leaf.issuer.rfc4514_string()
        self._shown[authority.name.lower()] = CertificateShown(tuple(sorted(named)), issuer, ends)
        self._warn(f"of {authority.name}", leaf, authority.grace)

    def _warn(
        self, whose: str, leaf: x509.Certificate, grace: datetime.timedelta = NO_GRACE
    ) -> None:
        now = datetime.datetime.now(datetime.UTC)
        ends = leaf.not_valid_after_utc
        if ends - now >= EXPIRES_SOON or self._warned.get(whose) == now.date():
            return
        self._warned[whose] = now.date()
        severity, text = "warning", f"ends at {ends:%Y-%m-%d %H:%M} UTC; have it renewed"
        if grace and ends < now:
            until = ends + grace
            severity = "alarm"
            text = f"has expired and is believed until {until:%Y-%m-%d %H:%M} UTC; have it renewed"
        self._notify(Notice(severity, "trunk.certificate", f"the certificate {whose} {text}"))


def names_of(certificate: dict[str, Any]) -> set[str]:
    """Return the SIP domains a certificate is for (RFC 5922, 7.1): never its CN, no wildcards."""
    names = set()
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "URI" and value.lower().startswith("sip:") and "@" not in value:
            names.add(value[4:].lower())
        elif kind in ("DNS", "IP Address") and "*" not in value:
            names.add(value.lower())
    return names


def _load_certificates(trust: Trust) -> list[x509.Certificate]:
    if not trust.ca:
        return []
    try:
        return x509.load_pem_x509_certificates(trust.ca.encode())
    except ValueError as error:
        raise LocalError(f"its CA in the bundle cannot be read: {error}") from error


def _revoked(trust: Trust, authorities: list[x509.Certificate]) -> set[int]:
    """Return the serial numbers that the authority has revoked; lists of others do not count."""
    revoked: set[int] = set()
    end = "-----END X509 CRL-----"
    for part in trust.crl.split(end)[:-1]:
        try:
            crl = x509.load_pem_x509_crl((part.strip() + f"\n{end}\n").encode())
        except ValueError as error:
            raise LocalError(f"its revocation list cannot be read: {error}") from error
        if not any(_signed(crl, authority) for authority in authorities):
            raise LocalError("its revocation list is not signed by its CA")
        revoked.update(one.serial_number for one in crl)
    return revoked


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    try:
        return crl.is_signature_valid(key)  # type: ignore[arg-type]  # others: TypeError
    except (InvalidSignature, TypeError, ValueError):
        return False
