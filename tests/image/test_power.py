"""Power cuts, each with a start to service after it: reliability row 3.

The image's root runs on this machine's kernel (powered.py), with its data on a disk whose write
cache each cut loses, tears and reorders (volatile.py). The power goes while phones register and
call and bundles are applied, while the machine starts, and in the middle of its first start.

    HOLDFAST_POWER_CUTS=100 python -m pytest tests/image/test_power.py
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.image.autopsy import Remains
from tests.image.caller import Caller, Told
from tests.image.powered import Powered
from tests.image.traffic import KEPT, check, traffic
from tests.image.virtual import BUILT
from tests.system.network import Host, Network
from tests.system.sip import Account, Line
from tests.system.site import DOMAIN, QUICK, USERS, bundle, password
from tests.system.waiting import until

CUTS = int(os.environ.get("HOLDFAST_POWER_CUTS", "5"))
SEED = int(os.environ.get("HOLDFAST_POWER_SEED", "20"))
SETTLED = 1.0
"""Seconds after which what a phone was told is on the disk, on a machine that others load."""
PATIENCE = 60.0
"""Seconds to the first phone, on such a machine."""
KINDS = ("first start", "a later start", "service", "service", "service")
"""What the power is cut in, the first two at least once in any five."""
WRITES = 16
"""The power goes at one of so many writes from a moment on, not between two if that can be."""
LATEST = 6.0
"""Seconds into a start that the power goes at the latest."""
CALLED, CALLER = "120", "119"
PORT = 5070
"""Of the phone that is called, and is not told to register anew after a cut."""
LDAP: dict[str, Any] = {"ldap": {"anonymous": True}}
SITE = bundle(QUICK, {}) | LDAP


class Plant:
    """A site whose appliance's power is cut again and again."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.chance = random.Random(SEED)
        user = {"hostname": "hq", "holdfast": {"bundle": SITE}}
        self.machine = Powered(folder, network, self.chance, user)
        self._host: Host = network.phones[0]
        self.version = 1
        """Of the last bundle that was tried."""
        self.registered = 0.0
        """When the phone that is called was last told that it is registered."""
        self.kept: list[Told] = []
        """Records that must be there for ever."""
        self.cuts: Counter[str] = Counter()
        self.promised: Counter[str] = Counter()
        """What had to outlive the next cut and did, by kind."""
        self.cached: list[int] = []
        self.took: list[float] = []
        """Seconds from each start after a cut to its first phone."""
        self.lost = 0.0
        self.called = self.caller(CALLED, PORT)
        self._contacts = dict[str, str]()

    def account(self, name: str, port: int = 0, transport: str = "UDP") -> Account:
        line = Line(self._host, transport, port=port)
        return Account(name, password(name), DOMAIN, line)

    def caller(self, name: str, port: int = 0) -> Caller:
        """Give a phone that soon knows that nobody answers."""
        return Caller(self.account(name, port), 0.5)

    def crowd(self) -> list[Caller]:
        """Give everybody else's phones, which know what they registered before the last cut."""
        names = [name for name in USERS if name not in (CALLED, CALLER)]
        callers = [self.caller(name) for name in names]
        for caller in callers:
            caller.contact = self._contacts.get(caller.account.name, "")
        return callers

    def remember(self, callers: list[Caller]) -> None:
        """Keep what these phones registered."""
        self._contacts = {caller.account.name: caller.contact for caller in callers}

    def renew(self) -> None:
        """Begin with a new disk."""
        self.machine.renew()
        self.kept, self.registered, self.version = [], 0.0, 1
        self._contacts = {}

    # -- what goes on meanwhile -------------------------------------------------------------------

    def register_called(self) -> None:
        """Have the phone that is called register, always with the same contact."""
        assert self.called.account.register(60).status == 200
        self.registered = time.monotonic()

    def talk(self) -> Told:
        """Have one phone call another, which answers."""
        caller = self.caller(CALLER)
        try:
            return caller.talk_to(self.called)
        finally:
            caller.line.close()

    def apply(self) -> Told:
        """Apply a newer bundle."""
        self.version += 1
        content = json.dumps(SITE | {"version": self.version})
        words = ("/usr/bin/holdfast", "bundle", "apply", "-", "--json")
        said = self.machine.run(*words, text=content)
        assert '"applied":true' in said.replace(" ", ""), said
        return Told(time.monotonic(), "bundle", str(self.version))

    # -- power ------------------------------------------------------------------------------------

    def cut(self, kind: str, told: list[Told]) -> Remains:
        """Take the power away, and look at what that leaves."""
        self.machine.cut(self.chance.randrange(WRITES))
        self.cuts[kind] += 1
        self.cached.append(self.machine.cached)
        remains = self.machine.remains()
        at = self.machine.stopped
        self.lost = max(self.lost, check(remains, [*self.kept, *told], at, SETTLED))
        settled = [one for one in told if at - one.at >= SETTLED]
        self.promised.update(one.kind for one in settled)
        self.kept += [one for one in settled if one.kind == "record"]
        return remains

    def start(self) -> None:
        """Switch it on, and see that phones, browsers, admins and the directory are served."""
        began = time.monotonic()
        self.machine.start()
        until(self._registers, PATIENCE, "a phone registers", self.evidence)
        took = time.monotonic() - began
        if time.monotonic() - self.registered > KEPT:
            self.register_called()
        until(self._talks, PATIENCE, "a phone calls another", self.evidence)
        until(self._is_whole, PATIENCE, "everything runs", self.evidence)
        if self.cuts:
            self.took.append(took)

    def _registers(self) -> bool:
        with suppress(OSError, AssertionError):
            account = self.account("101")
            try:
                account.line.send(account.request(60, "", {}))
                answer = account.line.receive(0.2)
                if answer is None or answer.status != 401:
                    return False
                return account.register(contact=f"<sip:101@{self._host.address}>").status == 200
            finally:
                account.line.close()
        return False

    def _talks(self) -> bool:
        with suppress(OSError, AssertionError):
            return bool(self.talk())
        return False

    def _is_whole(self) -> bool:
        state = self.machine.run("systemctl", "is-system-running").strip()
        assert state != "degraded", self.machine.run("systemctl", "--failed")
        if state != "running":
            return False
        with suppress(OSError):
            account = self.account("102", transport="TLS")
            try:
                contact = f"<sip:102@{self._host.address};transport=tls>"
                return account.register(contact=contact).status == 200
            finally:
                account.line.close()
        return False

    def evidence(self) -> str:
        """Give the end of the journal, and which cut it was."""
        log = self.machine.run("journalctl", "--no-pager", "-n", "80")
        return f"seed {SEED}, cut {self.cuts.total()} {dict(self.cuts)}\n{log}"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    assert (BUILT / "root.squashfs").exists(), "run `make image` first"
    network = Network(1)
    plant = None
    try:
        plant = Plant(tmp_path_factory.mktemp("power"), network)
        yield plant
    finally:
        if plant is not None:
            plant.machine.close()
        network.close()


def test_what_was_left_half_written_is_removed_at_the_next_start(plant: Plant) -> None:
    plant.renew()
    plant.start()
    left = "/var/lib/holdfast/bundles/.9.json.1.new"
    plant.machine.run("sh", "-c", f"mkdir -p $(dirname {left}); echo half >{left}; sync")
    plant.cut("service", [])
    plant.start()
    assert plant.machine.run("find", "/data", "-name", ".*.new") == ""


def test_power_cuts_lose_nothing_that_was_promised(plant: Plant) -> None:
    report = BUILT / "power-cuts.txt"
    kinds = list[str]()
    while len(plant.took) < CUTS:
        kinds = kinds or plant.chance.sample(KINDS, len(KINDS))
        kind = kinds.pop()
        if kind == "service":
            cut_in_service(plant)
        else:
            cut_in_a_start(plant, kind)
        plant.start()
        report.write_text(told_of(plant))
    print(report.read_text())


def cut_in_service(plant: Plant) -> None:
    """Take the power while phones register, call and talk, and bundles are applied."""
    plant.register_called()
    callers = plant.crowd()
    with traffic(callers, plant.talk, plant.apply) as told:
        time.sleep(plant.chance.uniform(1, 4))
        kinds = {"binding", "record", "talk", "bundle"}
        until(lambda: kinds <= {one.kind for one in [*told]}, PATIENCE, "all are served")
        plant.cut("service", told)
    plant.remember(callers)


def cut_in_a_start(plant: Plant, kind: str) -> None:
    """Take the power while the machine starts, for the first time or not."""
    if kind == "first start":
        plant.machine.cut()
        plant.renew()
    else:
        plant.cut("service", [])
    plant.machine.switch_on()
    time.sleep(plant.chance.uniform(0, LATEST))
    plant.cut(kind, [])


def told_of(plant: Plant) -> str:
    """Tell what was done, and what was found."""
    cuts = ", ".join(f"{number} in {kind}" for kind, number in sorted(plant.cuts.items()))
    took = sorted(plant.took)
    busy = [number for number in plant.cached if number]
    promised = ", ".join(f"{number} {kind}s" for kind, number in sorted(plant.promised.items()))
    return (
        f"seed {SEED}: {plant.cuts.total()} power cuts ({cuts}), {len(took)} good starts, to the "
        f"first phone in {took[len(took) // 2]:.1f} s (median; {took[0]:.1f} to {took[-1]:.1f});\n"
        f"{len(busy)} cuts found writes in the disk's cache, up to {max(busy, default=0)};\n"
        f"told {SETTLED:g} s or more before a cut, and there after it: {promised};\n"
        f"the oldest of all that was lost had been told {plant.lost:.3f} s before\n"
    )
