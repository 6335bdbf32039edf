"""Holdfast as the far end: prompts, early or answered, keys however they come, and what follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.bundle import Policies
from appliance.call.actions import Relay, Sound
from appliance.call.events import DigitPressed, RelayFailed, SoundEnded
from appliance.call.steps import Collect, Outcome, Plan, Play, Reject, Ring, Step, Target
from appliance.ports import Restored
from appliance.sdp.session import Session
from appliance.sip.digit import digit_of
from appliance.sip.framing import parse
from appliance.sip.message import Request, Response
from tests.call.test_security import SHA1_80, crypto, line, ours, profile, secure
from tests.phones import Bench, sdp, site_bundle

RINGBACK = Sound("tone/ringback", loop=True)


class Menu:
    """A bench whose every call runs the steps given, and keeps their outcomes."""

    def __init__(self, *steps: Step, policies: Policies | None = None) -> None:
        self.bench = Bench.in_outage(site_bundle(policies) if policies else None)
        self.alice, self.bob = self.bench.registered("1001", "1002")
        self.outcomes: list[Outcome] = []
        self.steps = list(steps)
        self.bench.core.switchboard._plan = self.plan  # type: ignore[method-assign,assignment]

    def plan(self, *_: object) -> Plan:
        for step in self.steps:
            self.outcomes.append((yield step))
        yield Reject(480)

    @property
    def ring_bob(self) -> Ring:
        return Ring((Target(f"sip:1002@{self.bob.host}", self.bob.flow, "1002"),), 30.0)

    def call(self, body: bytes | None = None) -> tuple[Request, list[Response]]:
        invite = self.alice.invite("700", body=body)
        answers = [m for m in self.alice.take() if isinstance(m, Response) and m.status > 100]
        if answers and answers[-1].status == 200:
            self.acknowledge(invite, answers[-1])
        return invite, answers

    def acknowledge(self, invite: Request, answer: Response, body: bytes = b"") -> None:
        ack = self.alice.within(invite, answer, "ACK", cseq=invite.cseq.number, body=body)
        self.alice.send(ack)

    @property
    def relay(self) -> Relay:
        (relay,) = self.bench.relays.values()
        return relay

    @property
    def hears(self) -> Sound | None:
        return self.relay.a.hears

    def ended(self, reason: str = "") -> None:
        """Let the sound come to its end."""
        assert self.hears is not None
        event = SoundEnded(self.relay.key, "a", self.hears.serial, reason)
        self.bench.perform(self.bench.core.media_event(event, self.bench.now))

    def press(self, *digits: str) -> None:
        for digit in digits:
            event = DigitPressed(self.relay.key, "a", digit)
            self.bench.perform(self.bench.core.media_event(event, self.bench.now))

    @property
    def words(self) -> list[str]:
        return [outcome.word for outcome in self.outcomes]


def up_to(most: int, first: float = 5.0, more: float = 3.0) -> Callable[[str], float]:
    def wait(keys: str) -> float:
        return 0 if len(keys) >= most else more if keys else first

    return wait


def test_a_prompt_is_early_media_and_costs_the_caller_nothing() -> None:
    menu = Menu(Play(("welcome", "closed")))
    _, answers = menu.call()
    assert [answer.status for answer in answers] == [183]
    media = Session.parse(answers[0].body).media[0]
    assert media.formats == ("0", "101")
    assert menu.relay.b is None
    assert menu.hears == Sound("welcome", serial=1)
    menu.ended()
    assert menu.hears == Sound("closed", serial=2)
    menu.ended()
    assert menu.words == ["played"]
    assert menu.alice.responses() == [480]
    assert menu.bench.record.outcome == "unavailable"
    assert menu.bench.record.answered is None
    menu.bench.quiet()


def test_a_prompt_may_have_the_call_answered_first() -> None:
    menu = Menu(Play(("welcome",), answer=True))
    _, answers = menu.call()
    assert [answer.status for answer in answers] == [200]
    menu.ended()
    assert menu.alice.expect("BYE")
    assert menu.bench.record.outcome == "answered"
    assert "answered by Holdfast itself" in menu.bench.record.steps
    menu.bench.quiet()


def test_keys_are_collected_and_cut_the_prompt_off() -> None:
    menu = Menu(Collect(("menu",), up_to(3)), Collect((), up_to(1)))
    menu.call()
    assert menu.hears == Sound("menu", serial=1)
    assert menu.relay.a.digits
    menu.press("1")
    assert menu.hears is None
    menu.press("2", "3")
    assert (menu.outcomes[0].word, menu.outcomes[0].keys) == ("keys", "123")
    menu.press("#")
    assert menu.outcomes[1].keys == "#"
    menu.alice.expect("BYE")
    assert "keys 123" in menu.bench.record.steps
    menu.bench.quiet()


def test_a_prompt_that_must_be_heard_is_not_cut_off() -> None:
    menu = Menu(Collect(("menu",), up_to(1), barge_in=False))
    menu.call()
    menu.press("1")
    assert menu.hears is not None
    assert menu.outcomes == []
    menu.ended()
    menu.press("2")
    assert menu.outcomes[0].keys == "2"


def test_time_runs_after_the_prompt_and_after_each_key() -> None:
    menu = Menu(Collect(("menu",), up_to(4)), Collect((), up_to(4)))
    menu.call()
    menu.bench.advance(20)
    assert menu.outcomes == []
    menu.ended()
    menu.bench.advance(4.9)
    assert menu.outcomes == []
    menu.press("7")
    menu.bench.advance(2.9)
    assert menu.outcomes == []
    menu.bench.advance(0.2)
    assert menu.outcomes[0].keys == "7"
    menu.bench.advance(5)
    assert menu.words == ["keys", "no_key"]
    assert menu.outcomes[1].at == menu.outcomes[0].at + 5


def test_news_of_an_earlier_sound_changes_nothing() -> None:
    menu = Menu(Play(("one",)), Play(("two",)))
    menu.call()
    menu.ended()
    event = SoundEnded(menu.relay.key, "a", 1)
    menu.bench.perform(menu.bench.core.media_event(event, menu.bench.now))
    assert menu.words == ["played"]


def test_what_cannot_be_played_fails_and_the_plan_goes_on() -> None:
    menu = Menu(Play(("broken",)), Play(("silent",)))
    menu.call()
    menu.ended("no such sound")
    menu.bench.advance(700)
    assert menu.words == ["failed", "failed"]
    assert "broken could not be played: no such sound" in menu.bench.record.steps
    menu.bench.quiet()


def test_a_caller_without_a_codec_of_ours_hears_no_prompt() -> None:
    menu = Menu(Play(("welcome",)), Collect(("menu",), up_to(1)))
    body = sdp(menu.alice.host).replace(b"RTP/AVP 0 101", b"RTP/AVP 96")
    _, answers = menu.call(body.replace(b"rtpmap:0 PCMU/8000", b"rtpmap:96 opus/48000/2"))
    assert menu.words == ["failed", "failed"]
    assert [answer.status for answer in answers] == [480]
    menu.bench.quiet()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), ("application/dtmf", b"5")],
)
def test_digits_by_info_count_as_well(kind: str, body: bytes) -> None:
    menu = Menu(Collect((), up_to(1)))
    invite, answers = menu.call()
    info = menu.alice.within(invite, answers[-1], "INFO")
    info.add("Content-Type", kind)
    info.body = body
    menu.alice.send(info)
    assert menu.outcomes[0].keys == "5"
    assert menu.alice.responses()[0] == 200


def test_an_info_that_is_no_digit_is_refused() -> None:
    menu = Menu(Collect((), up_to(1)))
    invite, answers = menu.call()
    info = menu.alice.within(invite, answers[-1], "INFO")
    info.add("Content-Type", "application/x-camera")
    info.body = b"5"
    menu.alice.send(info)
    assert menu.alice.responses() == [415]
    assert menu.outcomes == []


def test_the_caller_hangs_up_in_the_middle() -> None:
    menu = Menu(Collect(("menu",), up_to(1)))
    invite, answers = menu.call()
    menu.alice.send(menu.alice.within(invite, answers[-1], "BYE"))
    assert menu.alice.responses() == [200]
    assert (menu.bench.record.outcome, menu.bench.record.ended_by) == ("answered", "caller")
    assert menu.outcomes == []
    menu.bench.quiet()


def test_the_caller_cancels_early_media() -> None:
    menu = Menu(Play(("welcome",)))
    invite, _ = menu.call()
    menu.alice.send(menu.alice.cancel(invite))
    assert menu.alice.responses() == [200, 487]
    assert menu.bench.record.outcome == "cancelled"
    menu.bench.quiet()


@pytest.mark.parametrize("early", [True, False])
def test_after_a_prompt_somebody_is_rung_and_joined(early: bool) -> None:
    menu = Menu(Play(("welcome",), answer=not early))
    menu.steps.append(menu.ring_bob)
    invite, answers = menu.call()
    menu.ended()
    incoming = menu.bob.expect("INVITE")
    assert Session.parse(incoming.body).media[0].formats == ("0", "101")
    assert menu.hears == RINGBACK
    menu.bob.answer(incoming, 180)
    menu.bob.answer(incoming, 200, body=sdp(menu.bob.host))
    menu.bob.expect("ACK")
    if early:
        (answer,) = (m for m in menu.alice.take() if isinstance(m, Response) and m.status == 200)
        assert answer.body == answers[0].body
        menu.acknowledge(invite, answer)
    else:
        answer = answers[-1]
        assert menu.alice.take() == []
    assert menu.hears is None
    assert menu.relay.b is not None
    assert menu.relay.b.remote == (menu.bob.host, 10000)
    menu.alice.send(menu.alice.within(invite, answer, "BYE"))
    menu.bob.expect("BYE")
    assert menu.bench.record.answered_by == "1002"
    menu.bench.quiet()


def test_when_nobody_answers_the_caller_hears_from_us_again() -> None:
    menu = Menu(Play(("welcome",), answer=True))
    menu.steps += [menu.ring_bob, Play(("nobody",))]
    menu.call()
    menu.ended()
    menu.bob.answer(menu.bob.expect("INVITE"), 486)
    assert menu.words == ["played", "busy"]
    assert menu.hears is not None
    assert menu.hears.name == "nobody"
    menu.ended()
    menu.alice.expect("BYE")
    menu.bench.quiet()


def test_a_secure_caller_is_bridged_to_whoever_is_rung_after_the_prompt() -> None:
    menu = Menu(Play(("welcome",), answer=True))
    menu.steps.append(menu.ring_bob)
    _, answers = menu.call(secure(menu.alice, line(1, SHA1_80)))
    (told,) = crypto(answers[-1])
    assert menu.relay.a.sends == ours(answers[-1], SHA1_80)
    menu.ended()
    incoming = menu.bob.expect("INVITE")
    assert profile(incoming) == "RTP/SAVP"
    mine = crypto(incoming)[0]
    offered = [one.keys[0].key_salt for one in crypto(incoming)]
    assert told.keys[0].key_salt not in offered
    assert bytes([1]) * 30 not in offered, "the caller's own key is between it and us"
    body = secure(menu.bob, line(mine.tag, mine.suite, 77))
    menu.bob.answer(incoming, 200, body=body)
    relay = menu.relay
    assert relay.b is not None
    assert relay.a.sends == ours(answers[-1], SHA1_80)
    assert relay.b.receives != relay.a.sends


def test_a_caller_that_leaves_the_offer_to_us_gets_one() -> None:
    menu = Menu(Play(("welcome",)), policies=Policies(srtp="required"))
    invite = menu.alice.invite("700", body=b"")
    answer = menu.alice.take()[-1]
    assert isinstance(answer, Response)
    assert (answer.status, profile(answer)) == (200, "RTP/SAVP")
    assert not menu.bench.relays
    first = crypto(answer)[0]
    body = secure(menu.alice, line(first.tag, first.suite, 55))
    menu.acknowledge(invite, answer, body)
    assert menu.hears == Sound("welcome", serial=1)
    assert menu.relay.a.receives is not None
    menu.ended()
    menu.alice.expect("BYE")
    menu.bench.quiet()


def test_hold_and_refresh_in_the_middle_of_a_menu() -> None:
    menu = Menu(Collect(("menu",), up_to(1)))
    invite, answers = menu.call()
    for number, direction in enumerate(("sendonly", "sendrecv"), 1):
        cseq = invite.cseq.number + number
        body = sdp(menu.alice.host, direction=direction, version=number + 1)
        reinvite = menu.alice.within(invite, answers[-1], "INVITE", cseq=cseq, body=body)
        menu.alice.send(reinvite)
        answer = menu.alice.take()[-1]
        assert isinstance(answer, Response)
        wanted = {"sendonly": b"a=recvonly", "sendrecv": b"a=sendrecv"}[direction]
        assert wanted in answer.body
        menu.alice.send(menu.alice.within(invite, answer, "ACK", cseq=cseq))
    assert menu.hears == Sound("menu", serial=1)
    menu.press("4")
    assert menu.outcomes[0].keys == "4"


def test_a_menu_does_not_outlive_a_restart_but_ends_cleanly() -> None:
    menu = Menu(Collect(("menu",), up_to(1)))
    menu.call()
    after = Bench(restored=Restored(calls=tuple(menu.bench.saved_calls.values())))
    assert after.record.sealed
    assert after.record.outcome == "answered"
    assert [Request] == [type(parse(send.data)) for send in after.unsent]
    assert b"BYE" in after.unsent[0].data


def test_who_waits_hears_what_the_step_says() -> None:
    menu = Menu()
    ring = menu.ring_bob
    menu.steps = [Ring(ring.targets, 30.0, hears="music")]
    _, answers = menu.call()
    assert [answer.status for answer in answers] == [183]
    assert menu.hears == Sound("music", loop=True)
    incoming = menu.bob.expect("INVITE")
    menu.bob.answer(incoming, 183, body=sdp(menu.bob.host))
    assert menu.hears == Sound("music", loop=True)
    menu.bob.answer(incoming, 200, body=sdp(menu.bob.host))
    assert menu.hears is None


def test_a_refusal_may_be_spoken_first() -> None:
    menu = Menu(Reject(404, "no such number", says="tone/sit"))
    _, answers = menu.call()
    assert [answer.status for answer in answers] == [183]
    menu.ended()
    assert menu.alice.responses() == [404]
    assert menu.bench.record.reason == "no such number"
    menu.bench.quiet()


def test_a_port_taken_under_a_prompt_moves_as_well() -> None:
    menu = Menu(Collect(("menu",), up_to(1)))
    menu.call()
    old = menu.relay.a.local[1]
    event = RelayFailed(menu.relay.key, "Address already in use", old)
    menu.bench.perform(menu.bench.core.media_event(event, menu.bench.now))
    reinvite = menu.alice.expect("INVITE")
    menu.alice.answer(reinvite, 200, tag=reinvite.to.tag or "", body=sdp(menu.alice.host))
    menu.alice.expect("ACK")
    assert menu.relay.a.local[1] != old
    assert menu.hears == Sound("menu", serial=1)


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Duration=160\nsignal = #\n", "#"),
        ("Application/DTMF-Relay; charset=x", b"Signal=11", "#"),
        ("application/dtmf", b"*\r\n", "*"),
        ("application/dtmf", b"a", "A"),
        ("application/dtmf", b"", ""),
        ("application/dtmf", b"55", ""),
        ("application/dtmf-relay", b"Duration=160", ""),
        ("text/plain", b"5", ""),
        ("application/dtmf", b"\xff" * 70000, ""),
    ],
)
def test_digits_in_bodies(kind: str, body: bytes, digit: str) -> None:
    assert digit_of(kind, body) == digit
