"""Which SBC takes a call, and who when one cannot: health, fail-over, limits, drain (E1)."""

from __future__ import annotations

from base64 import b64decode

import pytest
from msgspec.structs import replace

from appliance.bundle import CallLimits, Sbc
from appliance.call.events import GatewayLocated
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from sbc_bridge.gateway import TRANSITIONS, USABLE
from tests.phones import HOLDFAST, sdp
from tests.trunk.outside import SbcPeer, Trunked, answered, trunk_bundle, udp


def two(**more: object) -> Trunked:
    """A site whose first SBC is preferred to its second."""
    return Trunked(trunk_bundle(udp(1, priority=1), udp(2, priority=2), **more))


def refuse(sbc: SbcPeer, status: int, *headers: tuple[str, str]) -> None:
    """Answer the INVITE that came with a failure, and take its ACK."""
    sbc.answer(sbc.expect("INVITE"), status, headers=list(headers))
    sbc.expect("ACK")


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_the_next_sbc_is_asked_when_one_cannot(status: int) -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    refuse(site.sbcs[0], status)
    call = site.sbcs[1].expect("INVITE")
    answered(site.alice, invite, site.sbcs[1], call)
    steps = " / ".join(site.bench.record_of_the_only_call().steps)
    assert f"({status})" in steps


@pytest.mark.parametrize(("status", "told"), [(486, 486), (404, 404), (603, 603), (401, 503)])
def test_what_the_callee_says_is_final(status: int, told: int) -> None:
    site = two()
    site.alice.invite("95125550199")
    refuse(site.sbcs[0], status)
    assert site.sbcs[1].requests() == []
    assert site.alice.responses()[-1] == told


def test_a_silent_sbc_costs_four_seconds() -> None:
    site = two()
    site.alice.invite("95125550199")
    site.bench.advance(3.9)
    assert not site.sbcs[1].take()
    site.bench.advance(0.2)
    site.sbcs[1].expect("INVITE")


def test_an_answer_that_comes_too_late_is_hung_up_and_the_other_call_lives() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    late = site.sbcs[0].expect("INVITE")
    site.bench.advance(4.1)
    answered(site.alice, invite, site.sbcs[1], site.sbcs[1].expect("INVITE"))
    site.sbcs[0].take()
    site.sbcs[0].answer(late, 200, body=sdp(site.sbcs[0].host))
    assert [request.method for request in site.sbcs[0].requests()] == ["ACK", "BYE"]
    assert len(site.bench.core.switchboard.calls) == 1


def test_a_connection_that_cannot_be_made_leads_on_and_its_reason_is_shown() -> None:
    site = Trunked(trunk_bundle(udp(1, transport="TLS"), udp(2, priority=2)))
    site.alice.invite("95125550199")
    site.sbcs[0].expect("INVITE")
    site.sbcs[0].options = 0
    flow, why = site.sbcs[0].flow, "its certificate has been revoked"
    site.bench.perform(site.bench.core.lost(flow, site.bench.now, why))
    site.sbcs[1].expect("INVITE")
    for _ in range(3):
        site.bench.perform(site.bench.core.lost(flow, site.bench.now, why))
        site.bench.advance(4)
    row = site.rows()[0]
    assert (row["state"], row["reason"]) == ("down", why)
    assert any(why in notice.text for notice in site.bench.notices if notice.severity == "alarm")


def test_who_rang_already_is_not_rung_once_more_elsewhere() -> None:
    site = two()
    site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 180)
    site.sbcs[0].answer(call, 408)
    assert not site.sbcs[1].requests()
    assert site.alice.responses()[-1] == 503


def test_a_call_that_rings_goes_on_when_the_connection_to_its_sbc_breaks() -> None:
    site = Trunked(trunk_bundle(udp(1, priority=1, transport="TLS"), udp(2, priority=2)))
    invite = site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 183, body=sdp(site.sbcs[0].host))
    site.bench.perform(site.bench.core.lost(site.sbcs[0].flow, site.bench.now, "reset"))
    answered(site.alice, invite, site.sbcs[1], site.sbcs[1].expect("INVITE"))
    assert len(site.bench.core.switchboard.calls) == 1


def test_a_call_that_rings_goes_on_when_its_sbc_says_that_it_cannot() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 180)
    site.sbcs[0].answer(call, 503)
    answered(site.alice, invite, site.sbcs[1], site.sbcs[1].expect("INVITE"))


def test_a_call_that_rings_goes_on_when_its_sbc_is_found_to_be_down() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 180)
    site.sbcs[0].options = 0
    while site.states()[0] != "down":
        site.bench.advance(0.1)
    site.sbcs[0].expect("CANCEL")
    answered(site.alice, invite, site.sbcs[1], site.sbcs[1].expect("INVITE"))
    assert site.rows()[0]["calls"] == 0


def test_early_media_of_an_sbc_that_died_leaves_no_key_behind() -> None:
    site = Trunked(trunk_bundle(udp(1, priority=1), udp(2, priority=2), srtp="required"))
    invite = site.alice.invite("95125550199")
    first = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(first, 183, body=secured(first, site.sbcs[0].host, "A"))
    (before,) = site.bench.relays.values()
    site.sbcs[0].answer(first, 503)
    second = site.sbcs[1].expect("INVITE")
    site.sbcs[1].answer(second, 200, body=secured(second, site.sbcs[1].host, "B"))
    (after,) = site.bench.relays.values()
    assert before.b is not None and after.b is not None
    assert before.b.receives is not None and after.b.receives is not None
    assert after.b.receives.key_salt == b64decode("B" * 40)
    assert before.b.sends != after.b.sends, "one key of ours for two carriers"
    assert after.b.remote == (site.sbcs[1].host, 10000)
    assert invite.method == "INVITE"


def secured(invite: Request, host: str, letter: str) -> bytes:
    """Write an SBC's answer with a key that is one letter forty times."""
    suite = "AES_CM_128_HMAC_SHA1_80"
    offer = Session.parse(invite.body).media[0]
    tag = next(line.split()[0] for line in offer.crypto if suite in line)
    return sdp(host, protocol="RTP/SAVP", crypto=f"{tag} {suite} inline:{letter * 40}")


def test_what_rings_at_the_only_sbc_is_left_to_it() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    site.sbc.answer(call, 180)
    site.sbc.options = 0
    site.bench.advance(60)
    assert site.states() == ["down"]
    assert not site.sbc.requests()
    answered(site.alice, invite, site.sbc, call)


def test_an_sbc_that_refuses_what_is_new_keeps_what_rings() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 180)
    site.sbcs[0].options = 503
    site.bench.advance(40)
    assert site.states()[0] == "down"
    assert not site.sbcs[0].requests() + site.sbcs[1].requests()
    answered(site.alice, invite, site.sbcs[0], call)


def test_an_sbc_that_takes_a_call_and_says_nothing_more_is_left_for_the_next() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    site.sbcs[0].answer(site.sbcs[0].expect("INVITE"), 100)
    site.bench.advance(24.9)
    assert not site.sbcs[1].requests()
    site.bench.advance(0.2)
    assert "CANCEL" in [one.method for one in site.sbcs[0].requests()]
    second = site.sbcs[1].expect("INVITE")
    site.sbcs[1].answer(second, 100)
    site.bench.advance(60)
    answered(site.alice, invite, site.sbcs[1], second)


def test_an_sbc_that_lets_it_ring_has_all_the_time() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    call = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(call, 180)
    site.bench.advance(100)
    assert not site.sbcs[1].requests()
    answered(site.alice, invite, site.sbcs[0], call)


def test_those_who_talk_are_left_alone_when_their_sbc_is_down() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    answered(site.alice, invite, site.sbcs[0], site.sbcs[0].expect("INVITE"))
    site.sbcs[0].options = 0
    site.bench.advance(60)
    assert site.states()[0] == "down"
    assert site.rows()[0]["calls"] == 1
    assert not site.sbcs[0].requests()


def test_retry_after_is_respected() -> None:
    site = two()
    site.alice.invite("95125550199")
    refuse(site.sbcs[0], 503, ("Retry-After", "60"))
    refuse(site.sbcs[1], 486)
    site.bob.invite("95125550199")
    refuse(site.sbcs[1], 486)
    assert not site.sbcs[0].requests()
    assert site.rows()[0]["reason"] == "takes no calls for 60 s"
    site.bench.advance(61)
    site.alice.take()
    site.alice.register()
    site.alice.invite("95125550199")
    site.sbcs[0].expect("INVITE")


def test_no_retry_after_silences_an_sbc_for_more_than_five_minutes() -> None:
    site = two()
    site.alice.invite("95125550199")
    refuse(site.sbcs[0], 503, ("Retry-After", "999999"))
    site.bench.advance(301)
    assert site.bench.core.trunk.gateways.choose("main", site.bench.now)[0].place.endswith(
        "sbc1.example.net:5060"
    )


def test_an_sbc_that_misses_three_options_is_down_and_two_answers_make_it_up() -> None:
    site = two()
    assert site.states() == ["up", "up"]
    site.sbcs[0].options = 0
    site.bench.advance(10 + 4)
    assert site.states() == ["failing", "up"]
    site.bench.advance(2 * 4)
    assert site.states() == ["down", "up"]
    site.alice.invite("95125550199")
    refuse(site.sbcs[1], 486)
    assert not site.sbcs[0].requests()
    site.sbcs[0].options = 200
    seen = []
    for _ in range(25):
        site.bench.advance(1)
        seen.append(site.states()[0])
    assert list(dict.fromkeys(seen))[-2:] == ["rising", "up"]


def test_a_cured_sbc_is_up_within_thirty_seconds() -> None:
    site = two()
    site.sbcs[0].options = 503
    site.bench.advance(40)
    assert site.states()[0] == "down"
    site.sbcs[0].options = 200
    site.bench.advance(30)
    assert site.states()[0] == "up"


def test_no_sbc_at_all_is_told_with_every_reason() -> None:
    site = two()
    for sbc in site.sbcs:
        sbc.options = 0
    site.bench.advance(40)
    site.alice.register()
    site.alice.take()
    site.alice.invite("95125550199")
    assert site.alice.responses()[-1] == 503
    steps = " / ".join(site.bench.record.steps)
    assert "sbc1.example.net:5060 is down: no answer in 4 s" in steps


def test_a_full_sbc_is_passed_over_and_counts_both_ways() -> None:
    site = two()
    first = replace(udp(1, priority=1), max_calls=1)
    site = Trunked(trunk_bundle(first, udp(2, priority=2)))
    invite = site.sbcs[0].call("+13125551002")
    answered(site.sbcs[0], invite, site.bob, site.bob.expect("INVITE"))
    assert site.rows()[0]["calls"] == 1
    site.alice.invite("95125550199")
    site.sbcs[1].expect("INVITE")


def test_limits_hold_again_after_a_restart() -> None:
    site = Trunked(trunk_bundle(replace(udp(1), max_calls=1)))
    invite = site.alice.invite("95125550199")
    answered(site.alice, invite, site.sbc, site.sbc.expect("INVITE"))
    site.bench.restart()
    assert site.rows()[0]["calls"] == 1
    site.bob.take()
    site.bob.invite("95125550199")
    assert site.bob.responses()[-1] == 503


def test_a_drained_sbc_keeps_its_calls_and_gets_no_new_ones() -> None:
    site = two()
    invite = site.alice.invite("95125550199")
    answer = answered(site.alice, invite, site.sbcs[0], site.sbcs[0].expect("INVITE"))
    name = "main/sbc1.example.net:5060"
    site.bench.core.command("trunk.drain", {"sbc": name}, site.bench.now)
    site.bob.invite("95125550199")
    site.sbcs[1].expect("INVITE")
    site.alice.send(site.alice.within(invite, answer, "BYE"))
    site.sbcs[0].expect("BYE")
    site.bench.core.command("trunk.resume", {"sbc": name}, site.bench.now)
    assert not site.rows()[0]["drained"]


def test_equals_share_by_weight() -> None:
    sbcs = (udp(1, weight=3), udp(2, weight=1))
    gateways = Trunked(trunk_bundle(*sbcs)).bench.core.trunk.gateways
    first = [gateways.choose("main", 2000.0)[0].place for _ in range(8)]
    assert [place.count("sbc1") for place in first].count(1) == 6


def test_an_sbc_with_several_addresses_is_several() -> None:
    site = Trunked()
    site.bench.places["sbc1.example.net"] = (("198.51.100.1", 5060), ("198.51.100.9", 5060))
    site.bench.advance(61)
    names = [row["address"] for row in site.rows()]
    assert names == ["198.51.100.1:5060", "198.51.100.9:5060"]
    site.bench.places["sbc1.example.net"] = ()
    site.bench.advance(61)
    assert len(site.rows()) == 2, "what was found once counts until there is something newer"


def test_of_an_sbc_found_by_srv_the_backup_gets_calls_only_when_the_others_cannot() -> None:
    site = Trunked()
    ways = tuple(((f"198.51.100.{n}", 5060), HOLDFAST) for n in (7, 8, 9))
    shares = ((10, 3), (10, 1), (20, 1))
    (key,) = (row["sbc"] for row in site.rows())
    event = GatewayLocated(key, ways, shares=shares)
    site.bench.perform(site.bench.core.gateway_located(event, site.bench.now))
    gateways = site.bench.core.trunk.gateways
    orders = [gateways.choose("main", 2000.0) for _ in range(8)]
    last = {order[-1].flow.remote[0] for order in orders}
    first = [order[0].flow.remote[0] for order in orders]
    assert last == {"198.51.100.9"}
    assert (first.count("198.51.100.7"), first.count("198.51.100.8")) == (6, 2)


def test_an_unknown_host_is_shown_and_found_when_it_is_there() -> None:
    site = Trunked()
    bundle = trunk_bundle(udp(1), Sbc(host="new.example.net", transport="UDP", port=5060))
    site.bench.perform(site.bench.core.apply(replace(bundle, version=2), site.bench.now))
    assert site.rows()[1]["reason"] == "new.example.net does not exist"
    site.bench.places["new.example.net"] = (("198.51.100.40", 5060),)
    site.bench.advance(6)
    assert site.rows()[1]["address"] == "198.51.100.40:5060"


def test_a_new_bundle_keeps_what_is_known_of_an_unchanged_sbc() -> None:
    site = two()
    site.bench.perform(site.bench.core.apply(replace(site.bench.bundle, version=2), site.bench.now))
    assert site.states() == ["up", "up"]


def test_sixty_calls_at_once_lose_none_to_an_sbc_that_dies() -> None:
    site = two(plan={"limits": CallLimits(concurrent=100, per_minute=100)})
    site.sbcs[0].options = 0
    for _ in range(60):
        site.alice.invite("95125550199")
        site.alice.take()
    first = [one for one in site.sbcs[0].requests() if one.method == "INVITE"]
    assert len(first) == 60
    site.bench.advance(4.1)
    second = [one for one in site.sbcs[1].requests() if one.method == "INVITE"]
    assert len(second) == 60
    site.alice.take()
    for call in second:
        site.sbcs[1].answer(call, 200, body=sdp(site.sbcs[1].host))
    answers = [m for m in site.alice.take() if isinstance(m, Response)]
    assert [answer.status for answer in answers] == [200] * 60


@pytest.mark.parametrize("state", TRANSITIONS)
def test_every_state_has_a_way_up_and_a_way_down(state: str) -> None:
    assert TRANSITIONS[state].get("answered enough", state) == "up" or state == "up"  # type: ignore[index]
    assert TRANSITIONS[state].get("missed enough", state) == "down" or state == "down"  # type: ignore[index]
    assert {"up", "unknown", "failing"} == USABLE


def test_requests_within_a_call_find_an_sbc_whose_connection_has_ended() -> None:
    site = Trunked(trunk_bundle(udp(1, transport="TLS")))
    invite = site.alice.invite("95125550199")
    answer = answered(site.alice, invite, site.sbc, site.sbc.expect("INVITE"))
    site.bench.perform(site.bench.core.lost(site.sbc.flow, site.bench.now, "it broke"))
    site.alice.send(site.alice.within(invite, answer, "BYE"))
    bye = site.sbc.expect("BYE")
    assert isinstance(bye, Request)
