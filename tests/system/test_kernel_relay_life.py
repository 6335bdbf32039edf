"""The kernel relay when processes end, tables vanish, and nobody is permitted anything."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.call.actions import Relay, RelaySide
from tests.system.keeper import Keeper
from tests.system.media import RTCP, Media, Phone, relay_between, rtp
from tests.system.network import APPLIANCE, Host, Network
from tests.system.site import HOLDFAST
from tests.system.two_networks import FAR_PHONE, build
from tests.system.waiting import until

LOCAL_A, LOCAL_B = (APPLIANCE, 20000), (APPLIANCE, 20002)
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.eth0.send_redirects",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv6.conf.eth0.accept_ra",
)


@pytest.fixture
def network() -> Iterator[Network]:
    made = build()
    yield made
    made.close()


@pytest.fixture
def phones(network: Network) -> Iterator[tuple[Phone, Phone]]:
    a, b = Phone(network.phones[0], "10.77.0.11"), Phone(network.phones[1], "10.77.0.12")
    yield a, b
    a.close()
    b.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    yield made
    made.close()


def sysctls(host: Host) -> list[str]:
    return host.run("sysctl", "-n", *SYSCTLS).split()


def tables(host: Host) -> str:
    return host.run("nft", "list", "tables")


class Talk:
    """One phone that speaks to another without a pause; what comes is noted."""

    def __init__(self, speaker: Phone, hearer: Phone) -> None:
        self._speaker, self._hearer = speaker, hearer
        self._over = threading.Event()
        self.sent = 0
        self.gaps: list[float] = []
        self.heard: list[int] = []
        self._threads = [threading.Thread(target=do) for do in (self._speak, self._hear)]

    def _speak(self) -> None:
        while not self._over.wait(0.01):
            self._speaker.rtp.sendto(rtp(self.sent), LOCAL_A)
            self.sent += 1

    def _hear(self) -> None:
        last = time.monotonic()
        while not self._over.is_set() or len(self.heard) < self.sent:
            try:
                packet = self._hearer.rtp.recv(2048)
            except TimeoutError:
                return
            now = time.monotonic()
            self.gaps.append(now - last)
            last = now
            self.heard.append(int.from_bytes(packet[2:4], "big"))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_audio_goes_on_while_the_process_ends_and_comes_back(
    network: Network,
    phones: tuple[Phone, Phone],
    tmp_path: Path,
    keeper: Keeper,
    number: signal.Signals,
) -> None:
    a, b = phones
    media = Media(network.appliance, tmp_path, keeper)
    other = Relay(
        "gone/0",
        1,
        RelaySide((APPLIANCE, 20010), ("10.77.0.11", 7000)),
        RelaySide((APPLIANCE, 20012), ("10.77.0.12", 7000)),
    )
    behind = RelaySide(LOCAL_A, None, learn=True, learn_from="10.77.0.11")
    relay = Relay("call/0", 3, behind, RelaySide(LOCAL_B, b.address))
    media.put(relay, other)
    media.wait_for_flows(4)
    a.rtp.sendto(rtp(0), LOCAL_A)
    a.rtcp.sendto(RTCP, (APPLIANCE, 20001))
    b.hears(rtp(0))
    media.wait_for_flows(8)
    talk = Talk(a, b)
    with talk.going_on():
        time.sleep(0.3)
        media.end(number)
        assert media.flows() == 8
        time.sleep(0.3)
        media.start()
        # The new one knows nothing of its own; what is there stays until core has spoken.
        assert media.flows() == 8
        media.resync(relay)
        media.wait_for_flows(4)
        time.sleep(0.3)
    assert talk.heard == list(range(talk.sent))
    assert max(talk.gaps) < 0.5
    (ended,) = media.drop("call/0")
    assert ended.from_a.packets == talk.sent
    assert "1 relays in the kernel were nobody's" in media.log.read_text()
    assert media.flows() == 0
    media.end()
    assert keeper.names == []


def test_a_call_that_ended_while_the_process_was_away_tells_its_counters(
    network: Network, phones: tuple[Phone, Phone], tmp_path: Path
) -> None:
    a, b = phones
    media = Media(network.appliance, tmp_path)
    media.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    media.wait_for_flows(4)
    media.end(signal.SIGKILL)
    for count in range(7):
        a.rtp.sendto(rtp(count), LOCAL_A)
        b.hears(rtp(count))
    media.start()
    (ended,) = media.drop("call/0")
    assert (ended.from_a.packets, ended.from_a.octets) == (7, 7 * 172)
    assert media.flows() == 0
    media.end()


def test_kernel_settings_and_table_are_as_before_when_all_is_over(
    network: Network, phones: tuple[Phone, Phone], tmp_path: Path
) -> None:
    a, b = phones
    host = network.appliance
    host.run("sysctl", "-q", "-w", "net.ipv4.conf.all.accept_redirects=0")
    before = sysctls(host)
    media = Media(host, tmp_path)
    media.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    media.wait_for_flows(4)
    during = sysctls(host)
    assert during == ["1", "1", "0", "0", "0", "2"]
    # Killed twice with a call in the kernel: what was before the first start is not forgotten.
    for _ in range(2):
        media.end(signal.SIGKILL)
        media.start()
    assert sysctls(host) == during
    media.drop("call/0")
    media.end()
    assert sysctls(host) == before
    assert tables(host) == ""


def test_the_appliance_is_no_router(network: Network, tmp_path: Path) -> None:
    host, near = network.appliance, network.phones[0]
    near.run("ip", "route", "add", "10.79.0.0/24", "via", APPLIANCE)
    network.phones[3].run("ip", "route", "add", "default", "via", "10.79.0.1")
    speaker, hearer = Phone(near, "10.77.0.11"), Phone(network.phones[3], FAR_PHONE)
    media = Media(host, tmp_path)
    speaker.rtp.sendto(rtp(1), hearer.address)
    assert hearer.hears_nothing()
    media.end()
    # Whoever made it a router before us keeps it.
    host.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    media.start()
    speaker.rtp.sendto(rtp(2), hearer.address)
    assert hearer.hears(rtp(2)) == speaker.address
    media.end()
    assert host.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"
    speaker.close()
    hearer.close()


def test_a_flushed_ruleset_costs_no_packet_and_comes_back(
    network: Network, phones: tuple[Phone, Phone], tmp_path: Path
) -> None:
    a, b = phones
    media = Media(network.appliance, tmp_path)
    media.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    media.wait_for_flows(4)
    talk = Talk(a, b)
    with talk.going_on():
        time.sleep(0.2)
        network.appliance.run("nft", "flush", "ruleset")
        until(lambda: media.flows() == 4, 15, "the flows are back", media.evidence)
        time.sleep(0.2)
    assert talk.heard == list(range(talk.sent))
    (ended,) = media.drop("call/0")
    # What passed between the last reading and the flush is lost to the count, not to the phones.
    assert 0 < ended.from_a.packets <= talk.sent
    media.end()


def test_without_permission_user_space_carries_and_says_so_once(
    network: Network, phones: tuple[Phone, Phone], tmp_path: Path
) -> None:
    a, b = phones
    before = sysctls(network.appliance)
    media = Media(network.appliance, tmp_path)
    media.end()
    media.log.write_text("")
    media.start("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    media.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    a.rtp.sendto(rtp(1), LOCAL_A)
    assert b.hears(rtp(1)) == LOCAL_B
    said = [line for line in media.log.read_text().splitlines() if "kernel" in line]
    assert said == [
        "media: the kernel cannot relay here (Operation not permitted);"
        " user space carries all audio"
    ]
    assert tables(network.appliance) == ""
    assert sysctls(network.appliance) == before
    media.end()


def test_where_the_kernel_is_required_nothing_else_will_do(
    network: Network, tmp_path: Path
) -> None:
    settings = {"data": tmp_path, "run": tmp_path / "run", "media_kernel": "required"}
    file = tmp_path / "holdfast.toml"
    file.write_text("".join(f'{key} = "{value}"\n' for key, value in settings.items()))
    words = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", HOLDFAST]
    with pytest.raises(RuntimeError, match="CAP_NET_ADMIN"):
        network.appliance.run(*words, "--settings", str(file), "media")


def test_one_media_process_to_a_machine_has_the_kernel(
    network: Network, phones: tuple[Phone, Phone], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    one = Media(network.appliance, first)
    a, b = phones
    one.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    one.wait_for_flows(4)
    other = Media(network.appliance, second)
    assert "another media process has the kernel relay" in other.log.read_text()
    other.resync()
    other.end()
    assert one.flows() == 4
    one.drop("call/0")
    one.end()


def test_ten_thousand_relays_leave_nothing(network: Network, tmp_path: Path) -> None:
    media = Media(network.appliance, tmp_path)
    pid = media.process.pid
    assert media.stats.relays == 0
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for round_ in range(10):
        relays = [
            Relay(
                f"{round_}-{number}/0",
                1,
                RelaySide((APPLIANCE, 20000 + 4 * number), ("10.77.0.11", 5000 + 2 * number)),
                RelaySide((APPLIANCE, 20002 + 4 * number), ("10.77.0.12", 5000 + 2 * number)),
            )
            for number in range(1000)
        ]
        for at in range(0, 1000, 100):
            media.put(*relays[at : at + 100])
        if round_ == 0:
            media.wait_for_flows(4000)
        for at in range(0, 1000, 100):
            media.drop(*(relay.key for relay in relays[at : at + 100]))
        media.events.clear()
    assert media.flows() == 0
    assert media.stats.opened == 10_000
    assert media.stats.failed == 0
    assert len(os.listdir(f"/proc/{pid}/fd")) == before
    media.end()
    assert tables(network.appliance) == ""


def test_when_all_of_holdfast_ends_nothing_is_left(network: Network, tmp_path: Path) -> None:
    host = network.appliance
    before = sysctls(host)
    settings = {"data": str(tmp_path / "data"), "run": str(tmp_path / "run")}
    file = tmp_path / "holdfast.toml"
    file.write_text("".join(f'{key} = "{value}"\n' for key, value in settings.items()))
    log = tmp_path / "holdfast.log"
    whole = host.start(HOLDFAST, "--settings", str(file), "run", log=log)
    until(lambda: "holdfast_media" in tables(host), 20, "the table", lambda: log.read_text())
    whole.send_signal(signal.SIGTERM)
    whole.wait(20)
    assert tables(host) == ""
    assert sysctls(host) == before
