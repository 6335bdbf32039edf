"""Client transactions that are no INVITE (RFC 3261, 17.1.2)."""

from tests.sip.agent import Pair, request


def sent_at(pair: Pair) -> list[float]:
    return [round(passed.when - 1000, 2) for passed in pair.wire.log]


def test_a_request_goes_out_with_a_via_of_our_own():
    pair = Pair()
    pair.alice.ask(request("OPTIONS"))
    assert pair.wire.log[0].data.startswith(
        b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK192.0.2.11\r\n"
    )


def test_over_a_stream_nobody_asks_for_the_port():
    pair = Pair("TLS")
    pair.alice.ask(request("OPTIONS"))
    assert b"\r\nVia: SIP/2.0/TLS 192.0.2.1:5060;branch=z9hG4bK" in pair.wire.log[0].data


def test_silence_is_asked_again_faster_first_and_then_every_4_s_until_32_s_are_over():
    pair = Pair(loss=1.0)
    pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(60)
    assert sent_at(pair) == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert pair.alice.failures == [408] and pair.open == 0


def test_over_a_stream_nothing_is_sent_twice():
    pair = Pair("TCP")
    pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(60)
    assert sent_at(pair) == [0]
    assert pair.alice.failures == [408]


def test_after_a_provisional_response_it_asks_every_4_s():
    pair = Pair()
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 183)
    tx = pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(9)
    assert tx.state == "proceeding" and set(pair.alice.statuses) == {183}
    assert [when for when in sent_at(pair) if when % 0.5 == 0] == [0, 0.5, 4.5, 8.5]


def test_without_a_final_response_32_s_are_the_end():
    pair = Pair()
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 183)
    pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(33)
    assert pair.alice.failures == [408] and not pair.alice.transactions


def test_the_final_response_ends_it_and_its_copies_are_absorbed_for_5_s():
    pair = Pair(doubled=1.0)
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 200)
    tx = pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(4.9)
    assert pair.alice.statuses == [200] and tx.state == "completed"
    pair.clock.advance(0.6)
    assert tx.state == "terminated" and not pair.alice.transactions


def test_over_a_stream_nothing_is_kept_after_the_final_response():
    pair = Pair("TCP")
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 200)
    pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(0.1)
    assert pair.alice.statuses == [200] and pair.open == 0


def test_a_lost_connection_fails_what_waits_on_it_once():
    pair = Pair("TCP")
    tx = pair.alice.ask(request("OPTIONS"))
    pair.alice.transactions.lost(tx.flow, pair.clock.now)
    pair.clock.advance(60)
    assert pair.alice.failures == [503] and tx.state == "terminated"


def test_a_lost_connection_fails_what_has_only_a_provisional_response():
    pair = Pair("TCP")
    pair.bob.on_request = lambda tx: pair.bob.answer(tx, 183)
    tx = pair.alice.ask(request("OPTIONS"))
    pair.clock.advance(1)
    pair.alice.transactions.lost(tx.flow, pair.clock.now)
    assert pair.alice.failures == [503] and not pair.alice.transactions


def test_a_lost_connection_leaves_requests_on_others_alone():
    pair = Pair("TCP")
    tx = pair.alice.ask(request("OPTIONS"))
    pair.alice.transactions.lost(tx.flow._replace(connection=9), pair.clock.now)
    assert pair.alice.failures == [] and tx.state == "trying"


def test_the_connection_opened_for_a_request_is_the_transactions_from_the_answer_on():
    pair = Pair("TCP")
    asked = pair.alice.flow(("192.0.2.2", 5060))._replace(connection=0)
    tx = pair.alice.transactions.request(request("INVITE"), asked, pair.clock.now, pair.alice)
    tx.receive(tx.request.response(180, to_tag="b"), asked._replace(connection=5), pair.clock.now)
    assert tx.flow.connection == 5
    pair.alice.transactions.lost(asked, pair.clock.now)
    assert pair.alice.failures == []
    pair.alice.transactions.lost(asked._replace(connection=5), pair.clock.now)
    assert pair.alice.failures == [503]


def test_a_request_may_be_sent_again_elsewhere_when_it_failed():
    pair = Pair("TCP")
    asked = request("OPTIONS")
    first = pair.alice.ask(asked)
    pair.alice.transactions.lost(first.flow, pair.clock.now)
    second = pair.alice.ask(asked, ("192.0.2.3", 5060))
    assert len(asked.all("Via")) == 1 and second.state == "trying"


def test_an_answer_to_nothing_we_asked_is_dropped():
    pair = Pair()
    tx = pair.alice.ask(request("OPTIONS"))
    stray = tx.request.response(200, to_tag="b")
    stray.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
    assert not pair.alice.transactions.receive_response(stray, tx.flow, pair.clock.now)
    assert tx.state == "trying"


def test_a_response_that_cannot_be_read_is_dropped():
    pair = Pair()
    tx = pair.alice.ask(request("OPTIONS"))
    for name, value in (("CSeq", "x OPTIONS"), ("Via", "SIP/2.0/UDP :;branch=z9hG4bK192.0.2.11")):
        broken = tx.request.response(200, to_tag="b")
        broken.set(name, value)
        assert not pair.alice.transactions.receive_response(broken, tx.flow, pair.clock.now)
    assert tx.state == "trying"
