"""What is in the image, at work: units, phones, floods, pages, directory, console by SSH.

The figures are written into var/image/figures.txt.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.image.container import ImageSystem, image_in_outage
from tests.image.virtual import BUILT
from tests.system import test_firewall as floods
from tests.system.baresip import Baresip
from tests.system.capture import Capture
from tests.system.network import APPLIANCE
from tests.system.sip import Line
from tests.system.site import DOMAIN, password
from tests.system.test_outage import hang_up, talk
from tests.system.waiting import until

GOAL = 15.0
"""Seconds from switching on to the first phone."""
IDLE = 350 << 20
"""Octets that everything may hold when nothing happens."""
BAN = 60.0
AUDIO = "udp.srcport >= 20000 && udp.srcport <= 64000 && !icmp"
UNITS = ("core", "media", "admin", "ldap", "firewall", "setup")
MD5 = {"digest_algorithms": ["MD5"]}
LDAP: dict[str, Any] = {"ldap": {"anonymous": True}}
BASE = "dc=site,dc=example"
ASK_NETDIAG = """
import socket
door = socket.socket(socket.AF_UNIX)
door.connect("/run/holdfast/netdiag.sock")
door.sendall(b'{"probe": "arp", "card": "eth0", "address": "10.77.0.12"}' + bytes([10]))
print(door.makefile().readline())
"""
FIGURES: dict[str, str] = {}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageSystem]:
    folder = tmp_path_factory.mktemp("root")
    with image_in_outage(folder, 3, policies=MD5, parts=LDAP) as system:
        yield system
    lines = [f"{name}: {value}\n" for name, value in FIGURES.items()]
    (BUILT / "figures.txt").write_text("".join(lines))


def register(site: ImageSystem, seconds: float, address: str = APPLIANCE) -> float:
    """Try until a phone is registered; returns how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        line = Line(site.phone(0), server=(address, 5060))
        account = site.account("101", line)
        try:
            line.send(account.request(60, "", {}))
            answer = line.receive(0.2)
            if answer is not None and answer.status == 401 and account.register().status == 200:
                return time.monotonic() - began
        except (OSError, AssertionError):
            time.sleep(0.05)
        finally:
            line.close()
    raise AssertionError(f"no phone in {seconds:g} s\n{site.evidence()}")


def test_from_a_start_in_the_outage_to_the_first_phone(site: ImageSystem) -> None:
    site.container.cut()
    site.container.start()
    took = register(site, 60)
    FIGURES["systemd's start to the first registered phone"] = f"{took:.1f} s"
    assert took <= GOAL


def test_every_unit_runs_and_none_has_failed(site: ImageSystem) -> None:
    def settled() -> bool:
        shown = site.container.run("systemctl", "is-system-running").strip()
        return shown in ("running", "degraded")

    until(settled, 60, "the start is over", site.evidence)
    failed = site.container.run("systemctl", "--failed", "--plain", "--no-legend")
    assert failed.strip() == ""
    for unit in UNITS:
        state = site.container.run("systemctl", "is-active", f"holdfast-{unit}.service")
        assert state.strip() == "active", unit
    chain = site.container.run("systemd-analyze", "critical-chain", "holdfast-core.service")
    FIGURES["critical chain"] = "\n" + chain


def test_phones_talk_and_the_audio_is_marked(site: ImageSystem) -> None:
    phones = []
    for number in (1, 2):
        name = str(101 + number)
        account = (
            f"<sip:{name}@{DOMAIN}>;auth_user={name};auth_pass={password(name)};regint=60"
            f';audio_codecs=PCMU;answermode=auto;outbound="sip:{APPLIANCE}"'
        )
        phones.append(Baresip(site.phone(number), site.folder, 400 + 200 * number, account))
        phones[-1].wait("REGISTER_OK", 20)
    capture = Capture(site.phone(2), site.folder / "audio.pcap")
    talk(*phones)
    capture.end_after(AUDIO)
    hang_up(*phones)
    assert capture.marks(AUDIO) == {"46"}
    assert "table inet holdfast_media" in site.nft("list", "ruleset")


def test_a_call_is_in_the_journal_by_its_id(site: ImageSystem) -> None:
    record = until(lambda: (site.holdfast("records") or [None])[0], 20, "a record", site.evidence)
    shown = site.container.run("journalctl", "-o", "verbose", f"CALL_ID={record['id']}")
    assert "SYSLOG_IDENTIFIER=holdfast-core" in shown and "HOLDFAST_TOPIC=call.ended" in shown
    assert "to 103: answered by 103" in shown


def test_the_directory_is_served_from_within_its_sandbox(site: ImageSystem) -> None:
    words = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://{APPLIANCE}:390", "-b", BASE]

    def found() -> bool:
        with_care = subprocess.run(
            ["ip", "netns", "exec", site.phone(0).name, *words, "(cn=*user 107*)", "ipPhone"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        return "ipPhone: 107" in with_care.stdout

    until(found, 60, "the directory answers", site.evidence)


def test_packets_are_probed_by_a_service_that_may_do_nothing_else(site: ImageSystem) -> None:
    user = ["setpriv", "--reuid=holdfast", "--regid=holdfast", "--clear-groups"]
    shown = site.container.run(*user, "python3", "-c", ASK_NETDIAG)
    answer = json.loads(shown)
    told = site.phone(1).run("cat", "/sys/class/net/eth0/address").strip()
    assert answer["probe"] == "arp" and told in json.dumps(answer).lower(), answer


def test_the_page_opens_in_a_browser(site: ImageSystem) -> None:
    words = ["chromium", "--headless=new", "--no-sandbox", "--ignore-certificate-errors"]
    words += [f"--user-data-dir={site.folder / 'browser'}", "--virtual-time-budget=8000"]
    shown = site.phone(0).run("timeout", "50", *words, "--dump-dom", f"https://{APPLIANCE}/")
    assert "<form" in shown and "password" in shown and "Holdfast" in shown


def test_the_console_by_ssh_takes_a_wrong_address_back_by_itself(site: ImageSystem) -> None:
    key = site.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    authorized = site.container.data / "ssh/authorized_keys"
    authorized.write_text(key.with_suffix(".pub").read_text())
    authorized.chmod(0o600)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
    words = ["ssh", "-tt", "-i", str(key), *(w for one in options for w in ("-o", one))]
    session = subprocess.Popen(
        ["ip", "netns", "exec", site.phone(0).name, *words, f"root@{APPLIANCE}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert session.stdin is not None and session.stdout is not None
    other = "10.77.0.99"
    try:
        for answer in ("1", "static", f"{other}/24", "10.77.0.1", "", "", "", "hq", "eth0"):
            time.sleep(1.5)
            session.stdin.write(answer.encode() + b"\n")
            session.stdin.flush()
        changed = register(site, 30, other)
        began = time.monotonic()
        back = register(site, 150)
    finally:
        session.kill()
        said = session.stdout.read().decode(errors="replace")
        print(said)
    assert "Choose:" in said and "one-time password" in said
    assert time.monotonic() - began > 100, "it waits two minutes for a yes"
    FIGURES["served at a new address after"] = f"{changed:.1f} s"
    FIGURES["a wrong address is taken back after"] = f"{back:.0f} s"


def test_a_hang_is_replaced_by_the_watchdog(site: ImageSystem) -> None:
    register(site, 30)
    (hung,) = site.processes("core")
    os.kill(hung, signal.SIGSTOP)
    began = time.monotonic()
    until(lambda: site.processes("core") not in ([hung], []), 40, "a new core", site.evidence)
    register(site, 20)
    FIGURES["a hang of the signalling process is over after"] = f"{time.monotonic() - began:.1f} s"
    assert time.monotonic() - began <= 25


def test_idle_it_is_small(site: ImageSystem) -> None:
    held = site.container.memory()
    FIGURES["memory of all processes, shared pages once"] = f"{held >> 20} MiB"
    largest = site.container.run("ps", "-eo", "rss,args", "--sort=-rss")
    FIGURES["largest processes (resident, KiB)"] = "\n" + "\n".join(largest.splitlines()[1:8])
    assert held <= IDLE
    assert re.search(r"appliance\.cli\.command core", largest)


def test_a_flood_from_one_source_ends_in_the_kernel(site: ImageSystem) -> None:
    floods.test_a_flood_from_one_source_ends_in_the_kernel_and_phones_do_not_notice(site)


def test_a_banned_source_is_let_in_again_after_a_minute(site: ImageSystem) -> None:
    began = time.monotonic()
    took = register(site, BAN + 15)
    shown = site.nft("list", "set", "inet", "holdfast_firewall", "banned4")
    FIGURES["a source that flooded is let in again after"] = f"{time.monotonic() - began:.0f} s"
    assert took <= BAN + 5 and APPLIANCE not in shown


def test_ten_thousand_forged_sources_do_not_reach_phones_on_tls(site: ImageSystem) -> None:
    floods.test_ten_thousand_forged_sources_do_not_reach_phones_on_tls(site)


def test_two_thousand_idle_connections_keep_nobody_out(site: ImageSystem) -> None:
    floods.test_connections_that_say_nothing_are_bounded_and_others_get_in(site)


def test_when_the_cloud_is_back_phones_are_sent_there(site: ImageSystem) -> None:
    site.network.heal()
    site.wait_for_mode("standby", 90)
    answer = site.account("105", Line(site.phone(2))).register()
    assert answer.status == 503 and answer.first("Retry-After")
