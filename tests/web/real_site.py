"""A whole site on loopback: reference cloud, `holdfast run` with every process, two phones."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.bundle import Bundle, Group, Monitoring
from appliance.cloud.reference.faults import ZoneOrder
from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.reference.phone_settings import PhoneSettings
from tests.cloud.reference_trial import PASSWORD, REALM, free_port, reference_cloud, site_bundle

Result = TypeVar("Result")


def site(version: int, users: int = 6) -> Bundle:
    """Return the site's bundle; its zones are watched so closely that tests need not wait."""
    plain = site_bundle(users, version=version)
    members = tuple(user.id for user in plain.users[:2])
    group = Group(id="sales", name="Sales", extension="3000", members=members)
    quick = Monitoring(interval=0.3, timeout=0.3, misses=2, stable_window=2.0)
    return msgspec.structs.replace(plain, monitoring=quick, groups=(group,))


class RealSite:
    """Everything runs from `__init__` to `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.phones: dict[str, Phone] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        opened = self._stack.enter_async_context(reference_cloud(folder, site(1)))
        self.cloud = self.do(opened)
        self.port, self.sip_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        access = self.cloud.access
        self.settings = folder / "holdfast.toml"
        self.settings.write_text(
            f'data = "{folder}/data"\nrun = "{folder}/run"\naddresses = ["127.0.0.1"]\n'
            f"sip_port = {self.sip_port}\nsips_port = {free_port()}\nadmin_port = {self.port}\n"
            f'media_ports = [42000, 42399]\nldap = "off"\nmedia_kernel = "off"\n'
            f'cloud_url = "{access.url}"\ncloud_site = "{access.site}"\n'
            f'cloud_token = "{access.site_token}"\ncloud_ca = "{access.ca}"\n'
            f'bundle_keys = ["{access.bundle_key}"]\n'
        )
        words = [sys.executable, "-m", "appliance.cli.command", "--settings", str(self.settings)]
        self._words = words
        self._process = subprocess.Popen([*words, "run"], stderr=subprocess.DEVNULL)

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Carry out something of the cloud or of a phone; return what it came to."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Give one command line to the appliance."""
        return subprocess.run([*self._words, *words], capture_output=True, text=True, timeout=60)

    def first_password(self) -> str:
        """Return the one-time password of the first log-in."""
        return (self.folder / "data" / "admin.password").read_text().split()[1]

    def publish(self, bundle: Bundle) -> None:
        """Have the cloud serve another bundle."""
        (self.folder / "site.json").write_bytes(msgspec.json.encode(bundle))

    def zones(self, state: Any) -> None:
        """Cut every zone of the cloud, or mend it."""
        for zone in self.cloud.zones.values():
            self.do(zone.command(ZoneOrder(state=state)))

    def switch_on(self, *extensions: str, srtp: bool = False) -> None:
        """Have phones register here; returns when they are."""
        for extension in extensions:
            name = f"user{extension}"
            settings = PhoneSettings(
                extension=extension,
                domain=REALM,
                username=name,
                password=PASSWORD.format(name),
                servers=(Server("127.0.0.1", self.sip_port, "UDP"),),
                retry=0.3,
                srtp=srtp,
            )
            self.phones[extension] = self.do(_registered(settings))

    async def talk(self, caller: str, callee: str) -> Any:
        """Have one phone call the other; returns the call when they talk."""
        call = await self.phones[caller].call(callee)
        assert await call.until("talking", "ended") == "talking"
        return call

    def close(self) -> None:
        for phone in self.phones.values():
            self.do(phone.stop())
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self.do(self._stack.aclose())
        self.do(_end_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _registered(settings: PhoneSettings) -> Phone:
    """Switch a phone on; its timers are those of the loop that it is made on."""
    phone = Phone(settings)
    phone.start()
    async with asyncio.timeout(20):
        await phone.registration.until(None)
    return phone


async def _end_others() -> None:
    """End what still runs on this loop: questions that waited at the cloud, cut a moment ago."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
