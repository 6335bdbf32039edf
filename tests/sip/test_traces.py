"""How much is remembered of calls, and what is forgotten first."""

from __future__ import annotations

from appliance.sip.flow import Flow
from appliance.sip.traces import (
    FIRST,
    LONGEST,
    MOST_CALL_OCTETS,
    MOST_MESSAGES,
    UNCLAIMED,
    UNCLAIMED_MESSAGES,
    Traces,
)

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.2", 5060))


def message(name: str, start: str = "INVITE sip:a@b SIP/2.0", size: int = 0) -> bytes:
    return f"{start}\r\nCall-ID: {name}\r\n\r\n{'z' * size}".encode()


def starts(traces: Traces, call: str) -> list[bytes]:
    found = traces.find(call)
    assert found is not None
    return [one.data.split(b"\r\n")[0] for one in found.messages]


def test_an_invite_is_remembered_from_before_it_was_a_call() -> None:
    traces = Traces()
    traces.came(message("x"), FLOW, 1.0)
    traces.sent(message("x", "SIP/2.0 401 Unauthorized"), FLOW, 1.1)
    assert traces.find("c") is None
    traces.join("c", "x")
    traces.sent(message("x", "SIP/2.0 100 Trying"), FLOW, 1.2)
    traces.came(message("x", "ACK sip:a@b SIP/2.0"), FLOW, 1.3)
    assert [one[:11] for one in starts(traces, "c")] == [
        b"INVITE sip:",
        b"SIP/2.0 401",
        b"SIP/2.0 100",
        b"ACK sip:a@b",
    ]


def test_what_is_of_no_call_is_not_kept() -> None:
    traces = Traces()
    traces.came(message("x", "OPTIONS sip:a@b SIP/2.0"), FLOW, 1.0)
    traces.sent(message("y"), FLOW, 1.0)
    traces.came(b"\x00\xffnothing", FLOW, 1.0)
    assert traces.octets == 0
    assert len(traces) == 0


def test_the_compact_name_of_call_id_is_known() -> None:
    traces = Traces()
    traces.join("c", "x")
    traces.came(b"BYE sip:a@b SIP/2.0\r\ni : x \r\n\r\n", FLOW, 1.0)
    assert len(starts(traces, "c")) == 1


def test_how_a_call_began_and_what_came_last_outlive_the_middle() -> None:
    traces = Traces()
    traces.join("c", "x")
    for number in range(1000):
        traces.sent(message("x", f"SIP/2.0 {number} -"), FLOW, float(number))
    found = starts(traces, "c")
    assert len(found) == MOST_MESSAGES
    assert found[FIRST - 1] == f"SIP/2.0 {FIRST - 1} -".encode()
    assert found[-1] == b"SIP/2.0 999 -"
    trace = traces.find("c")
    assert trace is not None
    assert trace.left_out == 1000 - MOST_MESSAGES


def test_octets_of_one_call_and_of_one_message_are_bounded() -> None:
    traces = Traces()
    traces.join("c", "x")
    for number in range(80):
        traces.sent(message("x", size=60_000), FLOW, float(number))
    trace = traces.find("c")
    assert trace is not None
    assert trace.octets == traces.octets <= MOST_CALL_OCTETS
    assert {len(one.data) for one in trace.messages} == {LONGEST}


def test_the_call_that_ended_first_is_forgotten_first() -> None:
    traces = Traces(most_octets=5000)
    for name in ("up", "first", "second"):
        traces.join(name, name)
        traces.sent(message(name, size=1000), FLOW, 1.0)
    traces.end("first")
    traces.end("second")
    for _ in range(3):
        traces.sent(message("up", size=1000), FLOW, 2.0)
    assert traces.find("first") is None
    assert traces.find("second") is None or traces.octets <= 5000
    assert len(starts(traces, "up")) == 4
    traces.sent(message("first", size=1000), FLOW, 3.0)
    assert traces.find("first") is None


def test_where_all_calls_are_up_the_oldest_messages_go_and_the_last_are_kept() -> None:
    traces = Traces(most_octets=2500)
    for name in ("old", "new"):
        traces.join(name, name)
    traces.sent(message("old", size=1000), FLOW, 1.0)
    for _ in range(2):
        traces.sent(message("new", size=1000), FLOW, 2.0)
    assert starts(traces, "old") == []
    traces.sent(message("old", "BYE sip:a@b SIP/2.0"), FLOW, 3.0)
    assert starts(traces, "old") == [b"BYE sip:a@b SIP/2.0"]
    trace = traces.find("old")
    assert trace is not None
    assert trace.left_out == 1


def test_a_call_whose_messages_went_is_not_looked_at_before_those_that_have_some() -> None:
    traces = Traces(most_octets=2500)
    for name in ("first", "second", "third"):
        traces.join(name, name)
        traces.sent(message(name, size=1000), FLOW, 1.0)
    assert (starts(traces, "first"), list(traces._up)) == ([], ["second", "third", "first"])


def test_strangers_push_out_strangers_only() -> None:
    traces = Traces()
    traces.join("c", "x")
    traces.came(message("x"), FLOW, 1.0)
    for number in range(3 * UNCLAIMED):
        for _ in range(2 * UNCLAIMED_MESSAGES):
            traces.came(message(f"s{number}"), FLOW, 2.0)
    assert len(traces._unclaimed) == UNCLAIMED
    assert len(traces._by_id) == UNCLAIMED + 1
    assert len(starts(traces, "c")) == 1
    assert traces.octets < UNCLAIMED * UNCLAIMED_MESSAGES * 60


def test_nothing_is_left_of_what_is_forgotten() -> None:
    traces = Traces(most_octets=10_000)
    for number in range(200):
        name = f"c{number}"
        traces.join(name, name)
        traces.join(name, f"{name}-out")
        traces.sent(message(f"{name}-out", size=900), FLOW, float(number))
        traces.end(name)
    assert traces.octets <= 10_000
    assert len(traces._by_id) == 2 * len(traces)
