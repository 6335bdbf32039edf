"""Make hostile input from good input: seeded, so that every finding can be repeated."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence

SECONDS = float(os.environ.get("HOLDFAST_FUZZ_SECONDS", "6"))
"""How long each target is fuzzed; `make fuzz` sets it to minutes."""
SPECIAL = (
    b"\x00", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\t", b",", b";", b":", b"<", b">", b'"', b"\\",
    b"%00", b"%", b"=", b"@", b"*", b"[::1]", b"-1", b"0", b"4294967296", b"99999999999999999999",
    b"\xff\xfe", b"\xc3\x28", b"sip:", b"Content-Length: 5\r\n", b"Via: ", b"a" * 300, b"(" * 50,
    b"m=audio 1 RTP/AVP 0\r\n", b"a=crypto:1 ", b"c=IN IP4 0.0.0.0\r\n",
)  # fmt: skip


def mutated(dice: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return one message of the corpus after one to six mutations."""
    data = bytearray(dice.choice(corpus))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        dice.choice(MUTATIONS)(dice, data, corpus)
    return bytes(data[:80_000])


def _flip(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _drop(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    start = dice.randrange(len(data) + 1)
    del data[start : start + dice.choice((1, 2, 10, 100))]


def _repeat(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    start = dice.randrange(len(data) + 1)
    data[start:start] = data[start : start + dice.randrange(1, 200)] * dice.choice((1, 2, 20))


def _insert(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    start = dice.randrange(len(data) + 1)
    data[start:start] = dice.choice(SPECIAL) * dice.choice((1, 1, 1, 5, 80))


def _splice(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = dice.choice(corpus)
    data[dice.randrange(len(data) + 1) :] = other[dice.randrange(len(other) + 1) :]


def _noise(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    start = dice.randrange(len(data) + 1)
    data[start:start] = dice.randbytes(dice.choice((1, 8, 400)))


def _cut(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    del data[dice.randrange(len(data) + 1) :]


def _swap_lines(dice: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    lines = bytes(data).split(b"\r\n")
    dice.shuffle(lines) if dice.random() < 0.3 else lines.append(dice.choice(lines))
    data[:] = b"\r\n".join(lines)


MUTATIONS: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip,
    _drop,
    _repeat,
    _insert,
    _splice,
    _noise,
    _cut,
    _swap_lines,
)


def hostile(seed: int, corpus: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield numbered messages until the time is over; number N of a seed is always the same."""
    dice, end = random.Random(seed), time.monotonic() + SECONDS
    for number in range(100_000_000):
        if number % 64 == 0 and time.monotonic() > end:
            return
        yield number, mutated(dice, corpus)
