"""Music on hold (C4): who is held hears it, and is told so in a way its phone believes."""

from __future__ import annotations

import pytest

from appliance.bundle import Policies
from appliance.call.actions import RelaySide, Sound
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_basic_call import talking
from tests.call.test_security import SHA1_80, called, joined, line, secure
from tests.phones import Bench, Phone, sdp, site_bundle

MUSIC = Sound("music", loop=True)


def direction(message: Request | Response) -> str:
    session = Session.parse(message.body)
    return session.direction_of(session.media[0])


def sides(bench: Bench) -> tuple[RelaySide, RelaySide]:
    (relay,) = bench.relays.values()
    assert relay.b is not None
    return relay.a, relay.b


def hears(bench: Bench) -> tuple[Sound | None, Sound | None]:
    a, b = sides(bench)
    return a.hears, b.hears


class Talk:
    """Two phones that talk; `ask` lets one of them change how, and the other agree."""

    def __init__(self, policies: Policies | None = None) -> None:
        self.bench = Bench.in_outage(site_bundle(policies) if policies else None)
        self.alice, self.bob = self.bench.registered("1001", "1002")
        self.invite, self.answer, self.incoming = talking(self.bench, self.alice, self.bob)
        self.count = 1

    def ask(self, who: Phone, offer: bytes, answer: bytes) -> tuple[Request, Response]:
        """Return what the other was asked, and what came back."""
        self.count += 1
        if who is self.alice:
            other = self.bob
            cseq = self.invite.cseq.number + self.count
            who.send(who.within(self.invite, self.answer, "INVITE", cseq=cseq, body=offer))
        else:
            other = self.alice
            who.send(who.back(self.incoming, "INVITE", "callee", cseq=self.count, body=offer))
        asked = other.expect("INVITE")
        other.answer(asked, 200, tag=asked.to.tag or "", body=answer)
        other.expect("ACK")
        (reply,) = (m for m in who.take() if isinstance(m, Response) and m.status == 200)
        if who is self.alice:
            who.send(who.within(self.invite, self.answer, "ACK", cseq=cseq))
        else:
            who.send(who.back(self.incoming, "ACK", "callee", cseq=self.count))
        return asked, reply

    def say(self, who: Phone, direction: str) -> bytes:
        self.count += 1
        return sdp(who.host, direction=direction, version=self.count)


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize(
    ("hold", "reply"), [("sendonly", "recvonly"), ("inactive", "inactive"), ("0.0.0.0", "recvonly")]
)
def test_who_is_held_hears_music_until_the_other_is_back(who: str, hold: str, reply: str) -> None:
    talk = Talk()
    holder = talk.alice if who == "alice" else talk.bob
    held = talk.bob if who == "alice" else talk.alice
    offer = sdp("0.0.0.0", version=2) if hold == "0.0.0.0" else talk.say(holder, hold)
    asked, answered = talk.ask(holder, offer, talk.say(held, "recvonly"))
    assert direction(asked) == "sendonly"
    assert direction(answered) == reply
    assert hears(talk.bench) == ((None, MUSIC) if who == "alice" else (MUSIC, None))
    talk.ask(holder, talk.say(holder, "sendrecv"), talk.say(held, "sendrecv"))
    assert hears(talk.bench) == (None, None)


def test_a_phone_that_answers_inactive_hears_nothing() -> None:
    talk = Talk()
    talk.ask(talk.alice, talk.say(talk.alice, "sendonly"), talk.say(talk.bob, "inactive"))
    assert hears(talk.bench) == (None, None)


def test_both_on_hold_hear_nothing_and_the_first_to_return_hears_music() -> None:
    talk = Talk()
    alice, bob = talk.alice, talk.bob
    talk.ask(alice, talk.say(alice, "sendonly"), talk.say(bob, "recvonly"))
    talk.ask(bob, talk.say(bob, "inactive"), talk.say(alice, "inactive"))
    assert hears(talk.bench) == (None, None)
    asked, answered = talk.ask(alice, talk.say(alice, "sendrecv"), talk.say(bob, "inactive"))
    assert direction(asked) == "sendrecv"
    assert direction(answered) == "sendonly"
    assert hears(talk.bench) == (MUSIC, None)
    talk.ask(bob, talk.say(bob, "sendrecv"), talk.say(alice, "sendrecv"))
    assert hears(talk.bench) == (None, None)


def test_where_the_site_wants_none_a_held_phone_is_told_the_truth() -> None:
    talk = Talk(Policies(music_on_hold=False))
    offer, answer = talk.say(talk.alice, "inactive"), talk.say(talk.bob, "inactive")
    asked, _ = talk.ask(talk.alice, offer, answer)
    assert direction(asked) == "inactive"
    assert hears(talk.bench) == (None, None)


def test_without_a_codec_that_we_can_play_there_is_silence() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")

    def opus(phone: Phone, direction: str) -> bytes:
        text = sdp(phone.host, direction=direction).replace(b"RTP/AVP 0 101", b"RTP/AVP 96")
        return text.replace(b"rtpmap:0 PCMU/8000", b"rtpmap:96 opus/48000/2")

    invite, incoming = called(bench, alice, bob, opus(alice, "sendrecv"))
    bob.answer(incoming, 200, body=opus(bob, "sendrecv"))
    answer = joined(alice, invite, bob)
    alice.send(alice.within(invite, answer, "INVITE", body=opus(alice, "inactive")))
    asked = bob.expect("INVITE")
    assert direction(asked) == "inactive"
    bob.answer(asked, 200, tag="callee", body=opus(bob, "inactive"))
    assert hears(bench) == (None, None)


def test_a_held_call_does_not_end_for_its_silence() -> None:
    talk = Talk()
    talk.ask(talk.alice, talk.say(talk.alice, "inactive"), talk.say(talk.bob, "recvonly"))
    (call,) = talk.bench.core.switchboard.calls.values()
    call.silent(60.0, talk.bench.now)
    assert talk.bench.core.switchboard.calls
    assert talk.bob.take() == []


def test_music_on_a_secure_leg_is_protected_with_the_key_it_knows() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, secure(alice, line(1, SHA1_80)))
    bob.answer(incoming, 200, body=secure(bob, line(1, SHA1_80, 77)))
    answer = joined(alice, invite, bob)
    hold = secure(alice, line(1, SHA1_80), version=2).replace(b"sendrecv", b"sendonly")
    alice.send(alice.within(invite, answer, "INVITE", body=hold))
    asked = bob.expect("INVITE")
    body = secure(bob, line(1, SHA1_80, 77), version=2).replace(b"sendrecv", b"recvonly")
    bob.answer(asked, 200, tag="callee", body=body)
    a, b = sides(bench)
    assert b.hears == MUSIC
    assert b.sends is not None
    assert b.sends == a.receives


@pytest.mark.parametrize("early", [True, False])
def test_an_announcement_is_no_hold(early: bool) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    announcement = sdp(bob.host, direction="sendonly")
    if early:
        bob.answer(incoming, 183, body=announcement)
        assert hears(bench) == (None, None)
    alice.take()
    bob.answer(incoming, 200, body=sdp(bob.host) if early else announcement)
    joined(alice, invite, bob)
    assert hears(bench) == (None, None)
    bob.send(bob.back(incoming, "INVITE", "callee", body=sdp(bob.host, direction="inactive")))
    asked = alice.expect("INVITE")
    alice.answer(asked, 200, tag=asked.to.tag or "", body=sdp(alice.host, direction="recvonly"))
    assert hears(bench) == (MUSIC, None)


def test_a_phone_may_be_called_by_one_that_holds_from_the_start() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host, direction="inactive"))
    assert direction(incoming) == "sendonly"
    bob.answer(incoming, 200, body=sdp(bob.host, direction="recvonly"))
    assert direction(joined(alice, invite, bob)) == "inactive"
    assert hears(bench) == (None, MUSIC)
