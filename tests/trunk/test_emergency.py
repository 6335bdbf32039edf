"""Calls for help by the real trunk: out, back, and before all other calls (E6, E7)."""

from __future__ import annotations

import dataclasses
from typing import Any

from msgspec.structs import replace

from appliance.bundle import Bundle, Emergency, Location, Policies, RouteGroup
from appliance.call.actions import DropCallback, SaveCallback
from appliance.sip.message import Request
from appliance.sip.multipart import split
from tests.phones import DOMAIN, HOLDFAST, Phone, sdp
from tests.trunk.outside import Trunked, answered, trunk_bundle, udp

ELIN = "+13125550800"
HALL = Location(id="hall", name="Hall", elin=ELIN, networks=("192.0.2.0/24",))


def bundle(*sbcs: Any, **more: Any) -> Bundle:
    emergency = Emergency(**more.pop("emergency", {}))
    policies = more.pop("policies", Policies())
    made = trunk_bundle(*sbcs, **more)
    return replace(made, locations=(HALL,), emergency=emergency, policies=policies)


def dial(phone: Phone, number: str = "911") -> Request:
    invite = phone.request("INVITE", f"sip:{number}@{DOMAIN}", body=sdp(phone.host))
    phone.send(invite)
    return invite


def restarted(site: Trunked) -> None:
    """Kill the core; the next one finds what is on the disk."""
    saved: dict[str, bytes] = {}
    for action in site.bench.others:
        if isinstance(action, SaveCallback):
            saved[action.call_id] = action.row
        elif isinstance(action, DropCallback):
            saved.pop(action.call_id, None)
    left = dataclasses.replace(site.bench.left(), callbacks=tuple(saved.values()))
    site.bench.restart(left)


def talked(site: Trunked, caller: Phone) -> None:
    """Call for help, be answered, and hang up."""
    invite = dial(caller)
    answer = answered(caller, invite, site.sbc, site.sbc.expect("INVITE"))
    caller.send(caller.within(invite, answer, "BYE"))
    site.sbc.answer(site.sbc.expect("BYE"), 200)
    caller.take()


def test_a_call_for_help_shows_the_place_and_nothing_of_the_inside() -> None:
    site = Trunked(bundle())
    dial(site.alice)
    call = site.sbc.expect("INVITE")
    assert call.uri == "sip:911@sbc1.example.net;user=phone"
    assert call.from_.uri.user == ELIN  # type: ignore[union-attr]
    assert call.first("P-Asserted-Identity") == f"<sip:{ELIN}@{HOLDFAST};user=phone>"
    assert call.first("Priority") == "emergency"
    assert site.alice.host.encode() not in call.encode()


def test_the_location_goes_along_as_a_second_part() -> None:
    site = Trunked(bundle(emergency={"geolocation": True}))
    invite = dial(site.alice)
    call = site.sbc.expect("INVITE")
    description, place = split(call.first("Content-Type") or "", call.body)
    assert description.kind == "application/sdp"
    assert place.kind == "application/pidf+xml"
    ((_, name),) = place.headers
    assert call.first("Geolocation") == f"<cid:{name.strip('<>')}>"
    assert site.alice.host.encode() not in call.encode()
    answered(site.alice, invite, site.sbc, call)


def test_a_stranger_in_standby_gets_out() -> None:
    site = Trunked(bundle())
    site.bench.zones_up = True
    site.bench.advance(400)
    assert site.bench.mode == "standby"
    stranger = site.bench.phone("nobody")
    invite = dial(stranger)
    answered(stranger, invite, site.sbc, site.sbc.expect("INVITE"))


def test_who_is_stopped_for_fraud_and_may_call_nobody_still_calls_for_help() -> None:
    made = bundle()
    users = tuple(replace(one, class_of_service="internal") for one in made.users)
    limits = replace(made.number_plan.limits, refused_per_hour=1)
    plan = replace(made.number_plan, limits=limits)
    site = Trunked(replace(made, users=users, number_plan=plan))
    for _ in range(3):
        site.alice.take()
        site.alice.invite("95125550199")
    assert site.bench.core.trunk.overview(site.bench.now)["stopped"]
    site.alice.take()
    dial(site.alice)
    assert site.sbc.expect("INVITE").uri == "sip:911@sbc1.example.net;user=phone"


def test_on_a_full_trunk_the_youngest_call_makes_room_and_both_records_say_so() -> None:
    site = Trunked(bundle(udp(1, max_calls=1)), "1001", "1002", "1003")
    other = site.phones[2]
    invite = other.invite("95125550199")
    answered(other, invite, site.sbc, site.sbc.expect("INVITE"))
    dial(site.alice)
    bye, call = site.sbc.requests()
    assert (bye.method, call.uri) == ("BYE", "sip:911@sbc1.example.net;user=phone")
    assert other.requests()[-1].method == "BYE"
    site.bench.advance(3)
    dropped = next(one for one in site.bench.records.values() if one.caller == "1003")
    assert dropped.reason == "ended to make room for an emergency call"
    (help,) = site.bench.core.switchboard.calls.values()
    told = "was full: the call of 1003 to 95125550199 was ended to make room"
    assert any(told in step for step in help.draft.record.steps)


def test_a_call_for_help_never_makes_room_for_another() -> None:
    site = Trunked(bundle(udp(1, max_calls=1)))
    invite = dial(site.alice)
    answered(site.alice, invite, site.sbc, site.sbc.expect("INVITE"))
    dial(site.bob)
    assert site.sbc.expect("INVITE"), "beyond the limit rather than not at all"
    assert len(site.bench.core.switchboard.calls) == 2


def test_a_carrier_that_is_full_gets_room_too() -> None:
    site = Trunked(bundle(), "1001", "1002", "1003")
    other = site.phones[2]
    invite = other.invite("95125550199")
    answered(other, invite, site.sbc, site.sbc.expect("INVITE"))
    dial(site.alice)
    site.sbc.answer(site.sbc.expect("INVITE"), 503)
    methods = [one.method for one in site.sbc.requests() if one.method != "ACK"]
    assert methods == ["BYE", "INVITE"]


def test_an_sbc_that_is_silent_costs_a_second_and_a_half() -> None:
    site = Trunked(bundle(udp(1), udp(2, priority=2)))
    dial(site.alice)
    assert site.sbcs[0].expect("INVITE")
    site.bench.advance(1.5)
    assert site.sbcs[1].expect("INVITE")


def test_an_sbc_that_takes_the_call_and_says_nothing_more_costs_ten_seconds() -> None:
    site = Trunked(bundle(udp(1), udp(2, priority=2)))
    dial(site.alice)
    site.sbcs[0].answer(site.sbcs[0].expect("INVITE"), 100)
    site.bench.advance(9.9)
    assert not site.sbcs[1].requests()
    site.bench.advance(0.2)
    last = site.sbcs[1].expect("INVITE")
    site.sbcs[1].answer(last, 100)
    site.bench.advance(60)
    assert not site.sbcs[1].requests(), "the last way keeps the call"


def test_what_is_drained_or_down_is_tried_last_and_tried_all_the_same() -> None:
    site = Trunked(bundle(udp(1), udp(2, priority=2)))
    site.sbcs[0].options = 0
    site.bench.core.trunk.gateways.drain("main/sbc2.example.net:5060", True)
    site.bench.advance(60)
    assert site.states()[0] == "down"
    site.sbcs[0].take()
    dial(site.alice)
    first = site.sbcs[0].expect("INVITE")
    site.sbcs[0].answer(first, 404)
    assert site.sbcs[1].expect("INVITE")


def test_route_groups_are_tried_in_the_order_the_bundle_says() -> None:
    made = bundle(emergency={"route_groups": ("second", "main")})
    second = RouteGroup(id="second", sbcs=(udp(2),), srtp="off")
    site = Trunked(replace(made, route_groups=(*made.route_groups, second)))
    dial(site.alice)
    site.sbcs[1].answer(site.sbcs[1].expect("INVITE"), 500)
    assert site.sbcs[0].expect("INVITE")


# -- back --------------------------------------------------------------------------------------


def rung_back(site: Trunked, phone: Phone, number: str = ELIN) -> None:
    """Have the carrier call back and the phone answer."""
    invite = site.sbc.call(number)
    answered(site.sbc, invite, phone, phone.expect("INVITE"))


def test_the_number_that_was_shown_leads_back_to_the_caller() -> None:
    site = Trunked(bundle())
    site.sbc.call(ELIN)
    assert site.sbc.responses() == [404]
    talked(site, site.alice)
    rung_back(site, site.alice)
    (call,) = (one for one in site.bench.core.switchboard.calls.values() if one.joined)
    kept = call.draft.record.emergency
    assert kept is not None
    assert (kept.back, kept.number) == (True, ELIN)


def test_it_leads_back_at_one_hour_fifty_nine_and_not_at_two_hours_one() -> None:
    site = Trunked(bundle())
    talked(site, site.alice)
    site.bench.advance(2 * 3600 - 60)
    site.alice.register()
    invite = site.sbc.call(ELIN)
    assert site.alice.expect("INVITE")
    site.sbc.send(site.sbc.cancel(invite))
    site.bench.advance(120)
    site.sbc.take()
    site.sbc.call(ELIN)
    assert site.sbc.responses() == [404]


def test_it_leads_back_after_a_kill_and_in_standby() -> None:
    site = Trunked(bundle())
    talked(site, site.alice)
    restarted(site)
    site.bench.zones_up = True
    site.bench.advance(400)
    assert site.bench.mode == "standby"
    site.alice.take()
    rung_back(site, site.alice)


def test_no_limit_of_calls_stops_it() -> None:
    site = Trunked(bundle(policies=Policies(max_calls=1)), "1001", "1002", "1003")
    talked(site, site.alice)
    site.bob.invite("1003")
    rung_back(site, site.alice)


def test_do_not_disturb_keeps_no_call_back_out() -> None:
    made = bundle(emergency={"caller_id": "own"})
    away = replace(made.users[0].forwarding, do_not_disturb=True)
    users = (replace(made.users[0], forwarding=away), *made.users[1:])
    site = Trunked(replace(made, users=users))
    talked(site, site.alice)
    rung_back(site, site.alice, "+13125551001")


def test_an_sbc_that_dials_911_calls_nobody() -> None:
    site = Trunked(bundle())
    site.sbc.call("911")
    assert site.sbc.responses() == [404]


def test_nothing_is_left_behind() -> None:
    site = Trunked(bundle(policies=Policies(emergency_callback=120.0)))
    talked(site, site.alice)
    site.bench.quiet()
    assert not len(site.bench.core.callbacks)
