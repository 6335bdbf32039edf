"""Each thing that can be wrong, and that its cure is told."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.adapters.tls import ensure_certificate
from appliance.settings import Settings
from appliance.web.issues import DAY, OLD, STALE, find_issues, worst
from appliance.web.machine import (
    Certificate,
    Machine,
    clock_synchronised,
    read_certificate,
    read_machine,
)
from tests.fake_core import STATUS

NOW = 1_800_000_000.0
SOUND = Machine(
    host="box",
    version="0.1.0",
    disk_size=100,
    disk_free=50,
    memory_size=100,
    memory_available=50,
    load=0.1,
    processors=2,
    clock_synchronised=True,
    certificates=(Certificate(use="phones", file="sip.crt", ends=NOW + 400 * DAY),),
)
SHOWN: dict[str, Any] = {"names": ["sbc1"], "issuer": "CN=Example CA", "expires": NOW + 90 * DAY}
WELL = STATUS | {
    "guard": {"banned": []},
    "sync": {"bundle": {}, "records": {}},
    "certificates": {"sbc1": SHOWN},
}
DOWN = STATUS["zones"][0] | {"state": "down", "last_failure": {"layer": "dns", "text": "dead"}}


def found(status: dict[str, Any] | None, machine: Machine = SOUND) -> dict[str, str]:
    issues = find_issues(status, machine, NOW)
    assert all(issue.cure and issue.title for issue in issues)
    return {issue.id: issue.severity for issue in issues}


def test_when_all_is_well_there_is_nothing_to_say() -> None:
    assert found(WELL) == {}
    assert worst(find_issues(WELL, SOUND, NOW)) is None


@pytest.mark.parametrize(
    ("change", "issue", "severity"),
    [
        ({"mode": "survivability"}, "mode", "alarm"),
        ({"mode": "recovering"}, "mode", "info"),
        ({"mode": "testing"}, "mode", "info"),
        ({"zones": [DOWN]}, "zone.primary", "alarm"),
        ({"zones": [STATUS["zones"][0] | {"state": "unknown"}]}, "zone.primary", "warning"),
        ({"bundle": None}, "bundle.none", "alarm"),
        ({"sync": {"bundle": {"problems": [{}]}}}, "bundle.refused", "warning"),
        ({"sync": {"bundle": {"core_failure": "away"}}}, "bundle.core", "warning"),
        ({"sync": {"bundle": {"failure": "no way"}}}, "bundle.pull", "info"),
        (
            {"sync": {"bundle": {"failure": "no way", "failing_since": NOW - STALE - 1}}},
            "bundle.stale",
            "warning",
        ),
        (
            {"sync": {"bundle": {"failure": "no way", "asked_at": NOW - OLD - 1}}},
            "bundle.stale",
            "alarm",
        ),
        ({"sync": {"records": {"refused": {"a": "bad"}}}}, "records.refused", "warning"),
        ({"sync": {"records": {"failure": "503"}}}, "records.waiting", "info"),
        ({"guard": {"banned": [{"source": "192.0.2.7"}]}}, "guard.banned", "warning"),
        ({"certificates": {"sbc1": SHOWN | {"expires": NOW + DAY}}}, "certificate.sbc1", "warning"),
        ({"certificates": {"sbc1": SHOWN | {"expires": NOW - 1}}}, "certificate.sbc1", "alarm"),
        ({"faults": 2}, "core.faults", "warning"),
        (
            {"mode": "survivability", "phones": {"registered": 5, "expected": 10}},
            "phones.missing",
            "warning",
        ),
    ],
)
def test_what_is_wrong_with_the_site(change: dict[str, Any], issue: str, severity: str) -> None:
    assert found(WELL | change)[issue] == severity


@pytest.mark.parametrize(
    ("change", "issue", "severity"),
    [
        ({"disk_free": 10}, "disk", "warning"),
        ({"disk_free": 4}, "disk", "alarm"),
        ({"memory_available": 5}, "memory", "warning"),
        ({"clock_synchronised": False}, "clock", "warning"),
        (
            {"certificates": (Certificate(use="web", file="f", ends=NOW + DAY),)},
            "certificate.web",
            "warning",
        ),
        (
            {"certificates": (Certificate(use="web", file="f", ends=NOW - 1),)},
            "certificate.web",
            "alarm",
        ),
        (
            {"certificates": (Certificate(use="web", file="f", failure="gone"),)},
            "certificate.web",
            "warning",
        ),
    ],
)
def test_what_is_wrong_with_the_box(change: dict[str, Any], issue: str, severity: str) -> None:
    assert found(WELL, msgspec.structs.replace(SOUND, **change)) == {issue: severity}


@pytest.mark.parametrize(
    ("mode", "ways", "phones", "expected"),
    [
        ("standby", [], 1, {"emergency.none": "warning"}),
        ("standby", [False, False], 1, {"emergency.down": "alarm"}),
        ("standby", [False, True], 0, {}),
        ("recovering", [True], 0, {"emergency.team": "warning", "mode": "info"}),
    ],
)
def test_whether_a_call_for_help_could_leave(
    mode: str, ways: list[bool], phones: int, expected: dict[str, str]
) -> None:
    told = {
        "numbers": ["911"],
        "ways": [{"sbc": "a", "well": well, "full": False} for well in ways],
        "safety_team": [{"extension": "1002", "name": "Bo", "phones": phones}],
    }
    full = {"registered": 2, "expected": 2}
    issues = find_issues(WELL | {"mode": mode, "phones": full}, SOUND, NOW, told)
    assert {issue.id: issue.severity for issue in issues} == expected


def test_a_core_that_is_away_is_the_worst_there_is() -> None:
    assert found(None) == {"core.away": "alarm"}
    assert worst(find_issues(None, SOUND, NOW)) == "alarm"


def test_the_worst_comes_first() -> None:
    issues = find_issues(WELL | {"mode": "testing", "zones": [DOWN], "faults": 1}, SOUND, NOW)
    assert [issue.severity for issue in issues] == ["alarm", "warning", "info"]


def test_the_cure_names_the_layer_that_failed() -> None:
    [issue] = find_issues(WELL | {"zones": [DOWN]}, SOUND, NOW)
    assert "DNS" in issue.cure


def test_the_machine_and_its_certificates_are_read(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "tls", ["box.example", "192.0.2.1"])
    machine = read_machine(Settings(data=tmp_path), "0.1.0")
    phones, web = machine.certificates
    assert phones.names == ("box.example", "192.0.2.1")
    assert (phones.failure, len(phones.fingerprint)) == ("", 95)
    assert web.failure == "No such file or directory"
    assert machine.disk_size > machine.disk_free > 0
    assert machine.memory_size > 0


def test_where_the_kernel_may_not_be_asked_the_note_of_the_time_client_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = type("Library", (), {"adjtimex": staticmethod(lambda timex: -1)})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: refusing)
    note = tmp_path / "synchronized"
    assert clock_synchronised(note) is None
    note.touch()
    assert clock_synchronised(note) is True


def test_what_is_no_certificate_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.pem"
    file.write_text("nonsense")
    assert read_certificate("web", file).failure == "no certificate in PEM"
