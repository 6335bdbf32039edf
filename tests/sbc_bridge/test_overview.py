"""What admins are shown of calls for help."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.bundle import Emergency
from appliance.errors import LocalError
from tests.phones import WALL
from tests.sbc_bridge.emergency_office import ELIN, Site
from tests.trunk.outside import Trunked, udp
from tests.trunk.test_emergency import bundle, talked


def ask(site: Site | Trunked, name: str = "emergency", **arguments: str) -> dict[str, Any]:
    answer, actions = site.bench.core.command(name, arguments, site.bench.now)
    assert not actions, "asking changes nothing"
    shown: dict[str, Any] = answer
    return shown


def test_the_state_tells_who_is_called_back() -> None:
    site = Trunked(bundle(emergency={"safety_team": ("u1002", "u1004")}))
    talked(site, site.alice)
    shown = ask(site)
    assert shown["numbers"] == ["911", "933"]
    assert shown["ways"] == [{"sbc": "main/sbc1.example.net:5060", "well": True, "full": False}]
    assert [one["phones"] for one in shown["safety_team"]] == [1, 0]
    (row,) = shown["callbacks"]
    assert (row["number"], row["extension"], row["location"]) == (ELIN, "1001", "hall")
    assert row["until"] - row["called"] == 7200
    assert row["called"] == WALL + site.bench.now


def test_a_trial_tells_what_a_users_phone_would_do() -> None:
    site = Trunked(bundle(udp(1), udp(2), emergency={"safety_team": ("u1002",)}))
    told = ask(site, "emergency.trial", extension="1001")
    assert told["caller"] == "User 1001 (1001)"
    assert told["address"] == site.alice.host
    assert (told["number"], told["where"], told["shown"]) == ("911", "Hall", ELIN)
    assert told["leads_back"]
    assert [way["sbc"] for way in told["ways"]] == [
        "main/sbc1.example.net:5060",
        "main/sbc2.example.net:5060",
    ]
    assert told["alerted"] == ["1002"]
    assert not site.bench.core.switchboard.calls


def test_a_trial_from_elsewhere_and_by_a_stranger() -> None:
    site = Site(safety_team=("u1002",))
    told = ask(site, "emergency.trial", address="198.51.100.7", number="933")
    assert told["caller"] == "a phone at 198.51.100.7"
    assert told["location"] == "attic"
    assert told["test"]
    assert told["alerted"] == []
    assert not told["leads_back"]


def test_a_user_without_a_phone_is_where_the_user_belongs() -> None:
    site = Site(registered="1002", users={"1001": {"location": "attic"}})
    told = ask(site, "emergency.trial", extension="1001")
    assert (told["address"], told["location"]) == ("", "attic")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"extension": "4711"}, "no user has the extension '4711'"),
        ({"number": "112"}, "'112' does not call for help here; these do: 911, 933"),
    ],
)
def test_what_makes_no_sense_is_told(arguments: dict[str, str], problem: str) -> None:
    with pytest.raises(LocalError, match=problem):
        ask(Site(), "emergency.trial", **arguments)


def test_a_bundle_that_says_nothing_has_a_state_too() -> None:
    shown = ask(Site(sbcs=0, emergency=Emergency()))
    assert (shown["ways"], shown["safety_team"], shown["callbacks"]) == ([], [], [])
