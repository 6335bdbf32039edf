"""Parking (C8): by transfer and by code, fetching it, ring-back, and what may cross."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.bundle import ParkingPlaces
from appliance.call.events import SoundEnded
from appliance.errors import LocalError
from appliance.sip.message import Request, Response
from tests.call.test_replaces import answered
from tests.call.trio import MUSIC, Trio, agree
from tests.phones import Phone, sdp, site_bundle

PLACES = ParkingPlaces(first="7701", last="7703", ring_back_after=60)
TO_ORBIT = "<sip:7701@example.com>"


class Lot(Trio):
    """Alice talks with Bob, and may park him; Carol may fetch him."""

    def __init__(self, places: ParkingPlaces = PLACES) -> None:
        super().__init__(replace(site_bundle(), park=places))

    def park(self) -> None:
        """Let Alice park Bob at 7701."""
        assert self.refer(self.alice, TO_ORBIT) == 202
        self.listen(self.alice)
        assert self.told == ["active 100", "terminated 200"]
        self.alice.answer(self.alice.expect("BYE"), 200)

    def fetch(self, phone: Phone, orbit: str = "7701") -> Request:
        return phone.invite(orbit, body=sdp(phone.host, 14000))

    def pair_of(self, extension: str) -> set[str]:
        """Return the extensions in the call of one of them."""
        pairs = [
            {leg.extension for leg in call.joined}
            for call in self.bench.core.switchboard.calls.values()
        ]
        return next(pair for pair in pairs if extension in pair)

    @property
    def parked(self) -> list[str]:
        return list(self.bench.core.switchboard.parking.parked())

    def described(self, phone: Phone, direction: str = "sendrecv") -> bytes:
        return sdp(phone.host, direction=direction, version=7)

    def refresh(self, *phones: Phone) -> None:
        """Let time pass as far as the next ring-back, with phones that stay registered."""
        for seconds in (50, 10):
            for phone in phones:
                assert phone.register().status == 200
            self.bench.advance(seconds)


def heard(trio: Trio, phone: Phone, invite: Request) -> list[str]:
    """Let all that a caller hears come to its end; return the sounds' names."""
    bench = trio.bench
    answered(phone, invite)
    names = []
    while found := [one.a.hears for one in bench.relays.values() if one.a.hears and one.b is None]:
        (sound,) = found
        names.append(sound.name)
        key = next(one.key for one in bench.relays.values() if one.a.hears == sound)
        bench.perform(bench.core.media_event(SoundEnded(key, "a", sound.serial), bench.now))
    return names


def test_who_is_parked_hears_music_and_is_fetched() -> None:
    trio = Lot()
    trio.park()
    assert trio.bob.take() == []
    assert (trio.sides[1].hears, trio.parked) == (MUSIC, ["7701"])
    rows, _ = trio.bench.core.command("calls", {}, trio.bench.now)
    assert [row["parked"] for row in rows] == ["7701"]
    invite = trio.fetch(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    answer = answered(trio.carol, invite)
    assert trio.pair() == {"1002", "1003"}
    assert trio.parked == []
    assert [side.hears for side in trio.sides] == [None, None]
    trio.carol.send(trio.carol.within(invite, answer, "BYE"))
    trio.bob.expect("BYE")
    steps = trio.bench.record.steps
    assert "parked at 7701 by 1001" in steps
    assert "1003 takes the call" in steps
    assert len(trio.bench.records) == 1
    trio.bench.quiet()


def test_who_fetches_may_leave_the_offer_to_us() -> None:
    trio = Lot()
    trio.park()
    invite = trio.carol.invite("7701", body=b"")
    offer = next(m for m in trio.carol.take() if isinstance(m, Response) and m.status == 200)
    assert trio.bob.take() == []
    body = sdp(trio.carol.host, 14000)
    trio.carol.send(trio.carol.within(invite, offer, "ACK", cseq=invite.cseq.number, body=body))
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert (trio.pair(), trio.parked) == ({"1002", "1003"}, [])
    assert {side.remote[1] for side in trio.sides if side.remote} == {10000, 14000}
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    trio.bench.quiet()


def test_core_dies_while_who_fetches_has_our_offer_and_the_call_waits_on() -> None:
    trio = Lot()
    trio.park()
    trio.carol.invite("7701", body=b"")
    trio.carol.take()
    trio.bench.restart()
    trio.carol.answer(trio.carol.expect("BYE"), 200)
    assert trio.parked == ["7701"]
    assert trio.sides[1].hears == MUSIC


def test_the_callee_may_park_the_caller_too() -> None:
    trio = Lot()
    trio.refer(trio.bob, TO_ORBIT)
    trio.listen(trio.bob)
    trio.bob.answer(trio.bob.expect("BYE"), 200)
    invite = trio.fetch(trio.carol)
    agree(trio.alice, trio.alice.expect("INVITE"))
    answered(trio.carol, invite)
    assert trio.pair() == {"1001", "1003"}


def test_an_orbit_holds_one_call_and_the_second_comes_back() -> None:
    trio = Lot()
    trio.park()
    invite = trio.carol.invite("1001")
    incoming = trio.alice.expect("INVITE")
    trio.alice.answer(incoming, 200, tag="second", body=sdp(trio.alice.host))
    answered(trio.carol, invite)
    trio.alice.expect("ACK")
    refer = trio.alice.back(incoming, "REFER", "second", headers=[("Refer-To", TO_ORBIT)])
    trio.alice.send(refer)
    trio.told.clear()
    trio.listen(trio.alice)
    trio.listen(trio.alice)
    assert trio.told == ["active 100", "terminated 486"]
    assert trio.parked == ["7701"]


def test_who_has_parked_is_rung_after_a_time_and_gets_the_call_back() -> None:
    trio = Lot()
    trio.park()
    trio.refresh(trio.alice, trio.bob, trio.carol)
    back = trio.alice.expect("INVITE")
    assert back.from_.uri.user == "1002"  # type: ignore[union-attr]
    assert trio.parked == ["7701"]
    trio.alice.answer(back, 180, tag="again")
    trio.alice.answer(back, 200, tag="again", body=sdp(trio.alice.host))
    trio.alice.expect("ACK")
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.pair() == {"1001", "1002"}
    assert trio.parked == []
    trio.hang_up(trio.bob)
    trio.alice.expect("BYE")
    trio.bench.quiet()


def test_who_is_not_there_is_rung_three_times_and_then_it_ends() -> None:
    trio = Lot()
    trio.park()
    for _ in range(3):
        assert trio.parked == ["7701"]
        trio.refresh(trio.alice, trio.bob)
        trio.alice.answer(trio.alice.expect("INVITE"), 486, tag="busy")
        trio.alice.expect("ACK")
    trio.bob.expect("BYE")
    assert trio.bench.record.ended_by == "system"
    trio.bench.quiet()


def test_the_call_is_fetched_while_who_has_parked_it_is_rung() -> None:
    trio = Lot()
    trio.park()
    trio.refresh(trio.alice, trio.bob, trio.carol)
    back = trio.alice.expect("INVITE")
    trio.alice.answer(back, 180, tag="again")
    invite = trio.fetch(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    answered(trio.carol, invite)
    cancel = trio.alice.expect("CANCEL")
    assert "completed elsewhere" in (cancel.first("Reason") or "")
    assert trio.pair() == {"1002", "1003"}


def test_the_time_is_over_while_the_call_is_being_fetched() -> None:
    trio = Lot()
    trio.park()
    trio.bench.advance(59.9)
    invite = trio.fetch(trio.carol)
    offer = trio.bob.expect("INVITE")
    trio.bench.advance(0.2)
    assert trio.alice.take() == []
    agree(trio.bob, offer)
    answered(trio.carol, invite)
    assert trio.pair() == {"1002", "1003"}
    trio.bench.advance(5)
    assert trio.alice.take() == []


def test_the_time_is_over_and_who_fetches_is_refused() -> None:
    trio = Lot()
    trio.park()
    trio.bench.advance(50)
    trio.alice.register()
    trio.carol.register()
    trio.bench.advance(9.9)
    trio.fetch(trio.carol)
    offer = trio.bob.expect("INVITE")
    trio.bench.advance(0.2)
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    assert trio.carol.responses()[-1] == 488
    trio.alice.expect("INVITE")


def test_two_fetch_one_call_and_one_of_them_is_too_late() -> None:
    trio = Lot()
    trio.park()
    invite = trio.fetch(trio.carol)
    trio.alice.register()
    trio.fetch(trio.alice)
    assert trio.alice.responses() == [100, 486]
    agree(trio.bob, trio.bob.expect("INVITE"))
    answered(trio.carol, invite)
    assert trio.pair() == {"1002", "1003"}


def test_who_is_parked_hangs_up_while_being_fetched() -> None:
    trio = Lot()
    trio.park()
    trio.fetch(trio.carol)
    trio.bob.expect("INVITE")
    trio.hang_up(trio.bob)
    assert trio.carol.responses()[-1] == 487
    trio.bench.quiet()


def test_who_is_parked_hangs_up() -> None:
    trio = Lot()
    trio.park()
    trio.hang_up(trio.bob)
    assert trio.parked == []
    trio.bench.quiet()
    assert trio.bench.record.outcome == "answered"


def test_nobody_is_parked_there() -> None:
    trio = Lot()
    invite = trio.fetch(trio.carol)
    assert heard(trio, trio.carol, invite) == ["park-empty"]
    trio.carol.expect("BYE")


def test_whoever_is_held_is_parked_by_a_code_and_it_is_said_where() -> None:
    trio = Lot()
    trio.ask(trio.alice, "sendonly")
    invite = trio.alice.invite("*68")
    bye = next(m for m in trio.alice.inbox if isinstance(m, Request) and m.method == "BYE")
    trio.alice.answer(bye, 200)
    assert trio.parked == ["7701"]
    assert heard(trio, trio.alice, invite) == ["parked-at", *(f"digit-{n}" for n in "7701")]
    invite = trio.fetch(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    answered(trio.carol, invite)
    assert trio.pair_of("1002") == {"1002", "1003"}


def test_a_code_parks_where_it_is_told_to() -> None:
    trio = Lot()
    trio.ask(trio.alice, "sendonly")
    trio.alice.invite("*687702")
    assert trio.parked == ["7702"]


@pytest.mark.parametrize("orbit", ["7704", "1001", "7"])
def test_a_code_parks_at_orbits_only(orbit: str) -> None:
    trio = Lot()
    trio.ask(trio.alice, "sendonly")
    invite = trio.alice.invite(f"*68{orbit}")
    assert heard(trio, trio.alice, invite) == ["park-full"]
    assert trio.parked == []


def test_a_code_parks_nobody_who_is_not_held() -> None:
    trio = Lot()
    trio.alice.invite("*68")
    assert trio.alice.responses() == [100, 404]
    assert trio.pair_of("1002") == {"1001", "1002"}


def test_without_orbits_nobody_is_parked() -> None:
    trio = Lot(ParkingPlaces())
    trio.refer(trio.alice, TO_ORBIT)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 404"
    assert trio.pair() == {"1001", "1002"}


def test_who_has_parked_is_free_for_calls_of_groups_again() -> None:
    trio = Lot()
    assert "1001" in trio.bench.core.switchboard.presence.busy()  # type: ignore[operator]
    trio.park()
    assert "1001" not in trio.bench.core.switchboard.presence.busy()  # type: ignore[operator]
    assert "1002" in trio.bench.core.switchboard.presence.busy()  # type: ignore[operator]


def test_who_has_no_credentials_fetches_nothing() -> None:
    trio = Lot()
    trio.park()
    stranger = trio.bench.phone("4711")
    stranger.send(stranger.request("INVITE", "sip:7701@example.com", body=sdp(stranger.host)))
    (challenge,) = stranger.take()
    assert isinstance(challenge, Response)
    assert challenge.status == 401
    assert trio.parked == ["7701"]


def test_an_admin_sends_a_parked_call_back_before_its_time() -> None:
    trio = Lot()
    trio.park()
    told, actions = trio.bench.core.command("park.return", {"orbit": "7701"}, trio.bench.now)
    trio.bench.perform(actions)
    assert told == {"orbit": "7701"}
    assert trio.alice.expect("INVITE").request_uri.user == "1001"
    with pytest.raises(LocalError, match="no call is parked at '7702'"):
        trio.bench.core.command("park.return", {"orbit": "7702"}, trio.bench.now)
