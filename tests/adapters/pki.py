"""A small certificate authority for tests of mutual TLS: good certificates and every bad kind."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Pki:
    """One authority; its files go into a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._certificate = (
            _builder(subject, subject, self._key, 365)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._revoked: list[int] = []

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def leaf(
        self, file: str, *names: str, days: int = 365, common_name: str = "", revoked: bool = False
    ) -> tuple[Path, Path]:
        """Make a certificate for names (hosts, addresses or sip: URIs); return both files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(common_name or file)
        builder = _builder(subject, self._certificate.subject, key, days)
        if names:
            shown = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(shown, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        if revoked:
            self._revoked.append(certificate.serial_number)
        paths = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        paths[1].write_bytes(secret)
        return paths

    @property
    def crl(self) -> str:
        """The revocation list as of now."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self._certificate.subject)
        builder = builder.last_update(now).next_update(now + DAY)
        for serial in self._revoked:
            row = x509.RevokedCertificateBuilder(serial, now).build()
            builder = builder.add_revoked_certificate(row)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    ends = now + days * DAY
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(min(now, ends) - 10 * DAY)
        .not_valid_after(ends)
    )


def _general_name(name: str) -> x509.GeneralName:
    if name.startswith("sip:"):
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
