"""What was spent of nonces: arrays of one size from the start, however many nonces come and go.

As texts, numbers and entries of a dict 50,000 of them were 13 MB, which grew for five minutes of
registrations and calls and held on to pages everywhere. Here they are 3.4 MB and nothing else.
"""

from __future__ import annotations

from array import array

_FREE = 0
"""The key of a row that holds nothing; whoever has it is told to be 1."""
WINDOW = 64
"""Counts behind the highest one of which it is known whether they were spent: bits of a word."""
_BITS = (1 << WINDOW) - 1


class Spent:
    """Remember up to `capacity` keys, each with the counts spent of it; the oldest can be dropped.

    Keys are numbers of 64 bits that nobody can choose, such as signatures: they lie where their
    last bits say, or in the next row that is free.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        rows = 1 << (2 * capacity).bit_length()
        self._mask = rows - 1
        self._keys = array("Q", bytes(8 * rows))
        self._highest = array("I", bytes(4 * rows))
        self._windows = array("Q", bytes(8 * rows))
        """Bit 0 is the highest count, bit 1 the one before."""
        self._order = array("Q", bytes(8 * capacity))
        self._issued = array("Q", bytes(8 * capacity))
        """Milliseconds, of the key in the same place of the order."""
        self._first = 0
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def __contains__(self, key: int) -> bool:
        return self._keys[self._row(key or 1)] != _FREE

    @property
    def full(self) -> bool:
        """Tell whether the oldest has to be dropped before another key can be added."""
        return self._held >= self._capacity

    @property
    def oldest(self) -> int:
        """Return when the key that was added first was issued, where there is one."""
        return self._issued[self._first]

    def add(self, key: int, issued: int, count: int) -> None:
        """Remember a new key, issued at `issued` milliseconds, with the first count spent of it."""
        key = key or 1
        row = self._row(key)
        self._keys[row], self._highest[row], self._windows[row] = key, count, 1
        last = (self._first + self._held) % self._capacity
        self._order[last], self._issued[last] = key, issued
        self._held += 1

    def spend(self, key: int, count: int) -> bool | None:
        """Tell whether this count of a key was unspent, and spend it; None: the key is not here.

        A count has 32 bits.
        """
        row = self._row(key or 1)
        if self._keys[row] == _FREE:
            return None
        window = self._windows[row]
        behind = self._highest[row] - count
        if behind < 0:
            self._windows[row] = (window << min(-behind, WINDOW)) & _BITS | 1
            self._highest[row] = count
            return True
        if behind >= WINDOW or window >> behind & 1:
            return False
        self._windows[row] = window | 1 << behind
        return True

    def drop_oldest(self) -> None:
        """Forget the key that was added first."""
        row = self._row(self._order[self._first])
        self._first = (self._first + 1) % self._capacity
        self._held -= 1
        self._close(row)

    def _row(self, key: int) -> int:
        """Return where a key is, or where it would be put."""
        keys, mask = self._keys, self._mask
        row = key & mask
        while (there := keys[row]) != key and there != _FREE:
            row = row + 1 & mask
        return row

    def _close(self, hole: int) -> None:
        """Free a row, and move up those behind it that would not be found across the gap."""
        keys, mask = self._keys, self._mask
        row = hole
        while (key := keys[row := row + 1 & mask]) != _FREE:
            if (row - key & mask) >= (row - hole & mask):
                keys[hole], self._highest[hole] = key, self._highest[row]
                self._windows[hole] = self._windows[row]
                hole = row
        keys[hole] = _FREE
