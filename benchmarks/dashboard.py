"""An avalanche of phones while people look: does the dashboard slow signalling down?

python -m benchmarks.dashboard [--phones N] [--viewers N] [--rounds N] [--window N]

Each viewer is a client of the pages, not a browser: it logs in, keeps the stream of events open
and, a quarter of a second after each event, asks for the dashboard's live part, as htmx does in a
browser. It draws nothing. Rounds with and without viewers take turns, each on a fresh server;
everything that serves is on one core, so that pages and signalling have to share it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import ssl
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import generator, holdfast
from benchmarks.isolation import busy_share, enter_own_network
from benchmarks.process import CLIENT_CORE, Server, wait_until

URL = "https://127.0.0.1:8443"
PASSWORD = "twenty people look on"
NICE = {"core": -5, "media": -10, "admin": 5, "ldap": 5}
"""As in systemd/*.service, whose weights of processor time a trial without systemd cannot have."""
DELAY = 0.25
"""Seconds from an event to the question for the live part, as the page has it."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.dashboard", description=__doc__)
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=200, help="phones under way; 0: all at once")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    return parser.parse_args()


class Viewers:
    """People who look at the dashboard, in a thread on the clients' core."""

    def __init__(self, number: int, first_password: str) -> None:
        self.parts = 0
        """Live parts that have come."""
        self._number, self._first = number, first_password
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def open(self) -> None:
        """Begin; returns when everybody has the page."""
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the viewers did not get their page")

    def close(self) -> None:
        """Have everybody leave."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _run(self) -> None:
        os.sched_setaffinity(0, {CLIENT_CORE})
        self._loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session:
            cookie = await self._log_in(session)
            views = [asyncio.create_task(self._view(session, cookie)) for _ in range(self._number)]
            self._ready.set()
            await self._over.wait()
            for view in views:
                view.cancel()
            await asyncio.gather(*views, return_exceptions=True)

    async def _log_in(self, session: aiohttp.ClientSession) -> dict[str, str]:
        cookie, csrf = await self._enter(session, self._first)
        change = {"old": self._first, "new": PASSWORD}
        headers = {**cookie, "X-CSRF-Token": csrf}
        there = f"{URL}/api/v1/session/password"
        async with session.post(there, json=change, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(await answer.text())
        return (await self._enter(session, PASSWORD))[0]

    async def _enter(self, session: aiohttp.ClientSession, word: str) -> tuple[dict[str, str], str]:
        there, body = f"{URL}/api/v1/session", {"name": "admin", "password": word}
        async with session.post(there, json=body) as answer:
            told: dict[str, Any] = await answer.json()
            return {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}, str(told["csrf"])

    async def _view(self, session: aiohttp.ClientSession, cookie: dict[str, str]) -> None:
        async with session.get(f"{URL}/", headers=cookie) as answer:
            await answer.read()
        async with session.get(f"{URL}/api/v1/events", headers=cookie) as events:
            due: asyncio.Task[None] | None = None
            async for line in events.content:
                if line.startswith(b"event:") and (due is None or due.done()):
                    due = asyncio.create_task(self._part(session, cookie))

    async def _part(self, session: aiohttp.ClientSession, cookie: dict[str, str]) -> None:
        await asyncio.sleep(DELAY)
        async with session.get(f"{URL}/", headers={**cookie, "HX-Request": "true"}) as answer:
            await answer.read()
            self.parts += answer.status == 200


@contextmanager
def looking(number: int, data: Path) -> Iterator[Viewers | None]:
    """Have people look on for as long as the context lasts."""
    if not number:
        yield None
        return
    file = data / "admin.password"
    if not wait_until(file.exists, 20):
        raise RuntimeError("there is no first password")
    viewers = Viewers(number, file.read_text().split()[1])
    viewers.open()
    try:
        yield viewers
    finally:
        viewers.close()


def weigh(server: Server) -> None:
    """Give our processes the niceness that their systemd units give them."""
    if server.process is None or os.geteuid() != 0:
        return
    pid = server.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().rstrip("\0").split("\0")
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(child), NICE[words[-1]])


def measure(folder: Path, phones: int, viewers: int, window: int) -> dict[str, Any]:
    """Let the phones come once; return the generator's figures."""
    place = folder / "server"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    server = holdfast.server(place, phones)
    server.start()
    try:
        if not wait_until(lambda: generator.first_status(5060) in (401, 407), 30):
            raise RuntimeError(f"Holdfast did not come up:\n{server.tail()}")
        weigh(server)
        with looking(viewers, place / "data") as there:
            server.settle()
            figures = generator.register(
                folder,
                server,
                transport="udp",
                port=5060,
                phones=phones,
                window=window,
            )
            parts = there.parts if there is not None else 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.stop()
    return {**figures, "parts": parts}


def compare(folder: Path, phones: int, viewers: int, rounds: int, window: int) -> None:
    """Measure rounds in turn and print both medians."""
    print(f"others use {busy_share():.0%} of the machine")
    found: dict[int, list[float]] = {0: [], viewers: []}
    for _ in range(rounds):
        for number in found:
            row = measure(folder, phones, number, window)
            found[number].append(row["p95"])
            took = ", ".join(f"{name} {row[name] * 1000:.2f} ms" for name in ("p50", "p95", "p99"))
            print(
                f"{number:>3} viewers: {row['rate']:,.0f} phones/s, {took},"
                f" left out {row['left_out']}, live parts {row['parts']}",
                flush=True,
            )
    alone, watched = (statistics.median(found[number]) for number in found)
    change = watched / alone - 1
    print(f"p95 {alone * 1000:.2f} ms alone, {watched * 1000:.2f} ms watched: {change:+.1%}")


def main() -> None:
    """Measure in a network of our own."""
    asked = arguments()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    enter_own_network()
    compare(folder, asked.phones, asked.viewers, asked.rounds, asked.window)


if __name__ == "__main__":
    main()
