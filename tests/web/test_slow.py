"""Browsers that take their time, and bodies without end: cut off, while others are served."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from appliance.web import gate, hurry
from tests.web.house import House, run


async def connect(house: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(house.url.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def ends(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the other side is gone."""
    async with asyncio.timeout(8):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def test_a_head_that_comes_letter_by_letter_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurry, "HEAD_TIMEOUT", 0.8)

    async def script(house: House) -> None:
        lines = [await connect(house) for _ in range(30)]

        async def drip(writer: asyncio.StreamWriter) -> None:
            for letter in b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 10_000:
                writer.write(bytes([letter]))
                await asyncio.sleep(0.05)

        drips = [asyncio.create_task(drip(writer)) for _, writer in lines]
        begun = time.monotonic()
        status, _ = await house.browser().ask("GET", "/login")
        assert (status, time.monotonic() - begun < 0.7) == (200, True)
        assert await asyncio.gather(*[ends(reader) for reader, _ in lines]) == [b""] * 30
        assert time.monotonic() - begun < 4
        for task in drips:
            task.cancel()

    run(tmp_path, script)


def test_who_has_asked_something_may_be_silent_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurry, "HEAD_TIMEOUT", 0.5)

    async def script(house: House) -> None:
        reader, writer = await connect(house)
        for _ in range(2):
            writer.write(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.7)
            await reader.read(1 << 16)
        writer.close()

    run(tmp_path, script)


def test_a_form_that_comes_letter_by_letter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FORM_TIMEOUT", 0.4)

    async def script(house: House) -> None:
        reader, writer = await connect(house)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a"
        )
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()

    run(tmp_path, script)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 90000000000", b"Content-Length: 70000", b"Transfer-Encoding: chunked"],
)
def test_a_form_too_large_is_refused_before_it_has_come(tmp_path: Path, head: bytes) -> None:
    async def script(house: House) -> None:
        reader, writer = await connect(house)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n" + head + b"\r\n\r\n"
        )
        assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()

    run(tmp_path, script)


def test_more_connections_than_there_may_be_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hurry, "CONNECTIONS", 4)

    async def script(house: House) -> None:
        for _ in range(12):
            try:
                reader, writer = await connect(house)
            except (OSError, ssl.SSLError):
                return
            if reader.at_eof():
                return
        assert await asyncio.wait_for(ends(reader), 3) == b""
        writer.close()

    run(tmp_path, script)
