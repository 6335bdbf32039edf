"""Python time of a whole registration in the core, without sockets: REGISTER, 401, REGISTER, 200.

python benchmarks/core_register.py [phones]
"""

from __future__ import annotations

import gc
import sys
import time

from appliance.bundle import Bundle, Credential, Policies, Site, User, Zone
from appliance.call.actions import ProbeZone, Send
from appliance.call.events import ZoneAnswer
from appliance.core import Core
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.credentials import Challenge
from appliance.sip.digest import ha1, respond
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers

DOMAIN = "example.com"


def bundle(count: int) -> Bundle:
    """Make a site of `count` users with MD5 credentials, as the peers of the benchmark have."""
    users = tuple(
        User(
            id=f"u{n}",
            name=f"User {n}",
            extension=f"{n}",
            credentials=(
                Credential(username=f"{n}", realm=DOMAIN, md5=ha1("MD5", f"{n}", DOMAIN, "pw")),
            ),
        )
        for n in range(100_000, 100_000 + count)
    )
    return Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="81", domain=DOMAIN, realm=DOMAIN),
        zones=(Zone(id="a", host="a.example.net"),),
        users=users,
        policies=Policies(digest_algorithms=("MD5",)),
    )


def outage(core: Core, now: float) -> float:
    """Let every probe fail until the core serves phones; return the time then."""
    while core.survival is None or not core.survival.admits_registrations:
        now = max(now, core.deadline() or now)
        for action in core.expire(now):
            if isinstance(action, ProbeZone):
                core.zone_answered(ZoneAnswer(action.zone.id, None, "refused", "tcp"), now)
    return now


def request(number: int, cseq: int, authorization: str = "") -> bytes:
    """Write a REGISTER as a desk phone does."""
    lines = [
        f"REGISTER sip:{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{number}x{cseq};rport",
        f"From: <sip:{number}@{DOMAIN}>;tag=f{number}",
        f"To: <sip:{number}@{DOMAIN}>",
        f"Call-ID: c{number}@127.0.0.1",
        f"CSeq: {cseq} REGISTER",
        f"Contact: <sip:{number}@127.0.0.1:5070>",
        "Max-Forwards: 70",
        "User-Agent: benchmark",
        "Expires: 60",
        *([f"Authorization: {authorization}"] if authorization else []),
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def main(count: int) -> None:
    """Register every phone once and print microseconds per message."""
    gc.set_threshold(50_000, 20, 50)
    core = Core(Settings(), CountedIdentifiers(), lambda now: now, Restored())
    core.start(0.0)
    core.apply(bundle(count), 0.0)
    now = outage(core, 0.0)

    flow = Flow("UDP", ("127.0.0.1", 5060), ("127.0.0.1", 5070))
    numbers = range(100_000, 100_000 + count)
    first = [request(n, 1) for n in numbers]
    started = time.process_time()
    answers = [core.receive(data, flow, now)[0] for data in first]
    challenged = time.process_time() - started
    second = []
    for n, action in zip(numbers, answers, strict=True):
        assert isinstance(action, Send)
        challenge = Challenge.parse(parse(action.data).all("WWW-Authenticate")[0])
        uri = f"sip:{DOMAIN}"
        second.append(request(n, 2, respond(challenge, f"{n}", "pw", "REGISTER", uri, 1, "cn")))
    started = time.process_time()
    for data in second:
        core.receive(data, flow, now)
    registered = time.process_time() - started
    assert len(core.switchboard.location) == count
    print(
        f"challenge {challenged / count * 1e6:5.1f} us   accept {registered / count * 1e6:5.1f} us"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
