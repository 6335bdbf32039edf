"""Python time of a whole call in the core, without sockets: from the INVITE to the sealed record.

    python -m benchmarks.core_call [calls]

Only the core's steps are timed, and of each step the smallest median of some rounds counts: so
other programs on the machine hardly show.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

from appliance.call.actions import Action, DropRelay, Send
from appliance.call.events import RelayEnded
from appliance.call.record import MediaCounters
from appliance.core import Core
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.credentials import Challenge
from appliance.sip.digest import respond
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.message import Message, Request, Response
from benchmarks.core_register import DOMAIN, bundle, outage, request

CALLER, CALLEE = 100_000, 100_001
LOCAL = ("127.0.0.1", 5060)
FLOWS = {
    number: Flow("UDP", LOCAL, ("127.0.0.1", 5070 + number - CALLER)) for number in (CALLER, CALLEE)
}
ROUNDS = 5
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Bench:
    """One core, its two phones, and the seconds that every step of every call took."""

    def __init__(self) -> None:
        self.core = Core(Settings(), CountedIdentifiers(), lambda now: now, Restored())
        self.core.start(0.0)
        self.core.apply(bundle(2), 0.0)
        self.now = outage(self.core, 0.0)
        self.taken: dict[str, list[float]] = {}
        for number in FLOWS:
            self.register(number)

    def step(self, name: str, act: Callable[[], list[Action]]) -> list[Action]:
        """Time one step."""
        begun = perf_counter()
        actions = act()
        self.taken.setdefault(name, []).append(perf_counter() - begun)
        return actions

    def say(self, name: str, number: int, data: bytes) -> list[Action]:
        """Let a phone send something."""
        return self.step(name, lambda: self.core.receive(data, FLOWS[number], self.now))

    def register(self, number: int) -> None:
        """Let a phone register, not timed."""
        refused = self.core.receive(request(number, 1), FLOWS[number], self.now)
        data = request(number, 2, credentials(refused, number, "REGISTER", f"sip:{DOMAIN}"))
        self.core.receive(data, FLOWS[number], self.now)

    def call(self, count: int) -> None:
        """Make one call and end it."""
        uri = f"sip:{CALLEE}@{DOMAIN}"
        refused = self.say("INVITE", CALLER, ask("INVITE", uri, count, 1, body=SDP))
        self.say("ACK of 401", CALLER, ask("ACK", uri, count, 1, to=sent(refused).first("To")))
        proof = credentials(refused, CALLER, "INVITE", uri)
        actions = self.say(
            "INVITE again", CALLER, ask("INVITE", uri, count, 2, proof=proof, body=SDP)
        )
        invite = next(m for m in map(parse, datagrams(actions)) if isinstance(m, Request))
        self.say("180", CALLEE, reply(invite, 180))
        answered = self.say("200", CALLEE, reply(invite, 200, SDP))
        final = next(m for m in map(parse, datagrams(answered)) if isinstance(m, Response))
        target, to = str(final.contacts[0].uri), final.first("To")
        self.say("ACK", CALLER, ask("ACK", target, count, 2, branch="a", to=to))
        ended = self.say("BYE", CALLER, ask("BYE", target, count, 3, to=to))
        bye = next(m for m in map(parse, datagrams(ended)) if isinstance(m, Request))
        self.say("200 of BYE", CALLEE, reply(bye, 200))
        dropped = next(action for action in ended if isinstance(action, DropRelay))
        event = RelayEnded(dropped.key, MediaCounters(), MediaCounters())
        self.step("relay ended", lambda: self.core.media_event(event, self.now))
        self.now += 0.01
        self.core.expire(self.now)


def datagrams(actions: list[Action]) -> list[bytes]:
    """Return what the core sends."""
    return [action.data for action in actions if isinstance(action, Send)]


def sent(actions: list[Action]) -> Message:
    """Return the last message that the core sends."""
    return parse(datagrams(actions)[-1])


def credentials(refused: list[Action], number: int, method: str, uri: str) -> str:
    """Answer the challenge of a 401."""
    challenge = Challenge.parse(sent(refused).all("WWW-Authenticate")[0])
    return respond(challenge, f"{number}", "pw", method, uri, 1, "cn")


def ask(
    method: str,
    uri: str,
    count: int,
    cseq: int,
    *,
    branch: str = "",
    to: str | None = None,
    proof: str = "",
    body: str = "",
) -> bytes:
    """Write a request of the caller as a desk phone does."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{count}x{cseq}{branch};rport",
        f"From: <sip:{CALLER}@{DOMAIN}>;tag=f{count}",
        f"To: {to or f'<{uri}>'}",
        f"Call-ID: call{count}@127.0.0.1",
        f"CSeq: {cseq} {method}",
        f"Contact: <sip:{CALLER}@127.0.0.1:5070>",
        "Max-Forwards: 70",
        "User-Agent: benchmark",
        *([f"Authorization: {proof}"] if proof else []),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def reply(request: Request, status: int, body: str = "") -> bytes:
    """Write an answer of the callee."""
    headers = [("Contact", f"<sip:{CALLEE}@127.0.0.1:5071>")]
    if body:
        headers.append(("Content-Type", "application/sdp"))
    return request.response(status, None, "there", headers, body.encode()).encode()


def main(calls: int) -> None:
    """Print the microseconds of every step and of a call."""
    gc.disable()
    bench, best, count = Bench(), dict[str, float](), 0
    for _ in range(ROUNDS):
        bench.taken.clear()
        for _ in range(calls):
            count += 1
            bench.call(count)
        for name, taken in bench.taken.items():
            best[name] = min(best.get(name, 1.0), median(taken))
    for name, seconds in best.items():
        print(f"{name:14} {seconds * 1e6:7.1f} us")
    print(f"{'a call':14} {sum(best.values()) * 1e6:7.1f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
