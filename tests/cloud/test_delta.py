"""Deltas: made and applied they give the new file again, and one that is damaged is refused."""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.cloud.delta import COMMAND_LIMIT, HEAD, BadDelta, applied, difference

OLD = bytes(random.Random(7).randbytes(4000))
TEXT = b"".join(b'{"id":"user%d","name":"Name %d"},' % (number, number) for number in range(300))
LIMIT = 1 << 20

Edit = tuple[str, int, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "put", "move"]),
        st.integers(0, 9000),
        st.integers(0, 3000),
        st.binary(max_size=300),
    ),
    max_size=8,
)


def edited(data: bytes, edits: list[Edit]) -> bytes:
    for kind, place, length, octets in edits:
        piece, data = data[place : place + length], data[:place] + data[place + length :]
        if kind == "put":
            data = data[:place] + octets + piece + data[place:]
        elif kind == "move":
            data = data[: place // 2] + piece + data[place // 2 :]
    return data


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([OLD, TEXT, b"", b"x" * 500]), EDITS)
@example(OLD, [("cut", 0, 3999, b"")])
@example(TEXT, [("put", 9000, 0, b"tail")])
def test_what_is_made_and_applied_is_the_new_file(old: bytes, edits: list[Edit]) -> None:
    new = edited(old, edits)
    delta = difference(old, new)
    if delta is not None:
        assert applied(delta, old, LIMIT) == new
        assert len(delta) <= len(new) // 2


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_files_that_have_nothing_in_common_are_sent_whole(old: bytes, new: bytes) -> None:
    delta = difference(old, new)
    assert delta is None or applied(delta, old, LIMIT) == new


def test_one_change_costs_a_few_octets_wherever_it_is() -> None:
    for place in (0, 1, 500, 3999):
        new = OLD[:place] + b"something else" + OLD[place + 1 :]
        delta = difference(OLD, new)
        assert delta is not None
        assert applied(delta, OLD, LIMIT) == new
        assert len(delta) < 80


def test_places_beyond_64_kib_and_pieces_of_every_length_are_written() -> None:
    old = random.Random(8).randbytes(300_000)
    new = old[:70_000] + b"a" * 300 + old[70_200:70_500] + b"b" * 70_000 + old[200_000:200_040]
    new += old[:100_000] + old[140_000:140_300]
    delta = difference(old, new)
    assert delta is not None
    assert applied(delta, old, LIMIT) == new


def test_every_command_of_the_format_is_understood() -> None:
    old = bytes(range(256))
    commands = [
        b"\x02hi",
        b"\xf7\x00\x01!",
        b"\xf8\x00\x00\x00\x01?",
        b"\xf9\x00\x01\x02",
        b"\xfa\x00\x03\x00\x01",
        b"\xfb\x00\x04\x00\x00\x00\x01",
        b"\xfc\x00\x00\x00\x05\x01",
        b"\xfd\x00\x00\x00\x06\x00\x01",
        b"\xfe\x00\x00\x00\x07\x00\x00\x00\x01",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x01",
    ]
    assert applied(HEAD + b"".join(commands) + b"\0", old, LIMIT) == b"hi!?" + bytes(range(1, 9))


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (b"", "no GDIFF"),
        (b"\xd1\xff\xd1\xff\x05\x00", "no GDIFF"),
        (HEAD, "too early"),
        (HEAD + b"\x05abc", "outside"),
        (HEAD + b"\x03abc", "too early"),
        (HEAD + b"\xfe\x00\x00", "too early"),
        (HEAD + b"\xf8\xff\xff\xff\xff\x00", "outside"),
        (HEAD + b"\xf9\x0f\x9f\x02\x00", "outside"),
        (HEAD + b"\xfc\xff\xff\xff\xff\x01\x00", "outside"),
        (HEAD + b"\xfe\x00\x00\x00\x00\xff\xff\xff\xff\x00", "outside"),
        (HEAD + b"\x00more", "behind its end"),
    ],
)
def test_a_damaged_delta_is_refused(delta: bytes, words: str) -> None:
    with pytest.raises(BadDelta, match=words):
        applied(delta, OLD, LIMIT)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_gives_a_file_within_the_limit(data: st.DataObject) -> None:
    delta = bytearray(difference(TEXT, TEXT[:2000] + b"!" + TEXT[3000:]) or b"")
    for _ in range(data.draw(st.integers(1, 4))):
        delta[data.draw(st.integers(0, len(delta) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadDelta):
        assert len(applied(bytes(delta), TEXT, 20_000)) <= 20_000


def test_a_delta_that_swells_is_refused_before_it_is_written() -> None:
    old, command = bytes(1 << 20), b"\xfe\x00\x00\x00\x00\x00\x10\x00\x00"
    begun = time.monotonic()
    with pytest.raises(BadDelta, match="more than 4,194,304 octets"):
        applied(HEAD + command * 100_000 + b"\0", old, 4 << 20)
    with pytest.raises(BadDelta, match="commands"):
        applied(HEAD + b"\xf9\x00\x00\x00" * (COMMAND_LIMIT + 1) + b"\0", old, 4 << 20)
    assert time.monotonic() - begun < 5
