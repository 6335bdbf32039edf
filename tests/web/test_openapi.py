"""The documented API is the one that is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.accounts import AuditEntry, Told, ToldToken
from appliance.bundle import Problem
from appliance.bundle.dscp import Class, InForce
from appliance.call.emergency import HelpRecord
from appliance.call.record import CallRecord, MediaCounters, Stamp
from appliance.captured import Capture, Order
from appliance.cloud.records import UploadState
from appliance.cloud.shelf import Held, Kept
from appliance.cloud.sync_state import SyncState
from appliance.diagnostics.check import Result
from appliance.diagnostics.examiner import Run
from appliance.evidence import Finding, Step
from appliance.pbx.readiness import Line
from appliance.phonebook.entry import Entry
from appliance.rtp.quality import MediaQuality
from appliance.web.access import ACCESS
from appliance.web.messages import Messages, Said

DOCUMENT = Path(__file__).parents[2] / "docs" / "admin-api.openapi.json"


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(DOCUMENT.read_text())


def test_every_route_is_documented_and_no_other(document: Any) -> None:
    served = {
        (method.lower(), path)
        for method, path in map(str.split, ACCESS)
        if path.startswith("/api/")
    }
    documented = {
        (method, path)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert documented == served


@pytest.mark.parametrize(
    ("name", "kind", "more"),
    [
        ("Bundle", SyncState, set()),
        ("Held", Held, set()),
        ("KeptVersion", Kept, set()),
        ("Uploads", UploadState, set()),
        ("Record", CallRecord, {"uploaded"}),
        ("Help", HelpRecord, set()),
        ("Stamp", Stamp, set()),
        ("Counters", MediaCounters, set()),
        ("Quality", MediaQuality, set()),
        ("Readiness", Line, set()),
        ("Entry", Entry, set()),
        ("Account", Told, set()),
        ("Token", ToldToken, set()),
        ("AuditEntry", AuditEntry, set()),
        ("Qos", InForce, set()),
        ("QosClass", Class, set()),
        ("Finding", Finding, set()),
        ("Step", Step, set()),
        ("Run", Run, set()),
        ("CheckResult", Result, set()),
        ("Capture", Capture, set()),
        ("CaptureOrder", Order, set()),
        ("Messages", Messages, set()),
        ("Said", Said, set()),
    ],
)
def test_structures_are_documented_field_by_field(
    document: Any, name: str, kind: type[msgspec.Struct], more: set[str]
) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(kind)} | more
    assert set(document["components"]["schemas"][name]["properties"]) == fields


def test_problems_of_bundles_are_documented(document: Any) -> None:
    properties = document["components"]["schemas"]["BundleProblem"]["properties"]
    assert set(properties) == set(Problem.__dataclass_fields__)


def test_every_reference_leads_somewhere(document: Any) -> None:
    text = DOCUMENT.read_text()
    for kind in ("schemas", "responses"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}" in text
    for part in text.split('"$ref": "')[1:]:
        _, _, kind, name = part.split('"')[0].split("/")
        assert name in document["components"][kind]
