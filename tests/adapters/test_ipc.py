import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.ipc import IpcClient, IpcPeer, IpcServer
from appliance.errors import LocalError, Unavailable

Scenario = Callable[[IpcServer, IpcClient], Awaitable[None]]


async def answer(name: str, arguments: dict[str, Any], peer: IpcPeer) -> Any:
    match name:
        case "echo":
            return arguments
        case "who":
            return peer.process
        case "refuse":
            raise LocalError("not today")
        case "away":
            raise Unavailable("disk is full")
        case "unfit":
            return object()
        case "huge":
            return bytes(17 << 20)
        case "hang":
            await asyncio.sleep(60)
    return None


def run(folder: Path, scenario: Scenario) -> None:
    async def all_of_it() -> None:
        server, client = IpcServer(folder / "x.sock", answer), IpcClient(folder / "x.sock")
        await server.start()
        try:
            await scenario(server, client)
        finally:
            await client.close()
            await server.stop()

    asyncio.run(all_of_it())


def test_a_command_gets_its_answer_and_knows_who_asked(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        assert await client.call("echo", limit=3, since=None) == {"limit": 3, "since": None}
        assert await client.call("who") == os.getpid()
        assert await client.call("nothing") is None
        assert (tmp_path / "x.sock").stat().st_mode & 0o777 == 0o660

    run(tmp_path, scenario)


def test_answers_find_their_questions_whatever_their_order(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        answers = await asyncio.gather(*(client.call("echo", n=n) for n in range(200)))
        assert [found["n"] for found in answers] == list(range(200))

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("refuse", LocalError, "not today"),
        ("away", Unavailable, "disk is full"),
        ("unfit", LocalError, "unsupported"),
        ("huge", LocalError, "ask for less"),
    ],
)
def test_a_refusal_says_why_and_the_connection_goes_on(
    tmp_path: Path, name: str, error: type[Exception], text: str
) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        with pytest.raises(error, match=text):
            await client.call(name)
        assert await client.call("echo", still=True) == {"still": True}

    run(tmp_path, scenario)


def test_a_process_that_is_away_is_asked_again_later(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        await client.call("echo")
        await server.stop()
        with pytest.raises(Unavailable):
            await client.call("echo")
        await server.start()
        assert await client.call("echo", back=1) == {"back": 1}

    run(tmp_path, scenario)


def test_a_silent_server_costs_the_timeout_only(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        impatient = IpcClient(tmp_path / "x.sock", timeout=0.1)
        with pytest.raises(Unavailable, match="in time"):
            await impatient.call("hang")
        await impatient.close()

    run(tmp_path, scenario)


def test_events_reach_everybody_who_listens_even_after_a_restart(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        listener = IpcClient(
            tmp_path / "x.sock", lambda event, data: heard.put_nowait((event, data))
        )
        task = asyncio.create_task(listener.listen())
        await listener.call("echo")
        server.push("mode", {"to": "standby"})
        assert await heard.get() == ("mode", {"to": "standby"})
        await server.stop()
        await server.start()
        while heard.empty():
            server.push("again", 1)
            await asyncio.sleep(0.05)
        task.cancel()
        await listener.close()

    run(tmp_path, scenario)


def test_garbage_closes_its_own_connection_only(tmp_path: Path) -> None:
    async def scenario(server: IpcServer, client: IpcClient) -> None:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.setblocking(False)
            stranger.connect(str(tmp_path / "x.sock"))
            stranger.send(b"\xff" * 64)
            loop = asyncio.get_running_loop()
            assert await asyncio.wait_for(loop.sock_recv(stranger, 10), 5) == b""
        assert await client.call("echo") == {}

    run(tmp_path, scenario)
