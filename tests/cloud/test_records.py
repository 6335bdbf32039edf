"""Call records on their way to the cloud: each arrives, and none is counted twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from appliance.cloud.client import CloudClient
from appliance.cloud.records import BATCH, CONCURRENCY, REFUSED_RETRY, RecordUpload
from appliance.cloud.reference.control import ask
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings
from tests.cloud.reference_trial import reference_cloud
from tests.cloud.small_cloud import SmallCloud, hang_up, settings, small_cloud, status
from tests.fake_core import FakeCore, record


class Trial:
    def __init__(self, folder: Path, cloud: SmallCloud, count: int) -> None:
        self.cloud = cloud
        self.core = FakeCore()
        self.core.waiting = [record(f"call-{number}") for number in range(count)]
        self.client = CloudClient(settings(folder, cloud))
        self.now = 100.0
        self.restart()

    def restart(self) -> None:
        self.upload = RecordUpload(
            self.client, self.core, wall=lambda: 5000.0, clock=lambda: self.now
        )

    @property
    def acknowledged(self) -> set[str]:
        return {one.id for one in self.core.done}


def run(folder: Path, script: Callable[[Trial], Awaitable[None]], count: int = 3) -> None:
    async def whole() -> None:
        async with small_cloud() as cloud:
            trial = Trial(folder, cloud, count)
            async with trial.client:
                await script(trial)

    asyncio.run(whole())


def test_in_standby_everything_goes_up_and_is_acknowledged(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        assert await t.upload.upload() == 3
        assert set(t.cloud.records) == t.acknowledged == {"call-0", "call-1", "call-2"}
        assert t.cloud.records["call-0"]["mode"] == "survivability"
        assert t.cloud.asked[0].path == "/v1/sites/hq/records/call-0"
        assert (t.upload.state.uploaded, t.upload.state.uploaded_at) == (3, 5000.0)

    run(tmp_path, script)


def test_the_cloud_learns_how_a_call_was_heard(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        quality = {"source": "rtcp", "codec": "PCMU", "loss": 0.05, "delay": 0.02, "mos": 3.9}
        t.core.waiting = [record("heard", from_callee={"packets": 900, "quality": quality})]
        assert await t.upload.upload() == 1
        kept = t.cloud.records["heard"]
        assert kept["from_callee"]["quality"].items() >= quality.items()
        assert kept["from_callee"]["quality"]["jitter"] is None
        assert kept["from_caller"]["quality"] is None

    run(tmp_path, script)


@pytest.mark.parametrize("mode", ["survivability", "recovering", "testing", "no_bundle"])
def test_in_any_other_mode_records_wait(tmp_path: Path, mode: str) -> None:
    async def script(t: Trial) -> None:
        t.core.mode = mode
        assert await t.upload.upload() == 0
        assert not t.cloud.asked

    run(tmp_path, script)


def test_many_batches_go_in_one_turn(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        assert await t.upload.upload() == BATCH + 50
        assert len(t.cloud.arrivals) == BATCH + 50
        assert not t.core.waiting

    run(tmp_path, script, BATCH + 50)


def test_an_answer_that_is_cut_is_asked_for_again_under_the_same_key(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [hang_up] * 2
        while t.core.waiting:
            try:
                await t.upload.upload()
            except Unavailable:
                continue
        assert t.acknowledged == {"call-0"}
        assert t.cloud.arrivals == ["call-0"] * len(t.cloud.arrivals)
        assert len(t.cloud.arrivals) >= 2
        assert len(t.cloud.records) == 1

    run(tmp_path, script, 1)


def test_nothing_is_acknowledged_that_the_cloud_did_not_confirm(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [status(503), status(503), status(503)]
        with pytest.raises(Unavailable):
            await t.upload.upload()
        assert not t.acknowledged
        assert len(t.core.waiting) == 3

    run(tmp_path, script)


def test_what_went_up_before_a_failure_is_acknowledged(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [status(201)] * 10 + [status(500)] * CONCURRENCY
        with pytest.raises(Unavailable, match="500"):
            await t.upload.upload()
        assert len(t.acknowledged) == 10
        t.cloud.answers = []
        await t.upload.upload()
        assert len(t.acknowledged) == 20

    run(tmp_path, script, 20)


def test_a_failing_cloud_is_not_asked_for_every_record(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [status(503)] * 100
        with pytest.raises(Unavailable):
            await t.upload.upload()
        assert len(t.cloud.asked) <= CONCURRENCY

    run(tmp_path, script, 100)


async def lose_the_acknowledgement(t: Trial) -> None:
    """Have the cloud take a record, and core be away at that moment."""

    async def take_core_away(request: web.Request) -> web.StreamResponse:
        t.core.away = True
        return web.Response(status=201)

    t.cloud.answers = [take_core_away]
    with pytest.raises(Unavailable):
        await t.upload.upload()
    t.core.away = False


def test_a_core_that_was_away_at_the_acknowledgement_is_told_later(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        await lose_the_acknowledgement(t)
        await t.upload.upload()
        assert t.cloud.arrivals == ["call-0"]
        assert t.acknowledged == {"call-0"}

    run(tmp_path, script, 1)


def test_when_we_are_killed_before_the_acknowledgement_the_cloud_still_counts_once(
    tmp_path: Path,
) -> None:
    async def script(t: Trial) -> None:
        await lose_the_acknowledgement(t)
        t.restart()
        await t.upload.upload()
        assert t.cloud.arrivals == ["call-0", "call-0"]
        assert list(t.cloud.records) == ["call-0"]
        assert not t.core.waiting

    run(tmp_path, script, 1)


def test_a_record_that_the_cloud_refuses_blocks_no_other_and_is_tried_later(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [status(400, "no such site"), status(201), status(201)]
        assert await t.upload.upload() == 2
        [(name, reason)] = t.upload.state.refused.items()
        assert "400 Bad Request: 'no such site'" in reason
        assert [one.id for one in t.core.waiting] == [name]
        assert await t.upload.upload() == 0
        t.now += REFUSED_RETRY
        assert await t.upload.upload() == 1
        assert (t.upload.state.refused, t.core.waiting) == ({}, [])

    run(tmp_path, script)


def test_a_core_that_forgets_acknowledgements_does_not_make_us_spin(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.core._uploaded = lambda ids: None  # type: ignore[method-assign]
        with pytest.raises(LocalError, match="acknowledged"):
            await t.upload.upload()
        assert len(t.cloud.asked) == 3

    run(tmp_path, script)


def test_the_loop_survives_failures_and_says_so(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.core.away = True
        loop = asyncio.create_task(t.upload.run())
        async with asyncio.timeout(5):
            while not t.upload.state.failure:
                await asyncio.sleep(0.005)
            t.core.away = False
            while t.core.waiting or t.upload.state.failure:
                await asyncio.sleep(0.005)
        loop.cancel()
        assert t.upload.state.failing_since is None

    run(tmp_path, script)


def test_the_reference_cloud_counts_each_record_once_whatever_is_cut(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path) as cloud:
            access = cloud.access
            made = Settings(
                data=tmp_path,
                cloud_url=access.url,
                cloud_token=access.site_token,
                cloud_ca=Path(access.ca),
            )
            core = FakeCore()
            core.waiting = [record(f"call-{number}") for number in range(30)]
            await asyncio.to_thread(ask, access, "/control/api", {"drop_records": 7})
            async with CloudClient(made) as client:
                upload = RecordUpload(client, core)
                while core.waiting:
                    try:
                        await upload.upload()
                    except Unavailable:
                        continue
            entries = cloud.ledger.entries("hq")
            assert len(entries) == 30
            assert sum(entry.arrivals for entry in entries) == 37
            assert not any(entry.altered for entry in entries)

    asyncio.run(script())
