"""Registrar: RFC 3261, section 10.3, and what our own policies add (B3)."""

from __future__ import annotations

import pytest

from appliance.pbx.registrar import LONGEST_CONTACT, closed
from appliance.sip.framing import parse
from appliance.sip.message import Response
from tests.pbx.office import BOB, Office, Phone, bundle, contacts

DESK = "<sip:1001@192.0.2.1:5060>"


def bound(office: Office, user: str = "alice") -> list[str]:
    return [binding.contact for binding in office.location.of_user(user)]


def test_a_phone_is_bound_to_the_flow_it_came_on() -> None:
    office = Office()
    phone = Phone(office, host="198.51.100.7", port=33333)
    phone.contact = "<sip:1001@10.0.0.5:5060>"
    response = phone.register()
    assert response.status == 200
    assert contacts(response) == ["<sip:1001@10.0.0.5:5060>;expires=120"]
    binding = office.location.of_user("alice")[0]
    assert binding.flow == phone.flow
    assert len(office.saved()) == 1


def test_every_answer_is_whole() -> None:
    response = Phone(Office()).register()
    assert response.to.tag
    again = parse(response.encode())
    assert isinstance(again, Response)
    assert again.first("CSeq") == "2 REGISTER"


@pytest.mark.parametrize(
    "address",
    [
        "sip:1001@example.com",
        "sip:alice@example.com",
        "sip:al@EXAMPLE.com:5060",
        "sips:1001@example.com",
        "sip:+15551001@example.com",
        "sip:1001@zone-a.example.com",
        "sip:1001@192.0.2.254;transport=tcp",
    ],
)
def test_all_names_of_a_user_are_one_address_of_record(address: str) -> None:
    office = Office()
    phone = Phone(office)
    phone.to = f'"Alice" <{address}>'
    assert phone.register().status == 200
    assert bound(office) == ["sip:1001@192.0.2.1:5060"]


@pytest.mark.parametrize(
    "address", ["sip:1002@example.com", "sip:9999@example.com", "sip:1001@elsewhere.example"]
)
def test_somebody_elses_address_is_forbidden(address: str) -> None:
    office = Office()
    Phone(office, "1002").register()
    phone = Phone(office)
    phone.to = f"<{address}>"
    assert phone.register("Contact: *", "Expires: 0").status == 403
    assert (bound(office, "alice"), len(bound(office, "bob"))) == ([], 1)


def test_an_address_without_a_user_is_not_found() -> None:
    phone = Phone(Office())
    phone.to = "<sip:example.com>"
    assert phone.register().status == 404


def test_without_a_contact_the_bindings_are_listed() -> None:
    office = Office()
    Phone(office).register()
    office.run(20)
    response = Phone(office, port=5062).register("Expires: 120")
    assert contacts(response) == ["<sip:1001@192.0.2.1:5060>;expires=100"]


def test_several_phones_of_a_user_are_all_listed() -> None:
    office = Office()
    Phone(office).register()
    response = Phone(office, host="192.0.2.2").register()
    assert len(contacts(response)) == 2


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        ((f"Contact: {DESK}", "Expires: 60"), 60),
        ((f"Contact: {DESK};expires=90", "Expires: 60"), 90),
        ((f"Contact: {DESK};expires=3600",), 120),
        ((f"Contact: {DESK}", "Expires: 99999999999"), 120),
        ((f"Contact: {DESK}",), 120),
        ((f"Contact: {DESK}", "Expires: soon"), 120),
    ],
)
def test_the_time_granted(lines: tuple[str, ...], granted: int) -> None:
    response = Phone(Office()).register(*lines)
    assert contacts(response) == [f"{DESK};expires={granted}"]


def test_a_time_too_short_is_423_with_the_shortest() -> None:
    office = Office()
    response = Phone(office).register(f"Contact: {DESK}", "Expires: 5")
    assert (response.status, response.first("Min-Expires")) == (423, "30")
    assert bound(office) == []


def test_expires_zero_removes_that_contact_only() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    Phone(office, host="192.0.2.2").register()
    response = phone.register(f"Contact: {DESK};expires=0")
    assert contacts(response) == ["<sip:1001@192.0.2.2:5060>;expires=120"]
    assert office.dropped() == ["sip:1001@192.0.2.1:5060"]


def test_removing_what_is_not_there_is_fine() -> None:
    response = Phone(Office()).register(f"Contact: {DESK};expires=0")
    assert (response.status, contacts(response)) == (200, [])


def test_star_removes_everything() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    Phone(office, host="192.0.2.2").register()
    assert contacts(phone.register("Contact: *", "Expires: 0")) == []
    assert len(office.dropped()) == 2


@pytest.mark.parametrize("expires", ["Expires: 60", "X-Expires: 0", "Expires: nothing"])
def test_star_without_expires_zero_is_a_bad_request(expires: str) -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    assert phone.register("Contact: *", expires).status == 400
    assert len(bound(office)) == 1


def test_a_late_register_of_the_same_phone_changes_nothing() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    phone.cseq = 0
    response = phone.register(f"Contact: {DESK};expires=0")
    assert response.status == 500
    assert len(bound(office)) == 1


def test_star_that_comes_late_changes_nothing() -> None:
    office = Office()
    Phone(office, host="192.0.2.2").register()
    phone = Phone(office)
    phone.register()
    phone.cseq = 0
    assert phone.register("Contact: *", "Expires: 0").status == 500
    assert len(bound(office)) == 2


def test_a_restarted_phone_begins_its_cseq_again_with_another_call_id() -> None:
    office = Office()
    Phone(office).register()
    phone = Phone(office)
    phone.call_id = "new"
    assert phone.register().status == 200
    assert (len(bound(office)), len(office.saved())) == (1, 2)


def test_a_refresh_writes_nothing() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    office.run(60)
    assert contacts(phone.register()) == [f"{DESK};expires=120"]
    assert len(office.saved()) == 1


def test_a_phone_that_moved_to_another_flow_is_reached_there() -> None:
    office = Office()
    Phone(office).register()
    moved = Phone(office, transport="TCP", connection=5)
    moved.call_id = "other"
    moved.register()
    assert [binding.flow for binding in office.location.of_user("alice")] == [moved.flow]
    assert len(office.saved()) == 2


def test_an_equal_contact_written_differently_replaces() -> None:
    office = Office()
    phone = Phone(office)
    phone.register("Contact: <sip:1001@PHONE.invalid:5060;lr>")
    phone.register("Contact: <sip:%31001@phone.invalid:5060>")
    assert bound(office) == ["sip:%31001@phone.invalid:5060"]
    assert office.dropped() == ["sip:1001@PHONE.invalid:5060;lr"]


def test_the_same_instance_replaces_its_old_contact() -> None:
    office = Office()
    mark = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    Phone(office).register(f"Contact: {DESK}{mark}")
    Phone(office, host="192.0.2.9").register(f"Contact: <sip:1001@192.0.2.9>{mark}")
    assert bound(office) == ["sip:1001@192.0.2.9"]


def test_one_instance_may_hold_several_flows_by_reg_id() -> None:
    office = Office()
    mark = ';+sip.instance="<urn:uuid:1>"'
    Phone(office).register(f"Contact: {DESK}{mark};reg-id=1")
    second = Phone(office, port=5061)
    response = second.register(f"Contact: <sip:1001@192.0.2.1:5061>{mark};reg-id=2")
    assert contacts(response)[1] == (
        '<sip:1001@192.0.2.1:5061>;expires=120;+sip.instance="<urn:uuid:1>";reg-id=2'
    )


def test_contacts_come_back_with_their_preference() -> None:
    response = Phone(Office()).register(f"Contact: {DESK};q=0.25")
    assert contacts(response) == [f"{DESK};expires=120;q=0.25"]


def test_several_contacts_in_one_request() -> None:
    office = Office()
    response = Phone(office).register(
        'Contact: "A, B" <sip:a@192.0.2.1>;q=0.5, <sip:b@192.0.2.1>', "Contact: sip:c@192.0.2.1"
    )
    assert response.status == 200
    assert bound(office) == ["sip:a@192.0.2.1", "sip:b@192.0.2.1", "sip:c@192.0.2.1"]


def test_one_contact_named_twice_is_bound_once() -> None:
    office = Office()
    phone = Phone(office)
    assert phone.register(f"Contact: {DESK}, {DESK};q=0.1").status == 200
    assert phone.register(f"Contact: {DESK};expires=0, {DESK};expires=0").status == 200
    assert (bound(office), len(office.location)) == ([], 0)


def test_all_contacts_are_taken_or_none() -> None:
    office = Office()
    response = Phone(office).register(f"Contact: {DESK}, <sip:b@192.0.2.1>;expires=1")
    assert (response.status, bound(office)) == (423, [])


def test_a_user_has_a_limited_number_of_phones() -> None:
    office = Office(bundle(bindings_per_user=2))
    for number in range(2):
        Phone(office, host=f"192.0.2.{number + 1}").register()
    third = Phone(office, host="192.0.2.3")
    for _ in range(3):
        response = third.register()
        assert (response.status, response.first("Retry-After")) == (503, "60")
    assert len(office.told("registrar.full")) == 1
    assert len(bound(office)) == 2


def test_phones_whose_connection_is_gone_make_room() -> None:
    office = Office(bundle(bindings_per_user=2))
    gone = Phone(office, transport="TLS", connection=1)
    gone.register()
    Phone(office, host="192.0.2.2").register()
    office.location.lost(gone.flow, office.now)
    assert Phone(office, host="192.0.2.3").register().status == 200
    assert bound(office) == ["sip:1001@192.0.2.2:5060", "sip:1001@192.0.2.3:5060"]


def test_a_full_user_may_still_refresh_and_leave() -> None:
    office = Office(bundle(bindings_per_user=1))
    phone = Phone(office)
    phone.register()
    assert phone.register().status == 200
    assert phone.register(f"Contact: {DESK};expires=0").status == 200
    assert Phone(office, host="192.0.2.2").register().status == 200


@pytest.mark.parametrize(
    "contact", ["tel:+15551001", f"<sip:{'x' * LONGEST_CONTACT}@192.0.2.1>", "<mailto:a@b>"]
)
def test_contacts_nobody_could_call_are_refused(contact: str) -> None:
    office = Office()
    assert Phone(office).register(f"Contact: {contact}").status == 400
    assert bound(office) == []


def test_a_contact_with_a_header_is_kept_as_written() -> None:
    office = Office()
    contact = "sip:user@phone.invalid?Route=%3Csip:sip.example.com%3E"
    assert Phone(office).register(f"Contact: <{contact}>").status == 200
    assert bound(office) == [contact]


def test_a_wrong_password_never_touches_a_binding() -> None:
    office = Office()
    Phone(office).register()
    thief = Phone(office, host="203.0.113.9", password="wrong")
    for lines in (("Contact: *", "Expires: 0"), (f"Contact: {DESK};expires=0",), ()):
        assert thief.register(*lines).status == 401
    assert bound(office) == ["sip:1001@192.0.2.1:5060"]
    assert office.dropped() == []


def test_another_user_cannot_touch_it_either() -> None:
    office = Office()
    Phone(office).register()
    other = Phone(office, "1002")
    other.to = "<sip:1001@example.com>"
    assert other.register("Contact: *", "Expires: 0").status == 403
    assert len(bound(office)) == 1


def test_several_users_share_a_phone() -> None:
    office = Office()
    for name in ("1001", "1002"):
        Phone(office, name, transport="TLS", connection=3).register()
    assert (len(bound(office, "alice")), len(bound(office, "bob"))) == (1, 1)


def test_a_new_bundle_takes_effect_at_once() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    office.apply(bundle(BOB))
    assert phone.register().status == 401


def test_long_texts_are_cut() -> None:
    office = Office()
    Phone(office).register(f"Contact: {DESK}", f"User-Agent: {'x' * 5000}")
    assert len(office.location.of_user("alice")[0].user_agent) == 256


@pytest.mark.parametrize("mark", ['+sip.instance="<a\\"b>"', "+sip.instance", "reg-id=9e9"])
def test_strange_identities_are_no_identity(mark: str) -> None:
    office = Office()
    assert Phone(office).register(f"Contact: {DESK};{mark}").status == 200
    binding = office.location.of_user("alice")[0]
    assert (binding.instance, binding.reg_id) == ("", 0)


def test_in_standby_phones_are_told_to_come_back_never_no() -> None:
    response = closed(Phone(Office()).request(), 30, "t")
    assert (response.status, response.first("Retry-After")) == (503, "30")
