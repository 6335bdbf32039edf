"""What layers mean together, and which outage a finding belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.diagnostics.verdict import WORDS, finding
from appliance.diagnostics.witness import Failing, Onsets
from appliance.evidence import LAYERS, Layer, Step, with_evidence


def step(layer: Layer, kind: str = "", text: str = "some words") -> Step:
    return Step(layer=layer, verdict="fail" if kind else "ok", kind=kind, text=text)


def judged(*steps: Step) -> str:
    return finding(5.0, "a", steps).verdict


@pytest.mark.parametrize(("layer", "kind"), [key for key in WORDS if key[0] in LAYERS])
def test_every_kind_of_failure_has_its_sentence_and_its_cure(layer: Layer, kind: str) -> None:
    found = finding(5.0, "a", [step(layer, kind)])
    assert (found.layer, found.kind, found.at, found.zone) == (layer, kind, 5.0, "a")
    assert found.verdict and not found.verdict.endswith(".") and found.advice.endswith(".")


def test_the_lowest_layer_that_fails_is_to_blame() -> None:
    steps = [step("link"), step("gateway", "silence"), step("tcp", "silence")]
    assert "gateway does not answer" in judged(*steps)


def test_dead_dns_is_not_to_blame_where_the_zone_was_reached_without_it() -> None:
    dns = step("dns", "silence")
    assert "does not serve" in judged(dns, step("tcp"), step("sip", "refusing"))
    assert judged(dns).startswith("DNS is dead")


def test_dead_dns_and_a_silent_zone_are_a_cut_line() -> None:
    assert "way out of the site is cut" in judged(step("dns", "silence"), step("tcp", "silence"))


def test_a_silent_port_beside_https_that_answers_is_no_cut_line() -> None:
    assert "the line is up" in judged(step("tcp", "silence"), step("https"))
    assert "the line is up" not in judged(step("tcp", "silence"), step("https", "silence"))


def test_a_failure_nobody_has_a_sentence_for_is_told_as_it_is() -> None:
    assert judged(step("tls", "other", "odd alert")) == "Zone a fails at tls: odd alert"


def test_a_zone_that_is_well_again_by_then_is_said_to_be() -> None:
    found = finding(5.0, "a", [step(layer) for layer in LAYERS])
    assert found.layer == "" and "answers at every layer again" in found.verdict


def change(at: float, before: str, after: str) -> dict[str, Any]:
    return {"at": at, "before": before, "after": after, "reason": ""}


def test_a_finding_belongs_to_the_outage_it_led_to() -> None:
    changes = [
        change(900.0, "standby", "survivability"),
        change(300.0, "recovering", "standby"),
        change(200.0, "survivability", "recovering"),
        change(100.0, "standby", "survivability"),
    ]
    found = [
        {"zone": "a", "at": 99.0},
        {"zone": "a", "at": 100.0},
        {"zone": "b", "at": 90.0},
        {"zone": "a", "at": 250.0},
        {"zone": "b", "at": 899.0},
    ]
    told = [row["evidence"] for row in with_evidence(changes, found)]
    assert told == [
        [{"zone": "b", "at": 899.0}],
        [],
        [],
        [{"zone": "b", "at": 90.0}, {"zone": "a", "at": 100.0}],
    ]


def zone(state: str, since: float, layer: str = "", missed: bool = True) -> dict[str, Any]:
    failure = {"at": since, "layer": layer, "text": ""} if layer else None
    history = [{"at": since, "rtt": None if missed else 0.01}]
    told = {"id": "a", "state": state, "since": since}
    return told | {"last_failure": failure, "history": history}


def test_each_failure_is_looked_into_once() -> None:
    onsets = Onsets()
    assert onsets.look([zone("up", 1.0, missed=False)]) == []
    assert onsets.look([zone("down", 7.0, "tcp")]) == [Failing("a", 7.0)]
    assert onsets.look([zone("down", 7.0000004, "tcp")]) == []
    assert onsets.look([zone("up", 20.0, "tcp", missed=False)]) == []
    assert onsets.look([zone("down", 30.0, "sip")]) == [Failing("a", 30.0)]


def test_an_own_dead_cable_is_looked_into_though_the_zone_is_not_called_down() -> None:
    onsets = Onsets()
    assert onsets.look([zone("up", 5.0, "link")]) == [Failing("a", 5.0)]
    assert onsets.look([zone("up", 6.0, "link")]) == []
    assert onsets.look([zone("down", 9.0, "tcp")]) == [Failing("a", 9.0)]
    assert onsets.look([zone("down", 9.0, "link")]) == [Failing("a", 9.0)]
    assert onsets.look([zone("down", 9.0, "tcp")]) == []


def test_what_an_earlier_process_has_looked_into_is_left_alone() -> None:
    onsets = Onsets()
    onsets.known("a", 7.0)
    assert onsets.look([zone("down", 7.2, "tcp")]) == []
