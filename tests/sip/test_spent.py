"""What was spent of keys is known as long as the oldest are not dropped, and takes no more room."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.spent import WINDOW, Spent

ALIKE = st.integers(0, 3).flatmap(lambda low: st.integers(0, 6).map(lambda high: high << 32 | low))
"""Keys of which many want the same row, 0 among them."""


def test_a_count_is_unspent_once() -> None:
    spent = Spent(4)
    assert spent.spend(7, 1) is None
    spent.add(7, 100, 1)
    assert [spent.spend(7, count) for count in (1, 3, 2, 2, 3)] == [
        *(False, True, True, False, False),
    ]


def test_a_count_too_far_behind_counts_as_spent() -> None:
    spent = Spent(4)
    spent.add(7, 100, 1)
    assert spent.spend(7, 1 + WINDOW) and not spent.spend(7, 1)
    assert spent.spend(7, 0xFFFFFFFF) and not spent.spend(7, 2 + WINDOW)


def test_the_oldest_goes_when_it_is_told_to() -> None:
    spent = Spent(2)
    for key in (1, 2):
        spent.add(key, key * 100, 1)
    assert spent.full and spent.oldest == 100
    spent.drop_oldest()
    assert (len(spent), spent.full, spent.oldest) == (1, False, 200)
    assert spent.spend(1, 2) is None and spent.spend(2, 1) is False


def test_keys_that_want_one_row_are_told_apart_when_some_of_them_go() -> None:
    spent = Spent(4)
    for number in range(40):
        if spent.full:
            spent.drop_oldest()
        spent.add(number << 40 | 15, number, 1)
        known = [spent.spend(other << 40 | 15, 1) for other in range(number + 1)]
        assert known == [None] * (number - 3) + [False] * min(4, number + 1)


def test_its_arrays_keep_their_size() -> None:
    spent = Spent(100)
    sizes = [len(part) for part in (spent._keys, spent._order, spent._windows)]
    for number in range(1000):
        if spent.full:
            spent.drop_oldest()
        spent.add(number * 0x9E3779B97F4A7C15 % 2**64, number, 1)
    assert [len(part) for part in (spent._keys, spent._order, spent._windows)] == sizes
    assert len(spent) == 100


@given(st.lists(st.tuples(ALIKE, st.integers(1, 100)), max_size=200))
def test_it_is_what_a_dict_of_sets_would_be(uses: list[tuple[int, int]]) -> None:
    spent, plain = Spent(5), OrderedDict[int, set[int]]()
    for key, count in uses:
        key = key or 1
        if key in plain:
            late = max(plain[key]) - count >= WINDOW
            assert spent.spend(key, count) is (not late and count not in plain[key])
            plain[key].add(count)
            continue
        assert spent.spend(key, count) is None and key not in spent
        if spent.full:
            spent.drop_oldest()
            plain.popitem(last=False)
        spent.add(key, 0, count)
        plain[key] = {count}
        assert len(spent) == len(plain)
