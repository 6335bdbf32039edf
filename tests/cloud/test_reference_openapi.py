"""The documented cloud API is the one that is served."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec

from appliance.call.emergency import HelpRecord
from appliance.call.record import CallRecord, MediaCounters
from appliance.cloud.reference.api import Api
from appliance.cloud.reference.faults import ApiOrder, State, ZoneOrder
from appliance.rtp.quality import MediaQuality

DOCUMENT = Path(__file__).parents[2] / "docs" / "cloud-api.openapi.json"


def document() -> Any:
    return json.loads(DOCUMENT.read_text())


def test_every_route_is_documented_and_no_other() -> None:
    nothing: Any = None
    application = Api(nothing, nothing, {}, nothing, "", "").application()
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in application.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    documented = {
        (method, path)
        for path, operations in document()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert documented == served


def test_records_are_documented_field_by_field() -> None:
    schemas = document()["components"]["schemas"]
    for name, kind in (
        ("Record", CallRecord),
        ("Help", HelpRecord),
        ("Counters", MediaCounters),
        ("Quality", MediaQuality),
    ):
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert set(schemas[name]["properties"]) == fields


def test_orders_are_documented_field_by_field() -> None:
    schemas = document()["components"]["schemas"]
    for order in (ZoneOrder, ApiOrder):
        fields = {field.encode_name for field in msgspec.structs.fields(order)}
        assert set(schemas[order.__name__]["properties"]) == fields
    assert schemas["ZoneOrder"]["properties"]["state"]["enum"] == list(get_args(State))
