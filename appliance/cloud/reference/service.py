"""The whole reference cloud, put together: API, zones, certificates and what lasts on disk."""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from appliance.bundle import Zone as ZoneEntry
from appliance.cloud.reference.api import Api
from appliance.cloud.reference.authority import Authority
from appliance.cloud.reference.control import Access
from appliance.cloud.reference.echo import Echo
from appliance.cloud.reference.ledger import Ledger
from appliance.cloud.reference.registry import Registry
from appliance.cloud.reference.site import SiteFile
from appliance.cloud.reference.zone import Zone
from appliance.cloud.reference.zone_registrar import ZoneRegistrar
from appliance.cloud.signature import new_key, read_key, written_key
from appliance.errors import LocalError
from appliance.files import write_durably

OTHER_NAME = "somebody-else.example"
"""Of the certificate that a zone shows in the state `wrong-name`."""
EVERYWHERE = ("0.0.0.0", "::")
SHUTDOWN = 0.5
"""Seconds for answers under way when the cloud ends; questions that wait are cut."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What a reference cloud is started with; port 0 lets the kernel choose."""

    site: Path
    """The site's bundle as JSON."""
    data: Path
    """Folder of certificates, tokens and records."""
    listen: str = "127.0.0.1"
    http_port: int = 9443
    zone_ports: tuple[int, int] = (5191, 5192)
    hosts: tuple[str, ...] = ()
    """Names and addresses for the certificates; the first one is told to phones and appliances."""

    @property
    def public_host(self) -> str:
        """Where others reach this cloud."""
        if self.hosts:
            return self.hosts[0]
        return "127.0.0.1" if self.listen in EVERYWHERE else self.listen

    @property
    def certificate_hosts(self) -> tuple[str, ...]:
        """Every name the certificates are good for."""
        return (*self.hosts, self.public_host, "127.0.0.1", "localhost")


class ReferenceCloud:
    """Run the API and the zones of one site on the running event loop.

    After `start`, call `stop`; a cloud stopped once is not started again.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        settings.data.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(settings.data)
        self.zones: dict[str, Zone] = {}
        self._key = read_key(_kept(settings.data / "bundle.key", lambda: new_key()[0]))
        self.echo = Echo(settings.listen)
        self.site = SiteFile(settings.site, self._relocate, self._key)
        self.ledger = Ledger(settings.data / "records.db")
        self._runner: web.AppRunner | None = None
        self._http_port = settings.http_port
        self._make_zones()

    async def start(self) -> None:
        """Open every port and write the access file; LocalError when a port is taken."""
        try:
            for zone in self.zones.values():
                await zone.start()
            self.echo.start()
            # Only now are the ports known that the bundle has to tell.
            self.site.render()
            await self._start_api()
        except BaseException:
            await self.stop()
            raise
        self.access.save(self._settings.data)

    async def stop(self) -> None:
        """Close everything."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for zone in self.zones.values():
            await zone.stop()
        self.echo.stop()
        self.ledger.close()

    @property
    def access(self) -> Access:
        """How to reach this cloud."""
        data = self._settings.data
        host = self._settings.public_host
        return Access(
            url=f"https://{f'[{host}]' if ':' in host else host}:{self._http_port}",
            ca=str(self.authority.file.resolve()),
            site=self.site.plain.site.id,
            site_token=_token(data / "site.token"),
            control_token=_token(data / "control.token"),
            bundle_key=written_key(self._key),
        )

    def _make_zones(self) -> None:
        for entry, port in zip(self.site.plain.zones, self._settings.zone_ports, strict=False):
            self.zones[entry.id] = Zone(
                entry.id,
                self._settings.listen,
                port,
                ZoneRegistrar(lambda: self.site.plain, secrets.token_bytes(16)),
                self._context(f"zone-{entry.id}"),
                self._context(f"zone-{entry.id}-expired", expired=True),
                self.authority.server_context(f"zone-{entry.id}-misnamed", (OTHER_NAME,)),
            )

    def _context(self, name: str, *, expired: bool = False) -> ssl.SSLContext:
        hosts = self._settings.certificate_hosts
        return self.authority.server_context(name, hosts, expired=expired)

    def _relocate(self, entry: ZoneEntry) -> ZoneEntry:
        """Tell where a zone of the file really listens."""
        zone = self.zones.get(entry.id)
        if zone is None:
            return entry
        return msgspec.structs.replace(
            entry,
            host=self._settings.public_host,
            port=zone.port or None,
            ca=self.authority.pem,
            echo_port=self.echo.port,
        )

    async def _start_api(self) -> None:
        access = self.access
        registry = Registry(self.authority, access.site, access.bundle_key)
        tokens = access.site_token, access.control_token
        api = Api(self.site, self.ledger, self.zones, registry, *tokens)
        self._runner = web.AppRunner(api.application(), access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        settings = self._settings
        context = self._context("api")
        context.load_verify_locations(self.authority.file)
        context.verify_mode = ssl.CERT_OPTIONAL
        site = web.TCPSite(self._runner, settings.listen, settings.http_port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            place, why = f"{settings.listen}:{settings.http_port}", os.strerror(error.errno or 0)
            text = f"cannot listen on {place}: {why}; choose another --http-port"
            raise LocalError(text) from error
        self._http_port = self._runner.addresses[0][1]


def _token(file: Path) -> str:
    """Return the token in a file, made at first use."""
    return _kept(file, lambda: secrets.token_urlsafe(24).encode()).decode("ascii").strip()


def _kept(file: Path, make: Callable[[], bytes]) -> bytes:
    """Return what a file holds, made at first use."""
    if not file.exists():
        write_durably(file, make())
    return file.read_bytes()
