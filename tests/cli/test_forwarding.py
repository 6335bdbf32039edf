"""`holdfast forwarding` and `park`: whose calls go elsewhere or wait, and back again."""

from __future__ import annotations

import json

import pytest

from tests.cli.appliance import Appliance
from tests.fake_core import CALLS


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


def test_a_parked_call_is_listed_and_given_back(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    appliance.core.calls = [CALLS[0] | {"parked": "7701"}, CALLS[0]]
    assert appliance.run("park", "list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["7701"]
    assert appliance.run("park", "return", "7701") == 0
    assert "rings who has parked it" in capsys.readouterr().out
    assert appliance.run("park", "return", "7702") == 2
