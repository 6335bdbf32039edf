import asyncio
import socket
from pathlib import Path

import pytest

from appliance.adapters.addresses import machine_addresses
from appliance.adapters.udp import BATCH, QUEUE
from appliance.adapters.wire import SipWire
from appliance.sip.flow import Flow
from tests.adapters.serving import LOOPS, REGISTER, Echo, place, serve, until

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def phone(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.setblocking(False)
    return made


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_comes_from_where_the_question_went(loop: str, tmp_path: Path, host: str) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        here = place(wire, "UDP", host)
        with phone(host) as client:
            client.sendto(REGISTER, here)
            await until(lambda: wire.statistics()["udp_sent"])
            data, source = client.recvfrom(2000)
            assert (data, source[:2]) == (REGISTER, here)
            assert echo.received == [(data, Flow("UDP", here, client.getsockname()[:2]))]

    serve(loop, tmp_path, scenario)


def test_a_source_keeps_its_flow_and_an_avalanche_is_taken_whole(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with phone("127.0.0.1") as client:
            for _ in range(3 * BATCH):
                client.sendto(REGISTER, place(wire, "UDP"))
            await until(lambda: len(echo.received) == 3 * BATCH)
            assert len({id(flow) for _, flow in echo.received}) == 1
        figures = wire.statistics()
        assert figures["udp_received"] == figures["udp_sent"] == 3 * BATCH
        assert figures["udp_received_octets"] == 3 * BATCH * len(REGISTER)

    serve(loop, tmp_path, scenario)


def test_keep_alives_are_swallowed(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with phone("127.0.0.1") as client:
            for data in (b"\r\n\r\n", b"\0\0\0\0", b"", REGISTER):
                client.sendto(data, place(wire, "UDP"))
            await until(lambda: wire.statistics()["udp_received"] == 4)
            assert [data for data, _ in echo.received] == [REGISTER]

    serve(loop, tmp_path, scenario)


def test_what_cannot_be_sent_is_counted_and_no_name_is_resolved(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        here = place(wire, "UDP")
        for remote in (("sip.example.com", 5060), ("127.0.0.1", 0), ("127.0.0.1", 70_000)):
            wire.send(Flow("UDP", here, remote), REGISTER)
        assert wire.statistics()["udp_dropped"] == 3

    serve(loop, tmp_path, scenario)


class Full:
    """A socket whose send buffer is full, a few times."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.refusals = 2

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()

    def sendto(self, data: bytes, remote: tuple[str, int]) -> int:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError
        return self.real.sendto(data, remote)


def test_a_full_send_buffer_delays_but_keeps_the_order(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        port = wire._datagrams._ports[place(wire, "UDP")]
        port.sock = Full(port.sock)  # type: ignore[assignment]
        with phone("127.0.0.1") as client:
            flow = Flow("UDP", place(wire, "UDP"), client.getsockname()[:2])
            for number in range(QUEUE + 3):
                wire.send(flow, b"%d" % number)
            await until(lambda: wire.statistics()["udp_sent"] == QUEUE)
            assert [client.recv(99) for _ in range(3)] == [b"0", b"1", b"2"]
            assert wire.statistics()["udp_dropped"] == 3
            wire.send(flow, b"after")
            assert wire.statistics()["udp_sent"] == QUEUE + 1

    serve(loop, tmp_path, scenario)


def test_a_flow_whose_address_has_gone_leaves_by_another(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with phone("::1") as client:
            wire.send(Flow("UDP", ("2001:db8::1", 5060), client.getsockname()[:2]), REGISTER)
            assert await asyncio.get_running_loop().sock_recv(client, 2000) == REGISTER

    serve(loop, tmp_path, scenario)


@pytest.mark.parametrize(
    ("host", "level", "option"),
    [
        ("127.0.0.1", socket.IPPROTO_IP, socket.IP_RECVTOS),
        ("::1", socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS),
    ],
)
def test_signalling_is_marked_cs3(
    loop: str, tmp_path: Path, host: str, level: int, option: int
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with phone(host) as client:
            client.setsockopt(level, option, 1)
            client.sendto(REGISTER, place(wire, "UDP", host))
            await until(lambda: echo.received)
            _, [(_, _, mark)], _, _ = client.recvmsg(2000, 64)
            assert mark[0] >> 2 == 24

    serve(loop, tmp_path, scenario)


def test_every_address_of_the_machine_is_served_when_none_is_named(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        assert {host for host, _ in wire.served["UDP"]} == set(machine_addresses())
        assert {"127.0.0.1", "::1"} <= {host for host, _ in wire.served["TLS"]}

    serve(loop, tmp_path, scenario, addresses=())


def test_addresses_that_come_and_go_are_followed(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ["127.0.0.1"]
    monkeypatch.setattr("appliance.adapters.wire.machine_addresses", lambda: hosts)
    monkeypatch.setattr("appliance.adapters.wire.REFRESH", 0.02)

    async def scenario(wire: SipWire, echo: Echo) -> None:
        hosts.append("127.0.0.2")
        await until(lambda: len(wire.served["TLS"]) == 2)
        hosts.remove("127.0.0.1")
        await until(lambda: [host for host, _ in wire.served["UDP"]] == ["127.0.0.2"])
        with phone("127.0.0.1") as client:
            client.sendto(REGISTER, place(wire, "UDP", "127.0.0.2"))
            await until(lambda: echo.received)

    serve(loop, tmp_path, scenario, addresses=())


def test_an_address_we_do_not_have_is_an_alarm_and_the_others_are_served(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        assert [notice.severity for notice in echo.notices] == ["alarm"] * 3
        assert "192.0.2.77" in echo.notices[0].text
        assert len(wire.served["UDP"]) == 1

    serve(loop, tmp_path, scenario, addresses=("127.0.0.1", "192.0.2.77"))
