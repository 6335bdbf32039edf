"""What changed between two bundles."""

from __future__ import annotations

import msgspec

from appliance.bundle import Contact, Zone
from appliance.bundle.differences import Difference, differences
from tests.phones import site_bundle, user

OLD = site_bundle()


def test_the_same_bundle_with_another_version_has_no_differences() -> None:
    assert not list(differences(OLD, msgspec.structs.replace(OLD, version=2, issued="later")))


def test_who_came_and_who_went_is_told_by_id() -> None:
    new = msgspec.structs.replace(OLD, users=(*OLD.users[1:], user("1009")))
    assert list(differences(OLD, new)) == [
        Difference("removed", "users.u1001", "User 1001 1001", ""),
        Difference("added", "users.u1009", "", "User 1009 1009"),
    ]


def test_a_changed_field_is_told_with_its_path() -> None:
    zone = msgspec.structs.replace(OLD.zones[0], host="c.example.net", port=5061)
    new = msgspec.structs.replace(OLD, zones=(zone, OLD.zones[1]))
    assert list(differences(OLD, new)) == [
        Difference("changed", "zones.a.host", "a.example.net", "c.example.net"),
        Difference("changed", "zones.a.port", "none", "5061"),
    ]


def test_secrets_are_not_shown() -> None:
    changed = msgspec.structs.replace(OLD.users[0], credentials=user("1002").credentials)
    new = msgspec.structs.replace(OLD, users=(changed, *OLD.users[1:]))
    [found] = differences(OLD, new)
    assert found == Difference("changed", "users.u1001.credentials", "hidden", "hidden")


def test_parts_of_one_name_are_all_told() -> None:
    ana = [Contact(name="Ana", numbers=(number,)) for number in ("+1555", "+1556")]
    new = msgspec.structs.replace(OLD, contacts=tuple(ana))
    assert [one.path for one in differences(OLD, new)] == ["contacts.Ana", "contacts.Ana#1"]


def test_a_long_value_is_cut() -> None:
    zone = Zone(id="a", host="h" * 200)
    [found] = differences(OLD, msgspec.structs.replace(OLD, zones=(zone, OLD.zones[1])))
    assert len(found.after) == 80
