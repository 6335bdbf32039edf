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


class Core:
    """A core with alerts."""

    def __init__(self) -> None:
        self.url = ""
        self.rows: list[dict[str, Any]] = []
        self.away = False

    async def call(self, name: str, /, **arguments: Any) -> Any:
        if self.away:
            raise Unavailable("core is away")
        if name == "emergency.told":
            self.rows = [row for row in self.rows if row["key"] not in arguments["keys"]]
            return {}
        assert name == "emergency.alerts"
        return {"webhook": self.url, "alerts": self.rows}

    def alert(self, caller: str) -> None:
        self.rows.append({"key": f"{caller}-called", "kind": "called", "caller": caller})


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

        async def take(request: web.Request) -> web.Response:
            return await scene.take(request)

        application.router.add_post("/hook", take)
        server = TestServer(application, scheme="https", host="127.0.0.1")
        await server.start_server(ssl=server_context(certificate, key))
        core.url = f"https://127.0.0.1:{server.port}/hook"
        before(core)
        trust = ssl.create_default_context(cafile=certificate)
        hook = asyncio.create_task(AlertHook(core, trust).run())
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
        await scene.until(lambda: not scene.core.rows)
        assert scene.got == [("Ann-called", "Ann"), ("Bob-called", "Bob"), ("Cy-called", "Cy")]

    play(tmp_path, script, nothing)


def test_what_fails_is_tried_again_and_redirects_lead_nowhere(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        scene.status = 302
        scene.core.alert("Ann")
        await scene.until(lambda: scene.tries >= 2)
        assert scene.core.rows, "core forgot what nobody was told"
        scene.status = 200
        await scene.until(lambda: scene.got == [("Ann-called", "Ann")])

    play(tmp_path, script, nothing)


def test_what_core_did_not_hear_of_in_time_is_told_to_it_when_it_is_back(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        taken = scene.take

        async def goes_away(request: web.Request) -> web.Response:
            scene.core.away = True
            return await taken(request)

        scene.take = goes_away  # type: ignore[method-assign]
        scene.core.alert("Ann")
        await scene.until(lambda: len(scene.got) == 1)
        scene.core.away = False
        await scene.until(lambda: not scene.core.rows)
        assert len(scene.got) == 1

    play(tmp_path, script, nothing)


def test_a_process_that_begins_tells_what_its_forerunner_did_not(tmp_path: Path) -> None:
    async def script(scene: Scene) -> None:
        await scene.until(lambda: scene.got == [("Ann-called", "Ann")])

    play(tmp_path, script, lambda core: core.alert("Ann"))
