"""INVITEs that come (RFC 3261, 17.2.1, as mended by RFC 6026)."""

from tests.sip.server import Server, text

INVITE = text("INVITE", "Contact: <sip:alice@192.0.2.1>")
ACK = text("ACK", to_tag=";tag=b", cseq="1 ACK")


def test_100_goes_out_at_once_and_without_a_tag():
    server = Server()
    tx = server.begins(INVITE)
    assert tx.state == "proceeding" and tx.status == 100 and tx.final is None
    assert server.octets == [
        b"SIP/2.0 100 Trying\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"
        b"From: <sip:alice@example.com>;tag=a\r\n"
        b"To: <sip:bob@example.com>\r\n"
        b"Call-ID: c1\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Content-Length: 0\r\n\r\n"
    ]


def test_a_repeated_invite_gets_the_last_provisional_response():
    server = Server()
    tx = server.begins(INVITE)
    assert server.comes(INVITE) is None
    server.answer(tx, 180)
    assert server.comes(INVITE) is None
    assert server.sent == ["100", "100", "180", "180"]


def test_it_may_ring_for_ever():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 180)
    server.clock.advance(600)
    assert tx.state == "proceeding" and server.sent == ["100", "180"]


def test_a_failure_is_repeated_doubling_up_to_4_s_until_32_s_are_over():
    server = Server()
    server.answer(server.begins(INVITE), 486)
    server.clock.advance(40)
    times = [when - 1000 for when in server.times[2:]]
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert server.told == ["unacknowledged"] and not server.transactions


def test_a_failure_over_a_stream_is_sent_once_and_missed_after_32_s():
    server = Server("TLS")
    server.answer(server.begins(INVITE), 486)
    server.clock.advance(33)
    assert server.sent == ["100", "486"] and server.told == ["unacknowledged"]


def test_a_repeated_invite_gets_the_failure_again():
    server = Server()
    server.answer(server.begins(INVITE), 486)
    assert server.comes(INVITE) is None
    assert server.sent == ["100", "486", "486"]


def test_the_ack_of_a_failure_ends_the_repeating_and_is_told_once():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 486)
    server.comes(ACK)
    assert tx.state == "confirmed"
    server.comes(ACK)
    server.clock.advance(4.9)
    assert server.sent == ["100", "486"]
    assert server.told == ["acknowledged", "absorbed", "absorbed"]


def test_an_acknowledged_failure_is_kept_5_s_for_late_acks_and_invites():
    server = Server()
    server.answer(server.begins(INVITE), 486)
    server.comes(ACK)
    assert server.comes(INVITE) is None and server.sent == ["100", "486"]
    server.clock.advance(5.3)
    assert not server.transactions


def test_over_a_stream_the_ack_of_a_failure_is_the_end():
    server = Server("TCP")
    tx = server.begins(INVITE)
    server.answer(tx, 486)
    server.comes(ACK)
    assert tx.state == "terminated" and not server.transactions


def test_a_2xx_is_not_repeated_by_the_transaction():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 200)
    server.clock.advance(31)
    assert tx.state == "accepted" and server.sent == ["100", "200"]
    assert tx.final is not None and tx.final.status == 200


def test_a_2xx_is_repeated_when_the_user_wants_it():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 200)
    assert tx.final is not None and tx.retransmit(tx.final, server.clock.now)
    assert server.sent == ["100", "200", "200"]
    assert server.octets[1] == server.octets[2]


def test_an_invite_repeated_after_the_2xx_is_absorbed():
    server = Server()
    server.answer(server.begins(INVITE), 200)
    assert server.comes(INVITE) is None
    assert server.sent == ["100", "200"]


def test_an_accepted_invite_is_forgotten_after_32_s_on_every_transport():
    for server in (Server(), Server("TLS")):
        server.answer(server.begins(INVITE), 200)
        server.clock.advance(31.9)
        assert len(server.transactions) == 1
        server.clock.advance(0.4)
        assert not server.transactions and server.told == []


def test_the_ack_of_a_2xx_is_the_dialogs():
    server = Server()
    server.answer(server.begins(INVITE), 200)
    server.comes(text("ACK", to_tag=";tag=b", branch=";branch=z9hG4bKy", cseq="1 ACK"))
    server.comes(ACK)  # a phone that forgot to make a new branch
    assert server.told == ["stray ack", "stray ack"]


def test_an_ack_before_any_final_response_changes_nothing():
    server = Server()
    tx = server.begins(INVITE)
    server.comes(ACK)
    assert tx.state == "proceeding" and server.told == ["stray ack"]


def test_after_a_final_response_no_other_is_sent():
    server = Server()
    tx = server.begins(INVITE)
    assert server.answer(tx, 486)
    assert not server.answer(tx, 200) and not server.answer(tx, 180) and not server.answer(tx, 500)
    assert server.sent == ["100", "486"] and tx.status == 486


def test_a_reliable_provisional_response_is_repeated_by_the_user():
    server = Server()
    tx = server.begins(INVITE)
    response = tx.request.response(183, to_tag="b", headers=[("RSeq", "1")])
    tx.respond(response, server.clock.now)
    tx.retransmit(response, server.clock.now)
    assert server.sent == ["100", "183", "183"]


def test_the_invite_is_kept_as_long_as_its_transaction():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 200)
    assert tx.request.first("Contact") == "<sip:alice@192.0.2.1>"


def test_settled_after_a_2xx_it_absorbs_the_invite_and_is_found_by_its_cancel():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 200)
    tx.settle()
    tx.settle()
    assert not hasattr(tx, "request") and (tx.last, tx.final) == (b"", None)
    assert server.comes(INVITE) is None and server.sent == ["100", "200"]
    cancel = server.begins(text("CANCEL", cseq="1 CANCEL"))
    assert cancel.cancels is tx and server.answer(cancel, 200)
    server.clock.advance(33)
    assert not server.transactions


def test_settled_after_a_failure_it_repeats_that_until_it_is_acknowledged():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 486)
    tx.settle()
    assert server.comes(INVITE) is None
    assert server.sent == ["100", "486", "486"]
    server.comes(ACK)
    assert server.told == ["acknowledged", "absorbed"] and tx.state == "confirmed"


def test_an_invite_that_waits_for_its_answer_is_not_settled():
    server = Server()
    tx = server.begins(INVITE)
    server.answer(tx, 180)
    tx.settle()
    assert tx.request.method == "INVITE"
    assert server.comes(INVITE) is None and server.sent == ["100", "180", "180"]
