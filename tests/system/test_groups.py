"""Groups with real phones: a menu, its prompt and keys, members that ring, and who answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.baresip import Baresip
from tests.system.desk import desk_phone
from tests.system.site import DOMAIN, System, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}
GROUPS = [
    {
        "id": "menu",
        "name": "Menu",
        "extension": "700",
        "kind": "menu",
        "keys": {"1": "701", "2": "702"},
        "dial_extension": True,
    },
    {
        "id": "all",
        "name": "All",
        "extension": "701",
        "members": ["102", "103"],
        "hears": "music",
    },
    {
        "id": "turns",
        "name": "Turns",
        "extension": "702",
        "members": ["104", "102"],
        "strategy": "sequential",
        "ring_time": 5,
    },
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    parts = {"groups": GROUPS}
    with site_in_outage(tmp_path, 3, policies=POLICIES, parts=parts) as system:
        yield system


def steps_of(site: System) -> list[str]:
    """Wait for the only record and give its steps."""

    def found() -> list[dict[str, Any]]:
        return site.holdfast("records") or []

    (record,) = until(found, 10, "a call record", site.evidence)
    return list(site.holdfast("records", "show", record["id"])["steps"])


def talk(one: Baresip, other: Baresip) -> None:
    until(lambda: other.hears(one.tone), 15, "the member hears the caller", other.trace)
    until(lambda: one.hears(other.tone), 15, "the caller hears the member", one.trace)


def test_a_key_in_the_menu_rings_all_and_the_loser_is_let_go(site: System) -> None:
    caller, member, other = (
        desk_phone(site, 0),
        desk_phone(site, 1),
        desk_phone(site, 2, answers="manual"),
    )
    caller.dial(f"sip:700@{DOMAIN}")
    caller.wait("CALL_ESTABLISHED", 10)
    until(lambda: caller.heard_amount() > 8000, 10, "the prompt is heard", caller.trace)
    caller.do("sndcode", "1")
    other.wait("CALL_INCOMING", 10)
    talk(caller, member)
    other.wait("CALL_CLOSED", 10)
    caller.do("hangup")
    steps = steps_of(site)
    for step in ("group Menu (700)", "keys 1", "1 leads to 701 (All)", "group All (701)"):
        assert step in steps, steps
    assert any("answered by 102" in step for step in steps), steps


def test_an_extension_dialled_in_the_menu_rings(site: System) -> None:
    caller, member = desk_phone(site, 0), desk_phone(site, 1)
    caller.dial(f"sip:700@{DOMAIN}")
    caller.wait("CALL_ESTABLISHED", 10)
    for key in "102":
        caller.do("sndcode", key)
    talk(caller, member)
    caller.do("hangup")
    assert "102 leads to 102 (User 102)" in steps_of(site)


def test_who_has_no_phone_is_passed_over_and_a_busy_one_leads_on(site: System) -> None:
    caller, member = desk_phone(site, 0), desk_phone(site, 1)
    caller.dial(f"sip:702@{DOMAIN}")
    talk(caller, member)
    caller.do("hangup")
    assert "passed over: 104 (no phone here)" in steps_of(site)
