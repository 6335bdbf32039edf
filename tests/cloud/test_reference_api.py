"""The reference cloud's HTTPS API: bundles, records and its commanded faults."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from appliance.bundle import decode
from tests.cloud.reference_trial import reference_cloud, site_bundle

Script = Callable[[Any, Callable[..., Any]], Awaitable[None]]


def with_cloud(folder: Path, script: Script) -> None:
    async def run() -> None:
        async with reference_cloud(folder) as cloud, aiohttp.ClientSession() as session:
            context = cloud.authority.client_context()

            def ask(method: str, path: str, **options: Any) -> Any:
                access = cloud.access
                control = path.startswith("/control")
                token = access.control_token if control else access.site_token
                headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
                url = access.url + path
                return session.request(method, url, ssl=context, headers=headers, **options)

            await script(cloud, ask)

    asyncio.run(run())


def put(ask: Any, record_id: str, **more: Any) -> Any:
    path = f"/v1/sites/hq/records/{record_id}"
    headers = {"Idempotency-Key": record_id}
    return ask("PUT", path, json={"id": record_id, **more}, headers=headers)


def test_bundle_names_the_zones_as_they_listen(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            bundle = decode(await answer.read())
        assert [zone.port for zone in bundle.zones] == [each.port for each in cloud.zones.values()]
        assert all(zone.ca == cloud.authority.pem for zone in bundle.zones)

    with_cloud(tmp_path, script)


def test_an_unchanged_bundle_costs_304(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            known = {"If-None-Match": answer.headers["ETag"]}
        async with ask("GET", "/v1/sites/hq/bundle", headers=known) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        changed = msgspec.json.encode(site_bundle(version=2))
        (tmp_path / "site.json").write_bytes(changed)
        async with ask("GET", "/v1/sites/hq/bundle", headers=known) as answer:
            assert (answer.status, decode(await answer.read()).version) == (200, 2)

    with_cloud(tmp_path, script)


def test_a_question_may_wait_for_another_bundle(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            known = {"If-None-Match": answer.headers["ETag"], "Prefer": "wait=20"}

        async def changes() -> None:
            await asyncio.sleep(0.3)
            (tmp_path / "site.json").write_bytes(msgspec.json.encode(site_bundle(version=2)))

        begun = time.monotonic()
        change = asyncio.create_task(changes())
        async with ask("GET", "/v1/sites/hq/bundle", headers=known) as answer:
            assert answer.headers["Preference-Applied"] == "wait=20"
            assert decode(await answer.read()).version == 2
        await change
        assert 0.2 < time.monotonic() - begun < 5
        known = {"If-None-Match": answer.headers["ETag"], "Prefer": "wait=1"}
        async with ask("GET", "/v1/sites/hq/bundle", headers=known) as answer:
            assert answer.status == 304

    with_cloud(tmp_path, script)


def test_a_site_file_broken_later_leaves_the_last_good_bundle(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        (tmp_path / "site.json").write_text("{")
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            assert (answer.status, decode(await answer.read()).version) == (200, 1)

    with_cloud(tmp_path, script)


def test_a_record_is_kept_once_and_its_repeats_counted(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        statuses = []
        for _ in range(3):
            async with put(ask, "r1", caller="1001") as answer:
                statuses.append(answer.status)
        assert statuses == [201, 200, 200]
        async with ask("GET", "/v1/sites/hq/records") as answer:
            listed = await answer.json()
        assert (listed["count"], listed["arrivals"]) == (1, 3)
        assert listed["records"][0]["record"] == {"id": "r1", "caller": "1001"}

    with_cloud(tmp_path, script)


def test_a_repeat_that_differs_is_counted_and_the_first_kept(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        for caller in ("1001", "1002"):
            async with put(ask, "r1", caller=caller):
                pass
        entry = cloud.ledger.entries("hq")[0]
        assert (entry.altered, entry.record["caller"]) == (1, "1001")

    with_cloud(tmp_path, script)


def test_records_outlast_a_restart_of_the_cloud(tmp_path: Path) -> None:
    async def first(cloud: Any, ask: Any) -> None:
        async with put(ask, "r1") as answer:
            assert answer.status == 201

    async def second(cloud: Any, ask: Any) -> None:
        async with put(ask, "r1") as answer:
            assert answer.status == 200

    with_cloud(tmp_path, first)
    with_cloud(tmp_path, second)


def test_a_dropped_answer_leaves_the_record_stored(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("POST", "/control/api", json={"drop_records": 2}) as answer:
            assert answer.status == 200
        # Twice: aiohttp itself repeats a PUT once.
        with pytest.raises(aiohttp.ClientError):
            async with put(ask, "r1"):
                pass
        async with put(ask, "r1") as answer:
            assert answer.status == 200
        assert cloud.ledger.counts() == (1, 3)

    with_cloud(tmp_path, script)


@pytest.mark.parametrize(
    ("key", "body"),
    [("r2", b'{"id": "r1"}'), ("r1", b"{"), ("r1", b'{"id": "r2"}'), ("r1", b"[]")],
)
def test_a_malformed_record_is_refused(tmp_path: Path, key: str, body: bytes) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        headers = {"Idempotency-Key": key}
        async with ask("PUT", "/v1/sites/hq/records/r1", data=body, headers=headers) as answer:
            assert answer.status == 400
            assert answer.content_type == "application/problem+json"

    with_cloud(tmp_path, script)


@pytest.mark.parametrize("path", ["/v1/sites/hq/bundle", "/v1/sites/hq/records", "/control/status"])
def test_nothing_is_told_without_the_right_token(tmp_path: Path, path: str) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        for token in ("", "Bearer ", "Bearer guess"):
            async with ask("GET", path, headers={"Authorization": token}) as answer:
                assert answer.status == 401

    with_cloud(tmp_path, script)


def test_the_site_token_commands_no_failures(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        headers = {"Authorization": f"Bearer {cloud.access.site_token}"}
        order = {"state": "down"}
        async with ask("POST", "/control/zones/primary", json=order, headers=headers) as answer:
            assert answer.status == 401

    with_cloud(tmp_path, script)


def test_another_site_is_not_served(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("GET", "/v1/sites/other/bundle") as answer:
            assert answer.status == 404

    with_cloud(tmp_path, script)


def test_a_failing_api_still_takes_commands(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("POST", "/control/api", json={"failing": True}):
            pass
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            assert answer.status == 503
        async with ask("POST", "/control/api", json={}):
            pass
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            assert answer.status == 200

    with_cloud(tmp_path, script)


def test_a_broken_bundle_is_half_a_bundle(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("POST", "/control/api", json={"broken_bundle": True}):
            pass
        async with ask("GET", "/v1/sites/hq/bundle") as answer:
            assert len(await answer.read()) == len(cloud.site.body) // 2

    with_cloud(tmp_path, script)


@pytest.mark.parametrize("order", [{"state": "asleep"}, {"drop_records": 1}, {}])
def test_an_unknown_order_to_a_zone_is_refused(tmp_path: Path, order: dict[str, Any]) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("POST", "/control/zones/primary", json=order) as answer:
            assert answer.status == 400

    with_cloud(tmp_path, script)


def test_status_tells_of_zones_and_records(tmp_path: Path) -> None:
    async def script(cloud: Any, ask: Any) -> None:
        async with ask("GET", "/control/status") as answer:
            status = await answer.json()
        assert [zone["id"] for zone in status["zones"]] == ["primary", "secondary"]
        assert status["records"] == {"count": 0, "arrivals": 0}

    with_cloud(tmp_path, script)
