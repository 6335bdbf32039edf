"""The site around a virtual appliance: its phones, and what was measured."""

from __future__ import annotations

import time

from tests.image.virtual import ADDRESS, Appliance
from tests.system.network import Network
from tests.system.sip import Account, Line
from tests.system.site import DOMAIN, QUICK, bundle, password

PATIENCE = 900.0
"""Seconds that an emulated machine on a busy one may take."""
NETWORK = {"version": 2, "ethernets": {"eth0": {"addresses": [f"{ADDRESS}/24"]}}}
USER = {"hostname": "hq", "holdfast": {"bundle": bundle(QUICK, {})}}


class Site:
    def __init__(self, network: Network, appliance: Appliance, kvm: bool) -> None:
        self.network, self.appliance, self.kvm = network, appliance, kvm
        self.figures: dict[str, float] = {}

    def account(self, name: str, transport: str = "UDP") -> Account:
        port = 5091 if transport == "TLS" else 5060
        line = Line(self.network.phones[0], transport, (ADDRESS, port))
        return Account(name, password(name), DOMAIN, line)

    def register(self, name: str, seconds: float) -> float:
        """Try until the phone is registered; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            try:
                account = self.account(name)
                account.line.send(account.request(60, "", {}))
                answer = account.line.receive(0.5)
                if answer is not None and answer.status == 401:
                    if account.register().status == 200:
                        return time.monotonic() - began
                elif answer is not None:
                    time.sleep(0.2)
            except (OSError, AssertionError):
                time.sleep(0.2)
        raise AssertionError(f"no phone in {seconds:g} s: {self.appliance.shown[-3000:]}")
