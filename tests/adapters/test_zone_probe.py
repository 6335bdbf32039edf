"""Probing zones on real sockets: what is asked, and every layer's failure by its name (A1)."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from appliance.bundle import Zone
from tests.adapters.prober import Bench, both_loops, run, tcp, tls, udp
from tests.adapters.zones import Authority, DatagramZone, StreamZone, answering, silent


@both_loops
@pytest.mark.parametrize("status", [200, 404, 503])
def test_any_final_answer_is_reported_with_its_time(loop: str, tmp_path: Path, status: int) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(status)).start()
        answer = await bench.ask(tcp(zone.port))
        assert (answer.zone, answer.status, answer.failure) == ("a", status, "")
        assert answer.rtt is not None
        assert 0 < answer.rtt < 1
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_one_connection_is_used_for_all_questions(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        for _ in range(5):
            await bench.ask(tcp(zone.port))
        assert (zone.connections, len(zone.requests)) == (1, 5)
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_over_tls(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        authority = Authority(tmp_path)
        zone = await StreamZone(answering(200), authority.context("127.0.0.1")).start()
        for _ in range(2):
            assert (await bench.ask(tls(zone.port, authority.pem))).status == 200
        assert zone.connections == 1
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_over_udp(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await DatagramZone(answering(200)).start()
        assert (await bench.ask(udp(zone.port))).status == 200
        zone.stop()

    run(loop, tmp_path, scenario)


def test_over_ipv6(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start("::1")
        assert (await bench.ask(tcp(zone.port, "::1"))).status == 200
        assert zone.requests[0].uri == f"sip:[::1]:{zone.port};transport=tcp"
        zone.stop()

    run("uvloop", tmp_path, scenario)


def test_the_question_is_a_whole_request(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        await bench.ask(tcp(zone.port))
        await bench.ask(tcp(zone.port))
        first, second = zone.requests
        assert (first.method, first.cseq.method) == ("OPTIONS", "OPTIONS")
        assert first.uri == f"sip:127.0.0.1:{zone.port};transport=tcp"
        assert (first.via.transport, first.via.host) == ("TCP", "127.0.0.1")
        assert "rport" in first.via.params
        assert first.from_.tag
        assert first.to.tag is None
        assert first.via.branch != second.via.branch
        assert first.call_id != second.call_id
        zone.stop()

    run("asyncio", tmp_path, scenario)


@pytest.mark.parametrize("transport", ["TCP", "UDP"])
def test_signalling_is_marked_cs3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    marks: list[int] = []
    real = socket.socket.setsockopt

    def spy(sock: socket.socket, level: int, option: int, value: int) -> None:
        if (level, option) == (socket.IPPROTO_IP, socket.IP_TOS):
            marks.append(value)
        real(sock, level, option, value)

    async def scenario(bench: Bench) -> None:
        zone = await (StreamZone if transport == "TCP" else DatagramZone)(answering(200)).start()
        monkeypatch.setattr(socket.socket, "setsockopt", spy)
        await bench.ask(Zone(id="a", host="127.0.0.1", port=zone.port, transport=transport))
        zone.stop()

    run("asyncio", tmp_path, scenario)
    assert marks == [24 << 2]


@both_loops
def test_a_closed_port_is_a_failure_of_tcp(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        zone.stop()
        await asyncio.sleep(0.01)
        answer = await bench.ask(tcp(zone.port))
        assert (answer.status, answer.layer) == (None, "tcp")
        assert answer.failure == f"tcp: 127.0.0.1:{zone.port}: connection refused"

    run(loop, tmp_path, scenario)


@both_loops
def test_a_silent_zone_is_missed_at_the_time_out(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(silent).start()
        begun = asyncio.get_running_loop().time()
        answer = await bench.ask(tcp(zone.port), timeout=0.3)
        assert asyncio.get_running_loop().time() - begun > 0.29
        assert (answer.status, answer.layer) == (None, "sip")
        assert answer.failure == "sip: no answer to OPTIONS"
        zone.stop()

    run(loop, tmp_path, scenario)


def test_an_address_that_swallows_packets_is_a_failure_of_tcp(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        answer = await bench.ask(tcp(port), timeout=0.5)
        assert answer.failure == f"tcp: 127.0.0.1:{port}: no answer to the connection"
        for filler in (*fillers, full):
            filler.close()

    run("uvloop", tmp_path, scenario)


@both_loops
def test_an_expired_certificate_is_named(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        authority = Authority(tmp_path)
        zone = await StreamZone(answering(200), authority.context("127.0.0.1", days=-1)).start()
        answer = await bench.ask(tls(zone.port, authority.pem))
        assert (answer.status, answer.layer) == (None, "certificate")
        assert "certificate has expired" in answer.failure
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_certificate_for_another_name_is_named(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        authority = Authority(tmp_path)
        zone = await StreamZone(answering(200), authority.context("192.0.2.1")).start()
        answer = await bench.ask(tls(zone.port, authority.pem))
        assert answer.layer == "certificate"
        assert "mismatch" in answer.failure
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_certificate_nobody_we_trust_signed_is_named(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200), Authority(tmp_path).context("127.0.0.1")).start()
        for ca in ("", Authority(tmp_path).pem):
            answer = await bench.ask(tls(zone.port, ca))
            assert answer.layer == "certificate"
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_something_that_is_not_tls_is_a_failure_of_tls(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            await writer.drain()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answer = await bench.ask(tls(port, Authority(tmp_path).pem))
        assert (answer.layer, answer.failure) == (
            "tls",
            f"tls: 127.0.0.1:{port}: the answer is not TLS",
        )
        server.close()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_handshake_that_never_ends_is_a_failure_of_tls(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(1)
            writer.close()

        server = await asyncio.start_server(stare, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answer = await bench.ask(tls(port, Authority(tmp_path).pem), timeout=0.3)
        assert answer.failure == f"tls: 127.0.0.1:{port}: no end of the handshake"
        server.close()

    run(loop, tmp_path, scenario)


def test_an_unreadable_ca_is_named(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        answer = await bench.ask(tls(1, "-----BEGIN CERTIFICATE-----\nrubbish"))
        assert answer.layer == "certificate"

    run("uvloop", tmp_path, scenario)


@both_loops
def test_a_zone_that_resets_is_asked_twice_and_missed(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        zone.reset = True
        answer = await bench.ask(tcp(zone.port))
        assert (answer.status, answer.layer) == (None, "tcp")
        assert zone.connections == 2
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_closed_udp_port_is_named(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await DatagramZone(answering(200)).start()
        zone.stop()
        await asyncio.sleep(0.01)
        answer = await bench.ask(udp(zone.port), timeout=0.8)
        assert (answer.status, answer.failure) == (None, "sip: connection refused")

    run(loop, tmp_path, scenario)
