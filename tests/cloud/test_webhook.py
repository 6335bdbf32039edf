"""A webhook is told of every call for help, whatever breaks in between."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.adapters.tls import ensure_certificate, server_context
from appliance.cloud import webhook as module
from appliance.cloud.webhook import AlertHook
from appliance.errors import Unavailable

NOW = 1_800_000_000.0


class Core:
    """A core with alerts."""

    def __init__(self) -> None:
        self.url = ""
        self.process = "p1"
        self.rows: list[dict[str, Any]] = []
        self.away = False

    async def call(self, name: str, /, **arguments: Any) -> Any:
        assert name == "emergency.alerts"
        if self.away:
            raise Unavailable("core is away")
        seen = arguments["after"] if arguments["process"] == self.process else 0
        rows = [row for row in self.rows if row["serial"] > seen]
        return {"webhook": self.url, "process": self.process, "alerts": rows}

    def alert(self, caller: str, ago: float = 0.0) -> None:
        serial = len(self.rows) + 1
        self.rows.append({"serial": serial, "at": NOW - ago, "kind": "called", "caller": caller})


class Scene:
    """A webhook, a core and what joins them."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.status = 200
        self.got: list[tuple[str, str]] = []
        self.tries = 0

    async def take(self, request: web.Request) -> web.Response:
        self.tries += 1
        if self.status == 200:
            content = await request.json()
            assert content["key"] == request.headers["Idempotency-Key"]
            self.got.append((content["key"], content["caller"]))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.01)


def play(
    folder: Path, script: Callable[[Scene], Awaitable[None]], before: Callable[[Core], None]
) -> None:
    async def whole() -> None:
        certificate, key = ensure_certificate(folder, ["127.0.0.1"])
        core = Core()
        scene = Scene(core)
        application = web.Application()
        application.router.add_post("/hook", scene.take)
        server = TestServer(application, scheme="https", host="127.0.0.1")
        await server.start_server(ssl=server_context(certificate, key))
        core.url = f"https://127.0.0.1:{server.port}/hook"
        before(core)
        trust = ssl.create_default_context(cafile=certificate)
        hook = asyncio.create_task(AlertHook(core, trust, lambda: NOW).run())
        try:
            await script(scene)
        finally:
            hook.cancel()
            await server.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "LOOK_EVERY", 0.02)
        patched.setattr(module, "FIRST_RETRY", 0.02)
        asyncio.run(whole())


def nothing(core: Core) -> None:
    """Begin with no alert."""


def test_each_alert_is_posted_once_in_order(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        scene.core.alert("Ann")
        scene.core.alert("Bob")
        await scene.until(lambda: len(scene.got) == 2)
        scene.core.alert("Cy")
        await scene.until(lambda: len(scene.got) == 3)
        await asyncio.sleep(0.1)
        assert scene.got == [("p1-1", "Ann"), ("p1-2", "Bob"), ("p1-3", "Cy")]

    play(tmp_path, script, nothing)


def test_what_fails_is_tried_again_and_redirects_lead_nowhere(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        scene.status = 302
        scene.core.alert("Ann")
        await scene.until(lambda: scene.tries >= 2)
        scene.status = 200
        await scene.until(lambda: scene.got == [("p1-1", "Ann")])

    play(tmp_path, script, nothing)


def test_alerts_of_another_core_are_not_mistaken_for_old_ones(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        scene.core.alert("Ann")
        await scene.until(lambda: len(scene.got) == 1)
        scene.core.away = True
        await asyncio.sleep(0.1)
        scene.core.away, scene.core.process, scene.core.rows = False, "p2", []
        scene.core.alert("Bob")
        await scene.until(lambda: scene.got[-1] == ("p2-1", "Bob"))

    play(tmp_path, script, nothing)


def test_a_process_that_begins_leaves_old_news_to_its_forerunner(tmp_path: Path) -> None:
    def before(core: Core) -> None:
        core.alert("old", ago=3600)
        core.alert("fresh", ago=5)

    async def script(scene: Scene) -> None:
        await scene.until(lambda: len(scene.got) == 1)
        assert scene.got == [("p1-2", "fresh")]

    play(tmp_path, script, before)


def test_what_is_a_day_old_is_given_up(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        await asyncio.sleep(0.1)
        scene.core.alert("too late", ago=module.GIVEN_UP + 1)
        scene.core.alert("Ann")
        await scene.until(lambda: scene.got == [("p1-2", "Ann")])

    play(tmp_path, script, nothing)
