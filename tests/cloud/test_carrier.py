"""The reference carrier: an SBC that serves whom its authority knows, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.cloud.reference.authority import Authority
from appliance.cloud.reference.carrier import Carrier, carrier_context
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.errors import Unavailable
from tests.cloud.reference_trial import free_port

HOST = "127.0.0.1"
OPTIONS = b"\r\n".join(
    [
        b"OPTIONS sip:carrier SIP/2.0",
        b"Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKcarrier",
        b"Max-Forwards: 70",
        b"From: <sip:holdfast@127.0.0.1>;tag=a",
        b"To: <sip:carrier>",
        b"Call-ID: carrier",
        b"CSeq: 1 OPTIONS",
        b"Content-Length: 0",
        b"",
        b"",
    ]
)


class Trial:
    """A carrier that listens, and the authority that it and a site have in common."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        files = self.authority.files("carrier", (HOST,))
        settings = PhoneSettings(
            extension="+15125550199", domain=HOST, username="", password="", servers=()
        )
        self.here = Server(HOST, free_port(), "TLS")
        context = carrier_context(*files, self.authority.file)
        self.carrier = Carrier(settings, self.here, context)

    async def asked(self, files: tuple[Path, Path] | None) -> bytes:
        """Ask OPTIONS with a certificate, or without; return what came."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if files is not None:
            context.load_cert_chain(*files)
        try:
            reader, writer = await asyncio.open_connection(HOST, self.here.port, ssl=context)
            writer.write(OPTIONS)
            answer = await reader.read(2000)
            writer.close()
        except OSError:
            return b""
        return answer


def run(folder: Path, script: Callable[[Trial], Awaitable[None]]) -> None:
    async def whole() -> None:
        trial = Trial(folder)
        await trial.carrier.listen()
        try:
            await asyncio.wait_for(script(trial), 10)
        finally:
            await trial.carrier.stop()

    asyncio.run(whole())


def test_it_serves_whom_its_authority_knows_and_nobody_else(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        known = trial.authority.files("site", (HOST,))
        assert (await trial.asked(known)).startswith(b"SIP/2.0 200 ")
        assert await trial.asked(None) == b""
        stranger = Authority(tmp_path / "stranger").files("site", (HOST,))
        assert await trial.asked(stranger) == b""

    run(tmp_path, script)


def test_without_a_connection_of_the_site_it_calls_nobody(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        with pytest.raises(Unavailable, match="the site has no connection to the carrier"):
            await trial.carrier.call("+13125550001")

    run(tmp_path, script)
