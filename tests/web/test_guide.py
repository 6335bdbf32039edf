"""The admin guide has every page there is, with its picture, in every view."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.web.page import MENU
from tests.web.shots import PAGES, VIEWS

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "pages.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)


def test_every_entry_of_the_menu_has_its_section_in_the_order_of_the_menu() -> None:
    assert ["Log-in", *(name for _, name in MENU)] == SECTIONS


@pytest.mark.parametrize("name", ["login", *PAGES])
def test_every_page_is_pictured_and_its_pictures_exist(name: str) -> None:
    assert f"](screenshots/{name}-wide.jpg)" in GUIDE
    for view in VIEWS:
        assert (DOCS / "screenshots" / f"{name}-{view}.jpg").stat().st_size > 5000, view


def test_no_picture_is_of_a_page_that_there_is_no_more() -> None:
    made = {file.stem.rpartition("-")[0] for file in (DOCS / "screenshots").iterdir()}
    assert made == {"login", *PAGES}


def test_the_guide_is_found_from_where_admins_begin() -> None:
    for name in ("admin.md", "web.md"):
        assert "](pages.md)" in (DOCS / name).read_text(encoding="utf-8")
