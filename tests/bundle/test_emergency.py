"""Numbers that call for help, and what a bundle may say of such calls."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from appliance.bundle import Emergency, Location, NumberPlan, RouteGroup, Sbc, warnings
from appliance.bundle.emergency import (
    COUNTRIES,
    EmergencyNumber,
    EmergencyNumbers,
    emergency_numbers,
)
from appliance.bundle.spoken import USERS_LIMIT, location_sound, spoken_texts, user_sound
from tests.bundle.test_bundle_rules import A, B, check, group, user
from tests.phones import site_bundle
from tests.phones import user as made_user


def numbers(**plan: Any) -> EmergencyNumbers:
    bundle = replace(site_bundle(), number_plan=NumberPlan(**plan))
    return EmergencyNumbers(bundle)


@pytest.mark.parametrize(
    ("country", "dialled"),
    [("US", "911"), ("GB", "999"), ("GB", "112"), ("DE", "110"), ("AU", "000"), ("JP", "119"),
     ("IN", "108"), ("FR", "15"), ("NZ", "111"), ("ZZ", "112"), ("ZZ", "911")],
)  # fmt: skip
def test_each_country_has_its_numbers(country: str, dialled: str) -> None:
    assert numbers(country=country).find(dialled) == EmergencyNumber(dialled, False)


def test_a_number_of_another_country_is_none() -> None:
    assert numbers(country="US").find("112") is None
    assert numbers(country="DE").find("911") is None


def test_the_outside_prefix_may_come_first() -> None:
    found = numbers(country="US", outside_prefix="9")
    assert found.find("9911") == found.find("911") == EmergencyNumber("911", False)
    assert numbers(country="US").find("9911") is None


def test_933_only_tests() -> None:
    assert numbers(country="US").find("933") == EmergencyNumber("933", True)


def test_a_phone_may_ask_for_the_service_itself() -> None:
    found = numbers(country="GB")
    assert found.find("urn:service:sos") == EmergencyNumber("999", False)
    assert found.find("URN:service:sos.fire") == EmergencyNumber("999", False)
    assert found.find("urn:service:counseling") is None


def test_a_site_may_name_its_own_numbers() -> None:
    bundle = replace(site_bundle(), emergency_numbers=("5555", "933"))
    found = EmergencyNumbers(bundle)
    assert emergency_numbers(bundle) == ("5555", "933")
    assert found.find("911") is None
    assert found.find("5555") == EmergencyNumber("5555", False)
    assert found.find("933") == EmergencyNumber("933", True)


def test_no_country_has_none() -> None:
    assert all(COUNTRIES.values())
    assert all(digits.isdigit() for known in COUNTRIES.values() for digits in known)


POOL = ["+13125550900", "+13125550901"]
PLACE = {"id": "hall", "name": "Hall", "elin": "+13125550800"}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "extension of the country",
        {"users": [user("a", "112")], "number_plan": {"country": "DE"}},
        "users[0].extension: `112` is dialled in an emergency; choose another, or name the site's",
    ),
    (
        "pool twice",
        {"emergency": {"pool": [POOL[0], POOL[0]]}},
        f"emergency.pool[1]: `{POOL[0]}` is also at emergency.pool[0]; lend each once",
    ),
    (
        "pool rings somebody",
        {"users": [A | {"numbers": [POOL[1]]}], "emergency": {"pool": POOL}},
        f"emergency.pool[1]: `{POOL[1]}` is also at users[0]; lend numbers that lead nowhere else",
    ),
    (
        "pool is a location's",
        {"locations": [PLACE], "emergency": {"pool": ["+13125550800"]}},
        "emergency.pool[0]: `+13125550800` is also at locations[0].elin",
    ),
    (
        "pool is the site's",
        {"number_plan": {"site_number": POOL[0]}, "emergency": {"pool": POOL}},
        f"emergency.pool[0]: `{POOL[0]}` is also at number_plan.site_number",
    ),
    (
        "a location's number rings a user",
        {"users": [A | {"numbers": ["+13125550800"]}], "locations": [PLACE]},
        "locations[0].elin: `+13125550800` rings users[0]; give the location its own",
    ),
    (
        "default location",
        {"emergency": {"location": "moon"}},
        "emergency.location: there is no location `moon`",
    ),
    (
        "a phone's location",
        {
            "users": [A],
            "devices": [{"id": "p", "users": ["a"], "mac": "0" * 12, "location": "moon"}],
        },
        "devices[0].location: there is no location `moon`",
    ),
    (
        "a phone nobody recognises",
        {"users": [A], "locations": [PLACE],
         "devices": [{"id": "p", "users": ["a"], "location": "hall"}]},
        "devices[0].location: nothing tells this phone from others; add its `mac`",
    ),
    (
        "route group",
        {"emergency": {"route_groups": ["pstn"]}},
        "emergency.route_groups[0]: there is no route group `pstn`",
    ),
    (
        "team",
        {"users": [A], "emergency": {"safety_team": ["a", "b", "a"]}},
        "emergency.safety_team[1]: there is no user `b`",
    ),
    (
        "team twice",
        {"users": [A], "emergency": {"safety_team": ["a", "a"]}},
        "emergency.safety_team[1]: `a` is also at emergency.safety_team[0]",
    ),
    (
        "group",
        {"users": [A, B], "groups": [group("g", "7000")], "emergency": {"safety_group": "1001"}},
        "emergency.safety_group: no group has the extension `1001`",
    ),
    ("webhook", {"emergency": {"webhook": "http://x.example"}}, "emergency.webhook: not an HTTPS"),
    (
        "password",
        {"emergency": {"webhook": "https://a:b@x.example/"}},
        "emergency.webhook: has a user name in it",
    ),
    (
        "too long",
        {"policies": {"emergency_callback": 172_801}},
        "policies.emergency_callback:",
    ),
    ("too short", {"policies": {"emergency_callback": 119}}, "policies.emergency_callback:"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sections", "problem"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_contradicts_itself_is_refused(sections: dict[str, Any], problem: str) -> None:
    assert any(found.startswith(problem) for found in check(**sections)), check(**sections)


def test_all_of_it_may_be_said() -> None:
    said = {
        "caller_id": "own",
        "pool": POOL,
        "location": "hall",
        "geolocation": True,
        "safety_team": ["a"],
        "safety_group": "7000",
        "webhook": "https://alerts.example/holdfast",
    }
    sections = {"users": [A], "locations": [PLACE], "groups": [group("g", "7000")]}
    assert check(emergency=said, **sections) == []


def test_what_may_go_wrong_in_an_emergency_is_pointed_out() -> None:
    bundle = site_bundle()
    assert not [one for one in warnings(bundle) if one.path.startswith("emergency")]
    said = replace(bundle, emergency=Emergency(safety_team=("u1001",)))
    told = {problem.path: problem.text for problem in warnings(said)}
    assert told["emergency"].startswith("there are no `route_groups`")
    trunk = RouteGroup(id="pstn", sbcs=(Sbc(host="sbc.example"),))
    told = {one.path: one.text for one in warnings(replace(bundle, route_groups=(trunk,)))}
    assert told["emergency.location"].startswith("some callers have no location")
    assert told["emergency.safety_team"].startswith("empty: nobody")
    assert told["emergency.pool"].startswith("5 users have no number to be called back on")


def test_names_and_places_are_spoken_where_a_team_hears_them() -> None:
    bundle = site_bundle()
    assert spoken_texts(bundle) == {}
    emergency = replace(bundle.emergency, safety_team=("u1001",))
    users = tuple(made_user(str(10_000 + index)) for index in range(USERS_LIMIT + 5))
    place = msgspec.convert(PLACE | {"address": "1 Main St\nSpringfield"}, type=Location)
    made = replace(bundle, emergency=emergency, users=users, locations=(place,))
    texts = spoken_texts(made)
    assert texts[location_sound("hall")] == "Hall. 1 Main St Springfield"
    assert texts[user_sound("u10000")] == "User 10000"
    assert len(texts) == 1 + USERS_LIMIT
