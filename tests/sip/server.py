"""Our side alone: the test plays the peer, in bytes."""

from __future__ import annotations

from appliance.sip.flow import Flow, Transport
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.matching import ServerTransaction, Transactions
from appliance.sip.message import Header, Request
from appliance.sip.timers import TimerQueue
from tests.clock import Clock
from tests.sip.agent import message

PEER = ("192.0.2.1", 5060)
US = ("192.0.2.2", 5060)


def text(
    method: str,
    *more: str,
    branch: str = ";branch=z9hG4bKx",
    to_tag: str = "",
    uri: str = "sip:bob@192.0.2.2",
    cseq: str = "",
) -> str:
    """Write a request of the peer's; `more` are further header lines."""
    return "\n".join(
        [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 192.0.2.1:5060{branch}",
            "Max-Forwards: 70",
            "From: <sip:alice@example.com>;tag=a",
            f"To: <sip:bob@example.com>{to_tag}",
            "Call-ID: c1",
            f"CSeq: {cseq or f'1 {method}'}",
            *more,
        ]
    )


class Server:
    """Transactions with nothing around them."""

    def __init__(self, transport: Transport = "UDP", **caps: int) -> None:
        self.clock = Clock()
        timers = TimerQueue()
        self.clock.drive(timers)
        self.flow = Flow(transport, US, PEER, 0 if transport == "UDP" else 1)
        self.sent: list[str] = []
        """Status of each response, method of each request."""
        self.octets: list[bytes] = []
        self.went: list[Flow] = []
        self.times: list[float] = []
        self.transactions = Transactions(timers, self._send, CountedIdentifiers(), **caps)
        self.told: list[str] = []

    def comes(self, written: str) -> ServerTransaction | None:
        """Let a request come; an ACK is reported as `ack` or, for a 2xx, `stray ack`."""
        request = message(written)
        assert isinstance(request, Request)
        if request.method == "ACK":
            absorbed = self.transactions.absorb_ack(request, self.flow, self.clock.now)
            self.told.append("absorbed" if absorbed else "stray ack")
            return None
        tx = self.transactions.receive_request(request, self.flow, self.clock.now)
        if tx is not None:
            tx.user = self
        return tx

    def begins(self, written: str) -> ServerTransaction:
        """Let a request come that is new."""
        tx = self.comes(written)
        assert tx is not None
        return tx

    def answer(self, tx: ServerTransaction, status: int, *more: Header) -> bool:
        response = tx.request.response(status, to_tag="b", headers=more)
        return tx.respond(response, self.clock.now)

    def acknowledged(self, tx: ServerTransaction, ack: Request, now: float) -> None:
        self.told.append("acknowledged")

    def unacknowledged(self, tx: ServerTransaction, now: float) -> None:
        self.told.append("unacknowledged")

    def _send(self, flow: Flow, data: bytes) -> None:
        words = data.split(None, 2)
        self.sent.append((words[1] if words[0] == b"SIP/2.0" else words[0]).decode())
        self.octets.append(data)
        self.went.append(flow)
        self.times.append(self.clock.now)
