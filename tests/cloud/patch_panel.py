"""A proxy of the barest kind, so that simulated phones can be tested without Holdfast."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from appliance.cloud.reference.authority import Authority
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.reference.zone_sockets import Reply, ZoneSockets
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.message import Request, Response


class PatchPanel:
    """Let anybody register; route every request by the user part of its URI."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.trust: ssl.SSLContext = authority.client_context()
        self.sockets = ZoneSockets("127.0.0.1", 0, self.receive)
        self.sockets.tls = authority.server_context("panel", ("127.0.0.1",))
        self.phones: dict[str, Reply] = {}
        self.seen: list[str] = []
        self._back: dict[str, Reply] = {}

    def server(self, transport: Any) -> Server:
        return Server("127.0.0.1", self.sockets.port, transport, "panel")

    def receive(self, data: bytes, flow: Flow, reply: Reply) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self.pass_back(message)
        elif message.method == "REGISTER":
            self.phones[str(getattr(message.to.uri, "user", ""))] = reply
            answer = message.response(200, to_tag="panel")
            answer.add("Contact", f"{message.first('Contact')};expires=60")
            reply(answer.encode())
        else:
            self.seen.append(message.method)
            self.pass_on(message, reply)

    def pass_on(self, request: Request, reply: Reply) -> None:
        target = self.phones.get(str(request.request_uri.user))
        if target is None:
            reply(request.response(404, to_tag="panel").encode())
            return
        branch = "z9hG4bK" + hashlib.md5(str(request.via.branch).encode()).hexdigest()
        self._back[branch] = reply
        request.prepend("Via", f"SIP/2.0/UDP 127.0.0.1:{self.sockets.port};branch={branch}")
        target(request.encode())

    def pass_back(self, response: Response) -> None:
        reply = self._back[str(response.via.branch)]
        vias = response.all("Via")[1:]
        response.remove("Via")
        for via in reversed(vias):
            response.prepend("Via", via)
        reply(response.encode())


@asynccontextmanager
async def patch_panel(folder: Path) -> AsyncIterator[PatchPanel]:
    panel = PatchPanel(folder)
    await panel.sockets.open()
    try:
        yield panel
    finally:
        await panel.sockets.close()
