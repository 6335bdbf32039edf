"""Three phones, two of which talk: what transfers are tried with."""

from __future__ import annotations

from appliance.bundle import Bundle
from appliance.call.actions import RelaySide, Sound
from appliance.call.call import Call
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_basic_call import talking
from tests.phones import Bench, Phone, sdp

TO_CAROL = "<sip:1003@example.com>"
MUSIC = Sound("music", loop=True)


class Trio:
    """Alice has called Bob and they talk; Carol's phone is free."""

    def __init__(self, bundle: Bundle | None = None) -> None:
        self.bench = Bench.in_outage(bundle)
        self.alice, self.bob, self.carol = self.bench.registered("1001", "1002", "1003")
        self.invite, self.answer, self.incoming = talking(self.bench, self.alice, self.bob)
        self.count = 10
        self.told: list[str] = []
        """What the phone that transfers has been told, status by status."""

    def within(self, who: Phone, method: str, *, body: bytes = b"", **headers: str) -> Request:
        """Write a request of Alice or Bob inside their first call."""
        self.count += 1
        lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if who is self.alice:
            return who.within(
                self.invite, self.answer, method, cseq=self.count, body=body, headers=lines
            )
        return who.back(self.incoming, method, "callee", cseq=self.count, body=body, headers=lines)

    def refer(self, who: Phone, to: str = TO_CAROL, **headers: str) -> int:
        """Let Alice or Bob hand the other on; return the answer's status."""
        who.send(self.within(who, "REFER", Refer_To=to, **headers))
        return self.listen(who)

    def listen(self, who: Phone) -> int:
        """Take the NOTIFYs that have come, and the REFER's answer; 0: none came."""
        status, others = 0, []
        while who.inbox:  # a NOTIFY that is answered brings the next
            message = who.inbox.pop(0)
            if isinstance(message, Request) and message.method == "NOTIFY":
                state = (message.first("Subscription-State") or "").partition(";")[0]
                self.told.append(f"{state} {message.body.decode().split()[1]}")
                assert message.content_type.startswith("message/sipfrag")
                who.answer(message, 200, tag=message.to.tag or "")
            elif isinstance(message, Response) and message.cseq.method == "REFER":
                status = message.status
            else:
                others.append(message)
        who.inbox = others
        return status

    def ask(self, who: Phone, direction: str) -> None:
        """Let Alice or Bob hold the other one, or take it back."""
        other = self.bob if who is self.alice else self.alice
        invite = self.within(who, "INVITE", body=sdp(who.host, direction=direction, version=9))
        who.send(invite)
        agree(other, other.expect("INVITE"), "recvonly" if direction != "sendrecv" else "sendrecv")
        assert 200 in who.responses()
        ack = self.within(who, "ACK")
        ack.set("CSeq", f"{invite.cseq.number} ACK")
        who.send(ack)

    def hang_up(self, who: Phone) -> None:
        who.send(self.within(who, "BYE"))
        assert 200 in [m.status for m in who.take() if isinstance(m, Response)]

    def end(self, who: Phone, other: Phone) -> None:
        """Let Alice or Bob hang up on whoever is left, and check that nothing else is."""
        self.hang_up(who)
        other.expect("BYE")
        self.bench.quiet()

    @property
    def call(self) -> Call:
        (call,) = self.bench.core.switchboard.calls.values()
        return call

    @property
    def sides(self) -> tuple[RelaySide, RelaySide]:
        (relay,) = self.bench.relays.values()
        assert relay.b is not None
        return relay.a, relay.b

    def pair(self) -> set[str]:
        """Return the extensions that are joined."""
        return {leg.extension for leg in self.call.joined}


def agree(phone: Phone, offer: Request, direction: str = "sendrecv") -> Request:
    """Answer a re-INVITE, and take its ACK."""
    phone.answer(offer, 200, tag=offer.to.tag or "", body=sdp(phone.host, direction=direction))
    phone.expect("ACK")
    return offer


def a_law(phone: Phone) -> bytes:
    """Write a description of a phone that takes PCMA only."""
    return sdp(phone.host).replace(b"AVP 0 101", b"AVP 8 101").replace(b"0 PCMU", b"8 PCMA")


def pick_up(phone: Phone, body: bytes = b"") -> Request:
    """Ring and answer."""
    invite = phone.expect("INVITE")
    phone.answer(invite, 180, tag="picked")
    phone.answer(invite, 200, tag="picked", body=body or sdp(phone.host))
    phone.expect("ACK")
    return invite


def direction(message: Request | Response) -> str:
    session = Session.parse(message.body)
    return session.direction_of(session.media[0])
