"""Calls that go on elsewhere (C10): each way, what callers and callees are told, and circles."""

from __future__ import annotations

import pytest

from appliance.bundle import Forwarding
from tests.pbx.forwarding_office import Forwarders

ALWAYS = Forwarding(always="1003")
DND = Forwarding(do_not_disturb=True)


def headers(office: Forwarders, extension: str) -> list[str]:
    invite = office.rung(extension)
    return [*invite.all("History-Info"), *invite.all("Diversion")]


def test_every_call_goes_on_and_both_sides_are_told() -> None:
    office = Forwarders(u1002=ALWAYS)
    assert office.call("1002") == [181]
    assert not office.phones["1002"].requests()
    invite = office.rung("1003")
    assert invite.first("Diversion") == "<sip:1002@example.com>;reason=unconditional;counter=1"
    assert invite.first("History-Info") == (
        "<sip:1002@example.com?Reason=SIP%3Bcause%3D302>;index=1, "
        "<sip:1003@example.com;cause=302>;index=1.1;mp=1"
    )
    assert invite.to.uri.user == "1002"
    office.phones["1003"].answer(invite, 180)
    assert office.statuses() == [180]
    assert "1002 forwards to 1003: always" in office.bench.record_of_the_only_call().steps


def test_a_call_that_is_not_forwarded_says_nothing_of_it() -> None:
    office = Forwarders()
    assert office.call("1002") == []
    assert headers(office, "1002") == []


def test_a_busy_phone_leads_on() -> None:
    office = Forwarders(u1002=Forwarding(busy="1003"))
    office.call("1002")
    office.refuse("1002", 486)
    assert "reason=user-busy" in str(headers(office, "1003"))


def test_a_phone_that_nobody_answers_leads_on_after_its_time() -> None:
    office = Forwarders(u1002=Forwarding(no_answer="1003", no_answer_after=12))
    assert office.call("1002") == []
    office.let_ring("1002", 12)
    assert office.statuses() == [180, 181]
    assert "reason=no-answer" in str(headers(office, "1003"))


@pytest.mark.parametrize("status", [408, 480, 503])
def test_a_phone_out_of_reach_leads_on(status: int) -> None:
    office = Forwarders(u1002=Forwarding(unreachable="1003", busy="1004"))
    office.call("1002")
    office.refuse("1002", status)
    assert "reason=unavailable" in str(headers(office, "1003"))


def test_a_user_without_a_phone_here_leads_on_at_once() -> None:
    office = Forwarders("1001 1003", u1002=Forwarding(unreachable="1003"))
    assert office.call("1002") == [181]
    assert office.pick_up("1003") == [200]


def test_who_declines_is_not_forwarded() -> None:
    office = Forwarders(u1002=Forwarding(busy="1003", no_answer="1003", unreachable="1003"))
    office.call("1002")
    office.refuse("1002", 603)
    assert office.statuses() == [603]
    assert office.record.outcome == "rejected"


def test_who_does_not_want_to_be_disturbed_is_busy() -> None:
    office = Forwarders(u1002=DND)
    assert office.call("1002") == [486]
    assert (office.record.outcome, office.record.status) == ("busy", 486)
    assert not office.phones["1002"].requests()


def test_do_not_disturb_leads_where_busy_does() -> None:
    office = Forwarders(u1002=Forwarding(do_not_disturb=True, busy="1003"))
    assert office.call("1002") == [181]
    assert "reason=do-not-disturb" in str(headers(office, "1003"))


def test_a_chain_tells_every_forwarding_and_gives_the_last_result() -> None:
    office = Forwarders(u1002=ALWAYS, u1003=Forwarding(busy="1004"))
    office.call("1002")
    office.refuse("1003", 486)
    invite = office.rung("1004")
    assert invite.all("Diversion") == [
        "<sip:1003@example.com>;reason=user-busy;counter=1",
        "<sip:1002@example.com>;reason=unconditional;counter=1",
    ]
    assert (invite.first("History-Info") or "").endswith(
        "<sip:1003@example.com;cause=302?Reason=SIP%3Bcause%3D486>;index=1.1;mp=1, "
        "<sip:1004@example.com;cause=486>;index=1.1.1;mp=1.1"
    )
    office.phones["1004"].answer(invite, 603)
    assert office.statuses()[-1] == 603
    office.bench.quiet()


def test_a_call_comes_back_to_nobody_twice() -> None:
    office = Forwarders(u1002=Forwarding(busy="1003"), u1003=Forwarding(busy="1002"))
    office.call("1002")
    office.refuse("1002", 486)
    office.refuse("1003", 486)
    office.refuse("1002", 486)
    assert office.statuses()[-1] == 486
    assert "not forwarded to 1003: 1002 has had this call before" in office.record.steps
    office.bench.quiet()


def test_a_circle_of_always_ends_at_once() -> None:
    office = Forwarders(u1002=ALWAYS, u1003=Forwarding(always="1002"))
    assert office.call("1002")[-1] == 482
    assert office.record.outcome == "failed"


def test_who_forwards_to_the_caller_is_rung() -> None:
    office = Forwarders(u1002=Forwarding(always="1001"))
    assert office.call("1002") == []
    office.rung("1002")


@pytest.mark.parametrize("target", ["1002", "811002", "811001"])
def test_a_forwarding_to_oneself_or_back_is_ignored(target: str) -> None:
    office = Forwarders(u1002=Forwarding(always=target))
    office.call("1002")
    office.rung("1002")


def test_a_call_is_forwarded_to_a_group() -> None:
    office = Forwarders(u1002=Forwarding(always="7000"))
    office.call("1002")
    assert "1002@example.com" in str(headers(office, "1003"))


def test_a_group_passes_over_who_wants_no_calls() -> None:
    office = Forwarders(u1003=DND)
    office.call("7000")
    office.rung("1004")
    assert "passed over: 1003 (on another call)" in office.bench.record_of_the_only_call().steps


def test_no_call_is_forwarded_to_an_emergency_number() -> None:
    office = Forwarders()
    office.forward(always="911")
    assert office.call("1002")[-1] == 403
    assert not [one for one in office.bench.notices if one.topic.startswith("emergency")]


def test_a_caller_who_gives_up_ends_a_forwarded_call() -> None:
    office = Forwarders(u1002=ALWAYS)
    office.call("1002")
    invite = office.rung("1003")
    office.phones["1003"].answer(invite, 180)
    office.caller.send(office.caller.cancel(office.invite))
    office.phones["1003"].answer(office.phones["1003"].expect("CANCEL"), 200)
    office.phones["1003"].answer(invite, 487)
    assert office.statuses() == [180, 200, 487]
    office.bench.quiet()


def test_a_phone_that_wants_reliable_responses_gets_181_so_too() -> None:
    office = Forwarders(u1002=ALWAYS)
    caller = office.phones["1001"]
    caller.invite("1002", headers=[("Require", "100rel")])
    forwarded = caller.take()[-1]
    assert (forwarded.status, forwarded.first("RSeq")) == (181, "1")  # type: ignore[union-attr]


def deflected(office: Forwarders, contact: str, status: int = 302) -> None:
    office.call("1002")
    invite = office.rung("1002")
    response = invite.response(status, to_tag="moved")
    response.add("Contact", contact)
    office.phones["1002"].send(response)
    office.phones["1002"].expect("ACK")


def test_a_phone_may_forward_by_itself() -> None:
    office = Forwarders()
    deflected(office, "<sip:1003@192.0.2.10>")
    assert "reason=deflection" in str(headers(office, "1003"))
    assert office.statuses() == [181]


def test_what_a_phone_wants_goes_before_what_the_bundle_says() -> None:
    office = Forwarders(u1002=Forwarding(unreachable="1004"))
    deflected(office, "<sip:1003@example.com>", 301)
    office.rung("1003")


@pytest.mark.parametrize("contact", ["<sip:1002@192.0.2.10>", "<sip:1001@192.0.2.10>", "mailto:x"])
def test_a_phone_that_names_nobody_else_is_out_of_reach(contact: str) -> None:
    office = Forwarders(u1002=Forwarding(unreachable="1004"))
    deflected(office, contact)
    assert "reason=unavailable" in str(headers(office, "1004"))


@pytest.mark.parametrize(("target", "status"), [("4711", 404), ("911", 403), ("*78", 404)])
def test_a_phone_forwards_only_where_calls_may_go(target: str, status: int) -> None:
    office = Forwarders()
    deflected(office, f"<sip:{target}@192.0.2.10>")
    assert office.statuses()[-1] == status
    office.bench.quiet()


def test_another_phone_of_the_user_rings_on() -> None:
    office = Forwarders("1001 1002 1003")
    (second,) = office.bench.registered("1002")
    deflected(office, "<sip:1003@192.0.2.10>")
    second.answer(second.expect("INVITE"), 486)
    office.rung("1003")


def test_a_member_of_a_group_speaks_for_itself_only() -> None:
    office = Forwarders()
    office.call("7000")
    invite = office.rung("1003")
    response = invite.response(302, to_tag="moved")
    response.add("Contact", "<sip:1002@192.0.2.10>")
    office.phones["1003"].send(response)
    office.phones["1003"].expect("ACK")
    office.rung("1004")
    assert not office.phones["1002"].requests()
