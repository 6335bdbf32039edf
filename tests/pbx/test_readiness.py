"""Would each phone work if the cloud went now, and if not, why (A8)."""

from __future__ import annotations

import msgspec
import pytest

from appliance.bundle import Bundle, Credential, Device, Location, Policies
from appliance.pbx.readiness import LATELY, Line, readiness
from appliance.pbx.sightings import SAVE_INTERVAL
from tests.phones import DOMAIN, WALL, Bench, site_bundle

DESK = Location(id="desk", name="Desk", networks=("192.0.2.0/24",))


def site(**changes: object) -> Bundle:
    bundle = site_bundle()
    users = tuple(msgspec.structs.replace(user, location="desk") for user in bundle.users)
    return msgspec.structs.replace(bundle, **({"users": users, "locations": (DESK,)} | changes))


def lines(bench: Bench) -> dict[str, Line]:
    board = bench.core.switchboard
    assert board.site is not None
    people = board.people
    found = readiness(board.site.bundle, people.location, people.sightings, WALL + bench.now)
    assert bench.core.command("readiness", {}, bench.now)[0] == msgspec.to_builtins(found)
    return {line.extension: line for line in found}


def codes(bench: Bench, extension: str) -> tuple[str, list[str]]:
    line = lines(bench)[extension]
    return line.verdict, [reason["code"] for reason in line.reasons]


def test_a_phone_that_was_never_here_is_doubtful() -> None:
    bench = Bench(site())
    assert codes(bench, "1001") == ("doubtful", ["never_seen"])
    assert lines(bench)["1001"].seen_at is None


def test_a_phone_that_knocks_in_standby_is_ready() -> None:
    bench = Bench(site())
    bench.zones_up = True
    bench.advance(30)
    phone = bench.phone("1001")
    phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:1001@{DOMAIN}>"))
    assert phone.responses() == [503]
    assert codes(bench, "1001") == ("ready", [])
    line = lines(bench)["1001"]
    assert (line.seen_at, line.address) == (WALL + bench.now, phone.host)
    assert codes(bench, "1002") == ("doubtful", ["never_seen"])


def test_a_stranger_who_knocks_leaves_nothing() -> None:
    bench = Bench(site())
    phone = bench.phone("4444")
    phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:4444@{DOMAIN}>"))
    assert phone.responses() == [503]
    assert bench.saved_sightings == {}


def test_a_phone_that_was_registered_stays_ready_for_a_month() -> None:
    bench = Bench.in_outage(site())
    bench.registered("1001")
    assert codes(bench, "1001") == ("ready", [])
    bench.advance(100)
    assert lines(bench)["1001"].seen_at == WALL + bench.now - 40
    bench.restart()
    assert codes(bench, "1001") == ("ready", [])
    bench.now += LATELY
    assert codes(bench, "1001") == ("doubtful", ["not_seen_lately"])


def test_a_wrong_password_is_found_before_it_matters() -> None:
    bench = Bench.in_outage(site())
    phone = bench.phone("1001")
    phone.password = "mistyped"
    assert phone.register().status == 401
    assert codes(bench, "1001") == ("not_ready", ["wrong_password"])
    assert phone.host in lines(bench)["1001"].reasons[0]["text"]
    phone.password = "secret-1001"
    assert phone.register().status == 200
    assert codes(bench, "1001") == ("ready", [])
    bench.advance(100)
    assert codes(bench, "1001") == ("ready", [])


def test_no_password_from_the_cloud_is_told_first() -> None:
    bundle = site()
    elsewhere = (Credential(username="1001", realm="other.example", md5="0" * 32),)
    users = (
        msgspec.structs.replace(bundle.users[0], credentials=elsewhere),
        msgspec.structs.replace(bundle.users[1], credentials=()),
        *bundle.users[2:],
    )
    bench = Bench(msgspec.structs.replace(bundle, users=users))
    for extension in ("1001", "1002"):
        assert codes(bench, extension) == ("not_ready", ["no_credentials", "never_seen"])


def test_a_hash_that_is_not_offered_opens_nothing() -> None:
    bundle = site(policies=Policies(digest_algorithms=("SHA-256",)))
    md5 = (Credential(username="1001", realm=DOMAIN, md5="0" * 32),)
    users = (msgspec.structs.replace(bundle.users[0], credentials=md5), *bundle.users[1:])
    bench = Bench(msgspec.structs.replace(bundle, users=users))
    assert codes(bench, "1001") == ("not_ready", ["no_algorithm", "never_seen"])


def test_every_phone_of_a_user_has_its_line() -> None:
    devices = tuple(Device(id=f"d{n}", model="Desk", users=("u1001", "u1002")) for n in range(3))
    bench = Bench(site(devices=devices, policies=Policies(bindings_per_user=2)))
    board = bench.core.switchboard
    assert board.site is not None
    found = readiness(board.site.bundle, board.location, board.people.sightings, WALL)
    named = [(line.extension, line.device) for line in found]
    assert named[:4] == [("1001", "d0"), ("1001", "d1"), ("1001", "d2"), ("1002", "d0")]
    assert named[-1] == ("1005", "")
    assert codes(bench, "1001")[1] == ["never_seen", "too_many_phones"]


@pytest.mark.parametrize(
    ("networks", "expected"),
    [((), ["no_location"]), (("198.51.100.0/24",), ["no_location"]), (("192.0.2.0/24",), [])],
)
def test_a_place_for_calls_for_help(networks: tuple[str, ...], expected: list[str]) -> None:
    place = Location(id="x", name="X", networks=networks)
    bench = Bench.in_outage(site(users=site_bundle().users, locations=(place,)))
    bench.registered("1001")
    assert codes(bench, "1001")[1] == expected


def test_what_is_seen_is_written_once_an_hour_and_survives() -> None:
    bench = Bench(site())
    bench.zones_up = True
    bench.advance(30)
    phone = bench.phone("1001")
    rows = []
    for _ in range(3):
        phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:1001@{DOMAIN}>"))
        rows.append(bench.saved_sightings["u1001"])
        bench.advance(SAVE_INTERVAL / 2)
    assert rows[0] == rows[1] != rows[2]
    bench.restart()
    assert codes(bench, "1001") == ("ready", [])


def test_who_has_left_the_bundle_is_forgotten() -> None:
    bench = Bench.in_outage(site())
    bench.registered("1001")
    bench.advance(100)
    assert list(bench.saved_sightings) == ["u1001"]
    without = msgspec.structs.replace(bench.bundle, version=2, users=bench.bundle.users[1:])
    bench.perform(bench.core.apply(without, bench.now))
    assert bench.saved_sightings == {}
