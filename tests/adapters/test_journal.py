import pytest

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.journal import LONGEST, Journal
from appliance.call.actions import Notice


def test_a_notice_is_one_line_whatever_the_wire_put_into_it() -> None:
    lines: list[str] = []
    Journal(lines.append).notice(
        Notice("warning", "registrar.guess", "Jürgen\n<0>EMERG gone\x1b[2J")
    )
    assert lines == ["WARNING registrar.guess Jürgen\\x0a<0>EMERG gone\\x1b[2J\n"]


def test_systemd_gets_the_priority_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    lines: list[str] = []
    journal = Journal(lines.append)
    journal.notice(Notice("alarm", "store.disk", "full"))
    journal.notice(Notice("info", "x", "y" * 2 * LONGEST))
    assert lines[0] == "<1>ALARM store.disk full\n"
    assert len(lines[1]) < LONGEST + 20
    assert journal.counts == {"info": 1, "warning": 0, "alarm": 1, "error": 0}


def test_tokens_are_hex_and_never_the_same() -> None:
    names = RandomIdentifiers()
    tokens = {names.token() for _ in range(10_000)}
    assert len(tokens) == 10_000
    assert {len(token) for token in tokens} == {16}
