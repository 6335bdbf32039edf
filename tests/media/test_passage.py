"""What comes in must leave: judged by two readings of counters."""

from __future__ import annotations

from appliance.media.passage import FEWEST, Passage


def reading(passage: Passage, came: dict[int, int], left: int) -> bool:
    """Read the counters of flows that leave by slot 3, and of the slot."""
    passage.begin()
    for flow, packets in came.items():
        passage.taken(3, flow, packets)
    return passage.blocks(3, left)


def test_what_leaves_passes() -> None:
    passage = Passage()
    assert not reading(passage, {1: 0, 2: 10}, 10)
    assert passage.proven == set()
    assert not reading(passage, {1: 50, 2: 60}, 110)
    assert passage.proven == {3}


def test_what_twice_does_not_leave_is_blocked() -> None:
    passage = Passage()
    assert not reading(passage, {1: 500}, 0)
    assert not reading(passage, {1: 500 + FEWEST}, 0)
    assert not reading(passage, {1: 500 + FEWEST}, 0)
    assert reading(passage, {1: 500 + 2 * FEWEST}, 0)
    assert passage.proven == set()


def test_one_bad_reading_may_be_ours() -> None:
    passage = Passage()
    for came, left in ((0, 0), (100, 0), (200, 200), (300, 200), (400, 400)):
        assert not reading(passage, {1: came}, left)


def test_a_few_packets_tell_nothing() -> None:
    passage = Passage()
    reading(passage, {1: 0}, 0)
    for count in range(4):
        assert not reading(passage, {1: count * (FEWEST - 1)}, 0)


def test_half_may_be_lost_and_more_may_not() -> None:
    passage = Passage()
    reading(passage, {1: 0}, 0)
    assert not reading(passage, {1: 100}, 50)
    assert not reading(passage, {1: 200}, 99)
    assert reading(passage, {1: 300}, 148)


def test_flows_that_are_new_or_over_blame_nobody() -> None:
    passage = Passage()
    reading(passage, {1: 1000}, 1000)
    assert not reading(passage, {2: 4000}, 1020)
    assert not reading(passage, {1: 1000, 2: 4000}, 1020)


def test_a_counter_that_is_read_twice_counts_once() -> None:
    passage = Passage()
    reading(passage, {1: 0}, 0)
    passage.begin()
    passage.taken(3, 1, 40)
    passage.taken(3, 1, 40)
    assert not passage.blocks(3, 20)


def test_counters_that_began_anew_blame_nobody() -> None:
    passage = Passage()
    reading(passage, {1: 900}, 900)
    assert not reading(passage, {1: 1000}, 5)
    assert not reading(passage, {1: 1100}, 105)


def test_slots_are_apart() -> None:
    passage = Passage()
    for packets in (0, 100, 200):
        passage.begin()
        passage.taken(3, 1, packets)
        passage.taken(4, 2, packets)
        assert passage.blocks(3, packets) is False
        assert passage.blocks(4, 0) is (packets == 200)
