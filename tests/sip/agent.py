"""A user agent of nothing but transactions: it says what it is told to and remembers what came."""

from __future__ import annotations

from collections.abc import Callable

from appliance.sip.flow import Address, Flow, Transport
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.matching import ClientTransaction, ServerTransaction, Transactions
from appliance.sip.message import Header, Request, Response
from appliance.sip.timers import TimerQueue
from tests.clock import Clock
from tests.wire import Wire

ALICE = ("192.0.2.1", 5060)
BOB = ("192.0.2.2", 5060)


def message(text: str) -> Request | Response:
    """Read a message written in a test: one header a line, indented as the test is."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return parse("\r\n".join([*lines, "", ""]).encode())


def request(method: str, *more: Header, cseq: int = 1, call_id: str = "c1") -> Request:
    """Write a request of Alice to Bob, without Via."""
    headers = [
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@example.com>;tag=a"),
        ("To", "<sip:bob@example.com>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        *more,
    ]
    return Request(method, "sip:bob@192.0.2.2", headers)


class Agent:
    """One end of the wire."""

    def __init__(
        self, clock: Clock, wire: Wire, address: Address, transport: Transport = "UDP"
    ) -> None:
        self.clock = clock
        self.address = address
        self.transport: Transport = transport
        self.timers = TimerQueue()
        clock.drive(self.timers)
        self.transactions = Transactions(self.timers, wire.send, CountedIdentifiers(address[0]))
        wire.attach(address, self._receive)
        self.sent: list[ClientTransaction] = []
        self.asked: list[ServerTransaction] = []
        self.acks: list[Request] = []
        """ACKs that belong to no failed INVITE."""
        self.acknowledged_failures = 0
        self.unacknowledged_failures = 0
        self.answers: list[Response] = []
        self.failures: list[int] = []
        self.on_request: Callable[[ServerTransaction], object] = lambda tx: None
        self.on_ack: Callable[[Request], object] = lambda ack: None
        self.on_response: Callable[[ClientTransaction, Response], object] = lambda tx, answer: None

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]

    def flow(self, remote: Address) -> Flow:
        return Flow(self.transport, self.address, remote, 0 if self.transport == "UDP" else 1)

    def ask(self, asked: Request, remote: Address = BOB) -> ClientTransaction:
        tx = self.transactions.request(asked, self.flow(remote), self.clock.now, self)
        self.sent.append(tx)
        return tx

    def answer(self, tx: ServerTransaction, status: int, *more: Header) -> bool:
        response = tx.request.response(status, to_tag="b", headers=more)
        return tx.respond(response, self.clock.now)

    def acknowledge(self, response: Response, remote: Address = BOB) -> None:
        ack = request("ACK", cseq=response.cseq.number, call_id=response.call_id)
        ack.set("To", response.first("To") or "")
        self.transactions.send_ack(ack, self.flow(remote))

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        self.answers.append(response)
        self.on_response(tx, response)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        self.failures.append(status)

    def acknowledged(self, tx: ServerTransaction, ack: Request, now: float) -> None:
        self.acknowledged_failures += 1

    def unacknowledged(self, tx: ServerTransaction, now: float) -> None:
        self.unacknowledged_failures += 1

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        came = parse(data)
        if isinstance(came, Response):
            self.transactions.receive_response(came, flow, now)
        elif came.method == "ACK":
            if not self.transactions.absorb_ack(came, flow, now):
                self.acks.append(came)
                self.on_ack(came)
        elif (tx := self.transactions.receive_request(came, flow, now)) is not None:
            tx.user = self
            self.asked.append(tx)
            self.on_request(tx)


class Pair:
    """Alice and Bob on one wire."""

    def __init__(self, transport: Transport = "UDP", **weather: float) -> None:
        self.clock = Clock()
        self.wire = Wire(self.clock, seed=int(weather.pop("seed", 1)), **weather)
        self.alice = Agent(self.clock, self.wire, ALICE, transport)
        self.bob = Agent(self.clock, self.wire, BOB, transport)

    def ladder(self) -> list[str]:
        """Return who sent what so far, e.g. `alice INVITE`, `bob 180`."""
        return [_short(passed.source, passed.line) for passed in self.wire.log]

    @property
    def open(self) -> int:
        """Return how many transactions both keep."""
        return len(self.alice.transactions) + len(self.bob.transactions)


def _short(source: Address, line: str) -> str:
    words = line.split()
    word = words[1] if words[0] == "SIP/2.0" else words[0]
    return f"{'alice' if source == ALICE else 'bob'} {word}"
