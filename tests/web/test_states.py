"""Pages that have nothing to show, that fail, or that wait for what takes long at a large site."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle, Group
from appliance.web import answers
from tests.cloud.reference_trial import site_bundle
from tests.fake_core import EMERGENCY, STATUS, FakeCore
from tests.web.house import House, run
from tests.web.tour import inner_pages

AT_WORK = 'hx-trigger="load delay:700ms"'
"""With which a page asks for itself once more."""


class SlowCore(FakeCore):
    """Tells readiness only once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def call(self, name: str, /, **arguments: Any) -> Any:
        if name == "readiness.part":
            await self.may.wait()
        return await super().call(name, **arguments)


class EmptyCore(FakeCore):
    """Tells of a site at which there is nothing yet and has been nothing."""

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "status":
            none = {"zones": [], "phones": {"registered": 0, "expected": 0}, "calls": 0}
            none |= {"users": {"registered": 0, "total": 0}, "guard": {"banned": []}}
            return STATUS | none | {"mode": "no_bundle", "bundle": None}
        if name == "emergency":
            nobody = {"ways": [], "safety_team": [], "callbacks": []}
            return EMERGENCY | nobody
        if name == "trunk":
            return {"sbcs": [], "stopped": []}
        if name == "phones.page":
            return {"total": 0, "rows": []}
        if name == "readiness.part":
            return {"lines": [], "next": None}
        lists = ("calls", "peers", "forwardings", "notices", "mode.history", "evidence", "zones")
        return [] if name in lists else super()._answer(name, arguments)


SAID = {
    "/": "There is no configuration yet: no phone could register.",
    "/survivability": "The mode has never changed.",
    "/phones": "There are no users yet: they come with the configuration.",
    "/readiness": "There are no phones yet: they come with the configuration.",
    "/emergency": "No call for help can leave the site.",
    "/trunk": "There is no route group, so no call can leave the site in an outage.",
    "/sites": "The configuration names no other sites",
    "/waiting": "No call is parked.",
    "/calls": "No call is up.",
    "/records": "No call was made through this appliance yet.",
    "/groups": "there is no configuration yet",
    "/directory": "Type a part of a name or of a number",
    "/configuration": "There is no configuration yet, so no phone can register.",
    "/diagnostics": "No run yet",
    "/diagnostics/captures": "Nothing was captured yet.",
    "/system": "Certificates",
    "/system/logs": "Nothing was noticed",
    "/system/access": "No tokens.",
    "/system/audit": "session.begin",
    "/password": "Choose a password",
}
"""What each page says at a site where there is nothing yet."""


def test_every_page_says_what_it_would_show_when_there_is_nothing(tmp_path: Path) -> None:
    pages = [path for path in inner_pages() if "{" not in path]
    assert pages == [path for path in pages if path in SAID], "what does the new page say then?"

    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        for path in pages:
            status, text = await browser.ask("GET", path)
            assert (status, SAID[path] in text) == (200, True), path
            assert not re.search(r"<tbody>\s*</tbody>", text), path

    run(tmp_path, script, EmptyCore())


def test_readiness_says_that_it_is_looked_up_and_then_shows_it(tmp_path: Path) -> None:
    core = SlowCore()

    async def script(house: House) -> None:
        browser = await house.account("zoe", "auditor")
        _, text = await browser.ask("GET", "/readiness")
        assert "Every phone of the site is being looked at." in text
        assert AT_WORK in text
        core.may.set()
        _, text = await browser.ask("GET", "/readiness")
        assert ("not ready" in text, AT_WORK in text) == (True, False)
        asked = [name for name, _ in core.asked if name == "readiness.part"]
        assert len(asked) == 1, "who waits and who comes after are told the same"

    run(tmp_path, script, core)


def test_readiness_fails_as_core_does_and_is_asked_for_again(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "auditor")
        house.core.away = True
        assert (await browser.ask("GET", "/readiness"))[0] == 503
        house.core.away = False
        status, text = await browser.ask("GET", "/readiness")
        assert (status, "not ready" in text) == (200, True)

    run(tmp_path, script)


def test_a_configuration_is_shown_while_its_versions_are_being_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(house: House) -> None:
        browser = await house.account("zoe", "admin")
        for version, users in ((1, 20), (2, 21), (3, 2)):
            await house.sync.offer(msgspec.json.encode(site_bundle(users, version=version)))
        monkeypatch.setattr(answers, "PATIENCE", 0.0)
        status, text = await browser.ask("GET", "/configuration")
        assert (status, "Held: version 3" in text) == (200, True)
        assert "The two versions are being compared." in text
        assert "What it would change is being looked up." in text
        monkeypatch.setattr(answers, "PATIENCE", 5.0)
        _, text = await browser.ask("GET", "/configuration")
        assert ("users.user1021" in text, AT_WORK in text) == (True, False)

    run(tmp_path, script)


def with_groups(number: int) -> Bundle:
    groups = [
        Group(id=f"g{n}", name=f"Team {n}", extension=str(3000 + n), members=("user1001",))
        for n in range(number)
    ]
    return site_bundle(groups=tuple(groups))


def test_of_many_groups_some_are_drawn_and_any_is_found(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        await house.sync.offer(msgspec.json.encode(with_groups(300)))
        browser = await house.account("zoe", "auditor")
        _, text = await browser.ask("GET", "/groups")
        assert "The first 100 of 300" in text
        assert text.count('<article class="card group"') == 100
        assert text.count("<option") == 300
        _, text = await browser.ask("GET", "/groups?search=team 299")
        assert text.count('<article class="card group"') == 1
        assert "No group of that name" in (await browser.ask("GET", "/groups?search=zz"))[1]

    run(tmp_path, script)
