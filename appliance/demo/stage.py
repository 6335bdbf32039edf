"""What the demo plays on: a made-up site, a reference cloud and a Holdfast of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.bundle import Bundle, Monitoring
from appliance.cloud.reference.control import Access, ask
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.sample import Phone as Entry
from appliance.cloud.sample import make_sample
from appliance.demo.abroad import Abroad, Wanted
from appliance.demo.children import Children
from appliance.demo.ports import ADDRESS, Chooser, Ports, choose_ports
from appliance.demo.steps import StepFailed
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.files import write_durably
from appliance.sip.flow import Transport

T = TypeVar("T")

POLL = 0.2
"""Seconds between two looks at something that is waited for."""
START = 40.0
"""Seconds the processes get to come up, on a machine busy with other things."""
SPARE = 2
"""Users without a simulated phone: for a softphone of one's own."""
CONTACTS = 200
NOTHING_BEYOND = Wanted()


@dataclass(frozen=True, slots=True)
class Pace:
    """Times shortened for the demo, in seconds; a real site has the defaults of the bundle."""

    interval: float = 1.0
    misses: int = 3
    window: float = 10.0
    retry_after: int = 2
    expires: int = 15
    keepalive: float = 5.0

    def told(self) -> str:
        """Say what is shortened, and from what."""
        usual = Monitoring()
        return (
            f"zones asked every {self.interval:g} s (usually {usual.interval:g}), down after"
            f" {self.misses} misses, back when stable for {self.window:g} s (usually"
            f" {usual.stable_window:g}), phones registered for {self.expires} s at a time"
        )


class Stage:
    """Everything but the phones; `open` it, and `close` it whatever happens."""

    def __init__(
        self, folder: Path, phones: int, pace: Pace, wanted: Wanted = NOTHING_BEYOND
    ) -> None:
        self.folder = folder
        self.pace = pace
        chooser = Chooser()
        self.ports: Ports = choose_ports(chooser)
        self.abroad = Abroad(folder, wanted, chooser, self.ports.trunk)
        """What is beyond the site."""
        sample = make_sample(users=phones + SPARE, contacts=CONTACTS)
        self.entries: tuple[Entry, ...] = sample.phones
        """Who has a phone, with passwords; the last ones are for softphones."""
        self.bundle = self.abroad.joined(_paced(sample.bundle, pace))
        self.logs = folder / "logs"
        self._data, self._run = folder / "data", folder / "run"
        for each in (self.logs, self._data, self._run):
            each.mkdir()
        self.settings_file = folder / "holdfast.toml"
        """Settings of this Holdfast, for `holdfast <command> --settings`."""
        self._children = Children(self.logs, {"HOLDFAST_SETTINGS": str(self.settings_file)})
        self._cloud: Access | None = None
        self._admin: Access | None = None

    # -- coming and going -------------------------------------------------------------------

    async def open_cloud(self) -> None:
        """Start the reference cloud and wait until it answers."""
        site, data = self.folder / "site.json", self.folder / "cloud"
        site.write_bytes(msgspec.json.encode(self.bundle))
        ports = self.ports
        words = ["cloud", "run", "--site", str(site), "--data", str(data)]
        words += ["--http-port", str(ports.cloud), "--primary-port", str(ports.primary)]
        await self._children.start("cloud", *words, "--secondary-port", str(ports.secondary))
        await self.wait(lambda: Access.read(data), bool, START, "the reference cloud to start")
        self._cloud = Access.read(data)
        await self.wait(self.cloud_status, bool, START, "the reference cloud to answer")

    async def open_holdfast(self) -> None:
        """Start Holdfast's three processes and wait until the site's bundle is in force."""
        self._write_settings()
        for name in ("media", "core", "admin"):
            await self._children.start(name, name)
        token = self._data / "admin.token"
        await self.wait(token.read_text, bool, START, "the admin process to start")
        self._admin = Access(
            url=f"https://{ADDRESS}:{self.ports.admin}",
            ca=str(self._data / "admin" / "sip.crt"),
            site="",
            site_token=token.read_text().strip(),
            control_token="",
        )
        await self.wait(
            lambda: self.holdfast("status"),
            lambda status: status.get("bundle") is not None,
            START,
            "Holdfast to have the site's bundle",
        )

    async def open_abroad(self) -> None:
        """Start what is beyond the site."""
        zones = tuple(
            msgspec.structs.replace(zone, host=ADDRESS, port=port, transport="UDP")
            for zone, port in zip(
                self.bundle.zones, (self.ports.primary, self.ports.secondary), strict=True
            )
        )
        await self.abroad.open(self.bundle, zones)

    async def close(self) -> None:
        """End every process."""
        try:
            await self.abroad.close()
        finally:
            await self._children.end()

    # -- asking -----------------------------------------------------------------------------

    def holdfast(self, path: str) -> Any:
        """Ask Holdfast's API; blocks for a moment."""
        if self._admin is None:
            raise Unavailable("Holdfast's admin process has not started")
        return ask(self._admin, f"/api/v1/{path}")

    def cloud_status(self) -> Any:
        """Ask the cloud what it has; blocks for a moment."""
        return self._ask_cloud("/control/status")

    def cloud_records(self) -> list[dict[str, Any]]:
        """Return the call records the cloud has got; blocks for a moment."""
        answer = self._ask_cloud(f"/v1/sites/{self.bundle.site.id}/records")
        records: list[dict[str, Any]] = answer["records"]
        return records

    async def command_zones(self, state: str) -> None:
        """Command both zones into a state."""
        for zone in self.bundle.zones:
            path = f"/control/zones/{zone.id}"
            await asyncio.to_thread(self._ask_cloud, path, {"state": state})

    async def wait(
        self,
        look: Callable[[], T],
        good: Callable[[T], bool],
        limit: float,
        expected: str,
        shown: Callable[[T], str] = str,
    ) -> T:
        """Look again and again until what is seen is good; StepFailed after `limit` seconds.

        `look` may block for a moment and may raise HoldfastError or OSError: not yet, then.
        """
        ends, seen = time.monotonic() + limit, "nothing"
        while time.monotonic() < ends:
            self._check_processes()
            try:
                found = await asyncio.to_thread(look)
                if good(found):
                    return found
                seen = shown(found)
            except (HoldfastError, OSError) as error:
                seen = str(error)
            await asyncio.sleep(POLL)
        raise StepFailed(f"{expected} within {limit:g} s", seen[:500])

    def fallen(self) -> list[str]:
        """Say of each process that has ended by itself how it ended."""
        return [
            f"`holdfast {child.name}` ended with status {child.process.returncode}:"
            f" {child.last_words()}"
            for child in self._children.fallen()
        ] + self.abroad.fallen()

    # -- for phones -------------------------------------------------------------------------

    def servers(self, transport: Transport) -> tuple[Server, ...]:
        """Return the server list an admin would type into a phone: both zones, then Holdfast."""
        ports = self.ports
        return (
            Server(ADDRESS, ports.primary, transport, "zone A"),
            Server(ADDRESS, ports.secondary, transport, "zone B"),
            self.holdfast_server(transport),
        )

    def holdfast_server(self, transport: Transport) -> Server:
        """Return where Holdfast serves phones."""
        port = self.ports.sips if transport == "TLS" else self.ports.sip
        return Server(ADDRESS, port, transport, "Holdfast")

    @property
    def holdfast_certificate(self) -> Path:
        """What phones have to trust for Holdfast's TLS."""
        return self._data / "tls" / "sip.crt"

    def trust(self) -> ssl.SSLContext:
        """Make what phones check certificates with: the cloud's CA, and Holdfast's own."""
        if self._cloud is None:
            raise LocalError("the cloud has not started")
        context = ssl.create_default_context(cafile=self._cloud.ca)
        context.load_verify_locations(self.holdfast_certificate)
        return context

    # -- small print ------------------------------------------------------------------------

    def _write_settings(self) -> None:
        if self._cloud is None:
            raise LocalError("the cloud has not started")
        settings = {
            "data": str(self._data),
            "run": str(self._run),
            "addresses": [ADDRESS],
            "sip_port": self.ports.sip,
            "sips_port": self.ports.sips,
            "media_ports": list(self.ports.relay),
            # A trial on one machine: its packet filter and kernel settings are not ours to touch.
            "media_kernel": "off",
            "cloud_url": self._cloud.url,
            "cloud_site": self._cloud.site,
            "cloud_token": self._cloud.site_token,
            "cloud_ca": self._cloud.ca,
            "admin_address": ADDRESS,
            "admin_port": self.ports.admin,
            **self.abroad.settings(),
        }
        # What JSON writes of text, numbers and lists is TOML as well.
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
        write_durably(self.settings_file, "".join(lines).encode())

    def _ask_cloud(self, path: str, order: dict[str, Any] | None = None) -> Any:
        if self._cloud is None:
            raise Unavailable("the reference cloud has not started")
        return ask(self._cloud, path, order)

    def _check_processes(self) -> None:
        for fallen in self.fallen():
            raise StepFailed("every process to run", fallen)


def _paced(bundle: Bundle, pace: Pace) -> Bundle:
    monitoring = Monitoring(
        interval=pace.interval,
        timeout=pace.interval,
        misses=pace.misses,
        stable_window=pace.window,
        retry_after=pace.retry_after,
    )
    policies = msgspec.structs.replace(bundle.policies, min_expires=10, max_expires=30)
    return msgspec.structs.replace(bundle, monitoring=monitoring, policies=policies)
