"""The reference carrier: an SBC over TLS with certificates of both sides, and one telephone behind.

Whatever is called there, the telephone takes it, says its tone and listens; it calls numbers of the
site over whatever connection the site has made. It knows no accounts: the certificates are proof.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_audio import open_audio
from appliance.cloud.reference.phone_calling import OutgoingCall
from appliance.cloud.reference.phone_link import Link, Server
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.errors import Unavailable


class Carrier(Phone):
    """One carrier; after `listen`, call `stop`."""

    def __init__(self, settings: PhoneSettings, here: Server, tls: ssl.SSLContext) -> None:
        super().__init__(settings)
        self._here = here
        self._tls = tls
        self._links: list[Link] = []
        """Connections of sites, the newest last."""
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take connections of sites."""
        self._server = await self.stack.serve(self._here, self._tls, self._links.append)

    async def stop(self) -> None:
        """Hang up and go."""
        if self._server is not None:
            self._server.close()
        await super().stop()

    async def call(self, number: str) -> OutgoingCall:
        """Call a number of the site; Unavailable while the site has made no connection."""
        link = self.link_to(self._here)
        if link is None:
            raise Unavailable("the site has no connection to the carrier")
        audio = await open_audio(self.settings.address, self.settings.tone)
        call = OutgoingCall(self, self._here, audio, number)
        self._keep(call)
        call.begin(link)
        return call

    def link_to(self, server: Server) -> Link | None:
        """Return the newest connection of the site."""
        return next((link for link in reversed(self._links) if link.open), None)

    async def reach(self, server: Server) -> Link:
        """Return the newest connection of the site; Unavailable when there is none."""
        link = self.link_to(server)
        if link is None:
            raise Unavailable("the site has no connection to the carrier")
        return link

    def lost(self, link: Link, reason: str) -> None:
        """Take that a site has closed a connection."""
        self._links.remove(link)


def carrier_context(chain: Path, key: Path, authority: Path) -> ssl.SSLContext:
    """Make what a carrier shows sites, and what it asks of them: a certificate of its authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority)
    context.load_cert_chain(chain, key)
    return context
