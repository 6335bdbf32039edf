"""Signed bundles, bundles that would take much away, going back, and news that come at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec
import pytest

from appliance.bundle import BundleError, decode
from appliance.bundle.shrinkage import shrinkage
from appliance.cloud.client import CloudClient
from appliance.cloud.signature import PinnedKeys, new_key, read_key, signed
from appliance.cloud.sync import BundleSync
from appliance.errors import LocalError
from tests.cloud.reference_trial import reference_cloud, settings_at, site_bundle
from tests.cloud.test_sync import Trial, bundle, run
from tests.fake_core import FakeCore

PEM, PUBLIC = new_key()
KEY = read_key(PEM)
OTHER = read_key(new_key()[0])


def pinned(t: Trial) -> None:
    t.settings = msgspec.structs.replace(t.settings, bundle_keys=(PUBLIC,))
    t.restart()


def test_a_signed_bundle_is_taken_and_kept_with_its_signature(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        pinned(t)
        t.serve(signed(bundle(1), KEY))
        assert await t.sync.pull()
        assert t.served == (1, 1)
        assert t.file.read_bytes().startswith(b"holdfast-signature: ed25519 ")
        assert len(t.sync.state.signer) == 16
        t.restart()
        assert len(t.sync.state.signer) == 16

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bundle(2), "not signed"),
        (signed(bundle(2), OTHER), "none of the pinned keys"),
        (signed(bundle(2), KEY).replace(b'"HQ"', b'"Hq"'), "none of the pinned keys"),
        (b"holdfast-signature: ed25519 %%\n" + bundle(2), "not base64"),
    ],
    ids=["unsigned", "another key", "changed on the way", "no base64"],
)
def test_what_is_not_signed_by_a_pinned_key_is_refused_by_every_way(
    tmp_path: Path, data: bytes, words: str
) -> None:
    async def script(t: Trial) -> None:
        pinned(t)
        await t.sync.offer(signed(bundle(1), KEY))
        t.serve(data, '"bad"')
        with pytest.raises(BundleError, match=words):
            await t.sync.pull()
        with pytest.raises(BundleError, match=words):
            await t.sync.offer(data)
        assert t.served == (1, 1)
        assert t.sync.state.problems[0].path == "signature"

    run(tmp_path, script)


def test_a_key_that_is_none_is_told_by_name() -> None:
    for wrong in ("", "abc", "//8="):
        with pytest.raises(LocalError, match="bundle_keys"):
            PinnedKeys([wrong])


def test_what_would_be_removed_is_counted_by_name_not_by_number() -> None:
    old = site_bundle(4)
    other = msgspec.structs.replace(old, users=site_bundle(8).users[4:])
    assert shrinkage(old, old, 0.5) == []
    assert shrinkage(old, site_bundle(2), 0.5) == []
    assert [one.path for one in shrinkage(old, site_bundle(1), 0.5)] == ["users"]
    (found,) = shrinkage(old, other, 0.5)
    assert found.text == "4 of 4 would be removed"


def test_a_bundle_that_takes_much_away_waits_for_an_admin(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        t.serve(bundle(1, users=10))
        await t.sync.pull()
        t.serve(bundle(2, users=4), '"2"')
        assert not await t.sync.pull()
        assert t.served == (1, 1)
        held = t.sync.state.held
        assert held is not None
        assert (held.version, held.origin, held.reasons[0].path) == (2, "cloud", "users")
        assert not await t.sync.pull()  # it is not sent a second time
        assert '"2"' in t.cloud.asked[-1].headers["If-None-Match"]
        t.restart()
        assert t.sync.state.held == held
        with pytest.raises(LocalError, match="version 3 is not held; version 2 is"):
            await t.sync.release(3)
        await t.sync.release(2)
        assert (t.served, t.sync.state.held) == ((2, 2), None)
        assert [kept.version for kept in t.sync.versions()] == [1]

    run(tmp_path, script)


def test_a_held_bundle_that_is_not_wanted_is_not_fetched_again(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        await t.sync.offer(bundle(1, users=10))
        t.serve(bundle(2, users=4), '"2"')
        await t.sync.pull()
        await t.sync.discard(2)
        t.restart()
        assert not await t.sync.pull()
        assert t.sync.state.held is None
        t.serve(bundle(3, users=9), '"3"')
        assert await t.sync.pull()
        assert t.served == (3, 3)

    run(tmp_path, script)


def test_a_later_good_bundle_ends_the_wait(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        await t.sync.offer(bundle(1, users=10))
        assert not await t.sync.offer(bundle(2, users=1), "zoe")
        assert t.sync.state.held is not None
        assert await t.sync.offer(bundle(3, users=10))
        assert t.sync.state.held is None
        with pytest.raises(LocalError, match="none is"):
            await t.sync.release(2)

    run(tmp_path, script)


def test_one_goes_back_and_the_cloud_does_not_undo_it(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        for version in (1, 2, 3):
            t.serve(bundle(version, users=3 + version), f'"{version}"')
            await t.sync.pull()
        await t.sync.roll_back(2)
        assert t.served == (2, 2)
        assert (t.sync.state.version, t.sync.state.newest) == (2, 3)
        t.restart()  # nothing is known by its ETag now
        assert not await t.sync.pull()
        await t.sync.settle()
        assert t.served == (2, 2)
        with pytest.raises(BundleError, match="older than 3"):
            await t.sync.offer(bundle(1))
        t.serve(bundle(4, users=4), '"4"')
        assert await t.sync.pull()
        assert (t.served, t.sync.state.newest) == ((4, 4), 4)
        with pytest.raises(LocalError, match="version 9 is not kept here; there are: 2, 3, 1"):
            await t.sync.roll_back(9)

    run(tmp_path, script)


def test_going_back_while_core_is_away_reaches_it_later(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        await t.sync.offer(bundle(1))
        await t.sync.offer(bundle(2))
        t.core.away = True
        await t.sync.roll_back(1)
        t.core.away = False
        await t.sync.settle()
        assert t.served == (1, 1)

    run(tmp_path, script)


def test_ten_versions_are_kept_and_no_more(tmp_path: Path) -> None:
    async def script(t: Trial) -> None:
        for version in range(1, 14):
            await t.sync.offer(bundle(version))
        assert [kept.version for kept in t.sync.versions()] == list(range(12, 2, -1))
        names = {path.name for path in (tmp_path / "bundles").iterdir()}
        assert names == {"index.json", *(f"{version}.json" for version in range(3, 13))}

    run(tmp_path, script)


def test_what_changes_in_the_cloud_is_in_force_within_five_seconds(tmp_path: Path) -> None:
    async def script() -> None:
        async with reference_cloud(tmp_path) as cloud:
            made = settings_at(
                cloud, tmp_path, cloud_pull_interval=3600.0, bundle_keys=(cloud.access.bundle_key,)
            )
            core = FakeCore()
            async with CloudClient(made) as client:
                sync = BundleSync(made, client, core)
                loop = asyncio.create_task(sync.run())
                await _until(lambda: core.version == 1)
                await asyncio.sleep(0.3)
                (tmp_path / "site.json").write_bytes(msgspec.json.encode(site_bundle(version=2)))
                begun = time.monotonic()
                await _until(lambda: core.version == sync.state.version == 2)
                assert time.monotonic() - begun < 5
                assert sync.state.signer
                loop.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await loop
            assert decode(made.bundle_file.read_bytes()).version == 2

    asyncio.run(script())


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)
