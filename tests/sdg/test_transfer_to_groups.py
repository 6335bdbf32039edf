"""A party is handed on to a group: it hears the menu, presses keys, and is rung for (C5, D3)."""

from __future__ import annotations

from appliance.call.events import DigitPressed, SoundEnded
from appliance.sip.message import Request
from tests.call.test_basic_call import talking
from tests.phones import Phone, sdp
from tests.sdg.office import Office, group


def handed_on(office: Office, extension: str = "7000") -> tuple[Phone, Phone]:
    """Let 1001 call 1002 and hand it on; return both phones."""
    alice, bob = office.phones["1001"], office.phones["1002"]
    invite, answer, _ = talking(office.bench, alice, bob)
    to = [("Refer-To", f"<sip:{extension}@example.com>")]
    alice.send(alice.within(invite, answer, "REFER", headers=to))
    return alice, bob


def test_who_is_handed_on_to_a_menu_hears_it_and_chooses() -> None:
    menu = group(kind="menu", prompt="welcome", keys={"1": "1003"})
    office = Office(menu)
    _, bob = handed_on(office)
    (key, relay), *_ = office.bench.relays.items()
    assert relay.b is not None
    assert relay.b.hears is not None
    assert relay.b.hears.name == "welcome"
    assert (relay.a.digits, relay.b.digits) == (False, True)
    office.bench.perform(
        office.bench.core.media_event(SoundEnded(key, "a", relay.b.hears.serial), office.bench.now)
    )  # not its side: nothing happens
    office.bench.perform(
        office.bench.core.media_event(DigitPressed(key, "b", "1"), office.bench.now)
    )
    ringing = office.phones["1003"].expect("INVITE")
    office.phones["1003"].answer(ringing, 180, tag="t")
    (relay,) = office.bench.relays.values()
    assert relay.b is not None
    assert relay.b.hears is not None
    assert relay.b.hears.name == "music"
    assert bob.take() == []


def test_a_group_that_rings_all_has_one_answer_and_the_others_are_told() -> None:
    office = Office(group(members="1003 1004 1005"))
    _, bob = handed_on(office)
    rung = office.rung()
    assert set(rung) == {"1003", "1004", "1005"}
    phone = office.phones["1004"]
    phone.answer(rung["1004"], 200, tag="t1004", body=sdp(phone.host))
    for other in ("1003", "1005"):
        cancels = [m for m in office.phones[other].take() if isinstance(m, Request)]
        assert "completed elsewhere" in (cancels[0].first("Reason") or "")
    assert [request.method for request in bob.requests()] == ["INVITE"]


def test_a_group_that_nobody_answers_brings_the_two_together_again() -> None:
    office = Office(group(members="1003"))
    handed_on(office)
    rung = office.rung()
    office.phones["1003"].answer(rung["1003"], 486, tag="t1003")
    office.bench.advance(600)
    (call,) = office.bench.core.switchboard.calls.values()
    assert {leg.extension for leg in call.joined} == {"1001", "1002"}
    assert call.talks
