"""A cloud of a few lines on plain HTTP, whose every answer a test can choose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from appliance.settings import Settings

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SmallCloud:
    """Serves `bundle` and counts records; `answers` are taken first, one per request."""

    def __init__(self) -> None:
        self.bundle = b""
        self.etag = '"1"'
        self.url = ""
        self.asked: list[web.Request] = []
        self.records: dict[str, Any] = {}
        self.arrivals: list[str] = []
        self.answers: list[Answer] = []

    async def serve(self, request: Any) -> web.StreamResponse:
        self.asked.append(request)
        if request.method == "PUT":
            self._count(request, await request.read())
        if self.answers:
            return await self.answers.pop(0)(request)
        if request.method == "PUT":
            return web.json_response({}, status=200 if self.repeated(request) else 201)
        if self.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304)
        return web.Response(body=self.bundle, headers={"ETag": self.etag})

    def _count(self, request: web.Request, body: bytes) -> None:
        key = request.headers["Idempotency-Key"]
        assert request.path.endswith(f"/records/{key}")
        self.arrivals.append(key)
        self.records.setdefault(key, msgspec.json.decode(body))

    def repeated(self, request: web.Request) -> bool:
        return self.arrivals.count(request.headers["Idempotency-Key"]) > 1


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Cut the connection inside the answer's head."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 20")
    request.transport.close()
    return web.Response()


def status(code: int, detail: str = "") -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": detail}, status=code)

    return answer


@asynccontextmanager
async def small_cloud() -> AsyncIterator[SmallCloud]:
    cloud = SmallCloud()
    runner = web.ServerRunner(web.Server(cloud.serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cloud.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield cloud
    finally:
        await runner.cleanup()


def settings(folder: Path, cloud: SmallCloud, **more: Any) -> Settings:
    return Settings(data=folder, run=folder, cloud_url=cloud.url, cloud_token="token-of-hq", **more)
