"""What the registrar costs beyond parsing: `python -m benchmarks.registrar [phones]`.

Every phone is challenged, registers, and registers again with the same nonce, as in an outage.
Each message is parsed right before, as in the core, and the clock runs for the registrar only;
printed is the median message of the best of five rounds, so other processes hardly count.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

from appliance.bundle import Bundle, Credential, Site, User, Zone
from appliance.call.actions import Action
from appliance.pbx.authentication import Authentication
from appliance.pbx.directory import Directory
from appliance.pbx.guard import Guard
from appliance.pbx.location import Location
from appliance.pbx.registrar import Registrar
from appliance.sip.credentials import Challenge
from appliance.sip.digest import Nonces, ha1, respond
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.message import Request, Response
from appliance.sip.timers import TimerQueue
from appliance.sip.validate import check_request

REALM = "cloud.example.com"


def bundle(phones: int) -> Bundle:
    """Give a site with one user a phone."""
    users = []
    for number in range(phones):
        name = str(100_000 + number)
        hashes = {kind: ha1(kind, name, REALM, "secret") for kind in ("MD5", "SHA-256")}
        proof = Credential(username=name, realm=REALM, md5=hashes["MD5"], sha256=hashes["SHA-256"])
        users.append(User(id=f"u{name}", name=name, extension=name, credentials=(proof,)))
    zones = (Zone(id="a", host="a.example.com"),)
    site = Site(id="s", name="Site", code="8", domain=REALM, realm=REALM)
    return Bundle(version=1, site=site, zones=zones, users=tuple(users))


def register(number: int, cseq: int, authorization: str = "") -> bytes:
    """Give a REGISTER as a desk phone writes it."""
    name, port = 100_000 + number, 10_000 + number
    proof = f"Authorization: {authorization}\r\n" if authorization else ""
    return (
        f"REGISTER sip:{REALM} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:{port};branch=z9hG4bK{number}x{cseq};rport\r\n"
        f"From: <sip:{name}@{REALM}>;tag=f{number}\r\nTo: <sip:{name}@{REALM}>\r\n"
        f"Call-ID: {number}@192.0.2.1\r\nCSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\n"
        f"Contact: <sip:{name}@192.0.2.1:{port}>\r\nExpires: 120\r\n{proof}"
        "User-Agent: Desk phone 1.0\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answered(number: int, cseq: int, challenge: Challenge, count: int) -> bytes:
    """Give the REGISTER that answers a challenge."""
    name = str(100_000 + number)
    proof = respond(challenge, name, "secret", "REGISTER", f"sip:{REALM}", count, "c0ffee")
    return register(number, cseq, proof)


def read(data: bytes) -> Request:
    """Parse a message as far as the registrar reads it."""
    request = parse(data)
    assert isinstance(request, Request)
    check_request(request)
    _ = request.authorization, request.expires, request.index
    return request


def cost(
    registrar: Registrar, messages: list[bytes], status: int, now: float
) -> tuple[float, list[Response]]:
    """Return the median message's microseconds, and the answers."""
    gc.collect()
    gc.disable()  # The core freezes its heap; here its pauses would hit at random.
    times, answers = [], []
    for number, data in enumerate(messages):
        request = read(data)
        flow = Flow("UDP", ("192.0.2.254", 5060), ("192.0.2.1", 10_000 + number))
        began = perf_counter()
        answer = registrar.receive(request, flow, now)
        times.append(perf_counter() - began)
        answers.append(answer)
    assert {answer.status for answer in answers} == {status}
    return median(times) * 1e6, answers


def one_round(site: Bundle, algorithm: int) -> dict[str, float]:
    """Measure one outage: challenge, registration, refresh."""
    phones = range(len(site.users))
    actions: list[Action] = []
    location = Location(TimerQueue(), actions.append)
    directory, nonces = Directory(site), Nonces(b"k" * 32)
    guard, identifiers = Guard(actions.append), CountedIdentifiers()
    login = Authentication(directory, site, nonces, guard, identifiers, location)
    registrar = Registrar(directory, site, location, login, actions.append)
    figures = {}
    asked = [register(number, 1) for number in phones]
    figures["challenge"], answers = cost(registrar, asked, 401, 100.0)
    offers = [Challenge.parse(answer.all("WWW-Authenticate")[algorithm]) for answer in answers]
    first = [answered(n, 2, offer, 1) for n, offer in zip(phones, offers, strict=True)]
    figures["register"], _ = cost(registrar, first, 200, 101.0)
    again = [answered(n, 3, offer, 2) for n, offer in zip(phones, offers, strict=True)]
    figures["refresh"], _ = cost(registrar, again, 200, 160.0)
    return figures


def best(measure: Callable[[], dict[str, float]], rounds: int = 5) -> dict[str, float]:
    """Return the least of each figure: what disturbs a measurement only adds to it."""
    runs = [measure() for _ in range(rounds)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Print microseconds for each kind of message, by algorithm."""
    phones = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    site = bundle(phones)
    for place, algorithm in enumerate(site.policies.digest_algorithms):
        figures = best(partial(one_round, site, place))
        line = "  ".join(f"{name} {spent:5.1f} us" for name, spent in figures.items())
        print(f"{algorithm:8} {line}  ({phones} phones)")


if __name__ == "__main__":
    main()
