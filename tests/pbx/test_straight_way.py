"""The straight ways of plain messages give what the general ways give."""

from __future__ import annotations

import msgspec
import pytest

from appliance.sip.flow import Flow, Transport
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Request
from appliance.sip.timers import TIMEOUT, TimerQueue
from tests.pbx.office import DOMAIN, Office, Phone

SERVER = ("192.0.2.254", 5060)


class Door:
    """A transaction layer on its own, and all it sent."""

    def __init__(self, transport: Transport, most_answered: int = 100) -> None:
        self.flow = Flow(transport, SERVER, ("192.0.2.1", 5070), int(transport != "UDP"))
        self.sent: list[tuple[Flow, bytes]] = []
        self.timers = TimerQueue()
        self.transactions = Transactions(
            self.timers,
            lambda flow, data: self.sent.append((flow, data)),
            CountedIdentifiers(),
            most_answered=most_answered,
        )

    def comes(self, straight: bool, via: str, now: float, status: int = 200) -> None:
        """Take one REGISTER and answer it, unless it is a retransmission."""
        request = register(via)
        if self.transactions.seen(request, self.flow, now):
            return
        response = request.response(status, to_tag="t", headers=[("Contact", "<sip:a@b>")])
        if straight:
            self.transactions.answer(request, response, self.flow, now)
            return
        tx = self.transactions.receive_request(request, self.flow, now)
        assert tx is not None
        tx.respond(response, now)


def register(via: str) -> Request:
    """Read a REGISTER with this top Via."""
    head = f"REGISTER sip:b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:a@b>\r\n"
    message = parse(f"{head}Call-ID: c\r\nCSeq: 1 REGISTER\r\n\r\n".encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize(
    "path", ["192.0.2.1:5070;rport;branch=z9hG4bK{0}", "h;branch=z9hG4bK{0}", "h:5090;branch={0}"]
)
def test_an_answer_at_once_is_the_answer_of_a_transaction(transport: Transport, path: str) -> None:
    straight, general = Door(transport), Door(transport)
    kept: dict[Door, list[int]] = {straight: [], general: []}
    for door in (straight, general):
        for number, now in ((1, 0.0), (2, 1.0), (1, 2.0), (2, TIMEOUT), (1, TIMEOUT + 0.3)):
            door.timers.expire(now)
            via = f"SIP/2.0/{transport} {path.format(number)}"
            door.comes(door is straight, via, now, 404 if number == 2 else 200)
            kept[door].append(len(door.transactions))
        door.timers.expire(3 * TIMEOUT)
        assert len(door.transactions) == 0
    assert straight.sent == general.sent
    assert kept[straight] == kept[general] == ([0] * 5 if transport == "TCP" else [1, 2, 2, 2, 2])
    assert len(straight.sent) == 5


def test_answers_at_once_are_bounded_as_all_are() -> None:
    doors = [Door("UDP", most_answered=3), Door("UDP", most_answered=3)]
    for door in doors:
        for number in range(10):
            door.comes(door is doors[0], f"SIP/2.0/UDP h;branch=z9hG4bK{number}", float(number))
        assert len(door.transactions) <= 4


class UnusualPhone(Phone):
    """A phone whose requests are read in the general way."""

    def request(self, *lines: str, method: str = "REGISTER") -> Request:
        """Return a request that is no match of the plain pattern any more."""
        request = super().request(*lines, method=method)
        request.set("Call-ID", request.call_id)
        assert request.plain is None
        return request


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: <sip:1001@192.0.2.1:5060>", "Expires: 60"),
        ("Contact: <sip:1001@192.0.2.1>",),
        ("Contact: <sips:192.0.2.1:5060>", "Expires: 99999", "User-Agent: Desk 1"),
        ("Contact: <sip:1001@Phone.Example:5060>", "Expires: 5"),
        ("Contact: <sip:1001@192.0.2.1:5060>", "Expires: 0"),
        ("Contact: <sip:1001@192.0.2.1:5060;transport=udp>", "Expires: 60"),
        ('Contact: "A" <sip:1001@192.0.2.1:5060>', "Expires: 60"),
        ("Contact: <sip:1001@192.0.2.1:5060>;expires=90;q=0.5",),
        (f"Contact: <sip:{'1' * 1020}@a>", "Expires: 60"),
        ("Expires: 60",),
    ],
)
@pytest.mark.parametrize(
    "to",
    [
        *(f"<sip:1001@{DOMAIN}>", "<sip:al@EXAMPLE.com:5060>", "<sip:1001@192.0.2.254>"),
        *(f"<sip:1002@{DOMAIN}>", f"<sip:{DOMAIN}>", "<sip:1001@elsewhere.example>"),
    ],
)
def test_a_plain_registration_is_any_registration(lines: tuple[str, ...], to: str) -> None:
    seen = []
    for kind in (Phone, UnusualPhone):
        office = Office()
        phone = kind(office)
        phone.to = to
        answers = [phone.register(*lines), phone.register(*lines)]
        bindings = [msgspec.to_builtins(binding) for binding in office.location]
        written = [(answer.status, sorted(answer.headers)) for answer in answers]
        seen.append((written, bindings, office.saved()))
    assert seen[0] == seen[1]
