"""Testing mode with real phones (A6): begun by API and by the bundle, ended by time and outage."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.cli.door import Door
from appliance.settings import load_settings
from tests.system.baresip import Baresip
from tests.system.desk import account
from tests.system.sip import Line
from tests.system.site import DOMAIN, QUICK, System, bundle
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"]}
"""baresip 1.0 gives up when a challenge is not MD5."""
EXPIRES = 10
"""Seconds for which the phones register, so that they are told soon that a test is over."""
LASTS = 15.0
"""Seconds of the test that ends by itself."""
TONES = (500, 700)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("site"), 3, QUICK, POLICIES)
    try:
        yield system
    finally:
        system.close()


def ask_api(site: System, method: str, path: str, content: Any = None) -> Any:
    """Ask the appliance's HTTPS API from where it runs."""
    with site.network.appliance.inside():
        return Door(load_settings(site.settings, {})).tell(method, path, content)


def told(site: System, name: str) -> int:
    """Give what a phone of this user is told that registers now."""
    line = Line(site.phone(2))
    try:
        return site.account(name, line).register().status
    finally:
        line.close()


def latest_change(site: System) -> dict[str, Any]:
    found: dict[str, Any] = ask_api(site, "GET", "mode/history")[0]
    return found


def test_chosen_phones_are_served_for_a_time_and_a_call_is_left_until_it_is_over(
    site: System,
) -> None:
    one, other = (
        Baresip(site.phone(number), site.folder, TONES[number], account(number, expires=EXPIRES))
        for number in (0, 1)
    )
    one.wait("REGISTER_FAIL", 10)
    other.wait("REGISTER_FAIL", 10)
    begun = time.monotonic()
    mode = ask_api(site, "POST", "test", {"minutes": LASTS / 60, "who": ["101", "102"]})
    assert (mode["mode"], mode["test_scope"]) == ("testing", "101, 102")
    # A phone that was refused asks again after half a minute; here somebody wakes it.
    for number, phone in enumerate((one, other)):
        before = len(phone.events)
        phone.become(account(number, expires=EXPIRES))
        phone.wait("REGISTER_OK", 10, before)
    assert told(site, "103") == 503, "who was not chosen stays with the cloud"

    before = len(other.events)
    one.dial(f"sip:102@{DOMAIN}")
    other.wait("CALL_ESTABLISHED", 10, before)
    until(lambda: other.hears(one.tone), 8, "the caller's tone", other.trace)
    site.wait_for_mode("standby", LASTS + 10)
    assert time.monotonic() - begun >= LASTS
    change = latest_change(site)
    assert (change["before"], change["after"]) == ("testing", "standby")
    assert change["reason"].startswith("the test's time is over; 2 of 2 users had a phone here")

    for phone in (one, other):
        phone.listen()
        phone.wait("REGISTER_OK", EXPIRES + 5, len(phone.events))
    until(lambda: other.hears(one.tone), 8, "the call goes on", other.trace)
    until(lambda: one.hears(other.tone), 8, "the call goes on", one.trace)
    before = len(other.events)
    one.do("hangup")
    other.wait("CALL_CLOSED", 10, before)
    other.wait("REGISTER_FAIL", EXPIRES + 5, before)
    assert told(site, "101") == 503


def test_a_drill_of_the_bundle_begins_and_a_real_outage_ends_it_at_once(site: System) -> None:
    # A drill may be a minute late, but is not made up for from before the appliance had a bundle.
    first = (site.data / "bundle.json").stat().st_mtime // 60
    until(lambda: time.time() // 60 > first, 61, "a minute begins", step=0.2)
    at = time.strftime("%H:%M", time.gmtime())
    day = time.strftime("%Y-%m-%d", time.gmtime())
    drills = [{"id": "now", "day": day, "at": at, "minutes": 30, "who": ["101"]}]
    made = bundle(QUICK, POLICIES) | {"version": 2, "drills": drills}
    (site.folder / "site.json").write_text(json.dumps(made))
    site.wait_for_mode("testing", 10)
    assert ask_api(site, "GET", "bundle")["stored"]["by_delta"], "pushed as what is different"
    assert "asked for by the drill now" in latest_change(site)["reason"]
    assert (told(site, "101"), told(site, "103")) == (200, 503)

    site.network.cut(verdict="reject")
    site.wait_for_mode("survivability", 15)
    change = latest_change(site)
    assert (change["before"], change["after"]) == ("testing", "survivability")
    assert told(site, "103") == 200
