"""What phones show of an outage (A5): to whom, when, how fast, and to whom never again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.bundle import Policies, Texts
from appliance.call.events import SoundEnded
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone, site_bundle

TEXTS = Texts(outage="Backup is on.", over="All is well.", per_second=10)


def site(**more: Any) -> Bench:
    return Bench(replace(site_bundle(), texts=replace(TEXTS, **more)))


def cut_off(bench: Bench) -> Bench:
    bench.zones_up = False
    bench.advance(20)
    assert bench.mode == "survivability"
    return bench


def shown(phone: Phone, status: int = 200) -> list[str]:
    """Return the texts that a phone has got, repeated ones once; it answers each."""
    found = {}
    for request in phone.requests():
        assert request.method == "MESSAGE"
        found[request.call_id] = request.body.decode()
        phone.answer(request, status)
    return list(found.values())


def test_a_phone_is_told_once_it_has_registered() -> None:
    bench = cut_off(site())
    (alice,) = bench.registered("1001")
    bench.advance(0.9)
    assert shown(alice) == []
    bench.advance(0.2)
    (message,) = [one for one in alice.inbox if isinstance(one, Request)]
    assert message.uri == "sip:1001@192.0.2.101:5061"
    assert message.first("Content-Type") == "text/plain;charset=UTF-8"
    assert message.first(
        "From",
    ) == '"Holdfast" <sip:holdfast@example.com>;tag=' + (message.from_.tag or "")
    assert message.first("Contact") is None
    assert shown(alice) == ["Backup is on."]
    bench.advance(50)
    assert alice.register().status == 200
    bench.advance(5)
    assert shown(alice) == []


def test_all_are_told_when_it_is_over_and_again_in_the_next_outage() -> None:
    bench = cut_off(site())
    (alice,) = bench.registered("1001")
    bench.advance(2)
    assert shown(alice) == ["Backup is on."]
    bench.zones_up = True
    for _ in range(8):
        bench.advance(40)
        alice.register() if bench.mode != "standby" else None
    assert bench.mode == "standby"
    assert shown(alice) == ["All is well."]
    cut_off(bench)
    assert shown(alice) == ["Backup is on."]


def test_texts_are_paced() -> None:
    bench = cut_off(site())
    phones = bench.registered("1001", "1002", "1003", "1004", "1005")
    bench.advance(1.01)
    counts = []
    for _ in range(5):
        counts.append(sum(len(shown(phone)) for phone in phones))
        bench.advance(0.1)
    assert counts == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("status", [405, 501, 403])
def test_a_phone_that_refuses_is_never_sent_another(status: int) -> None:
    bench = cut_off(site())
    (alice,) = bench.registered("1001")
    bench.advance(2)
    assert shown(alice, status) == ["Backup is on."]
    bench.restart()
    alice.register()
    bench.zones_up = True
    bench.advance(330)
    assert bench.mode == "standby"
    cut_off(bench)
    alice.register()
    bench.advance(5)
    assert shown(alice) == []


def test_a_phone_that_is_silent_is_told_of_the_end_all_the_same() -> None:
    bench = cut_off(site())
    (alice,) = bench.registered("1001")
    bench.advance(2)
    alice.take()
    bench.zones_up = True
    for _ in range(8):
        alice.inbox.clear()
        alice.register()
        bench.advance(42)
    assert bench.mode == "standby"
    assert shown(alice) == ["All is well."]


def test_a_restart_in_an_outage_tells_nobody_twice() -> None:
    bench = cut_off(site())
    alice, bob = bench.registered("1001", "1002")
    bench.advance(1.05)
    assert (shown(alice), shown(bob)) == (["Backup is on."], [])
    bench.restart()
    bench.advance(3)
    assert (shown(alice), shown(bob)) == ([], ["Backup is on."])


def test_a_phone_on_a_new_connection_is_the_same_phone() -> None:
    bench = cut_off(site())
    alice = bench.phone("1001", transport="TCP")
    alice.register()
    bench.advance(2)
    assert shown(alice) == ["Backup is on."]
    bench.perform(bench.core.lost(alice.flow, bench.now))
    again = bench.reconnected(alice)
    again.register_again()
    bench.advance(5)
    assert shown(again) == []


def test_who_has_left_meanwhile_is_sent_nothing() -> None:
    bench = cut_off(site())
    alice, bob = bench.registered("1001", "1002")
    alice.register(expires=0)
    bench.advance(3)
    assert (shown(alice), shown(bob)) == ([], ["Backup is on."])


def test_a_test_alarms_nobody_and_an_outage_in_it_does() -> None:
    bench = site()
    bench.zones_up = True
    bench.advance(10)
    assert bench.core.survival is not None
    bench.core.survival.test(3600, bench.now)
    (alice,) = bench.registered("1001")
    bench.advance(5)
    assert shown(alice) == []
    cut_off(bench)
    assert shown(alice) == ["Backup is on."]


def test_no_text_is_sent_where_there_is_none() -> None:
    bench = cut_off(site(outage=""))
    (alice,) = bench.registered("1001")
    bench.zones_up = True
    bench.advance(340)
    assert (bench.mode, shown(alice)) == ("standby", [])


def heard_first(policy: Any) -> list[str]:
    """Return what a caller hears before a phone rings, which it must in the end."""
    bench = Bench.in_outage(site_bundle(Policies(outage_prompt=policy)))
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    heard = []
    for relay in list(bench.relays.values()):
        assert relay.a.hears is not None
        heard.append(relay.a.hears.name)
        assert not bob.requests()
        event = SoundEnded(relay.key, "a", relay.a.hears.serial)
        bench.perform(bench.core.media_event(event, bench.now))
    assert [one.method for one in bob.requests()] == ["INVITE"]
    assert 200 not in alice.responses()
    return heard


def test_callers_hear_of_the_outage_by_policy() -> None:
    assert heard_first("everybody") == ["survivability-inside"]
    assert heard_first("outside") == []
    assert heard_first("nobody") == []


def test_who_calls_in_a_test_hears_nothing_of_an_outage() -> None:
    bench = Bench(site_bundle(Policies(outage_prompt="everybody")))
    bench.zones_up = True
    bench.advance(10)
    assert bench.core.survival is not None
    bench.core.survival.test(3600, bench.now)
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    bob.expect("INVITE")
    assert Response not in map(type, bob.take())
