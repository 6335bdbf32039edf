"""Core is killed while a call is parked: it waits on, is fetched, and comes back in time."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from appliance.call.saved import SavedCall, unpack
from tests.call.test_replaces import answered
from tests.call.test_transfer_restart import settle
from tests.call.trio import MUSIC, agree
from tests.pbx.test_park import Lot
from tests.phones import site_bundle


@pytest.mark.parametrize("times", [1, 2])
def test_who_is_parked_hears_music_on_and_is_fetched(times: int) -> None:
    lot = Lot()
    lot.park()
    before, ports = dict(lot.bench.relays), lot.bench.core.switchboard.ports_taken
    for _ in range(times):
        lot.bench.restart()
        assert lot.parked == ["7701"]
        assert lot.bench.relays == before
    assert lot.sides[1].hears == MUSIC
    assert lot.bench.core.switchboard.ports_taken == ports
    assert (lot.alice.take(), lot.bob.take()) == ([], [])
    invite = lot.fetch(lot.carol)
    agree(lot.bob, lot.bob.expect("INVITE"))
    answer = answered(lot.carol, invite)
    assert lot.pair() == {"1002", "1003"}
    assert [side.hears for side in lot.sides] == [None, None]
    lot.carol.send(lot.carol.within(invite, answer, "BYE"))
    lot.bob.answer(lot.bob.expect("BYE"), 200)
    steps = lot.bench.record.steps
    assert "signalling restarted; the call goes on" in steps
    assert "1003 takes the call" in steps
    assert lot.bench.record.outcome == "answered"
    lot.bench.quiet()


def test_a_caller_who_is_parked_waits_on_too() -> None:
    lot = Lot()
    lot.refer(lot.bob, "<sip:7701@example.com>")
    lot.listen(lot.bob)
    lot.bob.answer(lot.bob.expect("BYE"), 200)
    lot.bench.restart()
    lot.alice.take()  # the 200 is repeated whose ACK nobody saved
    assert (lot.parked, lot.sides[0].hears) == (["7701"], MUSIC)
    lot.alice.send(lot.within(lot.alice, "ACK"))
    invite = lot.fetch(lot.carol)
    agree(lot.alice, lot.alice.expect("INVITE"))
    answered(lot.carol, invite)
    assert lot.pair() == {"1001", "1003"}


def test_the_time_until_it_comes_back_goes_on() -> None:
    lot = Lot()
    lot.park()
    lot.bench.advance(50)
    lot.bench.restart()
    lot.alice.register()
    lot.bench.advance(9.5)
    assert lot.alice.take() == []
    lot.bench.advance(0.6)
    back = lot.alice.expect("INVITE")
    assert back.from_.uri.user == "1002"  # type: ignore[union-attr]
    lot.alice.answer(back, 200, tag="again", body=lot.described(lot.alice))
    lot.alice.expect("ACK")
    agree(lot.bob, lot.bob.expect("INVITE"))
    assert lot.pair() == {"1001", "1002"}
    assert lot.parked == []
    lot.hang_up(lot.bob)
    lot.alice.expect("BYE")
    lot.bench.quiet()


def test_who_has_parked_rings_again_where_it_rang_when_core_died() -> None:
    lot = Lot()
    lot.park()
    lot.refresh(lot.alice, lot.bob)
    back = lot.alice.expect("INVITE")
    lot.alice.answer(back, 180, tag="again")
    lot.bench.restart()
    cancel = lot.alice.expect("CANCEL")
    assert "signalling restarted" in (cancel.first("Reason") or "")
    lot.alice.answer(cancel, 200, tag="again")
    lot.alice.answer(back, 487, tag="again")
    assert lot.parked == ["7701"]
    lot.alice.take()
    lot.bench.advance(5.1)
    for more in (True, True, False):
        lot.alice.answer(lot.alice.expect("INVITE"), 486, tag="busy")
        lot.alice.expect("ACK")
        if more:
            lot.refresh(lot.alice, lot.bob)
    lot.bob.expect("BYE")
    assert lot.parked == []
    lot.bench.quiet()


def test_who_has_parked_is_let_go_even_if_core_dies_before_that() -> None:
    lot = Lot()
    lot.alice.send(lot.within(lot.alice, "REFER", Refer_To="<sip:7701@example.com>"))
    lot.alice.take()  # what it is told is not answered yet, so no BYE was sent
    assert lot.parked == ["7701"]
    lot.bench.restart()
    lot.alice.answer(lot.alice.expect("BYE"), 200)
    assert (lot.parked, lot.sides[1].hears) == (["7701"], MUSIC)
    lot.bench.restart()
    assert lot.alice.take() == []
    assert lot.parked == ["7701"]


def test_who_is_parked_hangs_up_after_a_restart() -> None:
    lot = Lot()
    lot.park()
    lot.bench.restart()
    lot.hang_up(lot.bob)
    assert lot.parked == []
    assert lot.bench.record.sealed
    lot.bench.quiet()


def test_who_is_parked_holds_us_after_a_restart_and_waits_on() -> None:
    lot = Lot()
    lot.park()
    lot.bench.restart()
    body = lot.described(lot.bob, "sendonly")
    lot.bob.send(lot.within(lot.bob, "INVITE", body=body))
    assert 200 in lot.bob.responses()
    assert lot.parked == ["7701"]


def test_core_dies_while_the_call_is_being_fetched() -> None:
    lot = Lot()
    lot.park()
    invite = lot.fetch(lot.carol)
    lot.bob.expect("INVITE")
    lot.bench.restart()
    lot.carol.take()
    assert lot.parked == ["7701"]
    settle(lot, lot.bob)  # it is told again what counts: music
    assert lot.sides[1].hears == MUSIC
    lot.carol.send(invite)  # again, as nobody has answered it
    assert lot.carol.responses() == [401]
    again = lot.fetch(lot.carol)
    agree(lot.bob, lot.bob.expect("INVITE"))
    answered(lot.carol, again)
    assert lot.pair() == {"1002", "1003"}


def test_two_fetch_it_after_a_restart_and_one_is_too_late() -> None:
    lot = Lot()
    lot.park()
    lot.bench.restart()
    invite = lot.fetch(lot.carol)
    lot.fetch(lot.alice)
    assert lot.alice.responses()[-1] == 486
    agree(lot.bob, lot.bob.expect("INVITE"))
    answered(lot.carol, invite)
    assert lot.pair() == {"1002", "1003"}


def test_the_orbit_is_taken_after_a_restart() -> None:
    lot = Lot()
    lot.park()
    lot.bench.restart()
    assert lot.bench.core.switchboard.parking.free("7701") == ""
    assert lot.bench.core.switchboard.parking.free() == "7702"


def test_who_has_parked_is_no_user_any_more() -> None:
    lot = Lot()
    lot.park()
    users = tuple([user for user in lot.bench.bundle.users if user.extension != "1001"])
    lot.bench.bundle = replace(lot.bench.bundle, users=users)
    lot.bench.restart()
    lot.bob.expect("BYE")
    assert lot.bench.record.ended_by == "system"


def test_a_site_without_orbits_by_now_lets_whoever_waits_wait_on() -> None:
    lot = Lot()
    lot.park()
    lot.bench.bundle = site_bundle()
    lot.bench.restart()
    assert lot.parked == ["7701"]
    lot.refresh(lot.alice, lot.bob)
    lot.alice.expect("INVITE")


def test_a_row_of_an_older_version_is_read() -> None:
    lot = Lot()
    lot.park()
    (row,) = lot.bench.saved_calls.values()
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(row)[:-1])
    saved = unpack(older)
    assert isinstance(saved, SavedCall)
    assert saved.parked is None
