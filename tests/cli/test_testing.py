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
