"""Bundles on their way from the cloud to our file and core: the last good one always stays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from appliance.bundle import BUNDLE_LIMIT, BundleError, decode
from appliance.cloud.client import CloudClient
from appliance.cloud.sync import BundleSync
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings
from tests.cloud.reference_trial import reference_cloud, settings_at, site_bundle
from tests.cloud.small_cloud import SmallCloud, settings, small_cloud, status
from tests.fake_core import FakeCore


def bundle(version: int = 1, users: int = 4) -> bytes:
    return msgspec.json.encode(site_bundle(users, version=version))


class Trial:
    """A cloud, a core, and what is between them."""

    def __init__(self, folder: Path, cloud: SmallCloud) -> None:
        self.settings = settings(folder, cloud, cloud_site="hq", cloud_pull_interval=0.01)
        self.cloud = cloud
        self.core = FakeCore()
        self.client = CloudClient(self.settings)
        self.file = self.settings.bundle_file
        self.restart()

    def restart(self) -> None:
        self.sync = BundleSync(self.settings, self.client, self.core, wall=lambda: 5000.0)

    def serve(self, data: bytes, etag: str = '"1"') -> None:
        self.cloud.bundle, self.cloud.etag = data, etag

    @property
    def served(self) -> tuple[int | None, int]:
        """Versions in core and in the file."""
        return self.core.version, decode(self.file.read_bytes()).version


@asynccontextmanager
async def trial(folder: Path) -> AsyncIterator[Trial]:
    async with small_cloud() as cloud:
        made = Trial(folder, cloud)
        async with made.client:
            yield made


def run(folder: Path, script: Callable[[Trial], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with trial(folder) as made:
            await script(made)

    asyncio.run(whole())


def test_a_first_bundle_reaches_core_and_the_file(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(3))
        assert await t.sync.pull()
        assert t.served == (3, 3)
        assert (t.sync.state.version, t.sync.state.site, t.sync.state.in_core) == (3, "hq", True)
        assert t.cloud.asked[0].headers["Authorization"] == "Bearer token-of-hq"
        assert t.cloud.asked[0].path == "/v1/sites/hq/bundle"

    run(tmp_path, script)


def test_the_file_is_for_our_user_and_group_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle())
        await t.sync.pull()
        assert t.file.stat().st_mode & 0o777 == 0o640 & ~_umask()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.json", "bundles"]

    run(tmp_path, script)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_unchanged_bundle_is_not_sent_again(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle())
        await t.sync.pull()
        assert not await t.sync.pull()
        assert t.cloud.asked[1].headers["If-None-Match"] == '"1"'

    run(tmp_path, script)


def test_a_newer_bundle_takes_over(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        t.serve(bundle(2, users=5), '"2"')
        assert await t.sync.pull()
        assert t.served == (2, 2)

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"", ""),
        (bundle(2)[:-10], ""),
        (b'{"version": 2}', "site"),
        (msgspec.json.encode(site_bundle(version=2, emergency_numbers=("1001",))), None),
        (bundle(1, users=5), "version"),
        (bundle(2).replace(b'"id":"hq"', b'"id":"other"'), "site.id"),
    ],
    ids=["empty", "truncated", "incomplete", "contradicting", "same version", "other site"],
)
def test_what_must_not_be_used_leaves_the_last_good_one(
    tmp_path: Path, data: bytes, path: str | None
) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        t.serve(data, '"bad"')
        with pytest.raises(BundleError):
            await t.sync.pull()
        assert t.served == (1, 1)
        assert t.sync.state.problems
        assert path is None or t.sync.state.problems[0].path == path
        assert t.sync.state.refused_at == 5000.0

    run(tmp_path, script)


def test_an_older_version_is_refused(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(7))
        await t.sync.pull()
        t.serve(bundle(6), '"old"')
        with pytest.raises(BundleError, match="version: 6 is older than 7, which stays"):
            await t.sync.pull()
        assert t.served == (7, 7)
        assert t.sync.state.refused_version == 6

    run(tmp_path, script)


def test_a_refused_bundle_is_not_fetched_every_time_and_its_problems_stay(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        t.serve(b"{}", '"bad"')
        with pytest.raises(BundleError):
            await t.sync.pull()
        assert not await t.sync.pull()
        assert t.cloud.asked[-1].headers["If-None-Match"] == '"1", "bad"'
        assert [problem.path for problem in t.sync.state.problems] == ["version", "site", "zones"]

    run(tmp_path, script)


def test_by_hand_a_refused_bundle_is_looked_at_again(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(b"{}", '"bad"')
        for _ in range(2):
            with pytest.raises(BundleError):
                await t.sync.pull(again=True)
        t.serve(bundle(1), '"good"')
        assert await t.sync.pull()
        assert not t.sync.state.problems

    run(tmp_path, script)


def test_a_bundle_that_core_refuses_never_becomes_the_one_we_start_from(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        t.core.refusal = "the zones make no sense to me"
        t.serve(bundle(2), '"2"')
        with pytest.raises(LocalError, match="make no sense"):
            await t.sync.pull()
        assert t.served == (1, 1)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.json", "bundles"]
        assert t.sync.state.problems[0].text == "the zones make no sense to me"

    run(tmp_path, script)


def test_a_bundle_that_comes_while_core_is_away_waits_for_it(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.core.away = True
        t.serve(bundle(2))
        assert await t.sync.pull()
        assert (t.core.version, t.sync.state.in_core) == (None, False)
        await t.sync.settle()
        assert "is it running?" in t.sync.state.core_failure
        t.core.away = False
        await t.sync.settle()
        assert t.served == (2, 2)
        assert t.sync.state.in_core

    run(tmp_path, script)


def test_a_core_that_restarted_with_an_old_bundle_is_given_the_new_one(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(2))
        await t.sync.pull()
        t.core.version = 1
        await t.sync.settle()
        assert t.core.version == 2
        t.core.version = 3
        t.core.asked.clear()
        await t.sync.settle()
        assert [name for name, _ in t.core.asked] == ["bundle.info"]

    run(tmp_path, script)


def test_after_a_restart_the_last_good_bundle_counts(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(5))
        await t.sync.pull()
        t.restart()
        assert t.sync.state.version == 5
        t.serve(bundle(4), '"old"')
        with pytest.raises(BundleError, match="4 is older than 5"):
            await t.sync.pull()
        t.serve(b"\n " + bundle(5), '"same"')
        assert not await t.sync.pull()

    run(tmp_path, script)


def test_a_broken_file_is_told_and_replaced(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.file.write_bytes(b'{"version": 1')
        t.restart()
        assert "ends too early" in t.sync.state.failure
        t.serve(bundle(1))
        assert await t.sync.pull()
        assert t.served == (1, 1)

    run(tmp_path, script)


def test_a_cloud_that_is_away_changes_nothing_but_the_state(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        t.cloud.answers = [status(503, "busy")]
        with pytest.raises(Unavailable, match="503 Service Unavailable: 'busy'"):
            await t.sync.pull()
        assert t.sync.state.failing_since == 5000.0
        await t.sync.pull()
        assert not t.sync.state.failure

    run(tmp_path, script)


def test_a_wrong_token_is_told_with_what_to_do(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.cloud.answers = [status(401)]
        with pytest.raises(Unavailable, match="401 Unauthorized; check cloud_token"):
            await t.sync.pull()
        assert "token-of-hq" not in str(t.sync.state)

    run(tmp_path, script)


def test_a_body_without_end_is_cut_at_the_limit(tmp_path: Path) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while sent < 2 * BUNDLE_LIMIT:
            sent += 1 << 22
            await answer.write(b" " * (1 << 22))
        return answer

    async def script(t: Trial) -> None:
        t.cloud.answers = [endless]
        with pytest.raises(Unavailable, match="larger than 67,108,864 bytes"):
            await t.sync.pull()

    run(tmp_path, script)
    assert sent < 2 * BUNDLE_LIMIT


def test_a_redirect_is_not_followed_with_our_token(tmp_path: Path) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async def script(t: Trial) -> None:
        t.cloud.answers = [away]
        with pytest.raises(Unavailable, match="302"):
            await t.sync.pull()
        assert len(t.cloud.asked) == 1

    run(tmp_path, script)


@pytest.mark.parametrize("url", ["http://cloud.example.com", "cloud.example.com", "ftp://x", "/x"])
def test_a_url_that_would_show_the_token_is_refused(tmp_path: Path, url: str) -> None:
    cloud = SmallCloud()
    cloud.url = url
    with pytest.raises(LocalError, match="begins with https://"):
        CloudClient(settings(tmp_path, cloud))


def test_a_bundle_from_an_admin_takes_the_same_way(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        assert await t.sync.offer(bundle(1))
        assert not await t.sync.offer(bundle(1))
        with pytest.raises(BundleError):
            await t.sync.offer(b"[]")
        assert t.served == (1, 1)

    run(tmp_path, script)


def test_a_full_disk_keeps_the_old_bundle_and_is_no_fault_of_the_new(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        await t.sync.pull()
        (tmp_path / "bundle.candidate.json").mkdir()
        (tmp_path / "bundle.candidate.json" / "x").touch()
        t.serve(bundle(2), '"2"')
        with pytest.raises(Unavailable, match="cannot be written"):
            await t.sync.pull()
        assert t.served == (1, 1)
        assert not t.sync.state.problems

    run(tmp_path, script)


def test_the_loop_pulls_again_and_again_through_failures(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1))
        t.cloud.answers = [status(500)]
        loop = asyncio.create_task(t.sync.run())
        async with asyncio.timeout(5):
            while t.core.version != 1 or len(t.cloud.asked) < 4:
                await asyncio.sleep(0.005)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop

    run(tmp_path, script)


def test_when_the_cloud_answered_last_outlives_a_restart(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle())
        await t.sync.pull()
        t.restart()
        assert t.sync.state.asked_at == 5000.0
        assert not await t.sync.pull()
        index = tmp_path / "bundles" / "index.json"
        written = index.stat().st_mtime_ns
        await t.sync.pull()
        assert index.stat().st_mtime_ns == written  # once an hour is enough

    run(tmp_path, script)


def test_the_reference_cloud_and_we_agree(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path) as cloud:
            made = settings_at(cloud, tmp_path)
            core = FakeCore()
            async with CloudClient(made) as client:
                sync = BundleSync(made, client, core)
                assert await sync.pull()
                assert core.version == 1
                assert not await sync.pull()

    asyncio.run(script())


def test_a_cloud_with_an_unknown_certificate_is_not_spoken_to(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path) as cloud:
            made = Settings(data=tmp_path, cloud_site="hq", cloud_url=cloud.access.url)
            async with CloudClient(made) as client:
                with pytest.raises(Unavailable, match="certificate verify failed"):
                    await client.fetch_bundle("hq", [])

    asyncio.run(script())
