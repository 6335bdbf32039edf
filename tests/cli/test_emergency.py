"""`holdfast emergency`: what calls for help do, and who is called back."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance
from tests.fake_core import EMERGENCY


def test_show_tells_the_ways_the_team_and_who_is_called_back(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("emergency") == 0
    short = capsys.readouterr().out
    assert appliance.run("emergency", "show") == 0
    shown = capsys.readouterr().out
    assert shown == short
    lines = shown.splitlines()
    assert lines[0] == "numbers  911, 933"
    assert lines[1] == "ways out  pstn/sbc1:5061 (full), then pstn/sbc2:5061 (not well)"
    assert lines[2] == "safety team  Bo (1002)"
    assert lines[3] == "safety group  7000"
    assert " ".join(lines[6].split()).startswith("+13125550800 Zoë (1001), unproved hall")


def test_show_points_out_what_would_fail(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"ways": [], "safety_team": [], "safety_group": None, "callbacks": []}
    monkeypatch.setattr("tests.fake_core.EMERGENCY", EMERGENCY | nothing)
    assert appliance.run("emergency", "show", "--json") == 1
    assert json.loads(capsys.readouterr().out)["faults"] == [
        "there is no trunk: calls for help cannot leave the site",
        "the site has no safety team: nobody here is told of calls for help",
    ]


def test_test_tells_what_would_happen(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("emergency", "test", "1001", "--number", "9911") == 0
    asked = {"extension": "1001", "number": "9911", "address": ""}
    assert appliance.core.asked[-1] == ("emergency.trial", asked)
    assert capsys.readouterr().out.splitlines() == [
        "caller     Zoë (1001) at 192.0.2.1",
        "dials      9911",
        "is at      Hall, 1 Main St (192.0.2.1 is in 192.0.2.0/24)",
        "shows      +13125550800 (the number of Hall)",
        "call-back  rings the caller",
        "ways out   pstn/sbc1:5061 (full), then pstn/sbc2:5061 (not well)",
        "alerts     1002",
    ]


def test_test_gives_everything_to_scripts(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("emergency", "test", "--json") == 0
    assert json.loads(capsys.readouterr().out)["shown"] == "+13125550800"


def test_what_is_too_long_is_refused(appliance: Appliance) -> None:
    assert appliance.run("emergency", "test", "1" * 65) == 2
