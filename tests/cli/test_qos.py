"""`holdfast qos`: the table in force and what does not fit in it."""

from __future__ import annotations

import json

import pytest

from appliance.bundle import DscpQueue, Policies
from appliance.bundle.dscp import in_force
from tests.cli.appliance import Appliance
from tests.cloud.reference_trial import site_bundle


def test_qos_shows_the_strategy_and_what_uses_each_row(
    appliance: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert appliance.run("qos") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "12-queue strategy, until there is a bundle"
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in lines[3:]}
    media, signalling = rows["real-time telephony"], rows["signalling"]
    assert media == "real-time telephony EF 46 RTP and RTCP of calls, prompts and music"
    assert signalling == "signalling CS3 24 SIP with phones, zones, SBCs and peers"
    assert rows["management"] == "management CS2 16 HTTPS API, bundle and call records"
    assert rows["scavenger"] == "scavenger CS1 8"


def test_qos_points_out_what_does_not_fit(
    appliance: Appliance,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = (
        DscpQueue(traffic="transactional", name="AF41", value=26),
        DscpQueue(traffic="odd", name="EF", value=46),
    )
    bundle = site_bundle(policies=Policies(dscp_strategy="4-queue"), dscp=rows)
    monkeypatch.setattr(appliance.core, "qos", in_force(bundle))
    assert appliance.run("qos") == 1
    shown = capsys.readouterr().out
    assert "transactional: `AF41` is 34, not 26 (AF31)" in shown
    assert "odd: marks nothing; the strategy has no such row" in shown
    assert appliance.run("qos", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["marks"] == {"media": 46, "signalling": 24, "management": 26}
    assert len(answer["faults"]) == 2
