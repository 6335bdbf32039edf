"""What changes is told to whoever looks on, what waits for an admin too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from appliance.web.live import View, events_of
from appliance.web.machine import Machine
from tests.web.house import House, run

STATUS: dict[str, Any] = {"zones": [], "phones": {}, "users": 1, "calls": 0}
STORED: dict[str, Any] = {"version": 1, "in_core": True, "held": None, "refused_at": None}


def told(**changes: Any) -> Any:
    """Return what is told of a bundle in this state."""
    status = STATUS | {"sync": {"bundle": STORED | changes}}
    view = View(at=0.0, status=status, failure="", machine=cast(Machine, None), issues=[])
    return events_of(view)["bundle"]


@pytest.mark.parametrize(
    "change",
    [{"held": {"version": 2}}, {"refused_at": 7.0}, {"in_core": False}, {"failure": "no answer"}],
    ids=str,
)
def test_what_waits_for_an_admin_is_told(change: dict[str, Any]) -> None:
    assert told(**change) != told()


def test_when_the_cloud_was_asked_is_no_news() -> None:
    assert told(asked_at=1.0) == told(asked_at=2.0)


def test_who_looks_on_at_one_moment_shares_what_was_written_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    async def script(house: House) -> None:
        plain = house.rooms.pages._templates.get_template
        monkeypatch.setattr(
            house.rooms.pages._templates,
            "get_template",
            lambda name, *more: (written.append(name), plain(name, *more))[1],
        )
        browsers = [await house.account(name, "auditor") for name in ("ann", "bob", "cid")]
        for browser in browsers:
            browser.more = {"HX-Request": "true"}
        texts = {(await browser.ask("GET", "/"))[1] for browser in browsers}
        assert len(texts) == 1
        assert "<h1" in texts.pop()
        assert written.count("parts/dashboard.html") == 1
        house.core.status = house.core.status | {"calls": 7}
        house.rooms.live.forget()
        assert "<b>7</b>" in (await browsers[0].ask("GET", "/"))[1]
        browsers[0].more["Accept-Encoding"] = "identity"
        assert "<b>7</b>" in (await browsers[0].ask("GET", "/"))[1]

    run(tmp_path, script)
