"""The image boots to service, is set up from its console, and survives losing its power.

Where KVM cannot run a guest, qemu emulates: everything is tried the same, but for the goal of 15
seconds to the first phone, which is for real processors. What was measured is printed at the end.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.site import NETWORK, PATIENCE, USER, Site
from tests.image.virtual import ADDRESS, BUILT, accelerated, on_the_network, seed

GOAL = 15.0
"""Seconds from power to the first registered phone, with KVM."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    assert (BUILT / "holdfast.qcow2").exists(), "run `make image` first"
    folder = tmp_path_factory.mktemp("vm")
    kvm = accelerated(folder)
    with on_the_network(folder, 1, kvm) as (network, appliance):
        appliance.seed = seed(folder, USER, NETWORK, "test-1")
        appliance.start()
        made = Site(network, appliance, kvm)
        yield made
    how = "KVM" if kvm else "emulated (KVM cannot run a guest here)"
    Path(BUILT / "boot-times.txt").write_text(
        "".join(f"{name}: {value:.1f} s, {how}\n" for name, value in made.figures.items())
    )


def test_the_first_start_shows_how_to_go_on_and_has_no_default_password(site: Site) -> None:
    began = time.monotonic()
    site.appliance.wait_for("Holdfast", PATIENCE)
    site.appliance.wait_for(f"https://{ADDRESS}/", PATIENCE)
    site.appliance.wait_for("one-time password", PATIENCE)
    site.appliance.wait_for("certificate:", PATIENCE)
    site.figures["first start to the console's screen"] = time.monotonic() - began
    assert "on hq" in site.appliance.shown
    assert "Login incorrect" not in site.appliance.shown and "login:" not in site.appliance.shown


def test_phones_register_in_the_outage_and_again_after_a_power_cut(site: Site) -> None:
    site.register("101", PATIENCE)
    site.appliance.cut()
    site.appliance.start()
    took = site.register("101", PATIENCE)
    site.figures["power to the first registered phone"] = took
    if site.kvm:
        assert took <= GOAL


def test_tls_is_served_and_the_firewall_lets_nobody_else_in(site: Site) -> None:
    assert site.account("102", "TLS").register().status == 200
    with site.network.phones[0].inside():
        stranger = socket.socket()
    stranger.settimeout(2)
    with pytest.raises(TimeoutError):
        stranger.connect((ADDRESS, 8443))


def test_the_menu_pings_and_refuses_a_wrong_address(site: Site) -> None:
    appliance = site.appliance
    appliance.wait_for("Choose:", PATIENCE)
    appliance.forget()
    appliance.type("3\n")
    appliance.wait_for("Host or address:", 60)
    appliance.type("10.77.0.11\n")
    appliance.wait_for("3 received", 60)
    appliance.type("\n")
    appliance.wait_for("Choose:", 60)
    appliance.forget()
    answers = ["1", "static", "10.77.0.4", "", "", "", "", "", ""]
    prompts = ["DHCP or static", "Addresses", "Gateways", "VLAN", "Name servers", "Time servers"]
    prompts += ["Name of this", "Network card", "needs its prefix"]
    for answer, prompt in zip(answers, prompts, strict=True):
        appliance.type(f"{answer}\n")
        appliance.wait_for(prompt, 60)
    appliance.type("\n")


def test_it_starts_with_uefi_as_well(site: Site) -> None:
    site.appliance.cut()
    site.appliance.uefi = True
    site.appliance.start()
    site.register("105", PATIENCE)
    site.appliance.uefi = False


def test_power_off_from_the_menu_ends_it_cleanly(site: Site) -> None:
    site.appliance.wait_for("Choose:", PATIENCE)
    site.appliance.type("6\n")
    site.appliance.wait_for("Type yes:", 60)
    site.appliance.type("yes\n")
    assert site.appliance.ended(PATIENCE)
