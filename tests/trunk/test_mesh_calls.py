"""What is done with calls between sites: handed on, held, rung in groups, encrypted, kept."""

from __future__ import annotations

import pytest

from appliance.bundle import Group, Policies
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_security import SHA1_80, line, secure
from tests.call.trio import agree
from tests.phones import Phone, sdp
from tests.trunk.mesh import Mesh, Talk, talk

EVERYBODY = Group(id="all", name="All", extension="7000", members=("u1001", "u1002"))
ELSEWHERE = Group(
    id="on", name="On", extension="7001", members=("u1002",), ring_time=5, no_answer="827000"
)


def refer(talking: Talk, who: Phone, to: str, more: str = "") -> list[int]:
    """Have one of the two hand the other on; return what it was told of it."""
    headers = [("Refer-To", f"<sip:{to}@example.com{more}>")]
    if who is talking.caller:
        talking.from_caller("REFER", headers=headers)
    else:
        talking.from_callee("REFER", headers=headers)
    return heard(who)


def heard(who: Phone) -> list[int]:
    told = []
    while who.inbox:
        message = who.inbox.pop(0)
        if isinstance(message, Request) and message.method == "NOTIFY":
            told.append(int(message.body.decode().split()[1]))
        if isinstance(message, Request):
            who.answer(message, 200, tag=message.to.tag or "")
    return told


def picks_up(phone: Phone) -> None:
    invite = phone.expect("INVITE")
    phone.answer(invite, 200, tag="new", body=sdp(phone.host))
    phone.expect("ACK")


@pytest.mark.parametrize("target", ["1001", "831001", "811002"])
def test_who_was_called_hands_the_caller_on_to_any_site(target: str) -> None:
    mesh = Mesh("west", "east", "north")
    alice, bob = mesh.phones["811001"], mesh.phones["821002"]
    call = talk(alice, "821002", bob)
    refer(call, bob, target)
    there = mesh.phones["821001" if target == "1001" else target]
    picks_up(there)
    agree(alice, alice.expect("INVITE"))
    assert 200 in heard(bob)
    (joined,) = [one for one in mesh.benches["east"].core.switchboard.calls.values() if one.talks]
    assert "1002" not in {leg.extension for leg in joined.joined}


def test_who_calls_hands_a_colleague_on_to_another_site() -> None:
    mesh = Mesh()
    alice, bob, carol = (mesh.phones[one] for one in ("811001", "811002", "821001"))
    call = talk(alice, "1002", bob)
    refer(call, alice, "821001")
    incoming = carol.expect("INVITE")
    assert incoming.from_.uri.user == "811001", "who hands on is shown, by whose right it is"  # type: ignore[union-attr]
    carol.answer(incoming, 200, tag="new", body=sdp(carol.host))
    carol.expect("ACK")
    agree(bob, bob.expect("INVITE"))
    assert 200 in heard(alice)


def test_two_calls_of_one_phone_are_joined_across_two_sites() -> None:
    mesh = Mesh("west", "east", "north")
    alice, bob, carol = (mesh.phones[one] for one in ("811001", "821001", "831001"))
    first = talk(alice, "821001", bob)
    second = talk(alice, "831001", carol)
    named = f"{second.invite.call_id}%3Bto-tag%3D{second.answer.to.tag}"
    named += f"%3Bfrom-tag%3D{second.invite.from_.tag}"
    told = refer(first, alice, "831001", f"?Replaces={named}")
    for phone in (bob, carol):
        for message in list(phone.inbox):
            if isinstance(message, Request) and message.method == "INVITE":
                phone.inbox.clear()
                agree(phone, message)
    assert 200 in told + heard(alice)
    assert mesh.calls() == [1, 1, 1]


def test_a_group_of_another_site_rings_there_and_the_first_answer_wins() -> None:
    mesh = Mesh(change={"east": {"groups": (EVERYBODY,)}})
    alice = mesh.phones["811001"]
    alice.invite("827000")
    one, two = (mesh.phones[each] for each in ("821001", "821002"))
    ringing = one.expect("INVITE")
    two.answer(two.expect("INVITE"), 180)
    assert ringing.from_.uri.user == "811001"  # type: ignore[union-attr]
    one.answer(ringing, 200, body=sdp(one.host))
    assert [request.method for request in two.requests()] == ["CANCEL"]
    assert alice.responses()[-1] == 200


def test_a_group_that_nobody_answers_leads_to_a_group_of_another_site() -> None:
    mesh = Mesh(change={"west": {"groups": (ELSEWHERE,)}, "east": {"groups": (EVERYBODY,)}})
    alice, bob = mesh.phones["811001"], mesh.phones["811002"]
    alice.invite("7001")
    bob.answer(bob.expect("INVITE"), 180)
    mesh.advance(6)
    assert {request.method for request in bob.requests()} == {"CANCEL"}
    for phone in (mesh.phones["821001"], mesh.phones["821002"]):
        assert {request.method for request in phone.requests()} == {"INVITE"}
    assert b"Holdfast-Passed: 817001" in mesh.tells("west", "east")


def test_between_sites_audio_is_encrypted_where_phones_talk_in_the_clear() -> None:
    clear = {"policies": Policies(srtp="off")}
    demanded = {name: {"srtp": "required"} for name in ("west", "east")}
    mesh = Mesh(peers=demanded, change={"west": clear, "east": clear})
    talk(mesh.phones["811001"], "821001", mesh.phones["821001"])
    for way in (("west", "east"), ("east", "west")):
        told = mesh.tells(*way)
        assert b"RTP/SAVP " in told
        assert b"a=crypto:" in told
    for bench in mesh.benches.values():
        (relay,) = bench.relays.values()
        assert relay.b is not None
        assert {bool(side.receives) for side in (relay.a, relay.b)} == {True, False}


def test_phones_that_encrypt_are_encrypted_all_the_way() -> None:
    mesh = Mesh(peers={"west": {"srtp": "required"}, "east": {"srtp": "required"}})
    alice, bob = mesh.phones["811001"], mesh.phones["821001"]
    alice.invite("821001", body=secure(alice, line(1, SHA1_80)))
    incoming = bob.expect("INVITE")
    assert Session.parse(incoming.body).media[0].protocol == "RTP/SAVP"
    bob.answer(incoming, 200, body=secure(bob, line(1, SHA1_80, 7)))
    answer = alice.take()[-1]
    assert isinstance(answer, Response)
    assert Session.parse(answer.body).media[0].protocol == "RTP/SAVP"


def test_a_site_that_demands_encryption_is_never_talked_to_in_the_clear() -> None:
    mesh = Mesh(peers={"east": {"srtp": "required"}, "west": {"srtp": "off"}})
    alice = mesh.phones["811001"]
    alice.invite("821001")
    assert alice.responses()[-1] == 488
    assert not mesh.phones["821001"].requests()


def test_keys_pass_as_events_and_nothing_of_the_inside_does() -> None:
    mesh = Mesh()
    alice, bob = mesh.phones["811001"], mesh.phones["821001"]
    call = talk(alice, "821001", bob)
    assert b"a=rtpmap:101 telephone-event/8000" in call.incoming.body
    for way in (("west", "east"), ("east", "west")):
        told = mesh.tells(*way)
        for phone in (alice, bob):
            assert phone.host.encode() not in told
            assert phone.contact.encode() not in told
        assert call.invite.call_id.encode() not in told
        assert b"User-Agent" not in told


def test_hold_reaches_the_phone_at_the_other_site() -> None:
    mesh = Mesh()
    alice, bob = mesh.phones["811001"], mesh.phones["821001"]
    call = talk(alice, "821001", bob)
    call.from_caller("INVITE", body=sdp(alice.host, direction="sendonly", version=2))
    agree(bob, bob.expect("INVITE"), "recvonly")
    assert 200 in alice.responses()


@pytest.mark.parametrize("site", ["west", "east"])
def test_a_call_between_sites_outlives_the_core_of_either(site: str) -> None:
    mesh = Mesh()
    alice, bob = mesh.phones["811001"], mesh.phones["821001"]
    call = talk(alice, "821001", bob)
    mesh.benches[site].restart()
    mesh.deliver()
    mesh.advance(1)
    alice.take()
    bob.take()
    call.from_caller("BYE")
    assert [one.method for one in bob.requests()] == ["BYE"]
    assert 200 in alice.responses()


def test_whoever_is_not_served_in_a_test_of_some_is_called_through_the_cloud() -> None:
    mesh = Mesh(peers={"east": {"numbers": "+1414555"}})
    east = mesh.benches["east"]
    east.zones_up = True
    mesh.advance(320)
    _, actions = east.core.command(
        "test.begin", {"seconds": 600, "who": ["1001"], "by": "z"}, east.now
    )
    east.perform(actions)
    assert mesh.row("west", "east")["mode"] == "testing"
    (bob,) = east.registered("1001")
    alice = mesh.phones["811001"]
    alice.register()
    alice.invite("821001")
    bob.expect("INVITE")
    carol = mesh.phones["811002"]
    carol.register()
    carol.invite("821002")
    assert mesh.sbcs["west"].expect("INVITE").uri.startswith("sip:+14145551002@")
