"""The demo's phones: mixed transports and algorithms, each with the same three servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_registration import Standing
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.demo.stage import Stage
from appliance.demo.steps import StepFailed
from appliance.sip.flow import Transport

TRANSPORTS: tuple[Transport, ...] = ("UDP", "TCP", "TLS")
CAST = 6
"""Phones that make calls; the least there must be."""
ENCRYPTING = (2, 5)
"""Those of the cast that talk SRTP: the TLS ones."""
TONES = (440, 620, 850, 1100, 1400, 1750)
"""Hertz each of the cast sends, far enough apart to be told from one another."""
AT_ONCE = 100
"""Phones switched on in one go."""
POLL = 0.1
KNOCK = 20.0
"""Seconds for one attempt to register."""


class Fleet:
    """All simulated phones of the site; `stop` them whatever happens."""

    def __init__(self, stage: Stage, count: int) -> None:
        self._stage = stage
        trust = stage.trust()
        self.phones = [
            Phone(
                PhoneSettings(
                    extension=entry.extension,
                    name=entry.user,
                    domain=entry.domain,
                    username=entry.username,
                    password=entry.password,
                    servers=stage.servers(TRANSPORTS[index % 3]),
                    tls=trust,
                    # Many desk phones know nothing newer.
                    algorithms=("MD5",) if index % 2 else ("SHA-256", "MD5"),
                    expires=stage.pace.expires,
                    retry=1.0,
                    keepalive=stage.pace.keepalive,
                    tone=TONES[index % CAST],
                    srtp=index in ENCRYPTING,
                )
            )
            for index, entry in enumerate(stage.entries[:count])
        ]

    async def start(self) -> None:
        """Switch all on, not quite at once."""
        for index, phone in enumerate(self.phones):
            phone.start()
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(POLL)

    async def stop(self) -> None:
        """Switch all off."""
        await asyncio.gather(*[phone.stop() for phone in self.phones], return_exceptions=True)

    async def knock(self, index: int, password: str | None = None) -> Standing:
        """Let one more phone try once to register at Holdfast alone; return what it was told."""
        entry = self._stage.entries[index]
        phone = Phone(
            PhoneSettings(
                extension=entry.extension,
                domain=entry.domain,
                username=entry.username,
                password=entry.password if password is None else password,
                servers=(self._stage.holdfast_server("UDP"),),
            )
        )
        standing = phone.registration.standings[0]
        ends = asyncio.get_running_loop().time() + KNOCK
        try:
            phone.start()
            while not standing.refusals and phone.server is None:
                if asyncio.get_running_loop().time() > ends:
                    raise StepFailed(f"an answer to REGISTER within {KNOCK:g} s", "none")
                await asyncio.sleep(POLL)
        finally:
            await phone.stop()
        return standing

    def where(self) -> Counter[str]:
        """Count phones by the server that has them."""
        return Counter(str(phone.server or "nowhere") for phone in self.phones)

    async def all_at(self, server: str, limit: float, show: Callable[[int, int], None]) -> None:
        """Wait until every phone is registered at this server, showing how many are."""
        total = len(self.phones)
        loop = asyncio.get_running_loop()
        ends = loop.time() + limit
        while loop.time() < ends:
            there = self.where()[server]
            show(there, total)
            if there == total:
                return
            await asyncio.sleep(POLL)
        raise StepFailed(
            f"{total} phones at {server} within {limit:g} s", f"{dict(self.where())}{self._why()}"
        )

    def _why(self) -> str:
        """Quote what one phone without a server was told last."""
        for phone in self.phones:
            if phone.server is None:
                reasons = [
                    f"{each.server}: {each.last_failure}" for each in phone.registration.standings
                ]
                return f"; phone {phone.settings.extension}: {'; '.join(reasons)}"
        return ""
