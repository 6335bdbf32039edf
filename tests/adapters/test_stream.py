import asyncio
import errno
import socket
from pathlib import Path

import pytest

from appliance.adapters.connection import HIGH_WATER
from appliance.adapters.listener import Listener
from appliance.adapters.wire import SipWire
from appliance.marking import SIGNALLING
from appliance.sip.flow import Flow
from tests.adapters.serving import LOOPS, REGISTER, Echo, place, serve, until

pytestmark = pytest.mark.parametrize("loop", LOOPS)
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(wire: SipWire, host: str = "127.0.0.1") -> Pair:
    return await asyncio.open_connection(*place(wire, "TCP", host))


async def closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_one_connection_is_one_flow_used_both_ways(loop: str, tmp_path: Path, host: str) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire, host)
        for _ in range(2):
            writer.write(REGISTER)
            assert await reader.readexactly(len(REGISTER)) == REGISTER
        (_, first), (_, second) = echo.received
        assert first is second
        assert first.remote == writer.get_extra_info("sockname")[:2]
        assert first.connection > 0
        writer.close()
        await until(lambda: echo.gone == [first])
        figures = wire.statistics()
        assert figures["connections"] == 0
        assert figures["stream_received_octets"] == figures["stream_sent_octets"]
        assert figures["stream_sent_octets"] == 2 * len(REGISTER)

    serve(loop, tmp_path, scenario)


def test_messages_are_whole_however_they_are_cut(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire)
        for octet in REGISTER:
            writer.write(bytes([octet]))
            await writer.drain()
        writer.write(REGISTER * 3)
        assert await reader.readexactly(4 * len(REGISTER)) == REGISTER * 4
        assert [data for data, _ in echo.received] == [REGISTER] * 4
        writer.close()

    serve(loop, tmp_path, scenario)


def test_a_ping_is_answered_with_a_pong(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        assert echo.received == []
        writer.close()

    serve(loop, tmp_path, scenario)


def test_a_framing_lie_is_handed_on_and_the_connection_ends_behind_the_answer(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire)
        lie = REGISTER.replace(b"Length: 0", b"Length: -5")
        writer.write(lie + b"x" * 50_000)
        assert await asyncio.wait_for(reader.read(-1), 5) == lie
        assert [data for data, _ in echo.received] == [lie]
        writer.close()
        await until(lambda: not wire.statistics()["connections"])

    serve(loop, tmp_path, scenario)


def test_who_says_nothing_or_not_enough_is_cut(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        mute, _ = await connect(wire)
        slow, trickle = await connect(wire)
        pinger, pings = await connect(wire)

        async def drip() -> None:
            for octet in REGISTER * 100:
                trickle.write(bytes([octet]))
                pings.write(b"\r\n\r\n")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(drip())
        assert await closed(mute)
        await until(lambda: wire.statistics().get("stream_overdue_message") == 3)
        task.cancel()
        slow.feed_eof()
        pinger.feed_eof()
        assert len(echo.gone) == 3

    serve(loop, tmp_path, scenario, first_message_timeout=0.4)


def test_a_begun_message_must_end_in_time_even_on_an_old_connection(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        good, good_writer = await connect(wire)
        half, half_writer = await connect(wire)
        for reader, writer in ((good, good_writer), (half, half_writer)):
            writer.write(REGISTER)
            await reader.readexactly(len(REGISTER))
        half_writer.write(b"INVITE sip:")
        assert await closed(half)
        good_writer.write(REGISTER)
        assert await good.readexactly(len(REGISTER)) == REGISTER
        good_writer.close()

    serve(loop, tmp_path, scenario, first_message_timeout=0.3)


def test_silence_ends_a_connection_and_pings_keep_it(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        silent, silent_writer = await connect(wire)
        alive, alive_writer = await connect(wire)
        silent_writer.write(REGISTER)
        alive_writer.write(REGISTER)
        await alive.readexactly(len(REGISTER))

        async def ping() -> None:
            while True:
                alive_writer.write(b"\r\n\r\n")
                await alive.readexactly(2)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(ping())
        assert await silent.readexactly(len(REGISTER)) == REGISTER
        assert await closed(silent)
        assert wire.statistics()["stream_idle"] == 1
        assert not task.done()
        task.cancel()
        alive_writer.close()

    serve(loop, tmp_path, scenario, idle_timeout=0.6)


def test_one_source_gets_so_many_connections_and_another_after_one_ended(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        held = [await connect(wire) for _ in range(3)]
        refused, _ = await connect(wire)
        assert await closed(refused)
        held.pop()[1].close()
        await until(lambda: wire.statistics()["connections"] == 2)
        reader, writer = await connect(wire)
        writer.write(REGISTER)
        assert await reader.readexactly(len(REGISTER)) == REGISTER
        for _, other in (*held, (reader, writer)):
            other.close()

    serve(loop, tmp_path, scenario, connections_per_source=3)


def test_beyond_the_cap_who_is_there_is_served_and_the_next_is_closed(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        wire._streams._limit = 1
        reader, writer = await connect(wire)
        refused, _ = await connect(wire)
        assert await closed(refused)
        wire.send(Flow("TCP", place(wire, "TCP"), ("127.0.0.1", 9)), REGISTER)
        await until(lambda: echo.gone)
        assert wire.statistics()["stream_refused_full"] == 1
        assert wire.statistics()["stream_refused_connect"] == 1
        writer.write(REGISTER)
        assert await reader.readexactly(len(REGISTER)) == REGISTER
        writer.close()

    serve(loop, tmp_path, scenario)


class Exhausted:
    """A listening socket of a system that has no descriptor left, once."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.asked = 0

    def fileno(self) -> int:
        return self.real.fileno()

    def close(self) -> None:
        self.real.close()

    def _accept(self) -> object:
        self.asked += 1
        if self.asked == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.real._accept()  # type: ignore[attr-defined]


def test_out_of_descriptors_phones_wait_in_the_kernel(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        listener = next(
            held
            for held in wire._served.values()
            if isinstance(held, Listener) and held.transport == "TCP"
        )
        listener._sock = Exhausted(listener._sock)  # type: ignore[assignment]
        reader, writer = await asyncio.open_connection(*listener.local)
        writer.write(REGISTER)
        assert await reader.readexactly(len(REGISTER)) == REGISTER
        assert listener._sock.asked < 5  # type: ignore[attr-defined]
        writer.close()

    serve(loop, tmp_path, scenario)


def test_who_waits_to_be_accepted_while_the_mark_changes_gets_the_new_one(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        listener = next(
            held
            for held in wire._served.values()
            if isinstance(held, Listener) and held.transport == "TCP"
        )
        before = SIGNALLING.value
        with socket.create_connection(listener.local):  # It waits: the loop has no turn.
            SIGNALLING.change(before + 1)
            try:
                await until(lambda: wire.statistics()["connections"] == 1)
                accepted = next(iter(wire._streams._by_descriptor.values())).sock
                tos = accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
                assert tos >> 2 == before + 1
            finally:
                SIGNALLING.change(before)
            assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == before

    serve(loop, tmp_path, scenario)


def test_a_reader_that_is_too_slow_is_cut_and_nobody_waits_for_it(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire)
        writer.write(REGISTER)
        await reader.readexactly(len(REGISTER))
        (_, flow), chunk = echo.received[0], b"x" * 60_000
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(400):
            wire.send(flow, chunk)
        await until(lambda: flow in echo.gone)
        assert wire.statistics()["stream_slow_reader"] == 1
        writer.close()

    serve(loop, tmp_path, scenario)


def test_what_a_full_socket_did_not_take_follows_in_order(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(place(wire, "TCP"))
            client.send(REGISTER)
            await until(lambda: echo.received)
            flow, total = echo.received[0][1], b""
            sent = b"".join(b"%06d" % n for n in range(HIGH_WATER // 8))
            for start in range(0, len(sent), 10_000):
                wire.send(flow, sent[start : start + 10_000])
            client.setblocking(False)
            while len(total) < len(REGISTER) + len(sent):
                total += await asyncio.get_running_loop().sock_recv(client, 65_536)
            assert total == REGISTER + sent

    serve(loop, tmp_path, scenario)


def test_close_lets_the_last_answer_out_and_is_no_loss(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        reader, writer = await connect(wire)
        writer.write(REGISTER)
        await reader.readexactly(len(REGISTER))
        flow = echo.received[0][1]
        wire.send(flow, b"bye")
        wire.close(flow)
        wire.send(flow, b"too late")
        assert await reader.read(-1) == b"bye"
        writer.close()
        await until(lambda: not wire.statistics()["connections"])
        assert echo.gone == []

    serve(loop, tmp_path, scenario)


def test_sending_on_a_flow_that_has_gone_is_told(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        flow = Flow("TCP", place(wire, "TCP"), ("127.0.0.1", 9), 77)
        wire.send(flow, REGISTER)
        await until(lambda: echo.gone == [flow])

    serve(loop, tmp_path, scenario)


def test_a_flow_without_connection_is_connected_once_and_carries_answers(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        heard: list[bytes] = []

        async def phone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readexactly(2 * len(REGISTER)))
            writer.write(REGISTER)
            await reader.read(-1)
            writer.close()

        server = await asyncio.start_server(phone, "127.0.0.1", 0)
        there = server.sockets[0].getsockname()[:2]
        echo.silent = True
        flow = Flow("TCP", place(wire, "TCP"), there)
        wire.send(flow, REGISTER)
        wire.send(flow, REGISTER)
        await until(lambda: echo.received)
        (data, numbered), *_ = echo.received
        assert (heard, data) == ([REGISTER * 2], REGISTER)
        assert numbered == flow._replace(connection=numbered.connection)
        assert wire.statistics()["stream_connected"] == 1
        wire.close(flow)
        await until(lambda: not wire.statistics()["connections"])
        server.close()

    serve(loop, tmp_path, scenario)


@pytest.mark.parametrize("remote", [("127.0.0.1", 1), ("phone.example.com", 5060)])
def test_a_peer_that_cannot_be_reached_is_told_as_lost(
    loop: str, tmp_path: Path, remote: tuple[str, int]
) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        flow = Flow("TCP", place(wire, "TCP"), remote)
        wire.send(flow, REGISTER)
        await until(lambda: flow in echo.gone)

    serve(loop, tmp_path, scenario)


def test_connections_inherit_no_delay_keep_alive_and_the_mark(loop: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        _, writer = await connect(wire)
        await until(lambda: wire.statistics()["connections"])
        (held,) = wire._streams._by_descriptor.values()
        assert held.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert held.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert held.sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == 24
        assert held.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        writer.close()

    serve(loop, tmp_path, scenario)


def test_five_hundred_at_once_are_all_served(loop: str, tmp_path: Path) -> None:
    async def register(wire: SipWire) -> None:
        reader, writer = await connect(wire)
        writer.write(REGISTER)
        assert await reader.readexactly(len(REGISTER)) == REGISTER
        writer.close()

    async def scenario(wire: SipWire, echo: Echo) -> None:
        await asyncio.gather(*(register(wire) for _ in range(500)))
        await until(lambda: not wire.statistics()["connections"])
        assert not wire._streams._owing
        assert not wire._streams._sources

    serve(loop, tmp_path, scenario)
