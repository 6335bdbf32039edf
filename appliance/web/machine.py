"""The box itself: disk, memory, clock and certificates, read when somebody looks."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from appliance.settings import Settings

CERTIFICATE_LIMIT = 1 << 20
"""Octets of a PEM file that are read."""
TIMEX_SIZE, TIMEX_STATUS = 208, 40
"""Size of `struct timex` and offset of its `status` on 64-bit Linux (adjtimex(2))."""
STA_UNSYNC = 0x0040
TIMESYNC_NOTE = Path("/run/systemd/timesync/synchronized")
"""Exists once systemd-timesyncd has set the clock."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate that is shown to phones or browsers; times are Unix seconds."""

    use: str
    """`phones` or `web`."""
    file: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    begins: float | None = None
    ends: float | None = None
    fingerprint: str = ""
    """SHA-256, as browsers show it."""
    failure: str = ""
    """Why it cannot be read; the rest is empty then."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The box as it is now."""

    host: str
    version: str
    disk_size: int
    """Octets of the file system that the data folder is on."""
    disk_free: int
    memory_size: int
    memory_available: int
    load: float
    """Average of the last minute."""
    processors: int
    clock_synchronised: bool | None
    """As the kernel says; None: it does not."""
    certificates: tuple[Certificate, ...]


def read_machine(settings: Settings, version: str) -> Machine:
    """Look at everything; what cannot be read is 0 or None, for looking must not fail."""
    disk = _disk(settings.data)
    memory = _memory()
    return Machine(
        host=os.uname().nodename,
        version=version,
        disk_size=disk[0],
        disk_free=disk[1],
        memory_size=memory.get("MemTotal", 0),
        memory_available=memory.get("MemAvailable", 0),
        load=os.getloadavg()[0],
        processors=os.cpu_count() or 1,
        clock_synchronised=clock_synchronised(),
        certificates=tuple(read_certificates(settings)),
    )


def certificate_files(settings: Settings) -> Iterator[tuple[str, Path, Path]]:
    """Yield what each certificate in use is for, its file, and the file of its key."""
    enrolled = settings.data / "cloud" / "client.pem"
    if enrolled.exists():
        yield "the cloud", enrolled, enrolled
    if settings.trunk_certificate is not None:
        key = settings.trunk_key or settings.trunk_certificate
        yield "SBCs and other sites", settings.trunk_certificate, key
    if settings.tls_certificate is not None:
        key = settings.tls_key or settings.tls_certificate
        yield "phones and web", settings.tls_certificate, key
        return
    for use, folder in (("phones", "tls"), ("web", "admin")):
        place = settings.data / folder
        yield use, place / "sip.crt", place / "sip.key"


def read_certificates(settings: Settings) -> Iterator[Certificate]:
    """Return the certificates in use: the installed one, or our own for each purpose."""
    for use, file, _ in certificate_files(settings):
        yield read_certificate(use, file)


def read_certificate(use: str, file: Path) -> Certificate:
    """Read the first certificate of a PEM file."""
    try:
        with open(file, "rb") as stream:
            found = x509.load_pem_x509_certificate(stream.read(CERTIFICATE_LIMIT))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no certificate in PEM"
        return Certificate(use=use, file=str(file), failure=str(why))
    return Certificate(
        use=use,
        file=str(file),
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=tuple(_names(found)),
        begins=found.not_valid_before_utc.timestamp(),
        ends=found.not_valid_after_utc.timestamp(),
        fingerprint=found.fingerprint(SHA256()).hex(":").upper(),
    )


def clock_synchronised(note: Path = TIMESYNC_NOTE) -> bool | None:
    """Ask the kernel whether something keeps its clock.

    A closed-off service may not ask: then the note that systemd's time client leaves has to do.
    """
    timex = ctypes.create_string_buffer(TIMEX_SIZE)
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return True if note.exists() else None
    status = ctypes.c_int.from_buffer(timex, TIMEX_STATUS).value
    return not status & STA_UNSYNC


def _names(certificate: x509.Certificate) -> Iterable[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in found.value]


def _disk(folder: Path) -> tuple[int, int]:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return 0, 0
    return usage.total, usage.free


def _memory() -> dict[str, int]:
    """Return /proc/meminfo in octets."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) > 2}
