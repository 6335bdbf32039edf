"""What users set by codes on their phones (C10): it is confirmed, kept, and undone by an admin."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.bundle import FeatureCodes, Forwarding
from appliance.call.events import DigitPressed, SoundEnded
from appliance.errors import LocalError
from appliance.sip.message import Response
from tests.pbx.forwarding_office import Forwarders


def dial(office: Forwarders, code: str, caller: str = "1002") -> str:
    """Dial a code; return the name of what is heard, and let it come to its end."""
    office.call(code.replace("#", "%23"), caller)
    return hear(office)


def hear(office: Forwarders) -> str:
    bench, caller = office.bench, office.caller
    (relay,) = bench.relays.values()
    sound = relay.a.hears
    assert sound is not None
    answer = Response(200, "OK", [("To", f"<sip:x>;tag={_tag(office)}"), ("Contact", _ours())])
    ack = caller.within(office.invite, answer, "ACK", cseq=office.invite.cseq.number)
    caller.send(ack)
    event = SoundEnded(relay.key, "a", sound.serial)
    bench.perform(bench.core.media_event(event, bench.now))
    return sound.name


def _tag(office: Forwarders) -> str:
    (call,) = office.bench.core.switchboard.calls.values()
    assert call.caller.dialog is not None
    return call.caller.dialog.local_tag


def _ours() -> str:
    return "<sip:holdfast@192.0.2.10:5060>"


def in_force(office: Forwarders) -> dict[str, object]:
    rows, _ = office.bench.core.command("forwardings", {}, office.bench.now)
    return rows[0]["in_force"] if rows else {}


@pytest.mark.parametrize(
    ("code", "sound", "set_to"),
    [
        ("*721003", "forwarding-on", {"always": "1003"}),
        ("*901003", "forwarding-on", {"busy": "1003"}),
        ("*921003", "forwarding-on", {"no_answer": "1003", "no_answer_after": 20.0}),
        ("*941003", "forwarding-on", {"unreachable": "1003"}),
        ("*78", "do-not-disturb-on", {"do_not_disturb": True}),
    ],
)
def test_a_code_is_confirmed_and_in_force_at_once(
    code: str, sound: str, set_to: dict[str, object]
) -> None:
    office = Forwarders()
    assert dial(office, code) == sound
    office.caller.answer(office.caller.expect("BYE"), 200)
    assert in_force(office) == set_to
    assert (office.record.outcome, office.record.callee) == ("answered", code)
    office.bench.quiet()


@pytest.mark.parametrize(
    ("code", "way"),
    [("*73", "always"), ("*91", "busy"), ("*93", "no_answer"), ("*95", "unreachable")],
)
def test_a_code_switches_off_what_the_bundle_says(code: str, way: str) -> None:
    office = Forwarders(u1002=Forwarding(**{way: "1003"}))
    assert dial(office, code) == "forwarding-off"
    assert in_force(office) == {}


def test_calls_are_forwarded_as_was_set_on_the_phone() -> None:
    office = Forwarders(u1002=Forwarding(always="1004"))
    dial(office, "*721003")
    office.phones["1002"].take()
    assert office.call("1002") == [181]
    office.rung("1003")


def test_do_not_disturb_is_switched_off_by_its_code() -> None:
    office = Forwarders(u1002=Forwarding(do_not_disturb=True))
    assert dial(office, "*79") == "do-not-disturb-off"
    office.phones["1002"].take()
    assert office.call("1002") == []


def test_where_to_is_asked_for_when_nothing_follows_the_code() -> None:
    office = Forwarders()
    office.call("*72", "1002")
    assert hear(office) == "dial-extension"
    (relay,) = office.bench.relays.values()
    for key in "1003#":
        event = DigitPressed(relay.key, "a", key)
        office.bench.perform(office.bench.core.media_event(event, office.bench.now))
    assert in_force(office) == {"always": "1003"}


def test_nothing_is_set_when_no_digit_comes() -> None:
    office = Forwarders()
    office.call("*72", "1002")
    hear(office)
    office.bench.advance(6)
    assert in_force(office) == {}
    assert "not forwarded: no extension was dialled" in str(
        office.bench.record_of_the_only_call().steps
    )


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("4711", "not in the dial plan"),
        ("1002", "to oneself"),
        ("811002", "to oneself"),
        ("911", "emergency"),
        ("*78", "is a code"),
    ],
)
def test_calls_are_forwarded_only_where_they_may_go(target: str, why: str) -> None:
    office = Forwarders()
    assert dial(office, f"*72{target}") == "invalid-extension"
    assert in_force(office) == {}
    assert why in str(office.record.steps)


def test_a_code_takes_nothing_behind_it_that_it_does_not_need() -> None:
    office = Forwarders()
    assert office.call("*7399") == [404]


def test_a_code_is_nobody_calls_are_forwarded_to() -> None:
    office = Forwarders(u1003=Forwarding(always="*78"))
    assert office.call("1003")[-1] == 404
    assert in_force(office) == {"always": "*78"}


def test_codes_are_what_the_bundle_says() -> None:
    office = Forwarders()
    codes = FeatureCodes(forward_always="#21*", do_not_disturb="")
    changed = replace(office.bench.bundle, version=2, feature_codes=codes)
    office.bench.perform(office.bench.core.apply(changed, office.bench.now))
    assert dial(office, "#21*1003") == "forwarding-on"
    assert office.call("*78") == [404]


def test_what_was_set_outlives_a_restart() -> None:
    office = Forwarders()
    dial(office, "*721003")
    dial(office, "*78", "1004")
    office.bench.restart()
    rows, _ = office.bench.core.command("forwardings", {}, office.bench.now)
    assert [(row["extension"], row["set_on_phone"]) for row in rows] == [
        ("1002", {"always": "1003"}),
        ("1004", {"do_not_disturb": True}),
    ]


def test_a_row_nobody_can_read_is_skipped() -> None:
    office = Forwarders()
    dial(office, "*721003")
    office.bench.saved_forwardings["u9"] = b"\xff\x00"
    office.bench.restart()
    assert in_force(office) == {"always": "1003"}


def test_an_admin_undoes_what_was_set() -> None:
    office = Forwarders(u1002=Forwarding(always="1004"))
    dial(office, "*721003")
    told, actions = office.bench.core.command(
        "forwardings.reset", {"extension": "1002"}, office.bench.now
    )
    office.bench.perform(actions)
    assert (told["changed"], told["in_force"]) == (True, {"always": "1004"})
    assert office.bench.saved_forwardings == {}
    with pytest.raises(LocalError, match="4711"):
        office.bench.core.command("forwardings.reset", {"extension": "4711"}, office.bench.now)


def test_who_leaves_the_site_leaves_no_setting() -> None:
    office = Forwarders()
    dial(office, "*721003")
    bundle = office.bench.bundle
    users = tuple(user for user in bundle.users if user.extension != "1002")
    changed = replace(bundle, version=2, users=users)
    office.bench.perform(office.bench.core.apply(changed, office.bench.now))
    assert office.bench.saved_forwardings == {}
