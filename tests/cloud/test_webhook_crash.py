"""Core is killed while nobody listens to it, and the webhook is told all the same (E8)."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.adapters.ipc import IpcClient
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.bundle import Emergency
from appliance.cloud.webhook import AlertHook
from tests.adapters.test_process import DOMAIN, Process, bundle, free_port, process

__all__ = ["process"]


def call_for_help(port: int) -> None:
    """Dial 911 over UDP without credentials, until there is more than 100."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(5)
        phone.connect(("127.0.0.1", port))
        here = "{}:{}".format(*phone.getsockname())
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        body += "m=audio 9000 RTP/AVP 0\r\n"
        lines = [
            f"INVITE sip:911@{DOMAIN} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bKhelp;rport",
            f"From: <sip:nobody@{DOMAIN}>;tag=f",
            f"To: <sip:911@{DOMAIN}>",
            "Call-ID: help@127.0.0.1",
            "CSeq: 1 INVITE",
            f"Contact: <sip:nobody@{here}>",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        phone.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        while phone.recv(4000).startswith(b"SIP/2.0 100"):
            pass


def told(folder: Path, port: int, enough: int) -> list[dict[str, Any]]:
    """Have a new admin process tell a webhook; return what it got."""

    async def whole() -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = []

        async def take(request: web.Request) -> web.Response:
            got.append(await request.json())
            return web.Response()

        certificate, key = ensure_certificate(folder, ["127.0.0.1"])
        application = web.Application()
        application.router.add_post("/hook", take)
        server = TestServer(application, scheme="https", host="127.0.0.1", port=port)
        await server.start_server(ssl=server_context(certificate, key))
        core = IpcClient(folder / "run" / "core.sock")
        hook = AlertHook(core, ssl.create_default_context(cafile=certificate))
        running = asyncio.create_task(hook.run())
        try:
            async with asyncio.timeout(15):
                while len(got) < enough or (await core.call("emergency.alerts"))["alerts"]:
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await core.close()
            await server.close()
        return got

    return asyncio.run(whole())


def test_an_alert_outlives_both_processes_and_is_told_once(process: Process) -> None:
    process.start()
    hook = free_port()
    emergency = Emergency(webhook=f"https://127.0.0.1:{hook}/hook")
    wanted = msgspec.structs.replace(bundle(), emergency=emergency)
    file = process.folder / "bundle.json"
    file.write_bytes(msgspec.json.encode(wanted))
    process.ask("bundle.apply", path=str(file))
    (process.folder / "data" / "bundle.json").write_bytes(file.read_bytes())
    process.until("mode", mode="survivability")
    call_for_help(process.port)
    process.end(signal.SIGKILL)

    process.start()
    got = told(process.folder, hook, 1)
    assert (got[0]["kind"], got[0]["number"], got[0]["address"]) == ("called", "911", "127.0.0.1")
    assert len({alert["key"] for alert in got}) == len(got)
    time.sleep(0.1)  # What was forgotten this long ago is forgotten on the disk.
    process.end(signal.SIGKILL)

    process.start()
    assert process.ask("emergency.alerts")["alerts"] == []
