import logging
import socket
from pathlib import Path

import msgspec
import pytest

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.journal import LONGEST, Journal
from appliance.call.actions import Notice, SaveRecord
from appliance.call.record import begun
from appliance.journald import Journald, JournaldHandler, connect_journald


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


@pytest.fixture
def daemon(tmp_path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "socket"))
    listening.settimeout(2)
    return listening


def path(daemon: socket.socket) -> str:
    return str(daemon.getsockname())


def test_journald_gets_the_notice_in_fields_and_the_call_it_is_about(daemon: socket.socket) -> None:
    lines: list[str] = []
    journal = Journal(lines.append, Journald("holdfast-core", path(daemon)))
    journal.notice(Notice("alarm", "emergency.call", "Ana\nCALL_ID=forged", "c1"))
    assert lines == [] and daemon.recv(4096).decode().splitlines() == [
        "MESSAGE=ALARM emergency.call Ana\\x0aCALL_ID=forged",
        "PRIORITY=1",
        "SYSLOG_IDENTIFIER=holdfast-core",
        "HOLDFAST_TOPIC=emergency.call",
        "CALL_ID=c1",
    ]


def test_a_call_is_found_by_its_id_once_it_is_over(daemon: socket.socket) -> None:
    journal = Journal(journald=Journald("holdfast-core", path(daemon)))
    lasting = begun("c2", "hq", "survivability", "101", "Ana", "102", 1000.0)
    over = {"answered": 1001.0, "ended": 1035.0, "outcome": "answered", "answered_by": "102"}
    journal.ended(SaveRecord(msgspec.structs.replace(lasting, sealed=False)))
    journal.ended(SaveRecord(msgspec.structs.replace(lasting, sealed=True, **over)))
    sent = daemon.recv(4096).decode().splitlines()
    assert sent[0] == "MESSAGE=call.ended 101 to 102: answered by 102, 34 s"
    assert "CALL_ID=c2" in sent and "OUTCOME=answered" in sent


def test_a_traceback_is_one_entry_whose_lines_are_no_fields(daemon: socket.socket) -> None:
    handler = JournaldHandler(Journald("holdfast-admin", path(daemon)))
    record = logging.LogRecord("holdfast.web", logging.ERROR, "", 1, "one\nPRIORITY=0", (), None)
    handler.emit(record)
    sent = daemon.recv(4096)
    assert sent.startswith(b"MESSAGE\n" + (14).to_bytes(8, "little") + b"one\nPRIORITY=0\n")
    assert b"PRIORITY=3\nSYSLOG_IDENTIFIER=holdfast-admin\nLOGGER=holdfast.web\n" in sent


def test_without_journald_lines_go_where_they_went(tmp_path: Path) -> None:
    lines: list[str] = []
    gone = Journald("holdfast-core", str(tmp_path / "nothing"))
    Journal(lines.append, gone).notice(Notice("info", "x", "y"))
    assert lines == ["INFO x y\n"]
    assert connect_journald("core", {"JOURNAL_STREAM": "8:1"}, str(tmp_path / "nothing")) is None
    assert connect_journald("core", {}, str(tmp_path)) is None
