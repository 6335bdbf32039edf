"""The site the reference cloud serves: its file, and the bundle made from it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.bundle import Bundle, Zone, decode
from appliance.cloud.reference.earlier import Earlier
from appliance.cloud.signature import signed
from appliance.errors import LocalError

log = logging.getLogger("holdfast.cloud.site")

Relocate = Callable[[Zone], Zone]


class SiteFile:
    """Serve a site's bundle from its JSON file, read again whenever the file changes.

    Each zone is passed through `relocate`, which puts in where the zone really listens and the CA
    that signed its certificate. A file that is broken later is logged and the last good one kept.
    Raises LocalError when the file cannot be used at all.
    """

    def __init__(self, file: Path, relocate: Relocate, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._file = file
        self._relocate = relocate
        self._stamp = self._file_stamp()
        self.plain = _read(file)
        """The bundle as the file has it."""
        self.earlier = Earlier()
        self.render()

    def refresh(self) -> None:
        """Read the file again if it has changed since the last time."""
        stamp = self._file_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.plain = _read(self._file)
        except LocalError as error:
            log.warning("site file kept as it was: %s", error)
            return
        self.render()
        log.info("site file read again: version %d", self.plain.version)

    def _file_stamp(self) -> tuple[int, int]:
        try:
            status = self._file.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)

    def render(self) -> None:
        """Make what is served anew; call it when `relocate` would answer otherwise."""
        zones = tuple(self._relocate(zone) for zone in self.plain.zones)
        served = msgspec.structs.replace(self.plain, zones=zones)
        self.body = signed(msgspec.json.encode(served), self._key)
        """The bundle, signed and ready to be sent."""
        self.etag = hashlib.sha256(self.body).hexdigest()[:32]
        """Changes exactly when `body` does."""
        self.earlier.keep(self.etag, self.body)


def _read(file: Path) -> Bundle:
    try:
        return decode(file.read_bytes())
    except OSError as error:
        raise LocalError(f"site file {file}: {error.strerror}; check the path") from error
