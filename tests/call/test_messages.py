"""What is remembered of what was said in a call, and that it holds no secret."""

from __future__ import annotations

import re
from typing import Any

from tests.call.test_replaces import answered, of_bob
from tests.call.test_security import SHA1_80, joined, line, secure, taken
from tests.call.trio import Trio, agree
from tests.phones import WALL, Bench, sdp


def told(bench: Bench, call: str) -> Any:
    answer, actions = bench.core.command("calls.messages", {"id": call}, bench.now)
    assert not actions
    return answer


def starts(bench: Bench, call: str) -> list[str]:
    lines = [row["data"].split(b"\r\n")[0].decode() for row in told(bench, call)["messages"]]
    return [re.sub(r"SIP/2.0 (\d+).*|(\S+) .*", r"\1\2", text) for text in lines]


def test_all_of_a_call_from_the_first_challenge_to_the_last_answer() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002")
    rung = bob.expect("INVITE")
    (call,) = bench.core.switchboard.calls
    bob.answer(rung, 180)
    assert alice.responses() == [100, 180]
    bob.answer(rung, 200, body=sdp(bob.host))
    joined(alice, invite, bob)
    bob.send(bob.back(rung, "BYE", "callee"))
    alice.answer(alice.expect("BYE"), 200)
    bench.advance(40)
    assert not bench.core.switchboard.calls
    assert starts(bench, call) == [
        *("INVITE", "401", "ACK", "INVITE", "100", "INVITE", "180", "180"),
        *("200", "ACK", "200", "ACK", "BYE", "200", "BYE", "200"),
    ]
    first, second = told(bench, call)["messages"][:2]
    assert (first["sent"], second["sent"]) == (False, True)
    assert first["remote"] == alice.flow.remote
    assert first["at"] == WALL + 1016
    bench.quiet()


def test_no_key_and_no_digest_is_in_it() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", body=secure(alice, line(1, SHA1_80)))
    rung = bob.expect("INVITE")
    (call,) = bench.core.switchboard.calls
    answered = taken(rung, SHA1_80, 7)
    bob.answer(rung, 200, body=secure(bob, answered))
    joined(alice, invite, bob)
    octets = b"".join(row["data"] for row in told(bench, call)["messages"])
    kept = b"".join(one.data for one in bench.core.traces.find(call).messages)  # type: ignore[union-attr]
    digest = re.search(r'response="(\w+)"', invite.first("Authorization") or "")
    assert digest is not None
    for secret in (line(1, SHA1_80), answered):
        key = secret.partition("inline:")[2].encode()
        assert len(key) == 40
        assert key not in octets
        assert key not in kept
    assert digest[1].encode() not in octets
    assert octets.count(b"inline:" + b"x" * 40) >= 4
    assert b'username="1001"' in octets


def test_who_takes_the_place_of_another_is_among_it() -> None:
    trio = Trio()
    (call,) = trio.bench.core.switchboard.calls
    (second,) = trio.bench.registered("1002")
    invite = second.invite("anybody", body=sdp(second.host, 14000), headers=of_bob(trio))
    agree(trio.alice, trio.alice.expect("INVITE"))
    answer = answered(second, invite)
    second.send(second.within(invite, answer, "BYE"))
    rows = [
        row for row in told(trio.bench, call)["messages"] if row["remote"] == second.flow.remote
    ]
    assert [row["data"].split()[0] for row in rows if not row["sent"]] == [
        *(b"INVITE", b"ACK", b"INVITE", b"ACK", b"BYE")
    ]


def test_a_call_goes_on_to_be_remembered_after_a_restart() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002")
    rung = bob.expect("INVITE")
    (call,) = bench.core.switchboard.calls
    bob.answer(rung, 200, body=sdp(bob.host))
    answer = joined(alice, invite, bob)
    bench.restart()
    alice.send(alice.within(invite, answer, "BYE"))
    assert starts(bench, call)[-3:] == ["BYE", "200", "BYE"]
    assert bob.requests()[-1].method == "BYE"


def test_of_a_call_that_never_was_nothing_is_told() -> None:
    assert told(Bench.in_outage(), "no such call") is None
