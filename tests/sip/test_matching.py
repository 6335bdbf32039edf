"""Which transaction a message belongs to, and where answers go."""

import pytest

from appliance.sip.arrival import note_source, reply_flow
from appliance.sip.flow import Flow
from appliance.sip.matching import server_key
from appliance.sip.message import Request
from tests.sip.agent import message
from tests.sip.server import PEER, US, Server, text


def read(written: str) -> Request:
    request = message(written)
    assert isinstance(request, Request)
    return request


def key(written: str) -> str:
    return server_key(read(written))


# -- RFC 3261, 17.2.3 ---------------------------------------------------------------------------


def test_branch_sent_by_and_method_name_a_transaction():
    same = key(text("INVITE", "Subject: other", uri="sip:other@192.0.2.2", cseq="9 INVITE"))
    assert key(text("INVITE")) == same
    assert key(text("INVITE", branch=";branch=z9hG4bKy")) != same
    assert key(text("INVITE", branch="9;branch=z9hG4bKx")) != same
    assert key(text("BYE")) != same


def test_an_ack_has_the_name_of_its_invite():
    assert key(text("ACK")) == key(text("INVITE"))


def test_host_and_cookie_are_compared_without_case():
    upper = text("INVITE").replace("192.0.2.1:5060", "PHONE.example.com").replace("z9h", "Z9H")
    assert key(upper) == key(upper.replace("PHONE", "phone"))
    assert "\n" not in key(upper)


def test_a_copy_with_the_same_branch_from_another_sender_is_another_request():
    server = Server()
    server.begins(text("INVITE"))
    assert server.comes(text("INVITE").replace("192.0.2.1:", "192.0.2.9:")) is not None


# -- clients of RFC 2543: no cookie, or nothing behind it -------------------------------------

OLD = ["", ";branch=7", ";branch=z9hG4bK"]


@pytest.mark.parametrize("branch", OLD)
def test_an_old_invite_is_known_by_uri_tags_call_id_cseq_and_via(branch):
    server = Server()
    server.begins(text("INVITE", branch=branch))
    assert server.comes(text("INVITE", branch=branch)) is None
    for other in (
        text("INVITE", branch=branch, uri="sip:carol@192.0.2.2"),
        text("INVITE", branch=branch, cseq="2 INVITE"),
        text("INVITE", branch=branch).replace("tag=a", "tag=c"),
        text("INVITE", branch=branch).replace("c1", "c2"),
        text("INVITE", branch=f"{branch};branch=8" if not branch else ";branch=8"),
        text("OPTIONS", branch=branch),
    ):
        assert server.comes(other) is not None


@pytest.mark.parametrize("branch", OLD)
def test_the_ack_of_an_old_client_finds_its_failed_invite_by_our_tag(branch):
    server = Server()
    tx = server.begins(text("INVITE", branch=branch))
    server.answer(tx, 486)
    server.comes(text("ACK", branch=branch, to_tag=";tag=other", cseq="1 ACK"))
    assert tx.state == "completed"
    server.comes(text("ACK", branch=branch, to_tag=";tag=b", cseq="1 ACK"))
    assert tx.state == "confirmed" and server.told == ["stray ack", "acknowledged", "absorbed"]


def test_the_ack_of_an_old_client_s_2xx_is_the_dialog_s():
    server = Server()
    server.answer(server.begins(text("INVITE", branch="")), 200)
    server.comes(text("ACK", branch="", to_tag=";tag=b", cseq="1 ACK"))
    assert server.told == ["stray ack"]


def test_the_cancel_of_an_old_client_finds_its_invite():
    server = Server()
    invite = server.begins(text("INVITE", branch=""))
    assert server.begins(text("CANCEL", branch="", cseq="1 CANCEL")).cancels is invite


# -- CANCEL and ACK ------------------------------------------------------------------------------


def test_a_cancel_is_a_transaction_of_its_own_that_knows_its_invite():
    server = Server()
    invite = server.begins(text("INVITE"))
    cancel = server.begins(text("CANCEL"))
    assert cancel.cancels is invite and cancel.state == "trying"
    server.answer(cancel, 200)
    server.answer(invite, 487)
    assert server.sent == ["100", "200", "487"]


def test_a_repeated_cancel_gets_the_same_answer():
    server = Server()
    server.begins(text("INVITE"))
    server.answer(server.begins(text("CANCEL")), 200)
    assert server.comes(text("CANCEL")) is None and server.sent == ["100", "200", "200"]


def test_a_cancel_of_nothing_or_of_another_method_has_no_invite():
    server = Server()
    assert server.begins(text("CANCEL")).cancels is None
    server.begins(text("OPTIONS", branch=";branch=z9hG4bKo"))
    assert server.begins(text("CANCEL", branch=";branch=z9hG4bKo")).cancels is None


def test_a_cancel_after_the_answer_still_finds_the_invite():
    server = Server()
    invite = server.begins(text("INVITE"))
    server.answer(invite, 200)
    cancel = server.begins(text("CANCEL"))
    assert cancel.cancels is invite and invite.status == 200


def test_an_ack_for_nothing_is_not_absorbed():
    server = Server()
    server.comes(text("ACK"))
    assert server.told == ["stray ack"] and not server.transactions


# -- one request on two ways (8.2.2.2) ----------------------------------------------------------

SECOND_WAY = ";branch=z9hG4bKother"


def test_an_invite_that_came_on_another_way_is_merged():
    server = Server()
    server.begins(text("INVITE"))
    assert server.transactions.merged(read(text("INVITE", branch=SECOND_WAY)))
    assert not server.transactions.merged(read(text("INVITE")))


def test_another_invite_or_one_inside_a_dialog_is_not_merged():
    server = Server()
    server.begins(text("INVITE"))
    for other in (
        text("INVITE", branch=SECOND_WAY, cseq="2 INVITE"),
        text("INVITE", branch=SECOND_WAY, to_tag=";tag=b"),
        text("INVITE", branch=SECOND_WAY).replace("c1", "c2"),
        text("INVITE", branch=SECOND_WAY).replace("tag=a", "tag=c"),
    ):
        assert not server.transactions.merged(read(other))


def test_when_the_first_is_over_nothing_is_merged_any_more():
    server = Server()
    server.answer(server.begins(text("INVITE")), 486)
    server.comes(text("ACK", to_tag=";tag=b"))
    server.clock.advance(6)
    assert not server.transactions.merged(read(text("INVITE", branch=SECOND_WAY)))
    assert not server.transactions._room.invited


# -- where it came from, where the answer goes (18.2, RFC 3581) ---------------------------------


def noted(via: str, remote: tuple[str, int] = PEER) -> str | None:
    request = read(text("OPTIONS").replace("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx", via))
    note_source(request, Flow("UDP", US, remote))
    assert request.via == read(f"OPTIONS sip:a SIP/2.0\nVia: {via}").via
    once = request.first("Via")
    note_source(request, Flow("UDP", US, remote))
    twice = read(f"OPTIONS sip:a SIP/2.0\nVia: {request.first('Via')}").via
    assert twice == read(f"OPTIONS sip:a SIP/2.0\nVia: {once}").via
    return once


@pytest.mark.parametrize(
    ("via", "after"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", None),
        ("SIP/2.0/UDP pc.example.com;branch=z9hG4bK1", ";received=192.0.2.1"),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport", "=5060;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1;rport", "=5060;received=192.0.2.1"),
    ],
)
def test_received_and_rport_are_noted_behind_what_the_sender_wrote(via, after):
    assert noted(via) == via + (after or "")


@pytest.mark.parametrize(
    ("via", "after"),
    [
        (
            "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1",
            "SIP/2.0/UDP 10.0.0.1;rport=5060;branch=z9hG4bK1;received=192.0.2.1",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=198.51.100.7",
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.1",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport=99",
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport=5060;received=192.0.2.1",
        ),
        (
            "SIP/2.0/UDP p.example.com;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2",
            "SIP/2.0/UDP p.example.com;branch=z9hG4bK1;received=192.0.2.1, "
            "SIP/2.0/UDP b;branch=z9hG4bK2",
        ),
        (
            "SIP/2.0/UDP p.example.com;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2;rport",
            "SIP/2.0/UDP p.example.com;branch=z9hG4bK1;received=192.0.2.1, "
            "SIP/2.0/UDP b;branch=z9hG4bK2;rport",
        ),
    ],
)
def test_what_the_sender_claims_of_his_source_is_overwritten(via, after):
    assert noted(via) == after


def test_an_ipv6_sender_is_known_without_brackets():
    peer = ("2001:db8::1", 5060)
    assert noted("SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1", peer) == (
        "SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1"
    )
    assert str(noted("SIP/2.0/UDP [2001:db8::2];branch=z9hG4bK1", peer)).endswith(
        ";received=2001:db8::1"
    )


def test_only_the_top_via_is_written():
    request = read(text("OPTIONS", "Via: SIP/2.0/UDP second.example.com;branch=z9hG4bKs"))
    note_source(request, Flow("UDP", US, ("192.0.2.77", 5060)))
    assert request.all("Via") == [
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;received=192.0.2.77",
        "SIP/2.0/UDP second.example.com;branch=z9hG4bKs",
    ]


def replied_to(via: str, transport="UDP", port=40000) -> int:
    request = read(text("OPTIONS").replace("192.0.2.1:5060", via))
    flow = Flow(transport, US, ("192.0.2.1", port))
    note_source(request, flow)
    return reply_flow(request, flow).remote[1]


def test_the_answer_goes_to_the_port_via_names_or_with_rport_where_it_came_from():
    assert replied_to("192.0.2.1:5070") == 5070
    assert replied_to("192.0.2.1") == 5060
    assert replied_to("192.0.2.1:5070;rport") == 40000
    assert replied_to("192.0.2.1:5070", "TCP") == 40000


def test_maddr_does_not_point_our_answers_at_somebody_else():
    request = read(text("OPTIONS", branch=";maddr=198.51.100.7;branch=z9hG4bKx"))
    assert reply_flow(request, Flow("UDP", US, PEER)).remote == PEER


def test_a_transaction_answers_there_too_and_says_where_the_request_came_from():
    server = Server()
    server.flow = server.flow._replace(remote=("192.0.2.50", 40000))
    server.answer(server.begins(text("OPTIONS", branch=";rport;branch=z9hG4bKx")), 200)
    assert server.went[0].remote == ("192.0.2.50", 40000)
    assert b"5060;rport=40000;branch=z9hG4bKx;received=192.0.2.50\r\n" in server.octets[0]


def test_a_copy_of_a_request_is_answered_where_the_first_came_from():
    server = Server()
    server.answer(server.begins(text("OPTIONS", branch=";rport;branch=z9hG4bKx")), 200)
    server.flow = server.flow._replace(remote=("198.51.100.7", 5060))
    assert server.comes(text("OPTIONS", branch=";rport;branch=z9hG4bKx")) is None
    assert server.went[1] == server.went[0]
