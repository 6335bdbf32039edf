"""`holdfast peers`, against the admin process."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance


def test_it_shows_how_calls_go_to_each_site_and_what_is_wrong(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("peers") == 1, "calls to one site go nowhere"
    east, north, trouble = capsys.readouterr().out.splitlines()[1:]
    for words in ("east", "82", "up", "standby", "over the trunk", "12.0 ms", "ends in"):
        assert words in east
    for words in ("north", "down", "not known", "nowhere", "none shown yet"):
        assert words in north
    assert trouble == "north: certificate has expired"


def test_a_site_without_others_says_so(
    appliance: Appliance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fake_core.PEERS", [])
    assert appliance.run("peers") == 0
    assert capsys.readouterr().out == "the bundle names no other sites\n"


def test_json_is_what_the_api_tells(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.run("peers", "--json")
    east, north = json.loads(capsys.readouterr().out)
    assert (east["mode"], east["certificate"]["expires"]) == ("standby", 4102444800.0)
    assert north["last_error"]["text"] == "certificate has expired"


@pytest.mark.parametrize("word", ["drain", "resume"])
def test_a_site_is_taken_out_and_back(appliance: Appliance, word: str) -> None:
    appliance.run("peers", word, "east", "--json")
    assert (f"peers.{word}", {"site": "east"}) in appliance.core.asked
