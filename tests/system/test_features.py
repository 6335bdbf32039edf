"""What users do with their calls, with real phones: forwarding, parking, pick-up; and texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.baresip import Baresip
from tests.system.desk import account, desk_phone
from tests.system.ear import tones
from tests.system.linphone import Linphone
from tests.system.sipp import Sipp
from tests.system.site import DOMAIN, HOLDFAST, System, credential, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}
PARTS = {
    "texts": {"outage": "Backup service is on.", "over": "It is over."},
    "park": {"first": "7701", "last": "7702"},
    "pickup_groups": [{"id": "all", "members": ["101", "102", "103", "106"]}],
    "groups": [
        {
            "id": "desk",
            "name": "Front desk",
            "extension": "700",
            "kind": "members",
            "members": ["105"],
            "empty": "102",
        }
    ],
    "users": [
        {
            "id": name,
            "name": f"User {name}",
            "extension": name,
            "aliases": [f"ana.silva.{name}"],
            "credentials": [credential(name)],
            "forwarding": {"no_answer_after": 2},
        }
        for name in ("101", "102", "103", "104", "105", "106")
    ],
}
LADDER = [
    "|-------->|         |         |  calls 700",
    "|         *         |         |  group Front desk (700)",
    "|         *         |         |  passed over: 105 (no phone here)",
    "|         *         |         |  nobody has a phone here now: on to",
    "|         |         |         |  102",
    "|         *         |         |  102 forwards to 103: always",
    "|         |-------->|         |  ring 103: 1 phones, 60 s",
    "|<--------|---------|         |  answered by 103 on UDP",
    "|         |         |         |  10.77.0.13:5060",
    "|         |<--------|         |  103 transfers to 104",
    "|         |---------|-------->|  ring 104: 1 phones, 60 s",
    "|         |<--------|---------|  103 is replaced by 104 on UDP",
    "|         |         |         |  10.77.0.14:5060",
]
"""A call of 101 to a group, which goes on to 102, who forwards to 103, who transfers to 104."""


class Phones:
    """A site in an outage with phones: 101 to 103, 104 that mixes, and 106 that follows a script.

    They answer by themselves, but for the last.
    """

    def __init__(self, site: System) -> None:
        self.site = site
        self.one, self.two, self.three = (desk_phone(site, number) for number in range(3))
        self.mixer = Linphone(site.phone(3), site.folder, "104")
        self.script = Sipp(site.phone(4), site.folder, "106")
        self.script.register()

    def dial(self, phone: Baresip, number: str) -> int:
        """Have a phone call; return how many events it had before."""
        phone.listen()
        since = len(phone.events)
        phone.dial(f"sip:{number}@{DOMAIN}")
        return since

    def talk(self, one: Baresip, other: Baresip) -> None:
        until(lambda: other.hears(one.tone), 15, "the caller is heard", other.trace)
        until(lambda: one.hears(other.tone), 15, "who answers is heard", one.trace)

    def become(self, phone: Baresip, account: str) -> None:
        """Have a phone register by other words, switched off and on."""
        since = len(phone.events)
        phone.restart(account)
        phone.wait("REGISTER_OK", 20, since)

    def forward(self, phone: Baresip, code: str, way: str, target: str) -> None:
        """Have a phone dial a code, and hang up as soon as its calls go elsewhere."""
        since = self.dial(phone, f"{code}{target}")

        def set_so() -> bool:
            rows = self.site.holdfast("forwarding", "list") or []
            return [row["in_force"].get(way) for row in rows] == [target]

        until(set_so, 10, f"calls go to {target}", self.site.evidence)
        phone.do("hangup")
        phone.wait("CALL_CLOSED", 10, since)

    def last_record(self, callee: str) -> dict[str, Any]:
        """Return the record of the last call to a number, once it is over."""

        def found() -> dict[str, Any] | None:
            rows = self.site.holdfast("records") or []
            return next((row for row in rows if row["callee"] == callee), None)

        site = self.site
        until(lambda: site.holdfast("calls") == [], 10, "every call is over", site.evidence)
        return dict(until(found, 10, f"the record of a call to {callee}", self.site.evidence))


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    folder: Path = tmp_path_factory.mktemp("features")
    with site_in_outage(folder, 5, policies=POLICIES, parts=PARTS) as system:
        found = Phones(system)
        yield found
        found.mixer.close()


def test_a_phone_shows_that_the_site_serves_itself(phones: Phones) -> None:
    log = phones.one.log
    until(
        lambda: "Backup service is on." in log.read_text(errors="replace"),
        5,
        "the text is shown",
        phones.one.trace,
    )


@pytest.mark.parametrize("dialled", ["Ana.Silva.102", "71102"])
def test_somebody_is_reached_by_alias_and_by_site_code(phones: Phones, dialled: str) -> None:
    since = phones.dial(phones.one, dialled)
    phones.one.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(phones.one, phones.two)
    phones.one.do("hangup")
    assert phones.last_record(dialled)["answered_by"] == "102"


def test_calls_go_where_a_code_sends_them_and_back_again(phones: Phones) -> None:
    caller, away, stand_in = phones.one, phones.two, phones.three
    since = phones.dial(away, "*72103")
    away.wait("CALL_ESTABLISHED", 10, since)
    away.wait("CALL_CLOSED", 10, since)
    (row,) = phones.site.holdfast("forwarding", "list")
    assert (row["extension"], row["in_force"]) == ("102", {"always": "103"})
    since = phones.dial(caller, "102")
    caller.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(caller, stand_in)
    caller.do("hangup")
    assert "102 forwards to 103: always" in phones.last_record("102")["steps"]
    assert phones.last_record("102")["answered_by"] == "103"
    assert phones.site.holdfast("forwarding", "reset", "102")["changed"]
    assert phones.site.holdfast("forwarding", "list") == []


def test_who_does_not_want_to_be_disturbed_is_stood_in_for(phones: Phones) -> None:
    caller, away, stand_in = phones.one, phones.two, phones.three
    for code in ("*90103", "*78"):
        since = phones.dial(away, code)
        away.wait("CALL_CLOSED", 10, since)
    (row,) = phones.site.holdfast("forwarding", "list")
    assert row["in_force"] == {"busy": "103", "do_not_disturb": True}
    since = phones.dial(caller, "102")
    caller.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(caller, stand_in)
    caller.do("hangup")
    record = phones.last_record("102")
    assert "102 forwards to 103: do not disturb" in record["steps"]
    since = phones.dial(away, "*79")
    away.wait("CALL_CLOSED", 10, since)
    since = phones.dial(caller, "102")
    caller.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(caller, away)
    caller.do("hangup")
    assert phones.site.holdfast("forwarding", "reset", "102")["changed"]


def test_a_call_is_parked_and_fetched_by_somebody_else(phones: Phones) -> None:
    parker, waits, comes = phones.one, phones.two, phones.three
    since = phones.dial(parker, "102")
    parker.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(parker, waits)
    parker.do("transfer", f"sip:7701@{DOMAIN}")
    parker.wait("CALL_CLOSED", 10, since)
    (call,) = phones.site.holdfast("calls")
    assert call["parked"] == "7701"
    assert waits.listening()
    phones.site.kill("core")
    assert waits.listening()
    until(lambda: phones.site.holdfast("status"), 10, "core is back", phones.site.evidence)
    assert [one["parked"] for one in phones.site.holdfast("calls")] == ["7701"]
    since = phones.dial(comes, "7701")
    comes.wait("CALL_ESTABLISHED", 10, since)
    until(lambda: comes.hears(waits.tone), 15, "who was parked is heard", comes.trace)
    assert waits.listening()
    comes.do("hangup")
    comes.wait("CALL_CLOSED", 10, since)
    steps = phones.last_record("102")["steps"]
    assert "parked at 7701 by 101" in steps
    assert "103 takes the call" in steps


@pytest.fixture(scope="module")
def manual(phones: Phones) -> Baresip:
    """The phone of 102, which answers from now on when it is told to."""
    phones.become(phones.two, account(1, answers="manual"))
    return phones.two


@pytest.fixture()
def slow(phones: Phones, manual: Baresip) -> Iterator[Baresip]:
    """The phone of 102, which answers when it is told to; afterwards it forwards nothing."""
    manual.listen()
    yield manual
    phones.site.holdfast("forwarding", "reset", "102")


def stood_in_for(phones: Phones, since: int, why: str) -> None:
    """Check that 103 answers the call of 101 to 102, by 102's wish."""
    phones.one.wait("CALL_ESTABLISHED", 10, since)
    phones.one.do("hangup")
    record = phones.last_record("102")
    assert f"102 forwards to 103: {why}" in record["steps"]
    assert record["answered_by"] == "103"


def test_a_call_to_a_phone_that_says_it_is_busy_goes_on(phones: Phones, slow: Baresip) -> None:
    phones.forward(slow, "*90", "busy", "103")
    here = len(slow.events)
    since = phones.dial(phones.one, "102")
    slow.wait("CALL_INCOMING", 10, here)
    slow.do("hangup")
    stood_in_for(phones, since, "busy")


def test_a_call_that_nobody_answers_goes_on(phones: Phones, slow: Baresip) -> None:
    phones.forward(slow, "*92", "no_answer", "103")
    here = len(slow.events)
    since = phones.dial(phones.one, "102")
    slow.wait("CALL_INCOMING", 10, here)
    slow.wait("CALL_CLOSED", 10, here)
    stood_in_for(phones, since, "no answer")


def test_a_call_to_somebody_whose_phone_is_gone_goes_on(phones: Phones, slow: Baresip) -> None:
    phones.forward(slow, "*94", "unreachable", "103")
    slow.do("uadel", f"sip:102@{DOMAIN}")

    def gone() -> bool:
        rows = phones.site.holdfast("phones") or []
        return "102" not in [row["extension"] for row in rows if row["registered"]]

    until(gone, 10, "102 has no phone here", phones.site.evidence)
    stood_in_for(phones, phones.dial(phones.one, "102"), "unreachable")
    phones.become(slow, account(1, answers="manual"))


@pytest.mark.parametrize("code", ["*98", "*97102"])
def test_a_call_that_rings_is_picked_up_elsewhere(phones: Phones, slow: Baresip, code: str) -> None:
    caller, comes = phones.one, phones.three
    since = len(slow.events)
    there = phones.dial(caller, "102")
    slow.wait("CALL_INCOMING", 10, since)
    phones.dial(comes, code)
    caller.wait("CALL_ESTABLISHED", 10, there)
    phones.talk(caller, comes)
    slow.wait("CALL_CLOSED", 10, since)
    caller.do("hangup")
    assert phones.last_record("102")["answered_by"] == "103"


@pytest.mark.parametrize("scenario", ["call", "call_unoffered"])
def test_a_call_that_rings_is_taken_by_a_phone_that_names_its_dialog(
    phones: Phones, slow: Baresip, scenario: str
) -> None:
    since, before = len(slow.events), len(slow.messages())
    there = phones.dial(phones.one, "102")
    dialog = until(lambda: slow.ringing(before), 10, "102 rings", slow.trace)
    phones.script.call("102", f"Replaces: {dialog}", scenario)
    phones.one.wait("CALL_ESTABLISHED", 10, there)
    slow.wait("CALL_CLOSED", 10, since)
    assert "completed elsewhere" in slow.messages()[before:]
    record = phones.last_record("102")
    assert "106 takes the call" in record["steps"]
    assert record["answered_by"] == "106"


def heard_at(phones: Phones, where: Baresip | Linphone, *wanted: Baresip) -> None:
    """Wait until these phones' tones reach another one, each in a stream of its own."""
    expected = [one.tone for one in wanted]

    def heard() -> bool:
        return tones(where.host, *expected) == expected

    until(heard, 15, f"{expected} at {where.name}", phones.site.evidence)


def three_talk(phones: Phones, first: Baresip, second: Baresip) -> None:
    """Wait until the one that mixes hears both, and each of the two hears the other by it."""
    heard_at(phones, phones.mixer, first, second)
    heard_at(phones, first, second)
    heard_at(phones, second, first)


def test_three_talk_by_a_phone_that_mixes_whatever_happens_to_its_two_calls(
    phones: Phones,
) -> None:
    mixer, ben, cleo, dora = phones.mixer, phones.one, phones.two, phones.three
    phones.become(cleo, account(1))
    for phone in (cleo, dora):
        phone.listen()
    at_cleo, at_dora = len(cleo.events), len(dora.events)
    first = mixer.dial("101")
    mixer.do(f"call-pause {first}")
    mixer.reaches(first, "Paused")
    second = mixer.dial("102")
    mixer.join(first, second)
    three_talk(phones, ben, cleo)
    # One of them holds the two others, and takes them back: re-INVITEs both.
    cleo.do("hold")
    mixer.reaches(second, "PausedByRemote")
    cleo.do("resume")
    mixer.reaches(second, "StreamsRunning")
    three_talk(phones, ben, cleo)
    # The one that mixes holds one of the two, and joins them again.
    mixer.part(first)
    mixer.reaches(first, "Paused")
    mixer.join(first, second)
    three_talk(phones, ben, cleo)
    # One hands its end on: to the one that mixes that is one more re-INVITE.
    cleo.do("transfer", f"sip:103@{DOMAIN}")
    cleo.wait("CALL_CLOSED", 10, at_cleo)
    three_talk(phones, ben, dora)
    phones.site.kill("core")
    three_talk(phones, ben, dora)
    until(lambda: phones.site.holdfast("status"), 10, "core is back", phones.site.evidence)
    for call in (first, second):
        mixer.do(f"terminate {call}")
        mixer.reaches(call, "gone")
    dora.wait("CALL_CLOSED", 10, at_dora)
    until(lambda: phones.site.holdfast("calls") == [], 10, "all is over", phones.site.evidence)
    assert "102 transfers to 103" in phones.last_record("102")["steps"]


def test_the_path_of_a_call_is_shown_as_a_ladder(phones: Phones) -> None:
    caller, away, stand_in = phones.one, phones.two, phones.three
    since = phones.dial(away, "*72103")
    away.wait("CALL_CLOSED", 10, since)
    since = phones.dial(caller, "700")
    caller.wait("CALL_ESTABLISHED", 10, since)
    phones.talk(caller, stand_in)
    stand_in.listen()
    there = len(stand_in.events)
    stand_in.do("transfer", f"sip:104@{DOMAIN}")
    stand_in.wait("CALL_CLOSED", 10, there)
    heard_at(phones, phones.mixer, caller)
    (call,) = phones.site.holdfast("calls")
    words = ["--settings", str(phones.site.settings), "calls", "show", call["id"]]
    shown = phones.site.network.appliance.run(HOLDFAST, *words)
    caller.do("hangup")
    phones.site.holdfast("forwarding", "reset", "102")
    _, _, ladder = shown.partition("seconds since it began:\n")
    heading, *rungs = ladder.rstrip().splitlines()
    assert heading.split() == ["101", "Holdfast", "103", "104"]
    assert [rung[9:] for rung in rungs] == LADDER, shown
    seconds = [float(rung[:9]) for rung in rungs if rung[:9].strip()]
    assert seconds == sorted(seconds)


def test_phones_show_that_the_cloud_is_back(phones: Phones) -> None:
    log = phones.two.log
    phones.site.network.heal()
    phones.site.wait_for_mode("standby", 30)
    until(
        lambda: "It is over." in log.read_text(errors="replace"),
        10,
        "it is shown",
        phones.two.trace,
    )
