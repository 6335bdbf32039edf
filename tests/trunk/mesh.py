"""Sites that call each other: a real core for each, all on one clock, with nothing in between."""

from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from appliance.bundle import Bundle, Forwarding, Peer, Site
from appliance.call.actions import Action
from appliance.sip.flow import Flow
from appliance.sip.message import Request, Response
from tests.phones import DOMAIN, HOLDFAST, Bench, Phone, sdp
from tests.trunk.outside import SbcPeer, trunk_bundle

CODES = {"west": "81", "east": "82", "north": "83", "south": "84"}
STEP = 0.5
"""Seconds in which all clocks go on together."""


def host(site: str) -> str:
    return f"holdfast.{site}.example.com"


def peer(site: str, **more: object) -> Peer:
    return replace(Peer(site=site, code=CODES[site], host=host(site), srtp="off"), **more)


class Cable:
    """From one site to another; stands among the phones of the bench it leaves."""

    def __init__(self, mesh: Mesh, there: str, flow: Flow) -> None:
        self._mesh = mesh
        self._there = there
        self.flow = flow
        """As the other end sees it."""
        self.inbox = self
        self.seen: list[bytes] = []

    def append(self, message: Request | Response) -> None:
        data = message.encode()
        self.seen.append(data)
        self._mesh.under_way.append((self._there, self.flow, data))


class SiteBench(Bench):
    """The core of one site; what it sends to others arrives when it is done."""

    mesh: Mesh | None = None

    def perform(self, actions: list[Action]) -> None:
        super().perform(actions)
        if self.mesh is not None:
            self.mesh.deliver()


class Mesh:
    """A full mesh of sites that have lost their cloud, two phones at each."""

    def __init__(
        self,
        *sites: str,
        peers: dict[str, dict[str, object]] | None = None,
        forwardings: dict[str, Forwarding] | None = None,
        change: dict[str, dict[str, object]] | None = None,
    ) -> None:
        """`forwardings` by site code and extension; `change` and `peers` by site."""
        self.names = sites or ("west", "east")
        self.under_way: deque[tuple[str, Flow, bytes]] = deque()
        self.dead: set[str] = set()
        self.cables: dict[tuple[str, str], Cable] = {}
        self._delivering = False
        more = peers or {}
        self.benches = {
            name: SiteBench(
                self._bundle(name, more, forwardings or {}, (change or {}).get(name, {})),
                places={
                    **{host(other): ((_address(other), 5061),) for other in self.names},
                    "sbc1.example.net": (("198.51.100.1", 5060),),
                },
            )
            for name in self.names
        }
        self.sbcs = {name: self._sbc(bench) for name, bench in self.benches.items()}
        for here in self.names:
            for there in self.names:
                if here != there:
                    cable = Cable(self, there, _flow(here))
                    self.cables[here, there] = cable
                    self.benches[here].phones[_flow(there)] = cable  # type: ignore[assignment]
        for bench in self.benches.values():
            bench.mesh = self
        self.advance(16)
        self.phones = {
            f"{CODES[name]}{extension}": phone
            for name, bench in self.benches.items()
            for extension, phone in zip(
                ("1001", "1002"), bench.registered("1001", "1002"), strict=True
            )
        }

    def _bundle(
        self,
        name: str,
        more: dict[str, dict[str, object]],
        forwardings: dict[str, Forwarding],
        change: dict[str, object],
    ) -> Bundle:
        bundle, code = trunk_bundle(), CODES[name]
        return replace(
            bundle,
            site=Site(id=name, name=name, code=code, domain=DOMAIN, realm=DOMAIN),
            users=tuple(
                replace(one, forwarding=forwardings.get(code + one.extension, one.forwarding))
                for one in bundle.users
            ),
            peers=tuple(peer(one, **more.get(one, {})) for one in self.names if one != name),
            **change,
        )

    def _sbc(self, bench: Bench) -> SbcPeer:
        flow = Flow("UDP", (HOLDFAST, 5060), ("198.51.100.1", 5060))
        sbc = SbcPeer(bench, "sbc1.example.net", flow)
        bench.phones[flow] = sbc
        return sbc

    def deliver(self) -> None:
        """Have everything arrive that is under way."""
        if self._delivering:
            return
        self._delivering = True
        while self.under_way:
            there, flow, data = self.under_way.popleft()
            bench = self.benches[there]
            if not self.dead & {there, flow.identity.split(".")[1]}:
                bench.perform(bench.core.receive(data, flow, bench.now))
        self._delivering = False

    def advance(self, seconds: float) -> None:
        """Let time pass everywhere."""
        for _ in range(round(seconds / STEP)):
            for bench in self.benches.values():
                bench.advance(STEP)
            self.deliver()

    def row(self, here: str, there: str) -> dict[str, object]:
        """Return how one site is, as another shows it."""
        bench = self.benches[here]
        rows, _ = bench.core.command("peers", {}, bench.now)
        return next(row for row in rows if row["site"] == there)

    def tells(self, here: str, there: str) -> bytes:
        """Return everything one site has sent to another."""
        return b"".join(self.cables[here, there].seen)

    def calls(self) -> list[int]:
        """Return how many calls each site has."""
        return [len(bench.core.switchboard.calls) for bench in self.benches.values()]


def talk(caller: Phone, dialled: str, callee: Phone, body: bytes | None = None) -> Talk:
    """Have one phone call another until both talk."""
    invite = caller.invite(dialled, body)
    incoming = callee.expect("INVITE")
    callee.answer(incoming, 200, body=sdp(callee.host))
    callee.expect("ACK")
    answer = caller.take()[-1]
    assert isinstance(answer, Response)
    assert answer.status == 200, answer
    caller.send(caller.within(invite, answer, "ACK", cseq=invite.cseq.number))
    return Talk(caller, callee, invite, answer, incoming)


class Talk:
    """An answered call as its two phones know it."""

    def __init__(
        self, caller: Phone, callee: Phone, invite: Request, answer: Response, incoming: Request
    ) -> None:
        self.caller, self.callee = caller, callee
        self.invite, self.answer, self.incoming = invite, answer, incoming

    def from_caller(self, method: str, **more: object) -> Request:
        """Have the caller send a request within the call."""
        return self._sent(self.caller, self.caller.within(self.invite, self.answer, method, **more))  # type: ignore[arg-type]

    def from_callee(self, method: str, **more: object) -> Request:
        """Have the called phone send a request within the call."""
        return self._sent(self.callee, self.callee.back(self.incoming, method, "callee", **more))  # type: ignore[arg-type]

    @staticmethod
    def _sent(phone: Phone, request: Request) -> Request:
        phone.send(request)
        return request


def _address(site: str) -> str:
    return f"198.51.100.{CODES[site]}"


def _flow(there: str) -> Flow:
    return Flow("TLS", (HOLDFAST, 5061), (_address(there), 5061), 0, host(there))
