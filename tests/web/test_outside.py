"""The pages Trunk and Parked & forwarded: what they show, who may change it, and trials."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.fake_core import CALLS, TRUNK
from tests.trunk.outside import trunk_bundle
from tests.web.house import House, run
from tests.web.test_pages import form


async def with_trunk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = trunk_bundle()
    group = bundle.route_groups[0]
    monkeypatch.setitem(TRUNK["sbcs"][0], "route_group", group.id)
    monkeypatch.setitem(TRUNK["stopped"][0], "user", bundle.users[0].id)
    await house.sync.offer(msgspec.json.encode(replace(bundle, version=7)))


def test_the_trunk_shows_each_sbc_its_last_failure_and_who_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(house: House) -> None:
        await with_trunk(house, monkeypatch)
        browser = await house.account("ann", "auditor")
        text = (await browser.ask("GET", "/trunk"))[1].replace("<wbr>", "")
        for shown in ("pstn/sbc1.example.net:5061", "certificate has expired", "0 of 60"):
            assert shown in text
        assert "more than 10 international calls" in text
        assert "does not answer" in text
        assert "Drain" not in text  # an auditor only looks

    run(tmp_path, script)


def test_an_operator_drains_an_sbc_and_releases_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(house: House) -> None:
        await with_trunk(house, monkeypatch)
        browser = await house.account("olga", "operator")
        assert "Drain" in (await browser.ask("GET", "/trunk"))[1]
        sbc = TRUNK["sbcs"][0]["sbc"]
        for act in ("drain", "resume"):
            status, there, _ = await form(browser, house, f"/trunk/{act}", sbc=sbc)
            assert (status, there) == (303, "/trunk")
            assert (f"trunk.{act}", {"sbc": sbc}) in house.core.asked
        await form(browser, house, "/trunk/release", extension="1001")
        assert ("trunk.release", {"extension": "1001"}) in house.core.asked
        noted = [entry.action for entry in await house.store.audit(10)]
        assert {"trunk.drain", "trunk.resume", "trunk.release"} <= set(noted)

    run(tmp_path, script)


def test_dialled_digits_are_tried_by_page_and_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(house: House) -> None:
        await with_trunk(house, monkeypatch)
        browser = await house.account("ann", "auditor")
        _, text = await browser.ask("GET", "/trunk?from=1001&number=1002")
        assert "rings User 1002 (1002) here" in text
        _, text = await browser.ask("GET", "/trunk?from=4444&number=1002")
        assert "no user with the extension" in text
        status, told = await browser.ask("GET", "/api/v1/dial?from=1001&number=1002")
        assert (status, told["kind"]) == (200, "here")
        assert (await browser.ask("GET", "/api/v1/dial?from=1001"))[0] == 400
        assert (await browser.ask("GET", "/api/v1/dial?from=4444&number=1"))[0] == 409

    run(tmp_path, script)


def test_parked_calls_and_forwardings_are_shown_and_undone(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        stamp = {"at": time.time() - 90, "source": "", "to": []}
        house.core.calls = [CALLS[0] | {"parked": "7701", "stamps": [stamp]}, CALLS[0]]
        browser = await house.account("olga", "operator")
        _, text = await browser.ask("GET", "/waiting")
        assert "7701" in text
        assert "1 min" in text
        assert "always off, do not disturb off" in text
        assert "Every user" not in text
        assert "Nobody of that name" in (await browser.ask("GET", "/waiting?search=nobody"))[1]
        assert (await form(browser, house, "/waiting/return", orbit="7701"))[0] == 303
        assert (await form(browser, house, "/waiting/return", orbit="7702"))[0] == 409
        assert (await form(browser, house, "/waiting/reset", extension="1001"))[0] == 303
        assert ("park.return", {"orbit": "7701"}) in house.core.asked
        assert ("forwardings.reset", {"extension": "1001"}) in house.core.asked

    run(tmp_path, script)
