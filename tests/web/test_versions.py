"""Configurations from a file, held, released and rolled back: by page, API and role."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.cloud.test_sync import bundle
from tests.web.house import TOKEN, Browser, House, run
from tests.web.test_pages import form


async def upload(browser: Browser, house: House, data: bytes, csrf: str = "") -> tuple[int, str]:
    """Send a file as the page does; return status and what the page says after."""
    fields = aiohttp.FormData()
    fields.add_field("file", data, filename="site.json")
    headers = {"Cookie": browser.cookie, "X-CSRF-Token": csrf or browser.csrf}
    async with house.session.post(
        f"{house.url}/configuration/upload", data=fields, headers=headers
    ) as answer:
        status = answer.status
    _, text = await browser.ask("GET", "/configuration")
    return status, text


def test_a_configuration_comes_by_file_and_its_mistakes_are_told(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        admin = await house.account("zoe", "admin")
        status, text = await upload(admin, house, bundle(1))
        assert (status, "Version 1 is in force now" in text) == (204, True)
        status, text = await upload(admin, house, b'{"version": 2}')
        assert "bundle refused" in text
        assert "Refused" in text
        assert house.sync.state.version == 1
        assert (await upload(admin, house, bundle(2), csrf="guessed"))[0] == 403
        assert house.sync.state.version == 1
        other = await house.account("olga", "operator")
        assert (await upload(other, house, bundle(2)))[0] == 403
        assert "multipart/form-data" not in (await other.ask("GET", "/configuration"))[1]

    run(tmp_path, script)


def test_one_that_takes_much_away_is_held_and_released_on_the_page(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        admin = await house.account("zoe", "admin")
        await upload(admin, house, bundle(1, users=10))
        _, text = await upload(admin, house, bundle(2, users=2))
        assert "Held: version 2" in text
        assert "8 of 10 would be removed" in text
        assert "users.user1005" in text  # what it would change
        assert "from zoe" in text
        status, told = await admin.ask("GET", "/api/v1/issues")
        assert "bundle.held" in [issue["id"] for issue in told]
        auditor = await house.account("ann", "auditor")
        assert "Apply version 2" not in (await auditor.ask("GET", "/configuration"))[1]
        status, there, _ = await form(admin, house, "/configuration/release", version="3")
        assert status == 409
        status, there, _ = await form(admin, house, "/configuration/release", version="2")
        assert (status, there, house.sync.state.version) == (303, "/configuration", 2)
        assert "Held" not in (await admin.ask("GET", "/configuration"))[1]
        noted = [(one.action, one.before, one.after) for one in await house.store.audit(3)]
        assert ("bundle.release", 1, 2) in noted

    run(tmp_path, script)


def test_one_goes_back_on_the_page_and_compares(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        admin = await house.account("zoe", "admin")
        for version in (1, 2, 3):
            await house.sync.offer(bundle(version, users=version + 2))
        _, text = await admin.ask("GET", "/configuration?since=1")
        assert "What changed since version 1" in text
        assert "users.user1005" in text
        assert "Put 1 in force" in text
        await form(admin, house, "/configuration/rollback", version="1")
        _, text = await admin.ask("GET", "/configuration")
        assert "Only a version above 3" in text
        assert "Version 1 is in force again" in text
        issues = [one["id"] for one in (await admin.ask("GET", "/api/v1/issues"))[1]]
        assert "bundle.rolled_back" in issues
        assert (await form(admin, house, "/configuration/rollback", version="x"))[0] == 409

    run(tmp_path, script)


def test_the_api_does_all_of_it(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        local = Browser(house, TOKEN)
        await house.sync.offer(bundle(1, users=10))
        await house.sync.offer(bundle(2, users=9))
        _, told = await local.ask("GET", "/api/v1/bundle/versions")
        assert [one["version"] for one in told] == [1]
        await house.sync.offer(bundle(3, users=1))
        _, told = await local.ask("GET", "/api/v1/bundle/changes?held=true")
        assert told["total"] == 8
        assert (await local.ask("GET", "/api/v1/bundle/changes?since=7"))[0] == 409
        asked = {"version": 3}
        assert (await local.ask("POST", "/api/v1/bundle/held/discard", asked))[0] == 200
        assert (await local.ask("POST", "/api/v1/bundle/held/release", asked))[0] == 409
        status, told = await local.ask("POST", "/api/v1/bundle/rollback", {"version": 1})
        assert (status, told["stored"]["version"], told["stored"]["newest"]) == (200, 1, 2)
        assert (await local.ask("POST", "/api/v1/bundle/rollback", {"version": 0}))[0] == 400

    run(tmp_path, script)
