"""A test for chosen phones, a group or the site (A6): who is served, and how it ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle, Device, Group
from appliance.errors import LocalError
from appliance.pbx.directory import Directory
from appliance.pbx.survival import LONGEST_TEST
from appliance.pbx.testing import WORDS_LIMIT, scope_of
from tests.call.test_basic_call import talking
from tests.phones import DOMAIN, Bench, Phone, site_bundle

GROUP = Group(id="sales", name="Sales", extension="300", members=("u1003", "u1004"))
MENU = Group(id="menu", name="Menu", extension="301", kind="menu", keys={"1": "300"})
DESK = Device(id="desk", mac="00:15:65:aa:bb:cc", users=("u1001", "u1002"))
SPARE = Device(id="spare", users=())


def office() -> Bundle:
    return msgspec.structs.replace(site_bundle(), groups=(GROUP, MENU), devices=(DESK, SPARE))


def standby() -> Bench:
    bench = Bench(office())
    bench.zones_up = True
    bench.advance(10)
    assert bench.mode == "standby"
    return bench


def command(bench: Bench, name: str, **arguments: Any) -> Any:
    answer, actions = bench.core.command(name, arguments, bench.now)
    bench.perform(actions)
    return answer


def begin(bench: Bench, *who: str, seconds: float = 600) -> Any:
    return command(bench, "test.begin", seconds=seconds, who=list(who))


def statuses(bench: Bench, *extensions: str) -> list[int]:
    """Have new phones register; return what each is told in the end."""
    return [told(bench.phone(extension)) for extension in extensions]


def told(phone: Phone) -> int:
    """Have a phone register, which answers a challenge."""
    to = f"<sip:{phone.extension}@{DOMAIN}>"
    phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=to))
    [status] = phone.responses()
    return phone.register().status if status == 401 else status


@pytest.mark.parametrize(
    ("word", "users"),
    [
        ("1001", ("u1001",)),
        ("u1005", ("u1005",)),
        ("300", ("u1003", "u1004")),
        ("sales", ("u1003", "u1004")),
        ("desk", ("u1001", "u1002")),
        ("00-15-65-AA-BB-CC", ("u1001", "u1002")),
    ],
)
def test_phones_and_groups_are_named_as_people_name_them(word: str, users: tuple[str, ...]) -> None:
    bundle = office()
    assert scope_of(bundle, Directory(bundle), [word]).users == users


@pytest.mark.parametrize("words", [["9999"], ["301"], ["spare"], [""], ["1001", "x" * 200]])
def test_a_word_that_names_nobody_is_refused(words: list[str]) -> None:
    bench = standby()
    with pytest.raises(LocalError):
        begin(bench, *words)
    assert bench.mode == "standby"


def test_a_scope_is_bounded_and_told_in_a_line() -> None:
    bundle = office()
    with pytest.raises(LocalError, match="up to 500"):
        scope_of(bundle, Directory(bundle), map(str, range(WORDS_LIMIT + 1)))
    words = ["1001", "1002", "1003", "1004", "1005", "300"]
    assert scope_of(bundle, Directory(bundle), words).text.endswith("1005 and 1 more")


def test_a_test_of_the_site_serves_everybody() -> None:
    bench = standby()
    assert statuses(bench, "1001") == [503]
    assert begin(bench)["mode"] == "testing"
    assert statuses(bench, "1001", "1005") == [200, 200]


def test_a_test_of_some_serves_them_and_tells_the_others_to_come_back_later() -> None:
    bench = standby()
    state = begin(bench, "300", "1001")
    assert (state["test_of"], state["test_scope"]) == (("u1001", "u1003", "u1004"), "300, 1001")
    assert statuses(bench, "1001", "1002", "1003", "1004", "1005") == [200, 503, 200, 200, 503]


def test_only_who_is_tested_may_call() -> None:
    bench = standby()
    begin(bench, "1001", "1002")
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    stranger = bench.phone("1003")
    stranger.invite("1001")
    assert stranger.responses() == [503]


def test_a_test_ends_by_itself_and_phones_are_sent_back() -> None:
    bench = standby()
    begin(bench, "1001", seconds=60)
    (alice,) = bench.registered("1001")
    bench.advance(61)
    assert (bench.mode, told(alice)) == ("standby", 503)


def test_a_phone_in_a_call_is_left_until_it_is_free() -> None:
    bench = standby()
    begin(bench, "1001", "1002")
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    command(bench, "test.end", by="zoe")
    assert bench.mode == "standby"
    assert told(alice) == 200
    alice.send(alice.within(invite, answer, "BYE"))
    assert alice.responses() == [200]
    bob.answer(bob.expect("BYE"), 200)
    bench.advance(40)
    assert told(alice) == 503
    assert bench.record.outcome == "answered"


def test_a_real_outage_ends_a_test_at_once_and_serves_everybody() -> None:
    bench = standby()
    begin(bench, "1001")
    bench.zones_up = False
    bench.advance(16)
    assert (bench.mode, statuses(bench, "1001", "1005")) == ("survivability", [200, 200])


def test_a_restart_in_a_test_goes_on_with_the_same_phones() -> None:
    bench = standby()
    begin(bench, "1001")
    bench.restart()
    assert (bench.mode, statuses(bench, "1001", "1005")) == ("testing", [200, 503])


def test_who_asked_and_who_ended_it_stands_in_the_reason() -> None:
    bench = standby()
    state = command(bench, "test.begin", seconds=60, who=["1001"], by="zoe")
    assert state["reason"] == "test of 1001 asked for by zoe, 60 s"
    assert command(bench, "test.end", by="bo")["reason"].startswith("test ended by bo; ")


@pytest.mark.parametrize(
    "arguments", [{}, {"seconds": "x"}, {"seconds": 60, "who": "1001"}, {"seconds": 60, "x": 1}]
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises((msgspec.ValidationError, LocalError)):
        command(standby(), "test.begin", **arguments)


def test_a_test_cannot_outlast_a_working_day_nor_end_twice() -> None:
    bench = standby()
    with pytest.raises(LocalError, match="up to 8 hours"):
        begin(bench, seconds=LONGEST_TEST + 1)
    with pytest.raises(LocalError, match="no test is running"):
        command(bench, "test.end")
