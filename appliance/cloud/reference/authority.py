"""The reference cloud's own small CA: certificates for trials, never for a real site."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import LocalError
from appliance.files import write_durably

AUTHORITY_DAYS = 3650
BOTH_WAYS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
SERVER_DAYS = 397
"""The longest that browsers and most phones accept for a server certificate."""


class Authority:
    """Sign server certificates; the CA's key lasts in its folder, so that trust survives a restart.

    Raises LocalError when the folder holds a key or certificate that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.pem"
        """What appliances and phones trust."""
        self._folder = folder
        key_file = folder / "ca.key"
        if not (self.file.exists() and key_file.exists()):
            folder.mkdir(parents=True, exist_ok=True)
            key, certificate = _make_authority()
            write_durably(key_file, _key_pem(key))
            self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._key, self._certificate = _read_authority(self.file, key_file)

    @property
    def pem(self) -> str:
        """The CA certificate as text, for the bundle's `ca`."""
        return self.file.read_text(encoding="ascii")

    def server_context(
        self, name: str, hosts: tuple[str, ...], *, expired: bool = False
    ) -> ssl.SSLContext:
        """Make a certificate for `hosts` and a TLS 1.2+ server context that shows it.

        `expired` makes one that ended yesterday, as happens to real clouds.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, hosts, key, expired)
        file = self._folder / f"{name}.pem"
        chain = certificate.public_bytes(serialization.Encoding.PEM) + self.file.read_bytes()
        write_durably(file, _key_pem(key) + chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(file)
        return context

    def files(self, name: str, hosts: tuple[str, ...]) -> tuple[Path, Path]:
        """Make a certificate that proves `hosts` both ways, as SBCs and sites do; return PEM files.

        The first has the chain, the second the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, hosts, key, False, BOTH_WAYS)
        chain, secret = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_durably(secret, _key_pem(key))
        write_durably(chain, pem + self.file.read_bytes())
        return chain, secret

    def certify(self, request: str, name: str, days: float = SERVER_DAYS) -> str:
        """Sign an appliance's request under a name of ours, whatever it asks for; return PEM.

        Raises LocalError for a request that cannot be read or does not prove its key.
        """
        try:
            asked = x509.load_pem_x509_csr(request.encode())
        except ValueError as error:
            raise LocalError(f"the request is no PKCS 10 in PEM: {error}") from error
        key = asked.public_key()
        if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise LocalError("the request must be signed by the elliptic curve key it is for")
        begins = datetime.now(UTC) - timedelta(minutes=5)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = (
            _builder(name, self._certificate.subject, key, begins, begins + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def client_context(self) -> ssl.SSLContext:
        """Make a context that trusts this CA and checks host names."""
        return ssl.create_default_context(cafile=str(self.file))

    def _sign(
        self,
        name: str,
        hosts: tuple[str, ...],
        key: ec.EllipticCurvePrivateKey,
        expired: bool,
        usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    ) -> x509.Certificate:
        ends = datetime.now(UTC) + (timedelta(days=-1) if expired else timedelta(days=SERVER_DAYS))
        begins = ends - timedelta(days=SERVER_DAYS + 2)
        usage = x509.ExtendedKeyUsage(usages)
        return (
            _builder(name, self._certificate.subject, key.public_key(), begins, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
            .add_extension(_issued_by(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _make_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    begins = datetime.now(UTC) - timedelta(days=1)
    ends = begins + timedelta(days=AUTHORITY_DAYS)
    name = "Holdfast reference cloud CA"
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, _subject(name), key.public_key(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _builder(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _issued_by(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _names(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    """Sort hosts into address and DNS names (RFC 5922 looks at these only, never at the CN)."""
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read_authority(
    file: Path, key_file: Path
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise LocalError(f"CA in {file.parent} cannot be read: {error}; delete it") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise LocalError(f"{key_file} is not an elliptic curve key; delete {file.parent}")
    return key, certificate
