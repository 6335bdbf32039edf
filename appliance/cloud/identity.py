"""Who this appliance is at the cloud: enrolled by a one-time token, proved by certificate (G4)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.cloud.client import CloudClient, client_certificate
from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably
from appliance.settings import Settings

log = logging.getLogger("holdfast.cloud")

LOOK_EVERY = 6 * 3600.0
"""Seconds between two looks at how long the certificate is good for."""
RETRY = 600.0
"""Seconds after a renewal that failed."""
LEFT = 1 / 3
"""Share of a certificate's life that is left when it is renewed: weeks before it ends."""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What the cloud told when the appliance was enrolled."""

    url: str
    site: str
    bundle_keys: tuple[str, ...] = ()
    """Public keys that bundles are signed with, pinned from then on."""


def with_enrolment(settings: Settings) -> Settings:
    """Return settings with what enrolment told; what a settings file says wins.

    Raises LocalError for an enrolment that cannot be read.
    """
    file = folder_of(settings) / "enrolment.json"
    try:
        told = msgspec.json.decode(file.read_bytes(), type=Enrolment)
    except FileNotFoundError:
        return settings
    except (OSError, msgspec.DecodeError) as error:
        raise LocalError(f"{file} cannot be read: {error}; enrol this appliance again") from error
    authority = folder_of(settings) / "ca.pem"
    return msgspec.structs.replace(
        settings,
        cloud_url=settings.cloud_url or told.url,
        cloud_site=settings.cloud_site or told.site,
        cloud_ca=settings.cloud_ca or (authority if authority.exists() else None),
        bundle_keys=settings.bundle_keys or told.bundle_keys,
    )


def folder_of(settings: Settings) -> Path:
    """Return where the certificate, its key and what the cloud told are kept."""
    return client_certificate(settings).parent


async def enrol(settings: Settings, token: str) -> Enrolment:
    """Have the cloud sign a certificate, and keep it; `settings` name the cloud's URL and CA.

    Raises Unavailable, or LocalError for a token that the cloud does not take.
    """
    key, request = new_request("holdfast")
    async with CloudClient(settings) as cloud:
        told = await cloud.enrol(token, request)
    enrolment = Enrolment(url=settings.cloud_url, site=told.site, bundle_keys=told.bundle_keys)
    _keep(client_certificate(settings), key, told.certificate)
    folder = folder_of(settings)
    if settings.cloud_ca is not None:
        write_durably(folder / "ca.pem", settings.cloud_ca.read_bytes())
    write_durably(folder / "enrolment.json", msgspec.json.encode(enrolment))
    _own(folder)
    return enrolment


class Renewal:
    """Renew the certificate before it ends."""

    def __init__(
        self, settings: Settings, cloud: CloudClient, wall: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._cloud = cloud
        self._wall = wall

    async def run(self) -> None:
        """Look and renew, until cancelled."""
        while True:
            try:
                await self.renew_if_due()
                pause = LOOK_EVERY
            except (Unavailable, LocalError) as error:
                log.warning("the certificate for the cloud is not renewed: %s", error)
                pause = RETRY
            await asyncio.sleep(pause)

    async def renew_if_due(self) -> bool:
        """Renew a certificate of which a third is left; return whether it was."""
        file = client_certificate(self._settings)
        if not file.exists() or not _is_due(file, self._wall()):
            return False
        key, request = new_request(self._settings.cloud_site)
        told = await self._cloud.renew(self._settings.cloud_site, request)
        _keep(file, key, told.certificate)
        self._cloud.reload()
        log.info("the certificate for the cloud is renewed")
        return True


def new_request(name: str) -> tuple[bytes, str]:
    """Make a key; return it and the request to sign it (PKCS 10), both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signed = request.sign(key, hashes.SHA256())
    return pem, signed.public_bytes(serialization.Encoding.PEM).decode()


def _keep(file: Path, key: bytes, certificate: str) -> None:
    """Write key and certificate as one file: there is never one without the other."""
    chain = certificate.encode()
    try:
        signed = x509.load_pem_x509_certificate(chain).public_key()
    except ValueError as error:
        raise Unavailable(f"the cloud gave no certificate in PEM: {error}") from error
    own = serialization.load_pem_private_key(key, None).public_key()
    if signed != own:
        raise Unavailable("the cloud signed another key than ours")
    write_durably(file, key + chain)


def _is_due(file: Path, wall: float) -> bool:
    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise LocalError(f"{file} cannot be read: {error}; enrol again") from error
    ends = found.not_valid_after_utc.timestamp()
    life = ends - found.not_valid_before_utc.timestamp()
    return ends - wall < life * LEFT


def _own(folder: Path) -> None:
    """Give what root wrote to the data folder's owner, who runs Holdfast."""
    if os.geteuid() != 0:
        return
    owner = folder.parent.stat()
    for file in (folder, *folder.iterdir()):
        os.chown(file, owner.st_uid, owner.st_gid)
