"""INVITEs of ours (RFC 3261, 17.1.1, as mended by RFC 6026)."""

from tests.sip.agent import Pair, request


def sent_at(pair: Pair) -> list[float]:
    return [round(passed.when - 1000, 2) for passed in pair.wire.log]


def ringing(transport: str = "UDP") -> Pair:
    """Return a pair where Alice's INVITE has been answered with 180."""
    pair = Pair(transport)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 180 if tx.method == "INVITE" else 200)
    pair.alice.ask(request("INVITE"))
    pair.clock.advance(0.1)
    assert pair.alice.statuses == [100, 180]
    return pair


def test_silence_doubles_the_wait_each_time_until_32_s_are_over():
    pair = Pair(loss=1.0)
    pair.alice.ask(request("INVITE"))
    pair.clock.advance(60)
    assert sent_at(pair) == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert pair.alice.failures == [408] and pair.open == 0


def test_over_a_stream_an_invite_is_sent_once_and_fails_after_32_s():
    pair = Pair("TLS")
    pair.wire.detach(("192.0.2.2", 5060))
    pair.alice.ask(request("INVITE"))
    pair.clock.advance(31.9)
    assert pair.ladder() == ["alice INVITE"] and pair.alice.failures == []
    pair.clock.advance(0.2)
    assert pair.alice.failures == [408]


def test_a_provisional_response_stops_the_repeating_and_lets_it_ring_for_ever():
    pair = ringing()
    pair.clock.advance(300)
    assert pair.ladder() == ["alice INVITE", "bob 100", "bob 180"]
    assert pair.alice.failures == []


def test_a_2xx_is_passed_up_each_time_it_comes_for_32_s():
    pair = ringing()
    pair.bob.answer(pair.bob.asked[0], 200)
    for _ in range(3):
        pair.clock.advance(0.5)
        pair.bob.answer(pair.bob.asked[0], 200)
    pair.clock.advance(0.5)
    assert pair.alice.statuses == [100, 180, 200, 200, 200, 200]
    pair.clock.advance(33)
    assert pair.alice.failures == [] and pair.open == 0


def test_a_2xx_may_be_the_first_thing_that_comes():
    pair = Pair()
    tx = pair.alice.ask(request("INVITE"))
    tx.receive(tx.request.response(200, to_tag="b"), tx.flow, pair.clock.now)
    assert tx.state == "accepted"
    pair.clock.advance(60)
    assert pair.alice.statuses[0] == 200 and "alice ACK" not in pair.ladder()


def test_after_a_2xx_neither_180_nor_486_is_passed_up():
    pair = ringing()
    tx = pair.alice.sent[0]
    for status in (200, 180, 486):
        tx.receive(tx.request.response(status, to_tag="b"), tx.flow, pair.clock.now)
    assert pair.alice.statuses == [100, 180, 200]


def test_a_failure_is_acknowledged_by_the_transaction_itself():
    pair = ringing()
    pair.bob.answer(pair.bob.asked[0], 486)
    pair.clock.advance(0.1)
    assert pair.ladder()[-2:] == ["bob 486", "alice ACK"]
    assert pair.wire.log[-1].data == (
        b"ACK sip:bob@192.0.2.2 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK192.0.2.11\r\n"
        b"From: <sip:alice@example.com>;tag=a\r\n"
        b"To: <sip:bob@example.com>;tag=b\r\n"
        b"Call-ID: c1\r\n"
        b"CSeq: 1 ACK\r\n"
        b"Max-Forwards: 70\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_the_ack_of_a_failure_takes_the_route_of_the_invite():
    pair = Pair()
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 404)
    pair.alice.ask(request("INVITE", ("Route", "<sip:p1.example.com;lr>")))
    pair.clock.advance(0.1)
    assert b"\r\nRoute: <sip:p1.example.com;lr>\r\n" in pair.wire.log[-1].data


def test_each_copy_of_a_failure_is_acknowledged_but_told_once_for_32_s():
    pair = ringing()
    pair.wire.lose(b"ACK", b"ACK")
    pair.bob.answer(pair.bob.asked[0], 486)
    pair.clock.advance(30)
    assert pair.ladder().count("alice ACK") == 3
    assert pair.alice.statuses == [100, 180, 486]
    pair.clock.advance(3)
    assert pair.open == 0


def test_over_a_stream_a_failed_invite_is_forgotten_at_once():
    pair = ringing("TCP")
    pair.bob.answer(pair.bob.asked[0], 486)
    pair.clock.advance(0.1)
    assert pair.ladder()[-1] == "alice ACK" and pair.open == 0


def test_a_lost_connection_fails_a_ringing_invite_once():
    pair = ringing("TCP")
    flow = pair.alice.flow(("192.0.2.2", 5060))
    pair.alice.transactions.lost(flow, pair.clock.now)
    pair.alice.transactions.lost(flow, pair.clock.now)
    assert pair.alice.failures == [503]


def test_a_lost_connection_after_the_answer_is_no_failure_of_the_invite():
    pair = ringing("TCP")
    pair.bob.answer(pair.bob.asked[0], 200)
    pair.clock.advance(0.1)
    pair.alice.transactions.lost(pair.alice.flow(("192.0.2.2", 5060)), pair.clock.now)
    assert pair.alice.failures == []


def test_a_ringing_invite_is_cancelled_at_once_and_ends_with_487():
    pair = Pair()
    tx = pair.alice.ask(request("INVITE"))
    pair.clock.advance(0.1)
    tx.cancel(pair.clock.now, [("Reason", "SIP;cause=200")])
    pair.clock.advance(0.1)
    cancel = pair.bob.asked[1]
    assert cancel.cancels is pair.bob.asked[0]
    pair.bob.answer(cancel, 200)
    pair.bob.answer(cancel.cancels, 487)
    pair.clock.advance(0.1)
    assert pair.ladder()[2:] == ["alice CANCEL", "bob 200", "bob 487", "alice ACK"]
    assert pair.alice.statuses == [100, 487]


def test_a_cancel_is_the_invite_with_another_method():
    pair = Pair()
    tx = pair.alice.ask(request("INVITE", ("Route", "<sip:p1.example.com;lr>"), cseq=7))
    pair.clock.advance(0.1)
    tx.cancel(pair.clock.now, [("Reason", "SIP;cause=200")])
    assert pair.wire.log[-1].data == (
        b"CANCEL sip:bob@192.0.2.2 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK192.0.2.11\r\n"
        b"From: <sip:alice@example.com>;tag=a\r\n"
        b"To: <sip:bob@example.com>\r\n"
        b"Call-ID: c1\r\n"
        b"Route: <sip:p1.example.com;lr>\r\n"
        b"CSeq: 7 CANCEL\r\n"
        b"Max-Forwards: 70\r\n"
        b"Reason: SIP;cause=200\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_a_cancel_before_any_response_waits_for_the_first():
    pair = Pair()
    tx = pair.alice.ask(request("INVITE"))
    tx.cancel(pair.clock.now)
    assert pair.ladder() == ["alice INVITE"]
    pair.clock.advance(0.1)
    assert pair.ladder() == ["alice INVITE", "bob 100", "alice CANCEL"]


def test_a_cancel_is_sent_once_however_often_it_is_wanted():
    pair = Pair()
    tx = pair.alice.ask(request("INVITE"))
    tx.cancel(pair.clock.now)
    tx.cancel(pair.clock.now)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 180 if tx.method == "INVITE" else 200)
    pair.clock.advance(0.1)
    tx.cancel(pair.clock.now)
    pair.clock.advance(0.1)
    assert pair.ladder().count("alice CANCEL") == 1


def test_a_cancel_wanted_by_whoever_hears_the_first_response_is_sent_once():
    pair = Pair()
    pair.alice.on_response = lambda tx, answer: tx.cancel(pair.clock.now)
    pair.alice.ask(request("INVITE"))
    pair.clock.advance(0.1)
    assert pair.ladder().count("alice CANCEL") == 1


def test_a_cancel_that_comes_after_the_answer_does_nothing():
    pair = ringing()
    pair.bob.answer(pair.bob.asked[0], 200)
    pair.clock.advance(0.1)
    pair.alice.sent[0].cancel(pair.clock.now)
    assert "alice CANCEL" not in pair.ladder()


def test_an_answer_that_crosses_the_cancel_is_passed_up():
    pair = ringing()
    tx = pair.alice.sent[0]
    pair.bob.answer(pair.bob.asked[0], 200)
    tx.cancel(pair.clock.now)
    pair.clock.advance(0.1)
    assert pair.alice.statuses == [100, 180, 200]


def test_a_cancelled_invite_that_nobody_ends_fails_after_32_s():
    pair = ringing()
    tx = pair.alice.sent[0]
    tx.cancel(pair.clock.now)
    pair.clock.advance(31)
    assert pair.alice.failures == []
    pair.clock.advance(2)
    assert pair.alice.failures == [408] and tx.state == "terminated"


def test_an_invite_that_is_settled_tells_somebody_else_of_repeated_2xx_until_it_is_forgotten():
    pair = ringing()
    pair.bob.answer(pair.bob.asked[0], 200)
    pair.clock.advance(0.5)
    tx = pair.alice.sent[0]
    tx.settle(pair.bob)
    assert not hasattr(tx, "request") and tx.data == b""
    pair.bob.answer(pair.bob.asked[0], 200)
    pair.clock.advance(0.5)
    assert (pair.alice.statuses, pair.bob.statuses) == ([100, 180, 200], [200])
    pair.clock.advance(33)
    assert pair.open == 0


def test_who_was_told_of_a_failure_is_let_go():
    pair = ringing()
    pair.bob.answer(pair.bob.asked[0], 486)
    pair.clock.advance(0.1)
    assert pair.alice.statuses == [100, 180, 486]
    assert pair.alice.sent[0].user is not pair.alice
