"""What is put into a ring stays whole until its room is needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.ring import Ring


def test_the_newest_are_held_and_the_oldest_make_room() -> None:
    ring = Ring(10)
    places = [ring.put(octets) for octets in (b"aaaa", b"bbbb", b"cc")]
    assert [ring.get(place, 2) for place in places] == [b"aa", b"bb", b"cc"]
    fourth = ring.put(b"d")
    assert [ring.holds(place) for place in (*places, fourth)] == [False, True, True, True]
    assert ring.get(places[1], 4) == b"bbbb"


def test_a_piece_is_never_cut_at_the_end() -> None:
    ring = Ring(10)
    ring.put(b"aaaaaa")
    place = ring.put(b"bbbbbb")
    assert ring.get(place, 6) == b"bbbbbb"


def test_one_piece_may_be_all_there_is() -> None:
    ring = Ring(4)
    first, second = ring.put(b"aaaa"), ring.put(b"bbbb")
    assert (ring.holds(first), ring.holds(second), ring.get(second, 4)) == (False, True, b"bbbb")


@given(st.lists(st.binary(max_size=20), max_size=60))
def test_whatever_is_held_is_what_was_put(pieces: list[bytes]) -> None:
    ring = Ring(20)
    put: list[tuple[int, bytes]] = []
    for octets in pieces:
        put.append((ring.put(octets), octets))
        held = [(place, octets) for place, octets in put if ring.holds(place)]
        assert held[-1] == put[-1] and held == put[len(put) - len(held) :]
        assert all(ring.get(place, len(octets)) == octets for place, octets in held)
