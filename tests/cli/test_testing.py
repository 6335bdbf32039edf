"""Testing mode by command."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance


def test_a_test_is_begun_shown_and_ended(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("test", "show") == 1
    assert "no test runs; the mode is standby" in capsys.readouterr().out
    assert appliance.run("test", "begin", "1001", "300", "--minutes", "5") == 0
    assert "testing 1001, 300: " in capsys.readouterr().out
    begun = {"seconds": 300.0, "who": ["1001", "300"], "by": "command line"}
    assert ("test.begin", begun) in appliance.core.asked
    assert appliance.run("test", "end", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mode"] == "standby"


def test_whom_nobody_knows_is_told(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("test", "begin", "9999") == 2
    assert "'9999' is no extension" in capsys.readouterr().err


def test_the_next_drill_is_told(appliance: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    drill = {"id": "weekly", "at": 1_800_000_000.0, "minutes": 20, "who": ["300", "1001"]}
    appliance.core.drill = drill
    assert appliance.run("test", "show") == 1
    assert "the drill weekly of 300, 1001 begins 2027-01-" in capsys.readouterr().out
    appliance.core.drill = drill | {"who": []}
    appliance.run("test", "show")
    assert "the drill weekly of the site begins" in capsys.readouterr().out


def test_what_came_of_the_last_test_is_reported(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(at: float, before: str, after: str, reason: str) -> dict[str, object]:
        return {"at": at, "before": before, "after": after, "reason": reason}

    outage = change(1050.0, "standby", "survivability", "every zone is down")
    over = change(1040.0, "testing", "standby", "its time is over; 5 of 6 users")
    begun = change(1030.0, "standby", "testing", "asked for by zoe")
    older = change(1020.0, "testing", "standby", "an older one")
    monkeypatch.setattr("tests.fake_core.HISTORY", [outage, over, begun, older])
    assert appliance.run("test", "report") == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.endswith("asked for by zoe")
    assert last.endswith("its time is over; 5 of 6 users")
    assert appliance.run("test", "report", "--json") == 0
    assert [one["at"] for one in json.loads(capsys.readouterr().out)] == [1030.0, 1040.0]


def test_where_no_test_was_the_report_says_so(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fake_core.HISTORY", [])
    assert appliance.run("test", "report") == 1
    assert capsys.readouterr().out == "no test is in the history\n"
