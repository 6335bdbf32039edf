"""A call's path as admins see it."""

from __future__ import annotations

from typing import Any

from appliance.cli.ladder import WIDTH, ladder

RECORD: dict[str, Any] = {
    "caller": "+13125550100",
    "callee": "7000",
    "started": 1000.0,
    "answered": 1012.5,
    "ended": 1075.25,
    "ended_by": "callee",
    "answered_by": "1003",
    "reason": "the callee hung up",
    "outcome": "answered",
    "steps": (
        "group Sales (7000)",
        "play welcome",
        "ring 1002, 1003: 2 phones, 20 s",
        "1002: busy (486)",
        "answered by 1003 on UDP 192.0.2.1:5060",
    ),
    "stamps": (
        {"at": 1000.001},
        {"at": 1000.002, "to": ["caller"]},
        {"at": 1003.5, "to": ["1002", "1003"]},
        {"at": 1004, "source": "1002"},
        {"at": 1012.5, "source": "1003", "to": ["caller"]},
    ),
}


def test_the_path_of_a_call_to_a_group() -> None:
    assert ladder(RECORD) == [
        "     …25550100  Holdfast    1002      1003",
        "   0.000 |-------->|         |         |  calls 7000",
        "   0.001 |         *         |         |  group Sales (7000)",
        "   0.002 |<--------|         |         |  play welcome",
        "   3.500 |         |-------->|-------->|  ring 1002, 1003: 2 phones, 20 s",
        "   4.000 |         |<--------|         |  1002: busy (486)",
        "  12.500 |<--------|---------|---------|  answered by 1003 on UDP",
        "         |         |         |         |  192.0.2.1:5060",
        "  75.250 |<--------|---------|---------|  ended: the callee hung up",
    ]


def test_more_phones_than_columns_share_the_last_one() -> None:
    many = [str(extension) for extension in range(1002, 1010)]
    stamps = [*RECORD["stamps"][:2], {"at": 1003.5, "to": many}, *RECORD["stamps"][3:]]
    lines = ladder({**RECORD, "stamps": stamps})
    assert lines[0].split() == ["…25550100", "Holdfast", "1002", "1003", "others"]
    assert "|-------->|-------->|-------->|  ring" in lines[4]
    assert max(map(len, lines)) <= WIDTH


def test_what_the_caller_does_later_stands_in_its_own_column() -> None:
    stamps = ({"at": 1001.0, "source": "1001", "to": ["1002"]},)
    lines = ladder({**RECORD, "caller": "1001", "steps": ("1001 transfers",), "stamps": stamps})
    assert "   1.000 |---------|-------->|         |  1001 transfers" in lines


def test_a_call_that_still_rings_has_no_end() -> None:
    lines = ladder({**RECORD, "ended": None})
    assert "answered by" in lines[-2]


def test_a_record_of_an_older_version_has_lines_without_times() -> None:
    lines = ladder({**RECORD, "stamps": ()})
    assert "       - |         *         |  play welcome" in lines
    assert lines[1].endswith("calls 7000")


def test_what_others_have_written_cannot_command_the_terminal() -> None:
    hostile = {**RECORD, "steps": ("\x1b[2J" * 30,), "callee": "\x1b[31m", "caller": "\x07"}
    assert all(letter.isprintable() for line in ladder(hostile) for letter in line)
