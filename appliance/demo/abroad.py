"""What the demo has beyond the site: a carrier behind an SBC, and other sites with a Holdfast."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.ipc import IpcClient
from appliance.bundle import Bundle, Emergency, Peer, RouteGroup, Sbc, Zone
from appliance.cloud.reference.authority import Authority
from appliance.cloud.reference.carrier import Carrier, carrier_context
from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.cloud.sample import make_sample
from appliance.demo.children import Children
from appliance.demo.ports import ADDRESS, Chooser
from appliance.files import write_durably

MOST_SITES = 4
SITES = (("milwaukee", "822"), ("montreal", "823"), ("madison", "824"))
"""Name and code of each further site."""
CARRIER_ADDRESS, CARRIER_NUMBER = "127.0.0.9", "+15125550199"
CARRIER_TONE = 2100
SITE_TONES = ((520, 740), (960, 1220), (1560, 1900))
"""Hertz that the two phones of each further site send."""
PHONES_THERE = 2
CARRIER_DIALLED = "9" + CARRIER_NUMBER.removeprefix("+")
"""With the sample's outside prefix."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be beyond the site."""

    trunk: bool = False
    sites: int = 1
    """All in all, this one included."""

    def told(self) -> str:
        """Say it, for the first line of the demo."""
        parts = ["a carrier behind an SBC"] if self.trunk else []
        more = self.sites - 1
        parts += [f"{more} more site{'s' if more > 1 else ''} with a Holdfast"] if more else []
        return " and ".join(parts)


class OtherSite:
    """Another site: its own address on this machine, core and media, and two phones."""

    def __init__(self, index: int, chooser: Chooser) -> None:
        self.name, self.code = SITES[index]
        self.address = f"127.0.0.{index + 2}"
        # An address of its own, because certificates tell sites apart by it.
        self.sip, self.trunk = (chooser.port(5060, self.address) for _ in range(2))
        self.relay = chooser.relay()
        sample = make_sample(PHONES_THERE, 0, index + 2, self.name, f"{self.name}.example.com")
        self.bundle, entries = sample.bundle, sample.phones
        self.phones = [
            Phone(
                PhoneSettings(
                    extension=entry.extension,
                    name=entry.user,
                    domain=entry.domain,
                    username=entry.username,
                    password=entry.password,
                    servers=(Server(self.address, self.sip, "UDP", self.name),),
                    expires=15,
                    retry=1.0,
                    tone=tone,
                )
            )
            for entry, tone in zip(entries, SITE_TONES[index], strict=True)
        ]

    def number(self, phone: Phone) -> str:
        """Return what other sites dial for one of its phones."""
        return f"{self.code}{phone.settings.extension}"

    def as_peer(self, authority: str) -> Peer:
        """Return this site as the bundle of another names it."""
        return Peer(
            site=self.name, code=self.code, host=self.address, port=self.trunk, ca=authority
        )

    async def start(self, folder: Path, bundle: Bundle, files: tuple[Path, Path]) -> Children:
        """Start its processes; `end` what is returned whatever happens."""
        data, run, logs = (folder / name for name in ("data", "run", "logs"))
        for each in (folder, data, run, logs):
            each.mkdir()
        write_durably(data / "bundle.json", msgspec.json.encode(bundle))
        settings = {
            "data": str(data),
            "run": str(run),
            "addresses": [self.address],
            "sip_port": self.sip,
            "sips_port": 0,
            "trunk_port": self.trunk,
            "trunk_certificate": str(files[0]),
            "trunk_key": str(files[1]),
            "media_ports": list(self.relay),
            "media_kernel": "off",
        }
        file = folder / "holdfast.toml"
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
        write_durably(file, "".join(lines).encode())
        self._socket = run / "core.sock"
        children = Children(logs, {"HOLDFAST_SETTINGS": str(file)})
        for name in ("media", "core"):
            await children.start(name, name)
        return children

    def mode(self) -> str:
        """Return the mode its core tells; blocks for a moment."""

        async def asked() -> str:
            client = IpcClient(self._socket)
            try:
                return str((await client.call("mode"))["mode"])
            finally:
                await client.close()

        return asyncio.run(asked())


class Abroad:
    """Everything beyond the site that was asked for; `open` it, and `close` it."""

    def __init__(self, folder: Path, wanted: Wanted, chooser: Chooser, trunk_port: int) -> None:
        self.wanted = wanted
        self._folder = folder
        self._trunk_port = trunk_port
        self.sites = [OtherSite(index, chooser) for index in range(wanted.sites - 1)]
        self.carrier: Carrier | None = None
        self._carrier_at = Server(CARRIER_ADDRESS, chooser.port(5061, CARRIER_ADDRESS), "TLS")
        self._children: list[Children] = []
        self._authority = Authority(folder / "authority") if self.any else None

    @property
    def any(self) -> bool:
        """Tell whether anything was asked for."""
        return self.wanted.trunk or bool(self.sites)

    # -- what this site has to know -----------------------------------------------------------

    def joined(self, bundle: Bundle) -> Bundle:
        """Return the site's bundle with what is beyond."""
        if self._authority is None:
            return bundle
        pem = self._authority.pem
        host, port = self._carrier_at.host, self._carrier_at.port
        sbc = Sbc(host=host, port=port)
        return msgspec.structs.replace(
            bundle,
            route_groups=(RouteGroup(id="pstn", sbcs=(sbc,), ca=pem),) if self.wanted.trunk else (),
            peers=tuple(site.as_peer(pem) for site in self.sites),
            emergency=Emergency(),
        )

    def settings(self) -> dict[str, Any]:
        """Return the site's settings for what is beyond."""
        if self._authority is None:
            return {}
        chain, key = self._authority.files("holdfast", (ADDRESS,))
        return {
            "trunk_port": self._trunk_port,
            "trunk_certificate": str(chain),
            "trunk_key": str(key),
        }

    # -- coming and going ---------------------------------------------------------------------

    async def open(self, ours: Bundle, zones: tuple[Zone, ...]) -> None:
        """Start the carrier and the other sites, which have the same cloud as ours."""
        if self._authority is None:
            return
        if self.wanted.trunk:
            await self._open_carrier(self._authority)
        here = Peer(
            site=ours.site.id,
            code=ours.site.code,
            host=ADDRESS,
            port=self._trunk_port,
            ca=self._authority.pem,
        )
        for site in self.sites:
            others = [one.as_peer(self._authority.pem) for one in self.sites if one is not site]
            bundle = msgspec.structs.replace(
                site.bundle,
                site=msgspec.structs.replace(site.bundle.site, code=site.code),
                zones=zones,
                monitoring=ours.monitoring,
                policies=ours.policies,
                route_groups=(),
                peers=(here, *others),
                emergency=Emergency(),
            )
            files = self._authority.files(site.name, (site.address,))
            self._children.append(await site.start(self._folder / site.name, bundle, files))

    async def _open_carrier(self, authority: Authority) -> None:
        chain, key = authority.files("carrier", (CARRIER_ADDRESS,))
        settings = PhoneSettings(
            extension=CARRIER_NUMBER,
            domain=ADDRESS,
            username="",
            password="",
            servers=(),
            address=CARRIER_ADDRESS,
            tone=CARRIER_TONE,
            srtp=True,
        )
        context = carrier_context(chain, key, authority.file)
        self.carrier = Carrier(settings, self._carrier_at, context)
        await self.carrier.listen()

    async def close(self) -> None:
        """End everything."""
        phones = [phone for site in self.sites for phone in site.phones]
        parts = [*phones, self.carrier] if self.carrier is not None else phones
        await asyncio.gather(*[part.stop() for part in parts], return_exceptions=True)
        for children in self._children:
            await children.end()

    def fallen(self) -> list[str]:
        """Say of each process of another site that has ended by itself how it ended."""
        return [
            f"{child.log.parent.parent.name}: `holdfast {child.name}` ended: {child.last_words()}"
            for children in self._children
            for child in children.fallen()
        ]
