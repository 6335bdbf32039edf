"""Calls for help: from anybody, in any mode, before any limit (E6)."""

from __future__ import annotations

import msgspec
import pytest

from appliance.bundle import Device, Group, NumberPlan, Policies, Prompt
from appliance.call.actions import SaveCallback, Send
from appliance.call.events import RelaySilent
from appliance.pbx.emergency import STRANGERS_LIMIT
from appliance.sip.message import Response
from tests.phones import DOMAIN, sdp
from tests.sbc_bridge.emergency_office import ELIN, HALL, POOL, Site


def final(site: Site, extension: str = "1001") -> list[int]:
    return [status for status in site.phones[extension].responses() if status >= 200]


def test_a_registered_phone_is_not_challenged() -> None:
    site = Site()
    invite = site.help()
    site.answer(site.sbc)
    assert site.acknowledge(site.phones["1001"], invite).status == 200
    record = site.bench.record_of_the_only_call()
    assert (record.caller, record.caller_name, record.outcome) == ("1001", "User 1001", "answered")
    assert record.emergency is not None
    assert (record.emergency.number, record.emergency.shown) == ("911", ELIN)


def test_a_stranger_is_served() -> None:
    site = Site(outage=True)
    stranger = site.bench.phone("nobody", host="198.51.100.7")
    invite = site.dial(stranger)
    site.answer(site.sbc)
    assert site.acknowledge(stranger, invite).status == 200
    record = site.bench.record_of_the_only_call()
    assert (record.caller, record.caller_name) == ("198.51.100.7", "unknown phone")
    assert record.emergency is not None
    assert record.emergency.location == "attic"


def test_what_from_says_is_a_claim() -> None:
    site = Site(registered="1002", users={"1001": {"numbers": ("+13125550101",)}}, caller_id="own")
    liar = site.bench.phone("1001", host="203.0.113.9")
    site.dial(liar)
    record = site.bench.record_of_the_only_call()
    assert record.caller == "203.0.113.9"
    assert record.caller_name == "says to be User 1001 (1001)"
    assert site.trunk.shown[0].identity != "+13125550101"
    assert site.trunk.shown[0].name == ""


def test_credentials_that_are_sent_anyway_prove_who_calls() -> None:
    site = Site(users={"1004": {"numbers": ("+13125550104",)}}, caller_id="own")
    phone = site.bench.phone("1004", host="203.0.113.9")
    phone.send(phone.request("INVITE", f"sip:1001@{DOMAIN}", body=sdp(phone.host)))
    challenged = phone.take()[-1]
    assert isinstance(challenged, Response)
    invite = phone.request("INVITE", f"sip:911@{DOMAIN}", body=sdp(phone.host))
    phone.send(phone.with_digest(invite, challenged))
    assert site.bench.record_of_the_only_call().caller == "1004"
    assert site.trunk.shown[0].identity == "+13125550104"


def test_wrong_credentials_keep_nobody_from_help() -> None:
    site = Site()
    phone = site.bench.phone("1004")
    phone.password = "wrong"
    phone.send(phone.request("INVITE", f"sip:1001@{DOMAIN}", body=sdp(phone.host)))
    challenged = phone.take()[-1]
    assert isinstance(challenged, Response)
    for count in range(12):  # the tenth would be a ban
        invite = phone.request("INVITE", f"sip:911@{DOMAIN}", body=sdp(phone.host))
        phone.send(phone.with_digest(invite, challenged, count + 1))
        assert site.sbc.requests()[-1].method == "INVITE"
    invite = phone.request(
        "INVITE", f"sip:911@{DOMAIN}", body=sdp(phone.host), headers=[("Authorization", "Digest x")]
    )
    phone.send(invite)
    assert site.sbc.requests()[-1].method == "INVITE"


def test_standby_serves_calls_for_help_and_nothing_else() -> None:
    site = Site(outage=False)
    assert site.bench.mode == "standby"
    phone = site.bench.phone("1001")
    site.dial(phone, "1002")
    assert phone.responses() == [503]
    invite = site.dial(phone)
    site.answer(site.sbc)
    assert site.acknowledge(phone, invite).status == 200


def test_no_limit_of_calls_stops_it() -> None:
    site = Site(policies=Policies(max_calls=1))
    site.phones["1001"].invite("1002")
    site.phones["1003"].invite("1002")
    assert 503 in final(site, "1003")
    site.help("1003")
    site.answer(site.sbc)
    assert final(site, "1003") == [200]


@pytest.mark.parametrize(
    "uri", ["tel:911", "tel:9-11;phone-context=+1", "urn:service:sos", "urn:service:sos.police"]
)
def test_however_it_is_dialled(uri: str) -> None:
    site = Site()
    phone = site.phones["1001"]
    phone.send(phone.request("INVITE", uri, body=sdp(phone.host)))
    assert site.sbc.expect("INVITE").uri.startswith("sip:911@")


def test_the_outside_prefix_may_be_dialled() -> None:
    site = Site(number_plan=NumberPlan(outside_prefix="9"))
    site.help(number="9911")
    assert site.sbc.expect("INVITE").uri.startswith("sip:911@")


def test_a_phone_that_insists_on_clear_audio_is_served_where_srtp_is_required() -> None:
    site = Site(policies=Policies(srtp="required"))
    site.help()
    assert site.trunk.shown
    assert 488 not in final(site)


def test_a_location_that_the_phone_sends_along_is_no_obstacle() -> None:
    site = Site()
    phone = site.phones["1001"]
    body = (
        b"--x\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + sdp(phone.host) + b"\r\n--x--\r\n"
    )
    invite = phone.request("INVITE", f"sip:911@{DOMAIN}", body=body)
    invite.set("Content-Type", "multipart/mixed; boundary=x")
    phone.send(invite)
    site.answer(site.sbc)
    assert site.acknowledge(phone, invite).body.startswith(b"v=0")
    invite = phone.request("INVITE", f"sip:1002@{DOMAIN}", body=body)
    invite.set("Content-Type", "multipart/mixed; boundary=x")
    phone.send(invite)
    assert 415 in final(site)


def test_silence_ends_no_call_for_help() -> None:
    site = Site()
    invite = site.help()
    site.answer(site.sbc)
    site.acknowledge(site.phones["1001"], invite)
    (key,) = site.bench.relays
    site.bench.perform(site.bench.core.media_event(RelaySilent(key, 60.0), site.bench.now))
    assert site.bench.core.switchboard.calls


def test_a_flood_of_strangers_is_bounded_and_stops_nobody_who_is_known() -> None:
    site = Site()
    for number in range(STRANGERS_LIMIT + 1):
        site.dial(site.bench.phone("x", host=f"203.0.113.{number}"))
    assert len(site.bench.core.switchboard.calls) == STRANGERS_LIMIT
    assert site.told("emergency.flood")
    site.sbc.take()
    site.help()
    assert site.sbc.expect("INVITE")


# -- ways out --------------------------------------------------------------------------------


def test_the_next_way_is_tried_where_one_fails() -> None:
    site = Site(sbcs=2)
    site.help()
    first, second = site.trunk.sbcs
    first.answer(first.expect("INVITE"), 404)
    site.answer(second)
    assert final(site) == [200]


def test_room_is_made_on_a_line_that_is_full_and_the_record_says_so() -> None:
    site = Site()
    site.trunk.full.add(site.sbc)
    site.trunk.victims = ["1003"]
    site.help()
    site.answer(site.sbc)
    assert final(site) == [200]
    steps = site.bench.record_of_the_only_call().steps
    assert "sbc1 was full: the call of 1003 was ended to make room" in steps
    assert site.told("emergency.made_room")


def test_room_is_made_where_the_sbc_says_that_it_is_full() -> None:
    site = Site(sbcs=2)
    site.trunk.victims = ["1003"]
    site.help()
    first, second = site.trunk.sbcs
    first.answer(first.expect("INVITE"), 503)
    second.answer(second.expect("INVITE"), 404)
    site.answer(first)
    assert final(site) == [200]


def test_without_a_way_the_caller_hears_what_to_do_and_gets_the_safety_team() -> None:
    site = Site(safety_team=("u1002",))
    invite = site.help()
    site.sbc.answer(site.sbc.expect("INVITE"), 404)
    assert site.acknowledge(site.phones["1001"], invite).status == 200
    assert site.heard() == ["emergency-failed"]
    rung = [m.first("From") for m in site.phones["1002"].requests() if m.method == "INVITE"]
    assert len(rung) == 2, "the alert, and the caller"
    assert "1001" in (rung[1] or "")
    assert site.told("emergency.failed") == [
        "User 1001 (1001) called 911 and did not get out (404)"
    ]


def test_in_standby_a_phone_is_sent_on_to_its_other_servers() -> None:
    site = Site(outage=False, sbcs=0, safety_team=("u1002",))
    phone = site.bench.phone("1001")
    site.dial(phone)
    assert 503 in phone.responses()
    assert site.told("emergency.call")


def test_a_group_may_lead_to_help() -> None:
    menu = Group(id="m", name="Menu", extension="7000", kind="prompt", prompt="p", target="911")
    site = Site(groups=(menu,), prompts=(Prompt(id="p", text="help"),))
    site.phones["1001"].invite("7000")
    site.heard()
    assert site.sbc.expect("INVITE").uri.startswith("sip:911@")


def test_933_alerts_nobody_and_takes_no_number() -> None:
    site = Site(safety_team=("u1002",), pool=POOL, locations=())
    site.help(number="933")
    assert site.trunk.shown[0].identity == POOL[0]
    assert not site.phones["1002"].requests()
    assert not [a for a in site.bench.others if isinstance(a, SaveCallback)]


def test_where_no_audio_port_is_left_another_call_makes_room() -> None:
    site = Site()
    ports = site.bench.core.switchboard._ports
    site.phones["1003"].invite("1002")
    kept = [ports.take() for _ in range(ports.free - 1)]
    site.help()
    steps = site.bench.core.switchboard.calls
    told = [step for call in steps.values() for step in call.draft.record.steps]
    assert "no audio port was free: the call of 1003 to 1002 was ended to make room" in told
    assert site.sbc.expect("INVITE")
    for port in kept:
        ports.release(port or 0)


# -- what is shown ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "numbers", "locations", "shown"),
    [
        ("elin", ("+13125550101",), (HALL,), ELIN),
        ("elin", ("+13125550101",), (), "+13125550101"),
        ("own", ("+13125550101",), (HALL,), "+13125550101"),
        ("own", (), (HALL,), ELIN),
        ("elin", (), (), POOL[0]),
    ],
)
def test_the_policy_says_what_is_shown(
    policy: str, numbers: tuple[str, ...], locations: tuple[object, ...], shown: str
) -> None:
    users = {"1001": {"numbers": numbers}}
    site = Site(users=users, locations=locations, caller_id=policy, pool=POOL)
    site.help()
    assert site.trunk.shown[0].identity == shown


def test_the_main_number_is_the_last_resort() -> None:
    site = Site(locations=(), number_plan=NumberPlan(site_number="+13125550000"))
    site.help()
    assert site.trunk.shown[0].identity == "+13125550000"


def test_the_location_goes_along_where_the_site_says_so() -> None:
    site = Site(geolocation=True)
    site.help()
    shows = site.trunk.shown[0]
    (part,) = shows.parts
    (name,) = [value for header, value in part.headers if header == "Content-ID"]
    assert ("Geolocation", f"<cid:{name.strip('<>')}>") in shows.headers
    assert b"<ca:NAM>Hall</ca:NAM>" in part.content
    assert b"192.0.2" not in part.content


def test_a_phone_with_a_place_of_its_own_is_there() -> None:
    device = Device(id="p", users=("u1001",), mac="001565abcdef", location="attic")
    site = Site(devices=(device,))
    site.dial(site.phones["1001"], headers=[("User-Agent", "Yealink SIP-T46S 00:15:65:ab:cd:ef")])
    record = site.bench.record_of_the_only_call()
    assert record.emergency is not None
    assert record.emergency.location == "attic"


def test_who_is_called_back_is_written_before_anything_is_sent() -> None:
    site = Site()
    phone = site.phones["1001"]
    invite = phone.request("INVITE", f"sip:911@{DOMAIN}", body=sdp(phone.host))
    actions = site.bench.core.receive(invite.encode(), phone.flow, site.bench.now)
    kinds = [
        "save" if isinstance(action, SaveCallback) else "invite"
        for action in actions
        if isinstance(action, SaveCallback)
        or (isinstance(action, Send) and action.data.startswith(b"INVITE"))
    ]
    assert kinds == ["save", "invite"]


def test_the_call_leaves_nothing_behind() -> None:
    site = Site(safety_team=("u1002",))
    site.talk()
    for message in site.phones["1002"].requests():
        site.phones["1002"].answer(message, 486 if message.method == "INVITE" else 200)
    site.bench.quiet()


def test_a_caller_who_gives_up_may_be_called_back() -> None:
    site = Site()
    invite = site.help()
    site.sbc.answer(site.sbc.expect("INVITE"), 180)
    site.phones["1001"].send(site.phones["1001"].cancel(invite))
    assert site.sbc.requests()[-1].method == "CANCEL"
    assert site.bench.core.callbacks.callers(ELIN, site.bench.now)


def test_the_record_tells_until_when_the_number_leads_back() -> None:
    site = Site()
    site.talk()
    site.bench.advance(3)
    kept = site.bench.record.emergency
    assert kept is not None
    assert kept.callback_until == pytest.approx(site.bench.record.started + 7200)
    assert msgspec.json.decode(msgspec.json.encode(site.bench.record))["emergency"]["shown"] == ELIN
