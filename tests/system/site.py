"""The whole site: reference cloud, appliance and name server, each on its own host."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.network import APPLIANCE, CLOUD, ROUTER, Host, Network
from tests.system.sip import Account, Line
from tests.system.waiting import until

DOMAIN = "site.example"
ROOT = Path(__file__).parent.parent.parent
HOLDFAST = str(Path(sys.executable).with_name("holdfast"))
ZONE_PORTS = (5191, 5192)
CLOUD_PORT = 9443
USERS = [str(number) for number in range(101, 121)]

QUICK = {"interval": 0.5, "timeout": 0.4, "misses": 2, "stable_window": 8.0, "retry_after": 7}
"""Monitoring for tests in which not the waiting is tested."""
POLICIES = {"min_expires": 10, "max_expires": 60}


def password(name: str) -> str:
    """Give a user's password."""
    return f"secret-{name}"


def credential(name: str) -> dict[str, str]:
    """Give what the bundle knows of a password."""
    text = f"{name}:{DOMAIN}:{password(name)}".encode()
    hashes = {kind: hashlib.new(kind, text).hexdigest() for kind in ("md5", "sha256")}
    return {"username": name, "realm": DOMAIN, **hashes}


def bundle(monitoring: dict[str, Any], policies: dict[str, Any]) -> dict[str, Any]:
    """Make the site's bundle; the cloud puts in where its zones are."""
    zones = zip(("primary", "secondary"), ZONE_PORTS, strict=True)
    return {
        "version": 1,
        "site": {"id": "hq", "name": "HQ", "code": "71", "domain": DOMAIN, "realm": DOMAIN},
        "zones": [{"id": name, "host": CLOUD, "port": port} for name, port in zones],
        "monitoring": monitoring,
        "policies": {**POLICIES, **policies},
        "texts": {"outage": "", "over": ""},
        "users": [
            {
                "id": name,
                "name": f"User {name}",
                "extension": name,
                "credentials": [credential(name)],
            }
            for name in USERS
        ],
    }


class System:
    """A site that works; every process of it ends with `close`."""

    def __init__(
        self,
        folder: Path,
        phones: int,
        monitoring: dict[str, Any] | None = None,
        policies: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        parts: dict[str, Any] | None = None,
    ) -> None:
        """`parts` are further sections of the bundle, e.g. `groups`."""
        self.folder = folder
        self.cloud_data, self.data, self.sockets = (
            folder / "cloud",
            folder / "data",
            folder / "run",
        )
        for place in (self.cloud_data, self.data, self.sockets):
            place.mkdir(parents=True)
        self._more = settings or {}
        self._site = folder / "site.json"
        made = bundle(monitoring or QUICK, policies or {}) | (parts or {})
        self._site.write_text(json.dumps(made))
        self.network = Network(phones)
        try:
            self._start_names()
            self._start_cloud()
            self.appliance = self._start_appliance()
            self.wait_for_mode("standby", 30)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything."""
        self.network.close()

    def phone(self, number: int) -> Host:
        """Give a phone's host."""
        return self.network.phones[number]

    def _start_names(self) -> None:
        places = [("10", ZONE_PORTS[0], "zone-a", CLOUD), ("20", ZONE_PORTS[1], "zone-b", CLOUD)]
        own = {"_sips._tcp": 5091, "_sip._tcp": 5060, "_sip._udp": 5060}
        words = []
        for service, port in own.items():
            for priority, at, host, address in [*places, ("30", port, "holdfast", APPLIANCE)]:
                words.append(f"{service}.{DOMAIN}={priority},{at},{host}.{DOMAIN},{address}")
        command = [sys.executable, "-m", "tests.system.dns", ROUTER, *words]
        environment = {"PYTHONPATH": str(ROOT)}
        self.network.router.start(*command, log=self.folder / "dns.log", environment=environment)

    def _start_cloud(self) -> None:
        command = [HOLDFAST, "cloud", "run", "--site", str(self._site), "--listen", CLOUD]
        command += ["--host", CLOUD, "--data", str(self.cloud_data)]
        log = self.folder / "cloud.log"
        self.network.cloud.start(*command, log=log)
        access = self.cloud_data / "access.json"
        until(access.exists, 20, "the reference cloud is up", lambda: log.read_text())

    def _start_appliance(self) -> subprocess.Popen[bytes]:
        access = json.loads((self.cloud_data / "access.json").read_text())
        settings = {
            "data": str(self.data),
            "run": str(self.sockets),
            "cloud_url": access["url"],
            "cloud_ca": access["ca"],
            "cloud_site": access["site"],
            "cloud_token": access["site_token"],
            "cloud_pull_interval": 2.0,
            **self._more,
        }
        lines = (f"{key} = {json.dumps(value)}" for key, value in settings.items())
        self.settings = self.folder / "holdfast.toml"
        self.settings.write_text("\n".join(lines) + "\n")
        self.log = self.folder / "holdfast.log"
        return self.network.appliance.start(
            HOLDFAST, "--settings", str(self.settings), "run", log=self.log
        )

    def holdfast(self, *words: str) -> Any:
        """Give what a command of the CLI tells as JSON; None while it cannot."""
        inside = ["ip", "netns", "exec", self.network.appliance.name]
        done = subprocess.run(
            [*inside, HOLDFAST, "--settings", str(self.settings), *words, "--json"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def mode(self) -> str:
        """Give the mode, or nothing while the appliance does not answer."""
        shown = self.holdfast("mode")
        return str(shown.get("mode", "")) if shown else ""

    def wait_for_mode(self, mode: str, seconds: float) -> None:
        """Wait until the appliance is in a mode."""
        until(lambda: self.mode() == mode, seconds, f"mode {mode}", self.evidence)

    def cloud_records(self) -> list[dict[str, Any]]:
        """Give the call records that the cloud has, with how many times each arrived."""
        shown = self.network.cloud.run(
            HOLDFAST, "cloud", "records", "--data", str(self.cloud_data), "--json"
        )
        return list(json.loads(shown)["records"])

    def registered_at_zones(self) -> int:
        """Give how many phones the cloud's zones have."""
        words = ["cloud", "status", "--data", str(self.cloud_data), "--json"]
        zones = json.loads(self.network.cloud.run(HOLDFAST, *words))["zones"]
        return sum(zone["registered"] for zone in zones)

    def cloud_zone(self, zone: str, state: str, *more: str) -> None:
        """Command a zone's failure."""
        words = ["cloud", "zone", zone, state, "--data", str(self.cloud_data), *more]
        self.network.cloud.run(HOLDFAST, *words)

    def account(self, name: str, line: Line, secret: str | None = None) -> Account:
        """Give a plain phone's account."""
        return Account(name, secret or password(name), DOMAIN, line)

    def processes(self, name: str) -> list[int]:
        """Give the processes of the appliance that run a command, e.g. `core`."""
        shown = subprocess.run(
            ["ip", "netns", "pids", self.network.appliance.name], capture_output=True, text=True
        )
        return [pid for pid in map(int, shown.stdout.split()) if command_of(pid)[-1:] == [name]]

    def kernel_flows(self) -> int:
        """Give how many flows of calls over IPv4 the kernel carries."""
        return self.nft("list", "map", "inet", "holdfast_media", "flows4").count("comment")

    def nft(self, *words: str) -> str:
        """Ask the appliance's packet filter."""
        return self.network.appliance.run("nft", *words)

    def kill(self, name: str) -> None:
        """Kill a process of the appliance without a word."""
        for pid in self.processes(name):
            os.kill(pid, signal.SIGKILL)

    def waited(self, name: str) -> float:
        """Give the seconds that a process wanted to run and other work of the machine did."""
        delays = [
            int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
            for pid in self.processes(name)
        ]
        return sum(delays) / 1e9

    def evidence(self) -> str:
        """Give the end of the appliance's and the cloud's log."""
        logs = [self.log, self.folder / "cloud.log"]
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs)


@contextmanager
def site_in_outage(folder: Path, phones: int, **more: Any) -> Iterator[System]:
    """Give a site whose cloud has just been cut off, and end it."""
    system = System(folder, phones, **more)
    try:
        system.network.cut()
        system.wait_for_mode("survivability", 20)
        yield system
    finally:
        system.close()


def command_of(pid: int) -> list[str]:
    """Give the words a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
