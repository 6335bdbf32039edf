"""Time what one SIP message costs: read, check, answer, write.

    python -m benchmarks.sip_parse [--phones 2000] [--rounds 20]

Every phone is another one (user, Call-ID, branch, nonce), so no cache can help. Prints
microseconds of CPU per message, the best round and the median one, beside the aim. A step alone
costs less than in a row with others, which push its code out of the processor's caches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from appliance.sip.digest import Nonces, challenge, ha1, verify
from appliance.sip.framing import StreamFramer, parse
from appliance.sip.message import Request
from appliance.sip.validate import check_request

REALM = "pbx.example.com"
AIMS = {"register, answered 401": 14.0, "register, answered 200": 18.0}

REGISTER = """\
REGISTER sip:pbx.example.com SIP/2.0\r
Via: SIP/2.0/UDP 10.0.{a}.{b}:5060;branch=z9hG4bK{n:010x};rport\r
Max-Forwards: 70\r
From: "Phone {n}" <sip:{user}@pbx.example.com>;tag={n:08x}\r
To: "Phone {n}" <sip:{user}@pbx.example.com>\r
Call-ID: {n:016x}@10.0.{a}.{b}\r
CSeq: {cseq} REGISTER\r
Contact: <sip:{user}@10.0.{a}.{b}:5060>\r
Expires: 120\r
User-Agent: Benchmark 1.0\r
{authorization}Content-Length: 0\r
\r
"""
AUTHORIZATION = (
    'Authorization: Digest username="{user}", realm="pbx.example.com", nonce="{nonce}", '
    'uri="sip:pbx.example.com", response="{n:032x}", algorithm=MD5, qop=auth, nc=00000001, '
    'cnonce="{n:08x}"\r\n'
)


def register(n: int, nonce: str = "") -> bytes:
    """Return the REGISTER of phone `n`, with credentials if there is a nonce."""
    user = 1000 + n
    authorization = AUTHORIZATION.format(user=user, nonce=nonce, n=n) if nonce else ""
    return REGISTER.format(
        n=n, user=user, a=n >> 8, b=n & 255, cseq=2 if nonce else 1, authorization=authorization
    ).encode()


def read(request: Request) -> None:
    """Read what a registrar reads."""
    _ = request.via.branch, request.via.sent_by, request.from_.tag, request.to.uri
    _ = request.cseq.number, request.call_id, request.contacts[0].uri, request.expires
    _ = request.authorization


def checked(data: bytes) -> Request:
    """Parse a request and check it."""
    request = parse(data)
    assert isinstance(request, Request)
    check_request(request)
    return request


def refuse(data: bytes, nonce: str) -> bytes:
    """Answer a REGISTER without credentials: who asks does not matter yet."""
    request = checked(data)
    _ = request.via.branch, request.to.tag, request.authorization
    headers = [("WWW-Authenticate", value) for value in challenge(REALM, nonce, ("MD5",))]
    return request.response(401, to_tag="a1b2c3d4", headers=headers).encode()


def accept(data: bytes) -> bytes:
    """Answer a REGISTER that is all right."""
    request = checked(data)
    read(request)
    contact = f"<{request.contacts[0].uri}>;expires=120"
    return request.response(200, to_tag="a1b2c3d4", headers=[("Contact", contact)]).encode()


def prove(request: Request, secret: str) -> bool:
    """Verify a request's credentials."""
    credentials = request.authorization
    assert credentials is not None
    return verify(credentials, "REGISTER", secret, None, request.uri)


def measure(name: str, work: Callable[[int], object], phones: int, rounds: int) -> None:
    """Run `work` for every phone, `rounds` times, and print what one costs."""
    costs = []
    for _ in range(rounds):
        start = time.process_time_ns()
        for n in range(phones):
            work(n)
        costs.append((time.process_time_ns() - start) / phones / 1000)
    aim = f"   aim {AIMS[name]:.0f}" if name in AIMS else ""
    print(f"{name:34}{min(costs):7.2f} us best {statistics.median(costs):7.2f} median{aim}")


def main() -> None:
    """Measure each step alone and both ways in full."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--phones", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=20)
    chosen = options.parse_args()
    nonces = Nonces(b"0" * 32)
    issued = [nonces.issue(1000.0, f"{n:016x}") for n in range(chosen.phones)]
    plain = [register(n) for n in range(chosen.phones)]
    signed = [register(n, issued[n]) for n in range(chosen.phones)]
    print(f"{len(plain[0])} octets without credentials, {len(signed[0])} with")

    def run(name: str, work: Callable[[int], object]) -> None:
        measure(name, work, chosen.phones, chosen.rounds)

    run("parse", lambda n: parse(signed[n]))
    run("parse, check", lambda n: checked(signed[n]))
    run("parse, check, read", lambda n: read(checked(signed[n])))
    run("register, answered 401", lambda n: refuse(plain[n], issued[n]))
    run("register, answered 200", lambda n: accept(signed[n]))
    unusual = [data.replace(b"Call-ID", b"i") for data in signed]
    run("the same with a compact name", lambda n: accept(unusual[n]))
    framer = StreamFramer()
    run("cut from a stream", lambda n: framer.feed(signed[n]))
    run("nonce issued", lambda n: nonces.issue(1000.0, "0123456789abcdef"))
    run("nonce checked", lambda n: nonces.check(issued[n], 1001.0))
    requests = [checked(data) for data in signed]
    secret = ha1("MD5", "1000", REALM, "secret")
    run("credentials verified", lambda n: prove(requests[n], secret))


if __name__ == "__main__":
    main()
