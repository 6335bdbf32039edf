"""On a wire that loses, doubles and reorders, what is promised to a transaction's user holds."""

from __future__ import annotations

import pytest

from appliance.sip.matching import ClientTransaction, Retransmission, ServerTransaction
from appliance.sip.message import Response
from tests.sip.agent import BOB, Pair, request

STORM = {"loss": 0.25, "doubled": 0.25, "delay": 0.02, "jitter": 0.4}
SEEDS = range(1, 21)
CALLS = 10


def end(pair: Pair) -> None:
    """Let everything run out; nothing may be left of it."""
    pair.clock.run_out(400)
    assert pair.open == 0 and pair.clock.deadline() is None
    assert not pair.alice.transactions._room.on_flow and not pair.bob.transactions._room.invited


def asks(pair: Pair, method: str) -> None:
    for number in range(1, CALLS + 1):
        pair.alice.ask(request(method, cseq=number, call_id=f"c{number}"))
        pair.clock.advance(0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_request_is_worked_on_once_and_its_outcome_told_once(seed):
    pair = Pair(seed=seed, **STORM)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 200)
    asks(pair, "OPTIONS")
    end(pair)
    assert len(pair.bob.asked) == CALLS
    assert pair.alice.statuses == [200] * CALLS and pair.alice.failures == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_refused_call_is_told_once_and_acknowledged_once(seed):
    pair = Pair(seed=seed, **STORM)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 486)
    asks(pair, "INVITE")
    end(pair)
    assert [status for status in pair.alice.statuses if status >= 200] == [486] * CALLS
    assert len(pair.bob.asked) == CALLS
    assert pair.bob.acknowledged_failures == CALLS and pair.bob.unacknowledged_failures == 0


class Answering:
    """Make Bob repeat his 200 until its ACK comes, and Alice acknowledge each that comes."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.repeating: dict[str, Retransmission] = {}
        self.given_up: list[str] = []
        pair.bob.on_request = self.accept
        pair.alice.on_response = self.acknowledge

    def accept(self, tx: ServerTransaction) -> None:
        response = tx.request.response(200, to_tag="b")
        tx.respond(response, self.pair.clock.now)
        call_id = tx.request.call_id
        self.repeating[call_id] = Retransmission(
            self.pair.bob.timers,
            self.pair.clock.now,
            lambda now: tx.retransmit(response, now),
            lambda now: self.given_up.append(call_id),
        )

    def acknowledge(self, tx: ClientTransaction, response: Response) -> None:
        if response.status == 200:
            self.pair.alice.acknowledge(response)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_accepted_call_is_repeated_until_it_is_acknowledged(seed):
    pair = Pair(seed=seed, **STORM)
    answering = Answering(pair)
    pair.bob.on_ack = lambda ack: answering.repeating[ack.call_id].stop()
    asks(pair, "INVITE")
    end(pair)
    assert len(pair.bob.asked) == CALLS and answering.given_up == []
    assert {ack.call_id for ack in pair.bob.acks} == {f"c{n}" for n in range(1, CALLS + 1)}
    assert pair.alice.failures == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cancelled_call_ends_once_however_the_messages_cross(seed):
    pair = Pair(seed=seed, **STORM)

    def refuse_cancelled(tx: ServerTransaction) -> None:
        if tx.method == "CANCEL":
            pair.bob.answer(tx, 200 if tx.cancels else 481)
            if tx.cancels:
                pair.bob.answer(tx.cancels, 487)

    pair.bob.on_request = refuse_cancelled
    asks(pair, "INVITE")
    for tx in pair.alice.sent:
        tx.cancel(pair.clock.now)
        pair.clock.advance(0.1)
    end(pair)
    finals = [status for status in pair.alice.statuses if status >= 200]
    assert finals == [487] * CALLS and pair.alice.failures == []


def test_a_stream_has_no_weather_and_nothing_goes_twice():
    pair = Pair("TCP", **STORM)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 486)
    pair.alice.ask(request("INVITE"))
    end(pair)
    assert pair.ladder() == ["alice INVITE", "bob 100", "bob 486", "alice ACK"]


def test_a_dead_line_is_told_as_silence_to_everybody_who_asked():
    pair = Pair(loss=1.0)
    asks(pair, "INVITE")
    asks(pair, "OPTIONS")
    end(pair)
    assert pair.alice.failures == [408] * 2 * CALLS and pair.bob.asked == []


def test_the_same_seed_gives_the_same_weather():
    logs = []
    for _ in range(2):
        pair = Pair(seed=5, **STORM)
        pair.bob.on_request = lambda tx, bob=pair.bob: bob.answer(tx, 200)
        asks(pair, "OPTIONS")
        end(pair)
        logs.append(pair.wire.log)
    assert logs[0] == logs[1] and BOB in {passed.target for passed in logs[0]}
