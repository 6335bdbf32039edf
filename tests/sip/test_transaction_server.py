"""Requests that come and are no INVITE (RFC 3261, 17.2.2)."""

import sys

import pytest

from appliance.errors import RemoteError
from appliance.sip.message import Request
from tests.sip.agent import message
from tests.sip.server import Server, text

REGISTER = text("REGISTER")


def numbered(number: int, method: str = "REGISTER") -> str:
    return text(method, branch=f";branch=z9hG4bK{number}")


def test_nothing_is_sent_before_somebody_answers():
    server = Server()
    tx = server.begins(REGISTER)
    assert server.comes(REGISTER) is None
    assert tx.state == "trying" and server.sent == []


def test_a_repeated_request_gets_the_provisional_response_again():
    server = Server()
    tx = server.begins(REGISTER)
    server.answer(tx, 183)
    assert server.comes(REGISTER) is None
    assert tx.state == "proceeding" and server.sent == ["183", "183"]
    server.answer(tx, 183)
    assert server.answer(tx, 200) and server.sent[2:] == ["183", "200"]


def test_a_repeated_request_gets_the_same_octets_for_32_s():
    server = Server()
    server.answer(server.begins(REGISTER), 200)
    server.clock.advance(31.9)
    assert server.comes(REGISTER) is None
    assert server.octets[0] == server.octets[1]
    server.clock.advance(0.4)
    assert not server.transactions


def test_over_a_stream_nothing_is_kept_once_it_is_answered():
    server = Server("TLS")
    tx = server.begins(REGISTER)
    server.answer(tx, 200)
    assert tx.state == "terminated" and not server.transactions
    assert server.transactions._room.timers.deadline() is None


def test_an_answered_request_takes_no_further_answer():
    server = Server()
    tx = server.begins(REGISTER)
    answer = tx.request.response(200)
    assert tx.respond(answer, 1000.0)
    assert not tx.respond(answer, 1000.0) and server.sent == ["200"]


def test_of_an_answered_request_only_the_answer_is_kept():
    server = Server()
    tx = server.begins(REGISTER)
    server.answer(tx, 200)
    assert tx.state == "completed" and tx.final is not None and tx.final.status == 200
    counted = sys.getrefcount(tx)
    assert counted == 2 and server.comes(REGISTER) is None and server.sent == ["200", "200"]


def test_a_core_that_answers_without_transaction_asks_first_whether_it_is_known():
    server = Server()
    asked = message(REGISTER)
    assert isinstance(asked, Request)
    assert not server.transactions.seen(asked, server.flow, 1000.0)
    server.answer(server.begins(REGISTER), 200)
    assert server.transactions.seen(asked, server.flow, 1000.0)
    assert server.sent == ["200", "200"]


def test_a_request_asked_about_is_begun_once():
    server = Server()
    asked = message(REGISTER)
    assert isinstance(asked, Request)
    assert not server.transactions.seen(asked, server.flow, 1000.0)
    assert server.transactions.receive_request(asked, server.flow, 1000.0) is not None
    assert server.transactions.receive_request(asked, server.flow, 1000.0) is None


def test_at_the_cap_a_request_is_refused_with_503_and_the_sender_may_repeat_it():
    server = Server(most_servers=2)
    first = server.begins(numbered(1))
    server.begins(numbered(2))
    with pytest.raises(RemoteError, match="503"):
        server.comes(numbered(3))
    server.answer(first, 200)
    assert server.comes(numbered(3)) is not None


def test_above_the_cap_what_ends_calls_is_still_taken():
    server = Server(most_servers=1)
    server.begins(numbered(1, "INVITE"))
    assert server.comes(numbered(1, "CANCEL")) is not None
    assert server.comes(numbered(2, "BYE")) is not None


def test_what_nobody_answered_in_32_s_makes_room_at_the_cap():
    server = Server(most_servers=2)
    first, ringing = server.begins(numbered(1)), server.begins(numbered(2, "INVITE"))
    server.answer(first, 183)
    server.clock.advance(32)
    assert server.comes(numbered(3)) is not None
    assert (first.state, ringing.state) == ("terminated", "proceeding")


def test_above_their_cap_the_oldest_answers_are_forgotten_first():
    server = Server(most_answered=2)
    for number in range(4):
        server.answer(server.begins(numbered(number)), 200)
        server.clock.advance(1)
    assert server.comes(numbered(3)) is None
    assert server.comes(numbered(0)) is not None


def test_above_the_cap_of_our_own_requests_only_what_ends_calls_is_sent():
    server = Server(most_clients=1)
    options, bye = message(text("OPTIONS")), message(text("BYE"))
    assert isinstance(options, Request) and isinstance(bye, Request)
    server.transactions.request(options, server.flow, 1000.0, Nobody())
    with pytest.raises(RemoteError, match="503"):
        server.transactions.request(options, server.flow, 1000.0, Nobody())
    server.transactions.request(bye, server.flow, 1000.0, Nobody())
    assert server.sent == ["OPTIONS", "BYE"]


class Nobody:
    def response(self, tx, response, now): ...

    def failed(self, tx, status, now): ...
