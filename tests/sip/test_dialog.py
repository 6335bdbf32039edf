"""Dialogs from both ends (RFC 3261, section 12)."""

import msgspec
import pytest

from appliance.errors import RemoteError
from appliance.sip.dialog import (
    REMEMBERED,
    Dialog,
    Dialogs,
    DialogState,
    Forks,
    uac_dialog,
    uas_dialog,
)
from appliance.sip.message import Request, Response
from tests.sip.agent import message

INVITE = """
    INVITE sip:bob@biloxi.example.com SIP/2.0
    Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74b43
    Max-Forwards: 70
    From: "Alice A." <sip:alice@atlanta.example.com>;tag=9fxced76sl
    To: Bob <sip:bob@biloxi.example.com>
    Call-ID: 3848276298220188511@atlanta.example.com
    CSeq: 7 INVITE
    Contact: <sip:alice@client.atlanta.example.com;transport=tcp>
"""
ANSWER = """
    SIP/2.0 200 OK
    Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74b43
    From: "Alice A." <sip:alice@atlanta.example.com>;tag=9fxced76sl
    To: Bob <sip:bob@biloxi.example.com>;tag=8321234356
    Call-ID: 3848276298220188511@atlanta.example.com
    CSeq: 7 INVITE
    Contact: "Bob" <sip:bob@client.biloxi.example.com;transport=tcp>;q=1
"""


def invite(*more: str, text: str = INVITE) -> Request:
    read = message("\n".join([text.strip(), *more]))
    assert isinstance(read, Request)
    return read


def answer(*more: str, text: str = ANSWER) -> Response:
    read = message("\n".join([text.strip(), *more]))
    assert isinstance(read, Response)
    return read


def ringing(tag: str, *more: str) -> Response:
    return answer(*more, text=ANSWER.replace("200 OK", "180 Ringing").replace("8321234356", tag))


def alices(*more: str) -> Dialog:
    return uac_dialog(invite(), answer(*more))


def bobs(*more: str) -> Dialog:
    return uas_dialog(invite(*more), "8321234356")


# -- making one (12.1) -----------------------------------------------------------------------


def test_who_is_called_takes_target_tags_and_number_from_the_invite():
    dialog = bobs()
    assert dialog.key == ("3848276298220188511@atlanta.example.com", "8321234356", "9fxced76sl")
    assert dialog.remote_target == "sip:alice@client.atlanta.example.com;transport=tcp"
    assert (dialog.local_uri, dialog.remote_uri) == (
        '"Bob" <sip:bob@biloxi.example.com>',
        '"Alice A." <sip:alice@atlanta.example.com>',
    )
    assert (dialog.local_seq, dialog.remote_seq, dialog.state) == (0, 7, DialogState.EARLY)


def test_who_calls_takes_them_from_the_answer():
    dialog = alices()
    assert dialog.key == ("3848276298220188511@atlanta.example.com", "9fxced76sl", "8321234356")
    assert dialog.remote_target == "sip:bob@client.biloxi.example.com;transport=tcp"
    assert (dialog.local_seq, dialog.remote_seq, dialog.state) == (7, None, DialogState.CONFIRMED)


@pytest.mark.parametrize(
    ("header", "address", "tag"),
    [
        ("Bob <sip:bob@b.example>;tag=t1", '"Bob" <sip:bob@b.example>', "t1"),
        ("<sip:bob@b.example>;x=1;tag=t1", "<sip:bob@b.example>;x=1", "t1"),
        ("<sip:bob@b.example>;tag=t1;x=1", "<sip:bob@b.example>;x=1", "t1"),
        ("sip:bob@b.example;tag=t1", "<sip:bob@b.example>", "t1"),
        ('"a;tag=b" <sip:bob@b.example>', '"a;tag=b" <sip:bob@b.example>', ""),
        ("<sip:bob@b.example;tag=u>", "<sip:bob@b.example;tag=u>", ""),
        ("<sip:bob@b.example;tag=u>;tag=t1", "<sip:bob@b.example;tag=u>", "t1"),
        ("<sip:bob@b.example>", "<sip:bob@b.example>", ""),
        ("tel:+4930123", "<tel:+4930123>", ""),
    ],
)
def test_who_calls_is_kept_without_the_tag_however_it_was_written(header, address, tag):
    ours = invite()
    ours.set("From", header)
    dialog = uac_dialog(ours, answer())
    assert (dialog.local_uri, dialog.local_tag) == (address, tag)
    ours.set("To", header)
    assert uac_dialog(ours, answer()).remote_uri == address


def test_a_provisional_response_makes_an_early_dialog():
    assert uac_dialog(invite(), ringing("b1")).state is DialogState.EARLY


def test_a_180_without_contact_leaves_the_request_s_uri_as_target():
    bare = ringing("b1")
    bare.remove("Contact")
    assert uac_dialog(invite(), bare).remote_target == "sip:bob@biloxi.example.com"


@pytest.mark.parametrize(
    "contact",
    [
        None,
        "*",
        "<tel:+4930123>",
        "<sip:a@192.0.2.1>, <sip:a@192.0.2.2>",
        "<sip:a@192.0.2.1",
    ],
)
def test_an_invite_that_names_no_one_place_is_refused(contact):
    request = invite()
    request.remove("Contact")
    if contact:
        request.add("Contact", contact)
    with pytest.raises(RemoteError, match="400"):
        uas_dialog(request, "b")


def test_headers_in_a_contact_do_not_get_into_our_request_uri():
    request = invite()
    request.set("Contact", "<sip:a@192.0.2.1;method=INVITE;x=1?Replaces=1>")
    assert uas_dialog(request, "b").remote_target == "sip:a@192.0.2.1;x=1"


def test_a_dialog_begun_with_sips_is_secure():
    secure = uas_dialog(invite(text=INVITE.replace("INVITE sip:", "INVITE sips:")), "b")
    assert secure.secure and not bobs().secure


def test_a_peer_without_tag_is_one_of_rfc_2543():
    dialog = uas_dialog(invite(text=INVITE.replace(";tag=9fxced76sl", "")), "b")
    assert dialog.remote_tag == ""
    assert dialog.new_request("BYE").first("To") == '"Alice A." <sip:alice@atlanta.example.com>'


# -- requests inside (12.2.1) ---------------------------------------------------------------


def test_a_request_of_the_caller_s():
    assert alices().new_request("BYE", [("Reason", "Q.850;cause=16")]).encode() == (
        b"BYE sip:bob@client.biloxi.example.com;transport=tcp SIP/2.0\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Alice A." <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n'
        b'To: "Bob" <sip:bob@biloxi.example.com>;tag=8321234356\r\n'
        b"Call-ID: 3848276298220188511@atlanta.example.com\r\n"
        b"CSeq: 8 BYE\r\n"
        b"Reason: Q.850;cause=16\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_a_request_of_the_called_one_s_counts_for_itself():
    dialog = bobs()
    first, second = dialog.new_request("UPDATE"), dialog.new_request("BYE")
    assert first.first("To") == '"Alice A." <sip:alice@atlanta.example.com>;tag=9fxced76sl'
    assert [first.first("CSeq"), second.first("CSeq")] == ["1 UPDATE", "2 BYE"]


def test_the_ack_of_a_2xx_has_the_number_of_its_invite_and_counts_for_nothing():
    dialog = alices()
    dialog.new_request("PRACK")
    assert dialog.ack(7, body=b"v=0").first("CSeq") == "7 ACK"
    assert dialog.local_seq == 8


LOOSE = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>"


def test_the_called_one_takes_record_route_as_it_is_the_caller_backwards():
    assert bobs(LOOSE).route_set == ("<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>")
    assert alices(LOOSE).route_set == ("<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>")


def test_with_a_loose_router_the_request_is_for_the_target():
    request = alices(LOOSE).new_request("BYE")
    assert request.uri == "sip:bob@client.biloxi.example.com;transport=tcp"
    assert request.all("Route") == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]


def test_with_a_strict_router_the_request_is_for_it_and_the_target_is_the_last_route():
    strict = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;method=INVITE;x=1?a=b>"
    request = alices(strict).new_request("BYE")
    assert request.uri == "sip:p1.example.com;x=1"
    assert request.all("Route") == [
        "<sip:p2.example.com;lr>",
        "<sip:bob@client.biloxi.example.com;transport=tcp>",
    ]


def test_the_ack_goes_the_same_way():
    assert alices(LOOSE).ack(7).all("Route") == alices(LOOSE).new_request("BYE").all("Route")


# -- requests that come (12.2.2) -------------------------------------------------------------


def inside(method: str, number: int, contact: str = "") -> Request:
    written = invite(text=INVITE.replace("7 INVITE", f"{number} {method}"))
    written.method = method
    written.remove("Contact")
    if contact:
        written.add("Contact", contact)
    return written


def test_numbers_must_grow_and_may_leap():
    dialog = bobs()
    dialog.check_remote(inside("INFO", 8))
    dialog.check_remote(inside("INFO", 1000))
    assert dialog.remote_seq == 1000


@pytest.mark.parametrize("number", [0, 6, 7])
def test_a_number_out_of_order_is_refused_and_forgotten(number):
    dialog = bobs()
    with pytest.raises(RemoteError) as refused:
        dialog.check_remote(inside("BYE", number))
    assert refused.value.status == 500 and dialog.remote_seq == 7


def test_the_first_request_of_the_called_one_may_have_any_number():
    dialog = alices()
    dialog.check_remote(inside("BYE", 0))
    assert dialog.remote_seq == 0


def test_ack_and_cancel_have_the_number_of_their_invite():
    dialog = bobs()
    dialog.check_remote(inside("ACK", 7))
    dialog.check_remote(inside("CANCEL", 7))
    assert dialog.remote_seq == 7


def test_a_refresh_moves_the_target_and_nothing_else():
    dialog = bobs(LOOSE)
    dialog.refresh_target(inside("UPDATE", 8, "<sip:alice@192.0.2.9>"))
    assert dialog.new_request("BYE").uri == "sip:alice@192.0.2.9"
    assert dialog.route_set == ("<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>")


@pytest.mark.parametrize("contact", ["", "*", "<sip:a@1>, <sip:b@2>", "<tel:+49>", "<sip:"])
def test_a_refresh_without_usable_contact_changes_nothing(contact):
    dialog = bobs()
    dialog.refresh_target(inside("UPDATE", 8, contact))
    assert dialog.remote_target == "sip:alice@client.atlanta.example.com;transport=tcp"


# -- forks (12.1, 13.2.2.4) ------------------------------------------------------------------


def test_each_to_tag_is_a_dialog_of_its_own():
    forks = Forks(invite())
    first, second = forks.take(ringing("b1")), forks.take(ringing("b2"))
    assert first is not second and forks.take(ringing("b1")) is first
    assert [dialog.remote_tag for dialog in forks] == ["b1", "b2"]


def test_a_2xx_confirms_its_own_fork_and_has_the_last_word_on_the_way():
    forks = Forks(invite())
    early, other = forks.take(ringing("8321234356", LOOSE)), forks.take(ringing("b2"))
    assert early is not None and early.route_set and other is not None
    assert forks.take(answer()) is early
    assert early.state is DialogState.CONFIRMED and early.route_set == ()
    assert other.state is DialogState.EARLY


def test_a_second_2xx_is_a_second_dialog_that_somebody_has_to_end():
    forks = Forks(invite())
    first = forks.take(answer())
    second = forks.take(answer(text=ANSWER.replace("8321234356", "b2")))
    assert second is not None and second is not first
    assert second.state is DialogState.CONFIRMED
    assert forks.take(answer()) is first


def test_a_repeated_2xx_does_not_undo_a_refresh():
    forks = Forks(invite())
    dialog = forks.take(answer())
    assert dialog is not None
    dialog.remote_target = "sip:bob@192.0.2.9"
    forks.take(answer())
    assert dialog.remote_target == "sip:bob@192.0.2.9"


@pytest.mark.parametrize("line", ["100 Trying", "180 Ringing", "486 Busy"])
def test_what_has_no_tag_or_is_a_failure_makes_no_dialog(line):
    response = answer(text=ANSWER.replace("200 OK", line).replace(";tag=8321234356", ""))
    assert Forks(invite()).take(response) is None


# -- finding and keeping ----------------------------------------------------------------------


def test_a_request_finds_its_dialog_by_call_id_and_both_tags():
    dialogs: Dialogs[str] = Dialogs()
    dialogs.add(bobs(), "bob's leg")
    bye = alices().new_request("BYE")
    assert dialogs.find(bye) == "bob's leg"
    for name, value in (("To", "<sip:b>;tag=x"), ("From", "<sip:a>;tag=x"), ("Call-ID", "x")):
        other = alices().new_request("BYE")
        other.set(name, value)
        assert dialogs.find(other) is None


def test_a_dialog_is_found_by_name_until_it_is_removed():
    dialogs: Dialogs[str] = Dialogs()
    dialogs.add(bobs(), "leg")
    name = ("3848276298220188511@atlanta.example.com", "8321234356", "9fxced76sl")
    assert dialogs.named(*name) == "leg"
    dialogs.remove(bobs())
    dialogs.remove(bobs())
    assert dialogs.named(*name) is None and not dialogs
    assert dialogs.ended(*name) and not dialogs.ended(name[0], name[2], name[1])


def test_only_the_last_dialogs_that_have_ended_are_known():
    dialogs: Dialogs[str] = Dialogs()
    ended = [msgspec.structs.replace(bobs(), call_id=str(n)) for n in range(REMEMBERED + 2)]
    for dialog in ended:
        dialogs.remove(dialog)
    assert [dialogs.ended(*dialog.key) for dialog in (*ended[:3], ended[-1])] == [
        False,
        False,
        True,
        True,
    ]


def test_a_dialog_survives_a_restart_as_bytes():
    dialog = alices(LOOSE)
    dialog.new_request("INFO")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(dialog), type=Dialog)
    assert again == dialog and again.state is DialogState.CONFIRMED
    assert again.new_request("BYE").encode() == dialog.new_request("BYE").encode()
