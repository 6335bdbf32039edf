"""What people do, in Debian's Chromium; nothing comes from elsewhere, and all can use it."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from appliance.diagnostics.check import Outcome, Surroundings
from tests.fake_core import STATUS, FakeCore
from tests.web.chromium import NEEDED, browser
from tests.web.house import PASSWORD, House, serve
from tests.web.pictured import PicturedCore
from tests.web.shots import PAGES, bring
from tests.web.test_states import EmptyCore
from tests.web.tour import inner_pages

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
UNREACHED = """() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, summary"
)].filter(one => one.checkVisibility() && !one.disabled).filter(one => {
    one.focus();
    const seen = getComputedStyle(one).outlineStyle !== "none";
    return document.activeElement !== one || one.tabIndex !== 0 || !seen;
}).map(one => one.outerHTML)"""
"""What one clicks or types into that the keyboard does not come to, or that does not show it."""
__all__ = ["browser"]

pytestmark = NEEDED


class Served:
    """A house in a thread of its own."""

    def __init__(
        self,
        core: FakeCore,
        furnish: Callable[[House], Awaitable[None]] | None = bring,
    ) -> None:
        self._core, self._furnish = core, furnish
        self.ready, self.over = threading.Event(), threading.Event()
        self.house: House
        self.loop: asyncio.AbstractEventLoop
        self.first = ""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self.ready.wait(20)

    def _serve(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(serve(Path(folder), self._wait, self._core))

    async def _wait(self, house: House) -> None:
        self.house, self.loop = house, asyncio.get_running_loop()
        if self._furnish is not None:
            await self._furnish(house)
        self.first = house.first_password()
        await house.account("root", "admin")
        await house.account("olga", "operator")
        await house.account("ann", "auditor")
        house.examiner.start((), "olga")
        await house.examiner.done()
        self.ready.set()
        while not self.over.is_set():
            await asyncio.sleep(0.05)

    def status(self, **changes: Any) -> None:
        """Have the core tell something else from now on."""
        self.house.core.status = self.house.core.status | changes

    def close(self) -> None:
        self.over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served(PicturedCore())
    yield made
    made.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(ignore_https_errors=True)
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


class Watch:
    """What a page must never do: ask another host, break its policy, or fail."""

    def __init__(self, page: Page, url: str) -> None:
        self.wrong: list[str] = []
        page.on("request", lambda one: self._asked(one.url, url))
        page.on("console", lambda one: self._said(one.type, one.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _asked(self, there: str, ours: str) -> None:
        if not there.startswith(ours):
            self.wrong.append(f"asked {there}")

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and "status of 4" not in text and "status of 5" not in text:
            self.wrong.append(text)


def log_in(context: BrowserContext, served: Served, name: str) -> Page:
    page = context.new_page()
    page.goto(f"{served.house.url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#mode")).not_to_be_empty()
    return page


def test_the_first_log_in_of_all(context: BrowserContext, served: Served) -> None:
    page = context.new_page()
    watch = Watch(page, served.house.url)
    page.goto(served.house.url)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(served.first)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Present password").fill(served.first)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The new one again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()
    assert not served.house.password_file.exists()
    assert not watch.wrong


def test_an_outage_is_seen_on_the_dashboard_without_a_reload(
    context: BrowserContext, served: Served
) -> None:
    before = served.house.core.status
    page = log_in(context, served, "ann")
    watch = Watch(page, served.house.url)
    expect(page.locator("#mode")).to_have_text("Standby")
    page.evaluate("window.sameDocument = true")
    down = STATUS["zones"][0] | {"state": "down", "last_failure": {"layer": "dns", "text": "dead"}}
    served.status(mode="survivability", reason="every zone is down", zones=[down])
    expect(page.locator("#mode")).to_have_text("Survivability", timeout=5000)
    expect(page.get_by_role("heading", name="Serving the site")).to_be_visible()
    expect(page.get_by_text("Check the site's DNS servers")).to_be_visible()
    served.status(phones={"registered": 77, "expected": 84})
    expect(page.get_by_text("77 of 84 phones are here")).to_be_visible()
    served.house.core.status = before
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
    assert not watch.wrong


def test_core_going_away_is_said_and_its_return_as_well(
    context: BrowserContext, served: Served
) -> None:
    page = log_in(context, served, "ann")
    served.house.core.away = True
    expect(page.get_by_role("heading", name="Not ready")).to_be_visible()
    served.house.core.away = False
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()


def test_a_test_is_begun_and_ended(context: BrowserContext, served: Served) -> None:
    page = log_in(context, served, "olga")
    page.get_by_role("link", name="Survivability", exact=True).click()
    page.get_by_label("Extensions, phone ids").fill("1001, 7000")
    page.get_by_label("Minutes").fill("10")
    page.get_by_role("button", name="Begin the test").click()
    expect(page.get_by_text("The test has begun.")).to_be_visible()
    begun = ("test.begin", {"seconds": 600.0, "who": ["1001", "7000"], "by": "olga"})
    assert begun in served.house.core.asked
    page.get_by_role("button", name="End the test now").click()
    expect(page.get_by_text("The test is over")).to_be_visible()


def test_checks_are_run_and_seen_at_work_and_the_report_is_taken_home(
    context: BrowserContext, served: Served
) -> None:
    page = log_in(context, served, "olga")
    watch = Watch(page, served.house.url)
    page.get_by_role("link", name="Diagnostics", exact=True).click()
    held, slow = threading.Event(), served.house.examiner._checks["cloud"]

    async def wait(around: Surroundings) -> Outcome:
        while not held.is_set():
            await asyncio.sleep(0.02)
        return await slow.run(around)

    served.house.examiner._checks["cloud"] = replace(slow, limit=20.0, run=wait)
    try:
        page.get_by_role("button", name="Run all checks").click()
        expect(page.get_by_text("3 of 4 done; now: cloud")).to_be_visible()
        expect(page.get_by_role("button", name="Run all checks")).to_have_count(0)
        held.set()
        expect(page.get_by_text("1 wrong, 1 see to, 1 well, 1 not needed")).to_be_visible()
    finally:
        served.house.examiner._checks["cloud"] = slow
    expect(page.get_by_text("Let the port out in the firewall")).to_be_visible()
    page.locator("#evidence-zones summary").click()
    expect(page.get_by_text("192.0.2.80:5091: connection refused")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download the report").click()
    text = Path(taken.value.path()).read_text()
    assert "[wrong] Zones of the cloud: The port of zone primary is reset by a firewall" in text
    page.get_by_role("button", name="Run Certificates").click()
    expect(page.get_by_text("by olga: 1 see to")).to_be_visible()
    assert not watch.wrong


def test_what_was_found_of_a_zone_stands_on_the_page_of_the_mode(
    context: BrowserContext, served: Served
) -> None:
    page = log_in(context, served, "ann")
    page.goto(f"{served.house.url}/survivability")
    page.get_by_text("The certificate of zone primary has expired.").click()
    expect(page.get_by_text("Ask the cloud's operator for a new one.")).to_be_visible()
    expect(page.get_by_text("192.0.2.80:5091: certificate has expired")).to_be_visible()
    page.goto(f"{served.house.url}/diagnostics")
    expect(page.get_by_role("button", name="Run all checks")).to_have_count(0)


def test_a_group_is_tried(context: BrowserContext, served: Served) -> None:
    page = log_in(context, served, "ann")
    page.get_by_role("link", name="Groups", exact=True).click()
    page.locator("select[name=group]").select_option("7090")
    page.get_by_label("Keys pressed").fill("1")
    page.get_by_label("When").fill("2026-11-30T10:00")
    page.get_by_label("Who answers").fill("1004")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("answered by 1004")).to_be_visible()


def test_phones_are_found_while_typing(context: BrowserContext, served: Served) -> None:
    page = log_in(context, served, "ann")
    page.get_by_role("link", name="Phones & users").click()
    page.get_by_label("Search").press_sequentially("ana", delay=20)
    expect(page).to_have_url(f"{served.house.url}/phones?search=ana&state=")
    assert any(
        name == "phones.page" and asked["search"] == "ana"
        for name, asked in served.house.core.asked
    )


def test_an_auditor_is_offered_nothing_he_may_not_do(
    context: BrowserContext, served: Served
) -> None:
    page = log_in(context, served, "ann")
    page.goto(f"{served.house.url}/survivability")
    expect(page.get_by_role("button", name="Begin the test")).to_have_count(0)
    page.goto(f"{served.house.url}/system/access")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()


def test_the_keyboard_is_enough(context: BrowserContext, served: Served) -> None:
    page = log_in(context, served, "ann")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_read_and_use_every_page(
    browser: Browser, served: Served, scheme: Any, width: int
) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(
        ignore_https_errors=True, viewport=size, color_scheme=scheme, bypass_csp=True
    )  # axe itself is put into the page, which the policy forbids, as it should
    page = log_in(context, served, "root")
    watch = Watch(page, served.house.url)
    for path in PAGES.values():
        look_at(page, served.house.url + path, width)
    assert not watch.wrong
    context.close()


def look_at(page: Page, there: str, width: int) -> None:
    """Open a page: all can read it, nothing is beyond the edge, and the keyboard is enough."""
    page.goto(there)
    page.add_script_tag(path=str(AXE))
    found = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))"
    )
    assert found == [], there
    assert page.evaluate("document.documentElement.scrollWidth") <= width, there
    page.keyboard.press("Tab")  # from now on the browser shows where the focus is
    assert page.evaluate(UNREACHED) == [], there


@pytest.mark.parametrize("away", [False, True], ids=["nothing", "no-core"])
def test_pages_that_have_nothing_to_show_can_be_read_as_well(browser: Browser, away: bool) -> None:
    bare = Served(EmptyCore(), furnish=None)
    context = browser.new_context(
        ignore_https_errors=True, viewport={"width": 360, "height": 800}, bypass_csp=True
    )
    try:
        page = log_in(context, bare, "root")
        watch = Watch(page, bare.house.url)
        bare.house.core.away = away
        for path in inner_pages():
            if "{" not in path:
                look_at(page, bare.house.url + path, 360)
        assert not watch.wrong
    finally:
        context.close()
        bare.close()


def test_no_page_breaks_its_policy(context: BrowserContext, served: Served) -> None:
    page = log_in(context, served, "root")
    watch = Watch(page, served.house.url)
    for path in PAGES.values():
        page.goto(served.house.url + path)
        page.wait_for_timeout(150)
    assert not watch.wrong
