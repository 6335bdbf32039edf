"""How much is remembered of calls, and what is forgotten first."""

from __future__ import annotations

from appliance.sip.flow import Flow
from appliance.sip.traces import (
    FIRST,
    LONGEST,
    MOST_CALL_OCTETS,
    MOST_MESSAGES,
    SETTLING,
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


def ended(traces: Traces, call: str, count: int = 1, size: int = 1000) -> None:
    """Let a call of so many messages begin and end."""
    traces.join(call, call)
    for number in range(count):
        traces.sent(message(call, f"SIP/2.0 {number} -", size), FLOW, float(number))
    traces.end(call)


def others(traces: Traces) -> None:
    """Let as many calls end as it takes for those that have ended before to be packed."""
    for number in range(SETTLING):
        ended(traces, f"other{number}", size=0)


def test_a_call_that_is_over_reads_as_it_did_when_it_is_packed() -> None:
    traces = Traces()
    flow = Flow("TLS", ("2001:db8::1", 5061), ("2001:db8::2", 40000), 7, "sbc.example.com")
    traces.join("c", "x")
    traces.came(message("x"), flow, 1.25)
    traces.sent(b"SIP/2.0 200 OK\r\nCall-ID: x\r\n\r\n\x00\xff", FLOW, 1.5)
    before = traces.find("c")
    assert before is not None
    messages = list(before.messages)
    traces.end("c")
    others(traces)
    after = traces.find("c")
    assert after is not None
    assert not before.messages and after.messages == messages
    assert [type(one.flow) for one in after.messages] == [Flow, Flow]
    assert (after.octets, after.left_out) == (sum(len(one.data) for one in messages), 0)


def test_what_comes_when_a_call_is_packed_is_in_its_place() -> None:
    traces = Traces()
    ended(traces, "c", 3)
    others(traces)
    for number in (9, 1):
        traces.came(message("c", f"BYE sip:{number} SIP/2.0"), FLOW, float(number))
        others(traces)
    assert starts(traces, "c") == [
        *(b"SIP/2.0 0 -", b"SIP/2.0 1 -", b"BYE sip:1 SIP/2.0"),
        *(b"SIP/2.0 2 -", b"BYE sip:9 SIP/2.0"),
    ]


def test_a_call_has_no_more_messages_packed_than_any_other() -> None:
    traces = Traces()
    ended(traces, "c", MOST_MESSAGES - 1)
    others(traces)
    for number in range(10):
        traces.came(message("c", f"BYE sip:{number} SIP/2.0"), FLOW, 1000.0 + number)
    found = traces.find("c")
    assert found is not None
    assert (len(found.messages), found.left_out) == (MOST_MESSAGES, 9)
    assert found.messages[-1].data.startswith(b"BYE sip:9 ")


def test_of_calls_that_are_over_some_are_objects_and_the_rest_octets() -> None:
    traces = Traces()
    for number in range(500):
        ended(traces, f"c{number}", 2)
    loose = [trace for trace in traces._over.values() if trace.messages]
    assert len(loose) == len(traces._settling) == SETTLING
    assert traces.octets == sum(trace.octets for trace in loose)
    assert all(len(starts(traces, f"c{number}")) == 2 for number in range(500))


def test_the_call_that_ended_first_is_forgotten_first() -> None:
    traces = Traces(most_octets=3500)
    for name in ("first", "second"):
        traces.join(name, name)
    for name in ("second", "first", "third", "fourth"):
        ended(traces, name)
    traces.join("up", "up")
    for _ in range(3):
        traces.sent(message("up", size=1000), FLOW, 2.0)
    assert traces.find("second") is None
    assert [len(starts(traces, name)) for name in ("first", "third", "fourth")] == [1, 1, 1]
    assert len(starts(traces, "up")) == 3 and traces.octets <= 3500
    traces.sent(message("second", size=1000), FLOW, 3.0)
    assert traces.find("second") is None


def test_a_call_that_is_larger_than_all_room_is_forgotten() -> None:
    traces = Traces(most_octets=2500)
    ended(traces, "c", 2, size=1200)
    others(traces)
    assert traces.find("c") is None and b"c" not in traces._by_id


def test_calls_that_are_up_lose_nothing_while_some_that_are_over_can_be_packed() -> None:
    traces = Traces(most_octets=3200)
    traces.join("up", "up")
    traces.sent(message("up", size=1000), FLOW, 1.0)
    ended(traces, "c")
    for _ in range(2):
        traces.sent(message("up", size=1000), FLOW, 2.0)
    assert (len(starts(traces, "up")), len(starts(traces, "c"))) == (3, 1)


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
        if number % 3 == 0:
            traces.sent(message(f"c{number // 2}", size=90), FLOW, float(number))
    assert traces.octets == sum(trace.octets for trace in traces._settling) <= 10_000
    assert len(traces._by_id) == 2 * len(traces) < 50
    assert len(traces._placed) < 50
    assert all(trace is traces._over[trace.call] for trace in traces._settling)
