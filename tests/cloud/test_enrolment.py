"""A one-time token becomes a certificate, which opens the cloud's API and is renewed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from appliance.cloud.client import CloudClient
from appliance.cloud.identity import Renewal, enrol, with_enrolment
from appliance.cloud.reference.control import ask
from appliance.cloud.reference.registry import AskedCertificate, Registry
from appliance.cloud.sync import BundleSync
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings
from tests.cloud.reference_trial import reference_cloud
from tests.fake_core import FakeCore

DAY = 86_400.0


def with_cloud(folder: Path, script: Callable[[Any, Settings], Awaitable[None]]) -> None:
    async def run() -> None:
        async with reference_cloud(folder) as cloud:
            data, access = folder / "data", cloud.access
            data.mkdir()
            made = Settings(data=data, cloud_url=access.url, cloud_ca=Path(access.ca))
            await script(cloud, made)

    asyncio.run(run())


async def token_of(cloud: Any) -> str:
    told = await asyncio.to_thread(ask, cloud.access, "/control/enrolment", {})
    return str(told["token"])


def test_an_enrolled_appliance_needs_no_other_setting(tmp_path: Path) -> None:
    async def script(cloud: Any, settings: Settings) -> None:
        told = await enrol(settings, await token_of(cloud))
        assert (told.site, told.bundle_keys) == ("hq", (cloud.access.bundle_key,))
        found = with_enrolment(Settings(data=settings.data))
        assert (found.cloud_url, found.cloud_site) == (cloud.access.url, "hq")
        assert (settings.data / "cloud" / "client.pem").stat().st_mode & 0o777 == 0o600
        core = FakeCore()
        async with CloudClient(found) as client:
            sync = BundleSync(found, client, core)
            assert await sync.pull()
            assert sync.state.signer
        assert with_enrolment(Settings(data=settings.data, cloud_site="x")).cloud_site == "x"

    with_cloud(tmp_path, script)


def test_a_token_works_once(tmp_path: Path) -> None:
    async def script(cloud: Any, settings: Settings) -> None:
        token = await token_of(cloud)
        await enrol(settings, token)
        for wrong in (token, "guessed", ""):
            with pytest.raises(LocalError, match="wrong, used already or older"):
                await enrol(settings, wrong)

    with_cloud(tmp_path, script)


def test_a_token_is_good_for_a_day() -> None:
    now = 0.0
    nothing: Any = None
    registry = Registry(nothing, "hq", "", lambda: now)
    token = registry.new_token()
    now = DAY + 1
    with pytest.raises(LocalError, match="older than a day"):
        registry.enrol(AskedCertificate(request="", token=token))


def test_without_token_or_certificate_nothing_is_told(tmp_path: Path) -> None:
    async def script(cloud: Any, settings: Settings) -> None:
        async with CloudClient(settings) as client:
            with pytest.raises(Unavailable, match="401"):
                await client.fetch_bundle("hq", [])
            with pytest.raises(LocalError, match="401"):
                await client.renew("hq", "")

    with_cloud(tmp_path, script)


def test_a_certificate_is_renewed_with_a_new_key_when_a_third_is_left(tmp_path: Path) -> None:
    async def script(cloud: Any, settings: Settings) -> None:
        await enrol(settings, await token_of(cloud))
        found = with_enrolment(Settings(data=settings.data))
        file = settings.data / "cloud" / "client.pem"
        first = x509.load_pem_x509_certificate(file.read_bytes())
        begins = first.not_valid_before_utc.timestamp()
        async with CloudClient(found) as client:
            early = Renewal(found, client, lambda: begins + 200 * DAY)
            assert not await early.renew_if_due()
            late = Renewal(found, client, lambda: begins + 300 * DAY)
            assert await late.renew_if_due()
            second = x509.load_pem_x509_certificate(file.read_bytes())
            assert second.serial_number != first.serial_number
            assert second.public_key() != first.public_key()
            assert await client.fetch_bundle("hq", []) is not None
        async with CloudClient(found) as client:
            assert await client.fetch_bundle("hq", []) is not None

    with_cloud(tmp_path, script)


def test_a_broken_enrolment_is_told(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "enrolment.json").write_text("{")
    with pytest.raises(LocalError, match="enrol this appliance again"):
        with_enrolment(Settings(data=tmp_path))
