"""Who may call what, how much, and whom it shows (E4, E5); no toll fraud by any way."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.bundle import Bundle, CallLimits, DialRule, Forwarding, Group, HeaderRule
from appliance.sip.message import Request
from tests.phones import HOLDFAST, sdp
from tests.trunk.outside import Trunked, answered, trunk_bundle

PREMIUM, ABROAD, NEAR = "919005551234", "9011442079460000", "95125550199"


def with_user(bundle: Bundle, extension: str, **changes: Any) -> Bundle:
    """Return the bundle with one user changed."""
    users = tuple(
        replace(one, **changes) if one.extension == extension else one for one in bundle.users
    )
    return replace(bundle, users=users)


def alice_as(plan: dict[str, Any] | None = None, **changes: Any) -> Trunked:
    return Trunked(with_user(trunk_bundle(plan=plan), "1001", **changes))


@pytest.mark.parametrize(
    ("service", "number", "allowed"),
    [
        ("internal", NEAR, False),
        ("national", NEAR, True),
        ("national", ABROAD, False),
        ("national", "912425551234", False),  # the Bahamas have our country code
        ("international", ABROAD, True),
        ("international", PREMIUM, False),
        ("international", "9011881612345678", False),
        ("international", "9011979123456789", False),
    ],
)
def test_class_of_service_decides(service: str, number: str, allowed: bool) -> None:
    site = alice_as(class_of_service=service)
    site.alice.invite(number)
    assert len(site.sbc.requests()) == allowed
    if not allowed:
        assert site.alice.responses()[-1] == 403


def test_premium_is_a_right_of_its_own() -> None:
    site = alice_as(premium=True)
    site.alice.invite(PREMIUM)
    site.sbc.expect("INVITE")


def test_blocked_beginnings_are_blocked_for_all() -> None:
    site = alice_as(plan={"blocked": ("+1512",)})
    site.alice.invite(NEAR)
    assert site.alice.responses()[-1] == 403
    assert not site.sbc.take()


def test_a_site_without_a_trunk_says_so() -> None:
    site = Trunked(replace(trunk_bundle(), route_groups=()))
    site.alice.invite(NEAR)
    assert site.alice.responses()[-1] == 404


def test_limits_of_a_user_at_a_time_and_in_a_minute() -> None:
    limits = CallLimits(concurrent=2, per_minute=3)
    site = alice_as(plan={"limits": limits})
    for expected in (1, 1, 0):
        site.alice.invite(NEAR)
        calls = site.sbc.requests()
        assert len(calls) == expected
        site.alice.take()
    steps = " ".join(next(iter(site.bench.records.values())).steps)
    assert "User 1001 has 2 outside calls already" in steps
    for call in tuple(site.bench.core.switchboard.calls.values()):
        call.cancelled(site.bench.now)
    site.bench.advance(5)
    site.alice.take()
    site.sbc.take()
    site.alice.invite(NEAR)
    site.sbc.expect("INVITE")
    site.alice.take()
    site.alice.invite(NEAR)
    assert not site.sbc.requests()
    site.bob.invite(NEAR)
    assert site.sbc.requests(), "another user is not concerned"


def test_a_day_has_its_limit() -> None:
    site = alice_as(plan={"limits": CallLimits(per_day=5)})
    toll, user = site.bench.core.trunk.toll, site.bench.bundle.users[0]
    said = [toll.refusal(user, False, 1000.0 + 1000 * n) for n in range(6)]
    assert said[:5] == [""] * 5
    assert "in a day" in said[5]
    assert toll.refusal(user, False, 1000.0 + 86_401) == ""


def test_a_burst_of_international_calls_stops_the_user_and_raises_an_alarm() -> None:
    limits = CallLimits(international_per_hour=2, concurrent=10)
    site = alice_as(plan={"limits": limits})
    for _ in range(4):
        site.alice.invite(ABROAD)
        site.alice.take()
    assert len(site.sbc.requests()) == 2
    alarms = [notice for notice in site.bench.notices if notice.topic == "trunk.fraud"]
    assert len(alarms) == 1
    assert "User 1001 (1001) calls nowhere outside any more" in alarms[0].text
    site.alice.invite(NEAR)
    assert site.alice.responses()[-1] == 403
    told, _ = site.bench.core.command("trunk", {}, site.bench.now)
    assert told["stopped"][0]["user"] == "u1001"
    site.bench.core.command("trunk.release", {"extension": "1001"}, site.bench.now)
    site.alice.invite(NEAR)
    site.sbc.expect("INVITE")


def test_trying_what_is_forbidden_again_and_again_stops_the_user() -> None:
    site = alice_as(plan={"limits": CallLimits(refused_per_hour=3)})
    for _ in range(4):
        site.alice.invite(PREMIUM)
        site.alice.take()
    site.alice.invite(NEAR)
    assert site.alice.responses()[-1] == 403
    assert not site.sbc.take()
    toll = site.bench.core.trunk.toll
    assert toll.stopped("u1001", site.bench.now + 86_390)
    assert not toll.stopped("u1001", site.bench.now + 86_401)


def test_who_is_stopped_stays_so_over_a_restart_and_is_released_for_good() -> None:
    site = alice_as(plan={"limits": CallLimits(refused_per_hour=1)})
    for _ in range(2):
        site.alice.invite(PREMIUM)
        site.alice.take()
    site.bench.restart()
    site.bench.advance(20)
    told, _ = site.bench.core.command("trunk", {}, site.bench.now)
    assert [row["user"] for row in told["stopped"]] == ["u1001"]
    _, actions = site.bench.core.command("trunk.release", {"extension": "1001"}, site.bench.now)
    site.bench.perform(actions)
    assert not site.bench.saved_stops


def test_a_forward_goes_by_the_rights_of_whoever_forwards() -> None:
    bundle = with_user(trunk_bundle(), "1001", forwarding=Forwarding(always=PREMIUM))
    site = Trunked(with_user(bundle, "1002", premium=True))
    site.bob.invite("1001")
    assert site.bob.responses()[-1] == 403
    assert not site.sbc.take()


def test_an_outside_caller_reaches_outside_only_by_the_right_of_a_user_here() -> None:
    bundle = with_user(trunk_bundle(), "1001", forwarding=Forwarding(always=NEAR))
    site = Trunked(bundle)
    site.sbc.call("+13125551001")
    (call,) = [m for m in site.sbc.take() if isinstance(m, Request)]
    assert call.from_.uri.user == "+13125551001"  # type: ignore[union-attr]
    assert call.first("Diversion")


def test_a_group_leads_to_its_number_whoever_calls() -> None:
    group = Group(
        id="night",
        name="Night",
        extension="7000",
        numbers=("+13125557000",),
        kind="number",
        number="+15125550177",
    )
    site = Trunked(replace(trunk_bundle(), groups=(group,)))
    site.sbc.call("+13125557000")
    (call,) = [m for m in site.sbc.take() if isinstance(m, Request)]
    assert call.uri.startswith("sip:+15125550177@")
    assert call.from_.uri.user == "+13125557000"  # type: ignore[union-attr]


def test_a_refer_by_an_sbc_reaches_nobody() -> None:
    site = Trunked()
    invite = site.sbc.call("+13125551001")
    answer = answered(site.sbc, invite, site.alice, site.alice.expect("INVITE"))
    refer = site.sbc.within(
        invite, answer, "REFER", headers=[("Refer-To", f"<sip:{NEAR}@{HOLDFAST}>")]
    )
    site.sbc.send(refer)
    site.bench.advance(1)
    assert all(m.method != "INVITE" for m in site.sbc.requests())


def test_a_transfer_to_outside_goes_by_the_rights_of_whoever_transfers() -> None:
    site = alice_as(class_of_service="internal")
    invite = site.bob.invite("1001")
    incoming = site.alice.expect("INVITE")
    answered(site.bob, invite, site.alice, incoming)
    refer = site.alice.back(
        incoming, "REFER", "callee", headers=[("Refer-To", f"<sip:{NEAR}@example.com>")]
    )
    site.alice.send(refer)
    site.bench.advance(1)
    assert not site.sbc.requests()


@pytest.mark.parametrize(
    ("user", "plan", "dialled", "shown", "private"),
    [
        ({}, {}, NEAR, "+13125551001", False),
        ({"caller_id": "+13125554444"}, {}, NEAR, "+13125554444", False),
        ({"numbers": ()}, {}, NEAR, "+13125550000", False),
        ({"hides_caller_id": True}, {}, NEAR, "anonymous", True),
        ({}, {"anonymous_code": "*67"}, f"*67{NEAR}", "anonymous", True),
    ],
)
def test_the_number_shown_is_the_bundles(
    user: dict[str, Any], plan: dict[str, Any], dialled: str, shown: str, private: bool
) -> None:
    site = alice_as(plan=plan, **user)
    site.alice.invite(dialled)
    call = site.sbc.expect("INVITE")
    assert call.from_.uri.user == shown  # type: ignore[union-attr]
    asserted = call.first("P-Asserted-Identity") or ""
    assert asserted.startswith("<sip:+1312555")
    assert (call.first("Privacy") == "id") is private


def test_header_rules_and_number_formats_are_data() -> None:
    rule = HeaderRule(name="X-Account", value="42/{caller}/{callee}")
    site = Trunked(trunk_bundle(headers=(rule,), number_format="national"))
    site.alice.invite(NEAR)
    call = site.sbc.expect("INVITE")
    assert call.first("X-Account") == "42/+13125551001/+15125550199"
    assert call.uri == "sip:5125550199@sbc1.example.net;user=phone"


def test_rules_of_user_and_site_by_the_longest_beginning() -> None:
    shared = (DialRule(begins="7", becomes="512555"), DialRule(begins="+1212", refuse=True))
    own = (DialRule(begins="70", becomes="3125560"),)
    site = alice_as(plan={"rules": shared}, rules=own)
    site.alice.invite("970199")
    site.bob.invite("970199")
    uris = [call.uri.partition("@")[0] for call in site.sbc.requests()]
    assert uris == ["sip:+13125560199", "sip:+15125550199"]
    site.alice.take()
    site.alice.invite("92125550100")
    assert site.alice.responses()[-1] == 403


def test_own_numbers_dialled_as_outside_ones_stay_here() -> None:
    site = Trunked()
    site.alice.invite("93125551002")
    site.bob.expect("INVITE")
    assert not site.sbc.take()


def test_who_calls_is_never_taken_from_the_phone() -> None:
    site = Trunked()
    headers = [("P-Asserted-Identity", "<sip:+19995550000@x>"), ("Privacy", "id")]
    invite = site.alice.request("INVITE", f"sip:{NEAR}@example.com", body=sdp("192.0.2.101"))
    for name, value in headers:
        invite.add(name, value)
    invite.set("From", "<sip:+19995550000@example.com>;tag=x")
    site.alice.authenticated(invite)
    call = site.sbc.expect("INVITE")
    assert b"+1999" not in call.encode()
    assert call.first("Privacy") is None


def test_a_user_without_any_number_shows_none() -> None:
    plan = {"site_number": None}
    site = alice_as(plan=plan, numbers=())
    site.alice.invite(NEAR)
    call = site.sbc.expect("INVITE")
    assert (call.first("From") or "").startswith(f"<sip:{HOLDFAST}>")
    assert call.first("P-Asserted-Identity") is None
