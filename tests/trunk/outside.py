"""A site with a trunk around one real core: phones inside, SBCs that keep every byte outside."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from appliance.bundle import Bundle, NumberPlan, RouteGroup, Sbc
from appliance.sip.flow import Flow, Transport
from appliance.sip.message import Request, Response
from tests.phones import HOLDFAST, Bench, Phone, sdp, site_bundle

SBC_PORTS: dict[Transport, int] = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
CARRIER = "198.51.100"


class _Inbox(list[Request | Response]):
    """Answers OPTIONS by itself while its SBC is well."""

    def __init__(self, sbc: SbcPeer) -> None:
        super().__init__()
        self._sbc = sbc

    def append(self, message: Request | Response) -> None:
        self._sbc.seen.append(message.encode())
        if isinstance(message, Request) and message.method == "OPTIONS":
            self._sbc.asked += 1
            if self._sbc.options:
                self._sbc.answer(message, self._sbc.options, tag="o")
            return
        super().append(message)


class SbcPeer(Phone):
    """One SBC; it answers OPTIONS with `options`, and everything else as the test says."""

    def __init__(self, bench: Bench, host: str, flow: Flow) -> None:
        super().__init__(bench, host, flow)
        self.seen: list[bytes] = []
        """Everything it was ever sent."""
        self.options = 200
        """0: it is silent."""
        self.asked = 0
        self._inbox = _Inbox(self)

    @property
    def inbox(self) -> list[Request | Response]:  # type: ignore[override]
        return self._inbox

    @inbox.setter
    def inbox(self, messages: list[Request | Response]) -> None:
        if hasattr(self, "_inbox"):
            self._inbox = _Inbox(self)
            self._inbox.extend(messages)

    def call(self, number: str, *, caller: str = "+442079460000", **more: Any) -> Request:
        """Send an INVITE from outside."""
        body = more.pop("body", None)
        headers = list(more.pop("headers", ()))
        uri = f"sip:{number}@{HOLDFAST}"
        invite = self.request(
            "INVITE", uri, body=sdp(self.host) if body is None else body, headers=headers
        )
        invite.set("From", f"<sip:{caller}@{self.host}>;tag=out{self.serial}")
        if "to" in more:
            invite.set("To", more.pop("to"))
        self.send(invite)
        return invite


def trunk_bundle(*sbcs: Sbc, plan: dict[str, Any] | None = None, **group: Any) -> Bundle:
    """Return the bench's site with one route group; users have the DIDs +13125551001 and so on."""
    bundle = site_bundle()
    users = tuple(
        replace(one, numbers=(f"+1312555{one.extension}",), class_of_service="international")
        for one in bundle.users
    )
    group.setdefault("srtp", "off")
    route = RouteGroup(id="main", sbcs=sbcs or (udp(1),), **group)
    numbers = {"outside_prefix": "9", "site_number": "+13125550000", **(plan or {})}
    return replace(bundle, users=users, route_groups=(route,), number_plan=NumberPlan(**numbers))


def udp(number: int, **more: Any) -> Sbc:
    """Make an SBC named sbc<n>.example.net on UDP."""
    more.setdefault("transport", "UDP")
    port = SBC_PORTS[more["transport"]]
    return Sbc(host=f"sbc{number}.example.net", port=port, **more)


class Trunked:
    """A site in an outage with registered phones and its SBCs."""

    def __init__(self, bundle: Bundle | None = None, *phones: str) -> None:
        bundle = bundle or trunk_bundle()
        sbcs = [sbc for group in bundle.route_groups for sbc in group.sbcs]
        hosts = {sbc.host: f"{CARRIER}.{index + 1}" for index, sbc in enumerate(sbcs)}
        places = {sbc.host: ((hosts[sbc.host], sbc.port or 5060),) for sbc in sbcs}
        self.bench = Bench(bundle, places=places)
        self.sbcs: list[SbcPeer] = []
        for sbc in sbcs:
            local = (HOLDFAST, SBC_PORTS[sbc.transport])
            name = sbc.host if sbc.transport == "TLS" else ""
            flow = Flow(sbc.transport, local, (hosts[sbc.host], sbc.port or 5060), 0, name)
            peer = SbcPeer(self.bench, sbc.host, flow)
            self.bench.phones[flow] = peer
            self.sbcs.append(peer)
        self.bench.advance(16)
        assert self.bench.mode == "survivability"
        self.phones = self.bench.registered(*(phones or ("1001", "1002")))

    @property
    def sbc(self) -> SbcPeer:
        return self.sbcs[0]

    @property
    def alice(self) -> Phone:
        return self.phones[0]

    @property
    def bob(self) -> Phone:
        return self.phones[1]

    def rows(self) -> list[dict[str, Any]]:
        """Return what `holdfast trunk` shows of the SBCs."""
        told, _ = self.bench.core.command("trunk", {}, self.bench.now)
        rows: list[dict[str, Any]] = told["sbcs"]
        return rows

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]


def answered(caller: Phone, invite: Request, callee: Phone, incoming: Request) -> Response:
    """Have the callee answer and the caller acknowledge; return the answer the caller got."""
    callee.answer(incoming, 200, body=sdp(callee.host))
    callee.expect("ACK")
    answer = caller.take()[-1]
    assert isinstance(answer, Response)
    assert answer.status == 200
    caller.send(caller.within(invite, answer, "ACK", cseq=invite.cseq.number))
    return answer
