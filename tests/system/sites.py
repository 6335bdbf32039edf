"""Sites that have lost their cloud, each a Holdfast on a host of its own with one phone beside it.

Nothing is between them but the network: there is no cloud and no name server.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.adapters.ipc import IpcClient
from appliance.errors import HoldfastError
from tests.adapters.pki import Pki
from tests.system.network import Host, Network
from tests.system.secure_phone import SecurePhone
from tests.system.site import DOMAIN, HOLDFAST, QUICK, bundle
from tests.system.tone import PACKET, presence
from tests.system.waiting import until

NAMES = ("west", "east", "north", "south")
CODES = dict(zip(NAMES, ("81", "82", "83", "84"), strict=True))
EXTENSION = "101"
POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 600, "srtp": "off"}
"""Phones talk in the clear; sites between each other never do."""
START = 40.0
WRITTEN = 0.3
"""Seconds until a registration is on the disk for certain; who is killed before has not got it."""
TURN, TURNS = 0.6, 12
"""Seconds that both talk before they look at what they have heard, and how often at most."""
LISTEN = 20 * PACKET
"""Samples that have to be the other's tone: 0.4 s."""


class Place:
    """One site: its host, its Holdfast and its phone."""

    def __init__(self, name: str, host: Host, beside: Host, tone: int) -> None:
        self.name, self.code = name, CODES[name]
        self.host, self.beside, self.tone = host, beside, tone
        self.number = self.code + EXTENSION
        self.phone: SecurePhone
        self._processes: list[subprocess.Popen[bytes]] = []

    def prepare(self, folder: Path, pki: Pki, others: list[Place]) -> None:
        """Write bundle, settings and certificate."""
        self.folder = folder / self.name
        (self.folder / "data").mkdir(parents=True)
        self.files = pki.leaf(self.name, self.host.address)
        site = {"id": self.name, "name": self.name, "code": self.code}
        made = bundle(QUICK, POLICIES) | {
            "site": {**site, "domain": DOMAIN, "realm": DOMAIN},
            "peers": [
                {"site": one.name, "code": one.code, "host": one.host.address, "ca": pki.pem}
                for one in others
            ],
        }
        (self.folder / "data" / "bundle.json").write_text(json.dumps(made))
        self.run = self.folder / "run"
        settings = {
            "data": str(self.folder / "data"),
            "run": str(self.run),
            "trunk_certificate": str(self.files[0]),
            "trunk_key": str(self.files[1]),
        }
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        self.settings = self.folder / "holdfast.toml"
        self.settings.write_text("".join(lines))

    def start(self) -> None:
        """Start signalling and media; nothing else is needed for a call."""
        words = (HOLDFAST, "--settings", str(self.settings))
        self._processes = [
            self.host.start(*words, name, log=self.folder / f"{name}.log")
            for name in ("media", "core")
        ]

    def kill(self) -> None:
        """Kill everything at once, without a word."""
        for process in self._processes:
            os.kill(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait(5)

    def ask(self, command: str) -> Any:
        """Return what core answers; None while it does not."""
        client = IpcClient(self.run / "core.sock", timeout=5)

        async def asked() -> Any:
            try:
                return await client.call(command)
            except HoldfastError:
                return None
            finally:
                await client.close()

        return asyncio.run(asked())

    def serves(self) -> bool:
        """Tell whether it has noticed that its cloud is gone."""
        told = self.ask("mode")
        return told is not None and told["mode"] == "survivability"

    def sees(self, *names: str) -> bool:
        """Tell whether these other sites are well from here, and no others."""
        rows = self.ask("peers") or []
        well = {row["site"] for row in rows if (row["state"], row["way"]) == ("up", "direct")}
        return well == set(names)

    def evidence(self) -> str:
        """Give how it sees the others, and the end of its log."""
        log = (self.folder / "core.log").read_text()[-3000:]
        return f"--- {self.name}: {self.ask('peers')}\n{log}"


@contextmanager
def mesh(folder: Path) -> Iterator[dict[str, Place]]:
    """Give four sites that know each other, each with a registered phone; end them all."""
    network, pki = Network(2 * len(NAMES)), Pki(folder)
    try:
        hosts = network.phones
        places = [
            Place(name, hosts[at], hosts[at + len(NAMES)], 500 + 250 * at)
            for at, name in enumerate(NAMES)
        ]
        for place in places:
            place.prepare(folder, pki, [one for one in places if one is not place])
            place.start()
        for place in places:
            until(place.serves, START, f"{place.name} serves", place.evidence, step=0.2)
            place.phone = SecurePhone(place.beside, EXTENSION, place.tone, place.host.address)
            assert place.phone.account.register(600).status == 200
        time.sleep(WRITTEN)
        yield {place.name: place for place in places}
    finally:
        network.close()


def converse(caller: Place, callee: Place) -> None:
    """Have one site's phone call another's, each hear the other, and hang up."""
    with ThreadPoolExecutor(2) as pool:
        answering = pool.submit(callee.phone.answer_call)
        answer = caller.phone.call(callee.number)
        assert answer.status == 200, f"{caller.name} calls {callee.name}: {answer}"
        answering.result(15)
        deaf = hear_each_other(pool, caller, callee)
        assert not deaf, f"in the call of {caller.name} and {callee.name} hear nothing: {deaf}"
        letting_go = pool.submit(callee.phone.let_go)
        caller.phone.hang_up()
        letting_go.result(15)


def hear_each_other(pool: ThreadPoolExecutor, caller: Place, callee: Place) -> list[str]:
    """Have both talk in turns of equal length until each has heard the other; give who has not."""
    deaf = {caller.name: (caller, callee.tone), callee.name: (callee, caller.tone)}
    for _ in range(TURNS):
        parts = {one.name: pool.submit(one.phone.talk, TURN) for one in (caller, callee)}
        for name, part in parts.items():
            samples = part.result(20)[-LISTEN:]
            if name in deaf and len(samples) == LISTEN and presence(samples, deaf[name][1]) > 0.7:
                del deaf[name]
        if not deaf:
            break
    return list(deaf)
