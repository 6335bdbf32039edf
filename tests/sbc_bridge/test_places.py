"""Where a caller is, and how that is written for emergency services (E6)."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from appliance.bundle import Civic, Device, Emergency, Location
from sbc_bridge.emergency.pidf import pidf_lo
from sbc_bridge.emergency.places import Places, macs_in
from tests.phones import site_bundle, user

MAC = "001565abcdef"
WIDE = Location(id="wide", name="Campus", networks=("10.0.0.0/8", "2001:db8::/32"))
FLOOR = Location(id="floor", name="Floor", networks=("10.20.0.0/16",))
ROOM = Location(id="room", name="Room", networks=("10.20.30.40/32",))
DESK = Location(id="desk", name="Desk")
ALL = (WIDE, ROOM, FLOOR, DESK)
SOMEBODY = msgspec.structs.replace(user("1001"), location="desk")


def places(default: str | None = None) -> Places:
    device = Device(id="p", users=("u1001",), mac=MAC, location="desk")
    emergency = Emergency(location=default)
    bundle = site_bundle()
    return Places(
        msgspec.structs.replace(bundle, locations=ALL, devices=(device,), emergency=emergency)
    )


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.1.2.3", "wide"),
        ("10.20.1.1", "floor"),
        ("10.20.30.40", "room"),
        ("::ffff:10.20.30.40", "room"),
        ("2001:db8::7", "wide"),
        ("fe80::1%eth0", "desk"),
        ("192.0.2.1", "desk"),
        ("nonsense", "desk"),
    ],
)
def test_the_longest_network_wins_and_then_the_user(address: str, name: str) -> None:
    found = places().find(SOMEBODY, address).location
    assert found is not None
    assert found.id == name


def test_a_phone_with_a_place_of_its_own_wins_over_its_network() -> None:
    place = places().find(None, "10.20.30.40", f"+sip.instance=<urn:uuid:0-0-0-0-{MAC}>")
    assert place.location == DESK
    assert MAC in place.why


def test_everybody_else_is_where_the_site_says() -> None:
    assert places("room").find(None, "192.0.2.1").location == ROOM
    nowhere = places().find(None, "192.0.2.1")
    assert nowhere.location is None
    assert "192.0.2.1" in nowhere.why


@pytest.mark.parametrize(
    "text",
    [
        "urn:uuid:00000000-0000-1000-8000-001565ABCDEF",
        "Yealink SIP-T46S 66.85.0.5 00:15:65:ab:cd:ef",
        "Polycom/5.9.0 (00-15-65-AB-CD-EF)",
        "PolyEdge/8.0_001565abcdef",
    ],
)
def test_a_hardware_address_is_found_however_it_is_written(text: str) -> None:
    assert MAC in macs_in(text)


def test_what_is_none_is_not_found() -> None:
    assert macs_in("Zoiper v2.10.20.2 12345") == []


def elements(document: bytes) -> dict[str, str]:
    root = ElementTree.fromstring(document)
    return {e.tag.partition("}")[2]: e.text or "" for e in root.iter() if not len(e)}


def test_a_civic_address_is_written_in_its_parts() -> None:
    civic = Civic(country="US", state="IL", city="Chicago", street="Example Avenue <>&",
                  house_number="100", postal_code="60601", floor="3")  # fmt: skip
    place = Location(id="3", name='Floor "3" & more', civic=civic, address="ignored")
    found = elements(pidf_lo(place, "CH", "pres:x", "2026-01-01T00:00:00Z"))
    assert found["country"] == "US"
    assert (found["A1"], found["A3"], found["RD"]) == ("IL", "Chicago", "Example Avenue <>&")
    assert (found["HNO"], found["PC"], found["FLR"]) == ("100", "60601", "3")
    assert found["NAM"] == 'Floor "3" & more'
    assert found["timestamp"] == "2026-01-01T00:00:00Z"
    assert "LOC" not in found


def test_without_parts_the_address_is_one_line() -> None:
    place = Location(id="x", name="Hall", address="1 Main St\n\x0bSpringfield")
    found = elements(pidf_lo(place, "CH", "pres:x", "t"))
    assert found["LOC"] == "1 Main St Springfield"
    assert found["country"] == "CH"
