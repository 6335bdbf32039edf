"""Every page is in the pictures, and what is left out of the walks is really no page."""

from __future__ import annotations

from pathlib import Path

from appliance.web.page import MENU
from tests.fake_core import record
from tests.web.house import Browser, House, run
from tests.web.shots import PAGES
from tests.web.tour import FILES, inner_pages, page_of


def test_every_page_has_a_picture_and_is_walked_with_the_browser() -> None:
    assert {page_of(address) for address in PAGES.values()} == set(inner_pages())


def test_every_entry_of_the_menu_is_a_page() -> None:
    assert {path for path, _ in MENU} <= set(inner_pages())


def test_what_is_no_page_answers_with_something_else(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        house.core.waiting = [record("r3")]
        browser: Browser = await house.account("zoe", "admin")
        for path in sorted(FILES):
            await browser.ask("GET", path.replace("{name}", "holdfast.css"))
            assert browser.headers["Content-Type"].partition(";")[0] != "text/html", path
        for address in PAGES.values():
            status, text = await browser.ask("GET", address)
            assert (status, "</html>" in text) == (200, True), address

    run(tmp_path, script)
