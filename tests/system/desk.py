"""Desk phones of a site: a baresip each, with the appliance as its server."""

from __future__ import annotations

from typing import Any

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE
from tests.system.site import DOMAIN, System, password

SERVED = {"udp": 5060, "tcp": 5060, "tls": 5091}


def account(
    number: int, transport: str = "udp", answers: str = "auto", more: str = "", expires: int = 300
) -> str:
    """Write the account of a phone, of which number 0 is 101; with TLS its audio is SRTP."""
    name = str(101 + number)
    encryption = ";mediaenc=srtp-mand" if transport == "tls" else ""
    return (
        f"<sip:{name}@{DOMAIN};transport={transport}>;auth_user={name};auth_pass={password(name)}"
        f";regint={expires};audio_codecs=PCMU;answermode={answers}{encryption}{more}"
        f';outbound="sip:{APPLIANCE}:{SERVED[transport]};transport={transport}"'
    )


def desk_phone(site: System, number: int, transport: str = "udp", **more: Any) -> Baresip:
    """Start a phone on its host, whose tone tells it from others; return it registered."""
    words = account(number, transport, **more)
    phone = Baresip(site.phone(number), site.folder, 500 + 200 * number, words)
    phone.wait("REGISTER_OK", 20)
    return phone
