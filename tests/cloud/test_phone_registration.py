"""Simulated phones register, fail over and come back, against real zones on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.cloud.reference.faults import ZoneOrder
from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_link import Server
from appliance.cloud.reference.phone_settings import PhoneSettings
from tests.cloud.reference_trial import PASSWORD, reference_cloud

SOON = 5.0
Script = Callable[[Any], Awaitable[None]]


def settings(cloud: Any, extension: str = "1001", transport: Any = "UDP", **more: Any) -> Any:
    servers = tuple(
        Server("127.0.0.1", zone.port, transport, zone.id) for zone in cloud.zones.values()
    )
    plain = {
        "extension": extension,
        "domain": "cloud.test",
        "username": f"user{extension}",
        "password": PASSWORD.format(f"user{extension}"),
        "servers": servers,
        "tls": cloud.authority.client_context(),
        "retry": 0.2,
        "answer_timeout": 0.5,
    }
    return PhoneSettings(**{**plain, **more})


@asynccontextmanager
async def switched_on(*configured: PhoneSettings) -> AsyncIterator[list[Phone]]:
    phones = [Phone(each) for each in configured]
    try:
        for phone in phones:
            phone.start()
        yield phones
    finally:
        for phone in phones:
            await phone.stop()


async def registered(phone: Phone, index: int) -> None:
    async with asyncio.timeout(SOON):
        await phone.registration.until(index)


def with_cloud(folder: Path, script: Script) -> None:
    async def run() -> None:
        async with reference_cloud(folder) as cloud:
            await script(cloud)

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_phone_registers_at_its_first_server(
    tmp_path: Path, transport: str, algorithm: Any
) -> None:
    async def script(cloud: Any) -> None:
        wanted = settings(cloud, transport=transport, algorithms=(algorithm,))
        async with switched_on(wanted) as (phone,):
            await registered(phone, 0)
            assert cloud.zones["primary"].status()["users"] == ["user1001"]

    with_cloud(tmp_path, script)


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
def test_it_moves_to_the_next_server_when_the_first_dies(tmp_path: Path, transport: str) -> None:
    async def script(cloud: Any) -> None:
        async with switched_on(settings(cloud, transport=transport, expires=5)) as (phone,):
            await registered(phone, 0)
            await cloud.zones["primary"].command(ZoneOrder(state="down"))
            await registered(phone, 1)
            assert cloud.zones["secondary"].status()["users"] == ["user1001"]

    with_cloud(tmp_path, script)


def test_it_goes_back_by_itself_where_it_is_set_to(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="down"))
        async with switched_on(settings(cloud, transport="TCP", failback=0.2)) as (phone,):
            await registered(phone, 1)
            await cloud.zones["primary"].command(ZoneOrder(state="up"))
            await registered(phone, 0)

    with_cloud(tmp_path, script)


def test_a_server_that_refuses_is_left_alone_for_as_long_as_it_says(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        zone = cloud.zones["primary"]
        await zone.command(ZoneOrder(state="refusing"))
        async with switched_on(settings(cloud, failback=0.1)) as (phone,):
            await registered(phone, 1)
            await asyncio.sleep(0.5)
            assert zone.requests["REGISTER"] == 1
            standing = phone.registration.standings[0]
            assert standing.refusals == {503: 1}
            assert 3 < standing.shunned_until - asyncio.get_running_loop().time() < 5

    with_cloud(tmp_path, script)


def test_a_silent_server_is_given_up_after_the_set_time(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="silent"))
        async with switched_on(settings(cloud)) as (phone,):
            await registered(phone, 1)
            assert "no answer within 0.5 s" in phone.registration.standings[0].last_failure

    with_cloud(tmp_path, script)


def test_a_wrong_password_is_tried_once_and_then_left(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        wrong = settings(cloud, password="wrong")
        async with switched_on(wrong) as (phone,):
            await asyncio.sleep(0.5)
            assert phone.server is None
            assert [each.refusals for each in phone.registration.standings] == [{401: 1}, {401: 1}]
            assert cloud.zones["primary"].requests["REGISTER"] == 2

    with_cloud(tmp_path, script)


def test_nobody_registers_as_somebody_else(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        posing = settings(
            cloud, extension="1002", username="user1001", password=PASSWORD.format("user1001")
        )
        async with switched_on(posing) as (phone,):
            await asyncio.sleep(0.3)
            assert phone.registration.standings[0].refusals == {403: 1}
            assert cloud.zones["primary"].status()["users"] == []

    with_cloud(tmp_path, script)


def test_it_comes_back_before_its_registration_ends(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        async with switched_on(settings(cloud, expires=1)) as (phone,):
            # The zone wants 5 s at least, and says so.
            await registered(phone, 0)
            first = phone.registration.expires_at
            async with asyncio.timeout(SOON):
                while phone.registration.count < 2:
                    await asyncio.sleep(0.05)
            assert phone.registration.expires_at > first
            assert cloud.zones["primary"].status()["registered"] == 1

    with_cloud(tmp_path, script)


def test_a_broken_tls_zone_sends_it_to_the_next(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="tls-broken"))
        async with switched_on(settings(cloud, transport="TLS")) as (phone,):
            await registered(phone, 1)
            assert "expired" in phone.registration.standings[0].last_failure

    with_cloud(tmp_path, script)


def test_several_phones_register_in_one_process(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        extensions = [str(1001 + number) for number in range(4)]
        many = [settings(cloud, extension=each, transport="TCP") for each in extensions]
        async with switched_on(*many) as phones:
            await asyncio.gather(*[registered(phone, 0) for phone in phones])
            assert cloud.zones["primary"].status()["registered"] == 4

    with_cloud(tmp_path, script)
