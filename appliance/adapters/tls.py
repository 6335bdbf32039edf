"""TLS for SIP: contexts, our own certificate, and one connection's encryption without its socket.

Records are encrypted in memory and moved by `stream`, because that costs less than uvloop's own TLS
(660 µs instead of 750 per registration with handshake) and needs no transport object per phone.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import LocalError
from appliance.files import write_durably

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of 1.3 are all good. Groups are OpenSSL's own order: X25519, then P-256."""
LIFETIME = datetime.timedelta(days=3652)
"""Ten years: nobody renews certificates in an outage."""
EARLIEST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""A clock that says less is wrong (a first boot without time); the certificate begins here then."""
_DER = 2
"""OpenSSL's name for the encoding, `_ssl.ENCODING_DER`."""
RECORD = 1 << 14
"""Bytes of plain text in the largest record (RFC 8446, 5.1); one read gives one record."""


_WORDS = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "{who} wants another version of TLS",
    "UNSUPPORTED_PROTOCOL": "{who} speaks only versions of TLS that are not safe",
    "WRONG_VERSION_NUMBER": "the answer is not TLS",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "{who} refused the handshake",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "{who} wants a certificate from us",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "{who} showed no certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "{who} does not trust the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "{who} does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "{who} says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "{who} says that our certificate has been revoked",
}


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Build what phones are served with; raises LocalError that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    restrict(context)
    # A resumed TLS 1.3 handshake costs us as much as a new one (315 µs), and each ticket 30 µs.
    # TLS 1.2, where resuming saves 190 µs, sends its ticket whatever this says.
    context.num_tickets = 0
    load_certificate(context, certificate, key)
    return context


def restrict(context: ssl.SSLContext) -> None:
    """Let a context speak what is safe only."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A TLS 1.2 peer that renegotiates makes us pay a handshake per record.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have a context show our certificate; raises LocalError that names the file."""
    try:
        # Without a password callback OpenSSL would ask the terminal for an encrypted key's.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError) as error:
        why = f"certificate {certificate} with key {key}: {error}"
        raise LocalError(f"{why}; both must be PEM, fit together and the key not encrypted") from (
            error
        )


def words_of(error: Exception, who: str) -> str:
    """Return why a connection failed, in words an admin can act on; `who` is the other side."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        words = _WORDS.get(reason)
        return words.format(who=who) if words else reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def ensure_certificate(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """Return certificate and key in `folder`, making them for `names` when there are none.

    A made one stays for good, even when the addresses change: phones may have been told to trust
    exactly this one. Raises Unavailable when the folder cannot be written.
    """
    certificate, key = folder / "sip.crt", folder / "sip.key"
    if not (certificate.exists() and key.exists()):
        private = ec.generate_private_key(ec.SECP256R1())
        own = _certificate(private, names)
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(key, secret)
        write_durably(certificate, own.public_bytes(Encoding.PEM))
    return certificate, key


def _certificate(private: ec.EllipticCurvePrivateKey, names: list[str]) -> x509.Certificate:
    begin = max(datetime.datetime.now(datetime.UTC), EARLIEST) - datetime.timedelta(days=1)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Holdfast")])
    public = private.public_key()
    builder = (
        x509.CertificateBuilder(who, who, public, x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFETIME)
    )
    for extension, critical in _extensions(public, names):
        builder = builder.add_extension(extension, critical)
    return builder.sign(private, hashes.SHA256())


def _extensions(
    public: ec.EllipticCurvePublicKey, names: list[str]
) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what lets a phone take the certificate both as the server's and as its authority."""
    unused = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return [
        (x509.SubjectAlternativeName([_general_name(name) for name in names]), False),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.KeyUsage(digital_signature=True, key_cert_sign=True, **unused), True),
        (x509.ExtendedKeyUsage(purposes), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class TlsSession:
    """Encrypt and decrypt one connection; octets for the wire wait in `take`."""

    __slots__ = ("_incoming", "_object", "_outgoing", "ended", "established")

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """Begin as the server, or with `server_name` as the client that expects that name."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_name is None, server_name
        )
        self.established = False
        """The handshake is done."""
        self.ended = False
        """The peer said good-bye, or sent what cannot be decrypted."""

    def shake(self, data: bytes = b"") -> bool:
        """Go on with the handshake; True once it is done. Raises ssl.SSLError when it failed."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def decrypt(self, data: bytes = b"") -> bytes:
        """Return the plain text of all whole records; `ended` tells that no more will come."""
        incoming = self._incoming
        incoming.write(data)
        pending = self._object.pending
        plain = b""
        # An exception of the ssl module costs 3 µs, so asking for nothing more is avoided; and
        # whatever is asked for is allocated, so no more is than there can be.
        while here := max(incoming.pending, pending()):
            try:
                part = self._object.read(min(here, RECORD))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                part = b""
            if not part:
                self.ended = True
                break
            plain = plain + part if plain else part
        return plain

    def encrypt(self, data: bytes) -> bytes:
        """Return the records that carry `data`, and whatever waited before."""
        try:
            self._object.write(data)
        except ssl.SSLError:
            self.ended = True
        return self._outgoing.read()

    def take(self) -> bytes:
        """Return octets of the handshake, or an alert, that the peer must get."""
        return self._outgoing.read()

    def certificate(self) -> dict[str, Any] | None:
        """Return what the peer's certificate says, checked; None: it showed none."""
        return self._object.getpeercert()

    def verified_chain(self) -> list[bytes]:
        """Return the peer's certificate and those that vouch for it, as DER, the root last."""
        native = getattr(self._object, "get_verified_chain", None)
        if native is not None:
            return list(native())
        # Python before 3.13 has it in its C object only.
        inner = self._object._sslobj  # type: ignore[attr-defined]  # no public way to it
        return [one.public_bytes(_DER) for one in inner.get_verified_chain()]

    def farewell(self) -> bytes:
        """Return the record that says nothing more will come."""
        with contextlib.suppress(ssl.SSLError, ValueError):  # The answer is not waited for.
            self._object.unwrap()
        return self._outgoing.read()
