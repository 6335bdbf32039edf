"""Tests of survivability, issues, groups, changes, events and metrics, over the wire."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Group
from tests.cloud.reference_trial import site_bundle
from tests.fake_core import NOTICES
from tests.web.house import TOKEN, Browser, House, run

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"


def with_group(version: int = 1, **more: Any) -> bytes:
    bundle = site_bundle(version=version)
    members = tuple(user.id for user in bundle.users[:2])
    group = Group(id="sales", name="Sales", extension="3000", members=members, **more)
    return msgspec.json.encode(msgspec.structs.replace(bundle, groups=(group,)))


def test_a_test_is_begun_and_ended_and_stands_in_the_audit_log(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        zoe = await house.account("zoe", "operator")
        status, mode = await zoe.ask("POST", "/api/v1/test", {"minutes": 5, "who": ["1001"]})
        assert (status, mode["mode"], mode["test_of"]) == (200, "testing", ["1001"])
        assert house.core.asked[-1] == (
            "test.begin",
            {"seconds": 300.0, "who": ["1001"], "by": "zoe"},
        )
        assert (await zoe.ask("DELETE", "/api/v1/test"))[1]["mode"] == "standby"
        ended, begun = await house.people.audit(2)
        assert (ended.action, begun.action) == ("test.end", "test.begin")
        assert begun.after == {"minutes": 5.0, "who": ["1001"]}

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"minutes": 0}, 400),
        ({"minutes": 481}, 400),
        ({}, 400),
        ({"minutes": 5, "who": "1001"}, 400),
        ({"minutes": 5, "who": ["x" * 65]}, 400),
        ({"minutes": 5, "who": ["9999"]}, 409),
    ],
)
def test_a_test_that_makes_no_sense_is_refused(tmp_path: Path, body: Any, status: int) -> None:
    async def script(house: House) -> None:
        assert (await Browser(house, TOKEN).ask("POST", "/api/v1/test", body))[0] == status
        assert house.core.mode == "standby"

    run(tmp_path, script)


def test_issues_are_told_without_core_too(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        house.core.away = True
        status, issues = await Browser(house, TOKEN).ask("GET", "/api/v1/issues")
        assert (status, issues[0]["id"]) == (200, "core.away")
        assert all(issue["cure"] for issue in issues)

    run(tmp_path, script)


def test_phones_are_told_a_page_at_a_time(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        status, _ = await local.ask("GET", "/api/v1/phones?limit=1&state=missing&search=bo")
        asked = {"limit": 1, "offset": 0, "state": "missing", "search": "bo"}
        assert (status, house.core.asked[-1]) == (200, ("phones.page", asked))
        assert local.headers["X-Total-Count"] == "2"
        for query in ("limit=0", "limit=1001", "offset=-1", "state=x"):
            assert (await local.ask("GET", f"/api/v1/phones?{query}"))[0] == 400

    run(tmp_path, script)


def test_groups_are_listed_and_tried_without_a_call(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        assert (await local.ask("GET", "/api/v1/groups"))[0] == 409
        await house.sync.offer(with_group())
        _, [row] = await local.ask("GET", "/api/v1/groups")
        assert (row["extension"], row["leads_to"]) == ("3000", "2 members, simultaneous")
        status, told = await local.ask("POST", "/api/v1/groups/3000/walk", {})
        assert status == 200
        assert any("ring 1001, 1002 together" in step["step"] for step in told["steps"])
        answered = {"answers": [site_bundle().users[0].extension]}
        _, told = await local.ask("POST", "/api/v1/groups/3000/walk", answered)
        assert "answered by" in told["steps"][-1]["outcome"]
        assert (await local.ask("POST", "/api/v1/groups/1/walk", {}))[0] == 409
        assert (await local.ask("POST", "/api/v1/groups/3000/walk", {"at": "soon"}))[0] == 409

    run(tmp_path, script)


def test_what_a_new_bundle_changed_is_told(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        await house.sync.offer(msgspec.json.encode(site_bundle(version=1)))
        assert (await local.ask("GET", "/api/v1/bundle/changes"))[1]["total"] == 0
        await house.sync.offer(with_group(version=2))
        _, told = await local.ask("GET", "/api/v1/bundle/changes")
        assert [(one["kind"], one["path"]) for one in told["changes"]] == [
            ("added", "groups.sales")
        ]

    run(tmp_path, script)


def test_notices_of_core_are_told(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        assert (await Browser(house, TOKEN).ask("GET", "/api/v1/notices"))[1] == NOTICES

    run(tmp_path, script)


async def read_until(answer: Any, word: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(10):
        while word not in seen:
            seen += await answer.content.readany()
    return seen


def test_events_tell_all_at_first_and_then_what_changes(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with house.session.get(f"{house.url}/api/v1/events", headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            first = await read_until(answer, b"event: issues")
            assert re.search(rb'event: mode\ndata: {"mode":"standby"', first)
            house.core.away = True
            assert b"is it running" in await read_until(answer, b'"away":"core')

    run(tmp_path, script)


def test_twenty_who_listen_cost_core_what_one_costs(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        for _ in range(20):
            await house.rooms.live.view()
        assert [name for name, _ in house.core.asked] == ["status", "emergency"]

    run(tmp_path, script)


def test_metrics_have_base_units_and_what_ships_for_prometheus_uses_only_them(
    tmp_path: Path,
) -> None:
    async def script(house: House) -> None:
        await house.sync.offer(msgspec.json.encode(site_bundle(version=3)))
        _, text = await Browser(house, TOKEN).ask("GET", "/metrics")
        assert 'holdfast_mode{mode="standby"} 1.0' in text
        assert 'holdfast_zone_rtt_seconds{zone="primary"} 0.0123' in text
        assert "holdfast_bundle_version 3.0" in text
        assert 'holdfast_certificate_end_timestamp_seconds{use="sbc1.example.net"} 2.5e+09' in text
        exposed = set(re.findall(r"^(holdfast_\w+)", text, re.MULTILINE))
        counters = {"holdfast_messages_total", "holdfast_faults_total", "holdfast_notices_total"}
        for file in ("alerts.yml", "grafana-dashboard.json"):
            used = set(re.findall(r"holdfast_\w+", (MONITORING / file).read_text()))
            assert used <= exposed | counters, file
            assert len(used) > 5
        house.core.away = True
        house.rooms.live.forget()
        _, text = await Browser(house, TOKEN).ask("GET", "/metrics")
        assert "holdfast_core_up 0.0" in text

    run(tmp_path, script)
