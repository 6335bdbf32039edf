"""The page Sites: how every other site is, which way calls go there, and maintenance by role."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from tests.fake_core import PEERS
from tests.web.house import House, run
from tests.web.test_pages import form

EAST, NORTH = PEERS


def row_of(text: str, site: str) -> str:
    """Return what a person reads in the row of a site."""
    (row,) = (row for row in re.findall(r"<tr>.*?</tr>", text, re.S) if f"<b>{site}</b>" in row)
    return " ".join(re.sub(r"<[^>]+>", " ", row.replace("<wbr>", "")).split())


def test_every_site_is_shown_as_it_is_from_here(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        now = time.time()
        house.core.sites = [
            EAST | {"since": now - 90, "mode_since": now - 3700},
            NORTH | {"last_error": {"at": now - 400, "text": "connection refused"}},
        ]
        browser = await house.account("ann", "auditor")
        _, text = await browser.ask("GET", "/sites")
        east, north = row_of(text, "east"), row_of(text, "north")
        for words in ("82", "holdfast.east.example.com:5061", "answers for 1 min, 12.0 ms"):
            assert words in east
        for words in (
            "with their cloud Standby for 1 h",
            "over the trunk 2 up now",
            "by CN=Example CA",
        ):
            assert words in east
        for words in (
            "does not answer",
            "certificate has expired",
            "not known",
            "nowhere 0 up now",
        ):
            assert words in north
        assert "last error 6 min ago: connection refused" in north
        assert "none shown yet" in north
        assert text.index("<b>north</b>") < text.index("<b>east</b>"), "trouble first"
        assert "/sites/drain" not in text  # an auditor only looks

    run(tmp_path, script)


WORDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"mode": "survivability", "way": "direct"}, "served there Survivability"),
    ({"mode": "testing", "way": "direct"}, "partly there, in a test Testing"),
    ({"way": "direct"}, "directly"),
    ({"drained": True, "way": "none"}, "drained answers"),
    ({"state": "rising", "reason": "1 of 3"}, "answers again"),
    ({"state": "unknown", "since": None, "rtt": None}, "not asked yet"),
    ({"certificate": {**EAST["certificate"], "expires": 1000.0}}, "has ended"),
    ({"certificate": {**EAST["certificate"], "expires": time.time() + 9e5}}, "ends in 10 d"),
)
"""What core tells of a site, and how the page says it."""


def test_what_core_tells_of_a_site_stands_in_words(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("ann", "auditor")
        for changes, words in WORDS:
            house.core.sites = [EAST | changes]
            row = row_of((await browser.ask("GET", "/sites"))[1], "east")
            assert words in row, changes

    run(tmp_path, script)


def test_an_operator_drains_a_site_and_gives_it_calls_again(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("olga", "operator")
        for act, drained, button in (
            ("drain", False, "Drain"),
            ("resume", True, "Give calls again"),
        ):
            house.core.sites = [EAST | {"drained": drained}]
            _, text = await browser.ask("GET", "/sites")
            assert f'action="/sites/{act}"' in text
            assert button in row_of(text, "east")
            status, there, _ = await form(browser, house, f"/sites/{act}", site="east")
            assert (status, there) == (303, "/sites")
            assert (f"peers.{act}", {"site": "east"}) in house.core.asked
        assert "east gets calls again." in (await browser.ask("GET", "/sites"))[1]
        noted = {(entry.action, entry.target) for entry in await house.store.audit(10)}
        assert {("peers.drain", "east"), ("peers.resume", "east")} <= noted

    run(tmp_path, script)


def test_an_auditor_drains_nothing(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        browser = await house.account("ann", "auditor")
        assert (await form(browser, house, "/sites/drain", site="east"))[0] == 403
        assert not [name for name, _ in house.core.asked if name.startswith("peers")]

    run(tmp_path, script)


def test_without_other_sites_the_page_says_where_they_come_from(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        house.core.sites = []
        browser = await house.account("ann", "auditor")
        _, text = await browser.ask("GET", "/sites")
        assert "names no other sites" in text
        assert "<table" not in text

    run(tmp_path, script)


def test_of_many_sites_those_in_trouble_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    async def script(house: House) -> None:
        many = [EAST | {"site": f"site{index}"} for index in range(500)]
        house.core.sites = [*many, NORTH]
        browser = await house.account("ann", "auditor")
        _, text = await browser.ask("GET", "/sites")
        assert "The first 200 of 501" in text
        assert "nowhere" in row_of(text, "north")

    run(tmp_path, script)
