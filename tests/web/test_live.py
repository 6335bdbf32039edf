"""What changes is told to whoever looks on, what waits for an admin too."""

from __future__ import annotations

from typing import Any, cast

import pytest

from appliance.web.live import View, events_of
from appliance.web.machine import Machine

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
