"""DTMF as RTP events (RFC 4733)."""

from __future__ import annotations

import pytest

from appliance.errors import RemoteError
from appliance.rtp.telephone_event import DIGITS, TelephoneEvent, press


def test_a_payload_is_read_and_written() -> None:
    event = TelephoneEvent(event=11, duration=800, end=True, volume=10)
    assert event.encode() == bytes.fromhex("0b8a0320")
    assert TelephoneEvent.parse(bytes.fromhex("0b8a0320")) == event


def test_events_have_their_digits() -> None:
    assert "".join(TelephoneEvent(number, 0).digit for number in range(17)) == DIGITS


def test_a_key_press_grows_and_ends_three_times() -> None:
    events = press("#", milliseconds=60)
    assert [(event.duration, event.end) for event in events] == [
        (160, False),
        (320, False),
        (480, False),
        (480, True),
        (480, True),
        (480, True),
    ]
    assert {event.digit for event in events} == {"#"}


def test_a_duration_beyond_the_field_stays_at_its_end() -> None:
    assert TelephoneEvent.parse(TelephoneEvent(1, 70000).encode()).duration == 0xFFFF


def test_a_short_payload_is_refused() -> None:
    with pytest.raises(RemoteError):
        TelephoneEvent.parse(b"\0\0\0")


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="substring"):
        press("x")
