"""`holdfast forwarding`: whose calls go elsewhere, and back again."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance


def test_who_forwards_is_listed_with_who_said_so(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("forwarding", "list") == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert "no answer to 1002, after 20 s" in row
    assert "always off, do not disturb off" in row
    assert appliance.run("forwarding", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["extension"] == "1001"


def test_what_was_set_on_a_phone_is_undone(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("forwarding", "reset", "1001") == 0
    assert "1001 follows the bundle again" in capsys.readouterr().out
    assert appliance.core.asked[-1] == ("forwardings.reset", {"extension": "1001"})
    assert appliance.run("forwarding", "reset", "10/0 2") == 1
    assert appliance.core.asked[-1] == ("forwardings.reset", {"extension": "10/0 2"})
