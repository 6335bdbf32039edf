"""Every line of a call's path has its time, and the legs it passed between."""

from __future__ import annotations

import msgspec

from appliance.call.record import LINES, CallRecord, RecordDraft, Stamp, begun
from tests.call.test_basic_call import ringing_call, talking
from tests.phones import WALL, Bench

OLD = begun("r", "hq", "survivability", "1001", "", "1002", WALL)


def told(record: CallRecord) -> list[tuple[str, str, tuple[str, ...], float]]:
    """Return each line with its legs and the seconds since the start."""
    pairs = zip(record.steps, record.stamps, strict=True)
    return [(text, s.source, s.to, round(s.at - record.started, 3)) for text, s in pairs]


def test_ringing_an_answer_and_what_the_phone_said_have_their_times() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bench.advance(4)
    bob.answer(incoming, 486)
    (ring, said, outcome, answer) = told(bench.record)
    assert ring == ("ring 1002: 1 phones, 60 s", "", ("1002",), 0)
    assert said == ("1002: busy (486)", "1002", (), 4)
    assert outcome == ("busy (486)", "", (), 4)
    assert answer[0].startswith("answer 486")
    assert answer[1:] == ("", ("caller",), 4)


def test_an_answered_call_says_when_and_by_whom() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    answered = told(bench.record_of_the_only_call())[-1]
    assert answered[0].startswith("answered by 1002")
    assert answered[1:] == ("1002", ("caller",), 0)


def test_lines_after_a_restart_go_on_in_the_same_path() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.advance(40)
    bench.restart()
    *_, last = told(bench.record_of_the_only_call())
    assert last == ("signalling restarted; the call goes on", "", (), 40)


def test_a_record_of_an_older_version_is_read_and_written_on() -> None:
    row = msgspec.to_builtins(msgspec.structs.replace(OLD, steps=("ring 1002",)))
    del row["stamps"]
    draft = RecordDraft(msgspec.convert(row, CallRecord), lambda: WALL + 9)
    draft.step("answered by 1002", "1002", ["caller"])
    assert draft.record.stamps == (
        Stamp(at=WALL),
        Stamp(at=WALL + 9, source="1002", to=("caller",)),
    )


def test_a_path_has_an_end() -> None:
    draft = RecordDraft(OLD, lambda: WALL)
    for number in range(LINES + 5):
        draft.step(f"line {number}", to=[str(n) for n in range(300)])
    assert len(draft.record.steps) == len(draft.record.stamps) == LINES
    assert {len(stamp.to) for stamp in draft.record.stamps} == {8}
