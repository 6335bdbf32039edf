"""The safety team is told at once, by a text and by a call that says who and where (E8)."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.bundle import NumberPlan
from appliance.call.actions import Action, DropAlert, Notice, SaveAlert, SaveCallback, Send
from appliance.call.events import RelayFailed
from appliance.sip.flow import Flow
from appliance.sip.message import Request
from appliance.sip.timers import TimerQueue
from sbc_bridge.emergency.alerts import CAPACITY, Alert, Alerts
from tests.phones import Phone, sdp
from tests.sbc_bridge.emergency_office import HALL, Site

SAID = [
    "emergency-alert",
    "digit-1",
    "digit-0",
    "digit-0",
    "digit-1",
    "emergency/user/u1001",
    "emergency/location/hall",
    "emergency-alert-listen",
]


def alerted(site: Site, extension: str = "1002") -> tuple[Request, Request]:
    """Return the text, which is answered, and the call that a member gets."""
    text, call = site.phones[extension].requests()
    assert (text.method, call.method) == ("MESSAGE", "INVITE")
    site.phones[extension].answer(text, 200)
    return text, call


def pick_up(site: Site, phone: Phone, invite: Request) -> None:
    phone.answer(invite, 200, tag="member", body=sdp(phone.host))
    assert phone.expect("ACK")


def said(site: Site) -> list[str]:
    names: list[str] = []
    for _ in range(20):
        names += site.heard()
    return names


def test_everybody_is_told_in_the_same_moment() -> None:
    site = Site(safety_team=("u1002", "u1003"))
    site.help()
    for extension in ("1002", "1003"):
        text, call = alerted(site, extension)
        assert text.body.decode() == (
            "EMERGENCY CALL: User 1001 (1001) called 911 from Hall, 1 Main St"
        )
        assert call.first("From").startswith('"Emergency: User 1001" <sip:1001@')  # type: ignore[union-attr]
    assert "the safety team is alerted: 1002, 1003" in site.bench.record_of_the_only_call().steps
    assert site.told("emergency.call")


def test_the_call_says_who_and_where_and_says_it_again() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    site.sbc.answer(site.sbc.expect("INVITE"), 180)
    phone = site.phones["1002"]
    pick_up(site, phone, alerted(site)[1])
    assert said(site) == SAID
    site.bench.advance(4)
    assert said(site) == SAID
    site.bench.advance(4)
    assert said(site) == SAID
    site.bench.advance(4)
    assert phone.expect("BYE")
    assert site.told("emergency.alerted") == ["the alert call to 1002: heard"]


def test_one_key_repeats_and_another_confirms() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    phone = site.phones["1002"]
    pick_up(site, phone, alerted(site)[1])
    site.heard()
    site.press("1")
    assert said(site) == SAID
    site.press("2")
    assert site.heard() == ["emergency-confirmed"]
    assert phone.expect("BYE")
    assert site.told("emergency.alerted") == ["the alert call to 1002: confirmed"]


def test_keys_may_come_by_info() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    phone = site.phones["1002"]
    invite = alerted(site)[1]
    pick_up(site, phone, invite)
    info = phone.back(invite, "INFO", "member", body=b"Signal=2\r\n")
    info.set("Content-Type", "application/dtmf-relay")
    phone.send(info)
    site.heard()
    assert site.told("emergency.alerted") == ["the alert call to 1002: confirmed"]


def test_who_hangs_up_has_heard_it() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    phone = site.phones["1002"]
    invite = alerted(site)[1]
    pick_up(site, phone, invite)
    phone.send(phone.back(invite, "BYE", "member"))
    assert 200 in phone.responses()
    assert site.told("emergency.alerted") == ["the alert call to 1002: heard"]


def test_who_does_not_answer_or_declines_is_told_of() -> None:
    site = Site(safety_team=("u1002", "u1003"))
    site.help()
    site.phones["1003"].answer(alerted(site, "1003")[1], 486)
    site.phones["1002"].answer(alerted(site)[1], 180)
    site.bench.advance(60)
    assert site.phones["1002"].requests()[-1].method == "CANCEL"
    told = site.told("emergency.alerted")
    assert told == ["the alert call to 1003: declined", "the alert call to 1002: no answer"]


def test_a_phone_that_wants_srtp_gets_it() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    phone = site.phones["1002"]
    phone.answer(alerted(site)[1], 488)
    again = phone.requests()[-1]
    assert b"RTP/SAVP" in again.body


def test_without_audio_the_call_ends_and_the_text_stays() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    phone = site.phones["1002"]
    pick_up(site, phone, alerted(site)[1])
    (key,) = [relay.key for relay in site.bench.relays.values() if relay.b is None]
    event = RelayFailed(key, "no port", 0)
    site.bench.perform(site.bench.core.media_event(event, site.bench.now))
    assert phone.expect("BYE")
    assert site.told("emergency.alerted") == ["the alert call to 1002: failed"]


def test_the_caller_is_not_alerted_of_itself() -> None:
    site = Site(safety_team=("u1001", "u1002"))
    site.help()
    assert not site.phones["1001"].requests()
    assert alerted(site)


def test_a_stranger_is_described_by_what_is_known() -> None:
    site = Site(safety_team=("u1002",))
    site.dial(site.bench.phone("nobody", host="203.0.113.5"))
    text, call = alerted(site)
    assert text.body.decode() == (
        "EMERGENCY CALL: a phone at 203.0.113.5 called 911"
        " from location unknown (address 203.0.113.5)"
    )
    pick_up(site, site.phones["1002"], call)
    assert said(site) == ["emergency-alert-unknown", "emergency-alert-listen"]


def test_a_call_that_does_not_get_out_is_told_too() -> None:
    site = Site(safety_team=("u1002",), sbcs=0)
    site.help()
    first, _, second = site.phones["1002"].requests()
    assert (first.method, second.method) == ("MESSAGE", "MESSAGE")
    assert second.body.decode().endswith("it did not get out (503)")


def test_alerts_leave_nothing_behind() -> None:
    site = Site(safety_team=("u1002",))
    site.talk()
    _, call = alerted(site)
    pick_up(site, site.phones["1002"], call)
    site.press("2")
    site.heard()
    site.phones["1002"].answer(site.phones["1002"].expect("BYE"), 200)
    assert not len(site.bench.core.switchboard.own_calls)
    site.bench.quiet()


def test_a_webhook_is_told_of_every_alert_until_it_has_taken_it() -> None:
    site = Site(safety_team=("u1002",), sbcs=0, webhook="https://alerts.example/x")
    site.help()
    told = asked(site)
    assert told["webhook"] == "https://alerts.example/x"
    first, second = told["alerts"]
    assert (first["kind"], first["extension"], first["where"]) == (
        "called",
        "1001",
        "Hall, 1 Main St",
    )
    assert second["kind"] == "failed"
    assert not {"flow", "began", "due", "posts"} & first.keys()
    asked(site, "emergency.told", keys=[first["key"]])
    assert [row["kind"] for row in asked(site)["alerts"]] == ["failed"]
    site.restart()
    assert [row["key"] for row in asked(site)["alerts"]] == [second["key"]]
    asked(site, "emergency.told", keys=[second["key"], "another"])
    assert not asked(site)["alerts"]


def asked(site: Site, command: str = "emergency.alerts", **arguments: Any) -> Any:
    """Ask core as the admin process does."""
    told, actions = site.bench.core.command(command, arguments, site.bench.now)
    site.bench.perform(actions)
    return told


def order(site: Site) -> list[str]:
    """Call for help; return what is written and sent, in order, and which writing is waited for."""
    done: list[Action] = []
    perform = site.bench.perform

    def note(actions: list[Action]) -> None:
        done.extend(actions)
        perform(actions)

    site.bench.perform = note  # type: ignore[method-assign]
    site.help()
    words = {SaveAlert: "alert", SaveCallback: "call-back, waited for", Send: "sent"}
    return [
        "alert, waited for" if isinstance(one, SaveAlert) and one.waits else words[type(one)]
        for one in done
        if isinstance(one, SaveAlert | SaveCallback)
        or (isinstance(one, Send) and one.data.startswith(b"INVITE"))
    ]


def test_an_alert_is_on_the_disk_before_the_call_goes_on() -> None:
    """The store writes in order, so that who waits for the second has waited for the first."""
    site = Site(safety_team=("u1002",))
    assert order(site) == ["alert", "call-back, waited for", "sent", "sent"]


def test_an_alert_is_waited_for_where_nobody_is_called_back() -> None:
    bare = msgspec.structs.replace(HALL, elin=None)
    site = Site(safety_team=("u1002",), locations=(bare,), number_plan=NumberPlan())
    assert order(site) == ["alert, waited for", "sent", "sent"]


def test_a_new_bundle_forgets_no_call_for_help_that_is_up() -> None:
    site = Site(safety_team=("u1002",))
    invite = site.help()
    alerted(site)
    site.sbc.answer(site.sbc.expect("INVITE"), 180)
    site.connect()
    site.phones["1001"].send(site.phones["1001"].cancel(invite))
    texts = [one for one in site.phones["1002"].requests() if one.method == "MESSAGE"]
    assert texts[-1].body.endswith(b"the caller hung up before anybody answered")


def test_a_crash_costs_the_team_no_alert_call() -> None:
    site = Site(safety_team=("u1002", "u1003"))
    site.help()
    pick_up(site, site.phones["1003"], alerted(site, "1003")[1])
    site.press("2")
    site.heard()
    alerted(site)
    site.phones["1003"].take()
    site.restart()
    assert [one.method for one in site.phones["1002"].requests()] == ["MESSAGE", "INVITE"]
    assert not site.phones["1003"].requests(), "who has confirmed is left alone"


def test_rows_of_alerts_that_nobody_can_read_are_passed_over() -> None:
    alerts = Alerts(TimerQueue(), lambda action: None, lambda now: now)
    alerts.restore([b"\xc1", b"", b"\x81\xa3key\xa2\xff\xfe"], 0.0, 1000.0)
    assert not len(alerts)


def test_who_was_told_before_the_crash_is_not_told_again() -> None:
    site = Site(safety_team=("u1002",))
    site.help()
    site.phones["1002"].answer(alerted(site)[1], 486)
    site.phones["1002"].expect("ACK")
    assert not site.alerts()
    site.restart()
    assert not site.phones["1002"].requests()


def test_a_member_whose_phone_comes_later_is_called_then_and_only_within_ten_minutes() -> None:
    site = Site(safety_team=("u1002", "u1003"), registered="1001 1002")
    site.help()
    site.phones["1002"].answer(alerted(site)[1], 486)
    site.bench.advance(20)
    (late,) = site.bench.registered("1003")
    late.take()
    site.bench.advance(3)
    assert [one.method for one in late.requests()][:2] == ["MESSAGE", "INVITE"]
    assert len(site.alerts()) == 1
    site.bench.advance(600)
    assert not site.alerts()


def test_news_a_day_old_is_given_up_with_an_alarm() -> None:
    site = Site(webhook="https://alerts.example/x")
    site.help()
    site.bench.advance(86_000)
    assert asked(site)["alerts"]
    site.bench.advance(500)
    assert not asked(site)["alerts"]
    assert site.told("emergency.untold")


def test_alerts_that_nobody_takes_do_not_grow_without_bound() -> None:
    emitted: list[Action] = []
    alerts = Alerts(TimerQueue(), emitted.append, lambda now: now)
    flow = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
    for number in range(CAPACITY + 1):
        alerts.add(
            Alert(
                key=f"{number}-called",
                kind="called",
                at=0.0,
                call=str(number),
                number="911",
                caller="",
                extension="",
                proved=False,
                address="",
                location="",
                where="",
                shown="",
                flow=flow,
                began=0.0,
                posts=True,
            ),
            waits=False,
        )
    assert len(alerts) == CAPACITY
    assert [one.key for one in emitted if isinstance(one, DropAlert)] == ["0-called"]
    assert any(isinstance(one, Notice) and one.severity == "alarm" for one in emitted)


def test_a_caller_who_gives_up_is_told_of() -> None:
    site = Site(safety_team=("u1002",))
    invite = site.help()
    alerted(site)
    site.sbc.answer(site.sbc.expect("INVITE"), 180)
    site.phones["1001"].send(site.phones["1001"].cancel(invite))
    site.bench.advance(3)
    (text,) = [one for one in site.phones["1002"].requests() if one.method == "MESSAGE"][:1]
    assert text.body.decode().endswith(
        "Hall, 1 Main St: the caller hung up before anybody answered"
    )


def test_a_caller_who_was_answered_is_no_such_news() -> None:
    site = Site(safety_team=("u1002",))
    site.talk()
    alerted(site)
    site.bench.advance(3)
    assert not [one for one in site.phones["1002"].requests() if one.method == "MESSAGE"]
