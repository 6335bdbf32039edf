"""The appliance's firewall under floods: they end in the kernel, and phones do not notice."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.network import APPLIANCE, Host
from tests.system.sip import Line
from tests.system.site import ROOT, System, site_in_outage
from tests.system.waiting import until

FIREWALL = ROOT / "systemd" / "firewall.nft"
BAN = 5
"""Seconds; a minute in the shipped file, which nobody wants to wait for here."""
RATE = 20_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with site_in_outage(tmp_path_factory.mktemp("firewall"), 3) as system:
        rules = FIREWALL.read_text().replace(
            "timeout 1m\n        size", f"timeout {BAN}s\n        size"
        )
        assert f"timeout {BAN}s" in rules
        system.network.appliance.run("nft", "-f", "-", text=rules)
        yield system


def dropped(site: System, name: str) -> int:
    """Give a counter of the firewall."""
    words = ["--json", "list", "counter", "inet", "holdfast_firewall", name]
    shown = json.loads(site.nft(*words))
    return int(next(e["counter"]["packets"] for e in shown["nftables"] if "counter" in e))


def flood(site: System, host: Host, seconds: float, *more: str) -> subprocess.Popen[bytes]:
    log = site.folder / "flood.log"
    log.write_text("")
    words = [sys.executable, "-m", "tests.system.flood", APPLIANCE, str(RATE), str(seconds), *more]
    return host.start(*words, log=log, environment={"PYTHONPATH": str(ROOT)})


def sent(site: System) -> int:
    return int((site.folder / "flood.log").read_text())


def registering(site: System, sending: subprocess.Popen[bytes], transport: str) -> list[float]:
    """Register a good phone again and again while the flood lasts; seconds, sorted."""
    took = []
    while sending.poll() is None:
        began = time.monotonic()
        line = Line(site.phone(1), transport)
        answer = site.account("102", line).register(contact="<sip:102@10.77.0.12:5070>")
        assert answer.status == 200
        took.append(time.monotonic() - began)
        line.close()
        time.sleep(0.05)
    return sorted(took)


def memory(site: System) -> int:
    """Give what the signalling process holds, bytes."""
    pids = site.network.appliance.run("pgrep", "-f", "appliance.cli.command.* core").split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return max(pages) * 4096


def test_a_flood_from_one_source_ends_in_the_kernel_and_phones_do_not_notice(site: System) -> None:
    before, held = dropped(site, "banned"), memory(site)
    sending = flood(site, site.phone(0), 6)
    took = registering(site, sending, "UDP")
    number = sent(site)
    assert number > RATE * 6 * 0.8, "a flood worth its name"
    assert dropped(site, "banned") - before > 0.99 * number
    assert len(took) > 20 and took[int(len(took) * 0.95)] <= 0.5
    assert memory(site) - held <= 50 << 20


def test_the_source_is_let_in_again_after_the_ban_and_meanwhile_by_tls(site: System) -> None:
    sending = flood(site, site.phone(0), 1)
    sending.wait(20)
    over = time.monotonic()
    assert site.account("101", Line(site.phone(0), "TLS")).register().status == 200
    line = Line(site.phone(0))
    line.send(site.account("101", line).request(60, "", {}))
    assert line.receive(1) is None, "SIP by UDP is closed to it"
    assert site.account("101", Line(site.phone(0))).register().status == 200
    assert time.monotonic() - over < BAN + 5


def test_ten_thousand_forged_sources_do_not_reach_phones_on_tls(site: System) -> None:
    before, held = dropped(site, "over_all"), memory(site)
    sending = flood(site, site.phone(0), 5, "10000")
    took = registering(site, sending, "TLS")
    assert sent(site) > RATE * 5 * 0.8
    assert dropped(site, "over_all") > before
    assert took[int(len(took) * 0.95)] <= 1
    assert memory(site) - held <= 50 << 20, "no state for each request"


def test_connections_that_say_nothing_are_bounded_and_others_get_in(site: System) -> None:
    held = []
    with site.phone(0).inside():
        for _ in range(2_000):
            idle = socket.socket()
            idle.settimeout(5)
            idle.connect((APPLIANCE, 5060))
            held.append(idle)
    began = time.monotonic()
    assert site.account("103", Line(site.phone(1), "TLS")).register().status == 200
    assert time.monotonic() - began <= 0.5
    before = dropped(site, "connections")
    with site.phone(0).inside():
        more = [socket.socket() for _ in range(600)]
    for one in more:
        one.setblocking(False)
        one.connect_ex((APPLIANCE, 5060))
    until(lambda: dropped(site, "connections") > before, 5, "more are refused")
    for one in held + more:
        one.close()


def test_only_the_products_ports_are_open(site: System) -> None:
    with site.network.appliance.inside():
        other = socket.create_server((APPLIANCE, 9999))
    before = dropped(site, "refused")
    with site.phone(1).inside():
        stranger = socket.socket()
    stranger.settimeout(0.5)
    with pytest.raises(TimeoutError):
        stranger.connect((APPLIANCE, 9999))
    assert dropped(site, "refused") > before
    other.close()
    stranger.close()


def test_it_forwards_calls_and_nothing_else_and_leaves_the_media_table_alone(site: System) -> None:
    rules = site.network.appliance.run("nft", "list", "ruleset")
    assert "table inet holdfast_media" in rules
    site.network.appliance.run("nft", "-f", str(FIREWALL))
    again = site.network.appliance.run("nft", "list", "table", "inet", "holdfast_media")
    assert "flows4" in again
    forward = site.network.appliance.run(
        "nft", "list", "chain", "inet", "holdfast_firewall", "forward"
    )
    assert "policy drop" in forward and "0x40000000" in forward
