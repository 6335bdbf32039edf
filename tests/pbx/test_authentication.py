"""Digest: who asks is proved, and nobody learns anything by asking (B1, RFC 7616, RFC 8760)."""

from __future__ import annotations

from re import sub

import pytest

from appliance.bundle import User
from appliance.errors import RemoteError
from appliance.sip.flow import Flow
from appliance.sip.message import Response
from tests.pbx.office import ALICE, BOB, OURS, REALM, Office, Phone, bundle, credential


def challenges(response: Response) -> list[str]:
    return response.all("WWW-Authenticate")


def without_nonce(response: Response) -> tuple[int, list[tuple[str, str]]]:
    mine = ("From", "To", "Call-ID", "CSeq", "Via")
    lines = [(name, value) for name, value in response.headers if name not in mine]
    return response.status, [(name, sub('nonce="[^"]*"', "", value)) for name, value in lines]


def test_a_stranger_is_challenged_with_every_algorithm_in_order() -> None:
    response = Phone(Office()).send()
    assert response.status == 401
    first, second = challenges(response)
    assert first.startswith(f'Digest realm="{REALM}", algorithm=SHA-256, nonce="')
    assert second.startswith(f'Digest realm="{REALM}", algorithm=MD5, nonce="')
    assert first.endswith(', qop="auth"')


@pytest.mark.parametrize("algorithm", [0, 1])
def test_the_right_password_proves_the_user(algorithm: int) -> None:
    office = Office()
    phone = Phone(office)
    phone.algorithm = algorithm
    phone.send()
    request = phone.request(phone.answer())
    assert office.authentication.check(request, phone.flow, office.now) is ALICE


def test_invites_are_proved_the_same_way() -> None:
    office = Office()
    phone = Phone(office)
    phone.send()
    request = phone.request(phone.answer("INVITE"), method="INVITE")
    assert office.authentication.check(request, phone.flow, office.now) is ALICE


def test_a_wrong_password_is_challenged_anew_without_stale() -> None:
    phone = Phone(Office(), password="wrong")
    phone.send()
    response = phone.send()
    assert response.status == 401
    assert "stale" not in challenges(response)[0]


def test_known_and_unknown_names_get_the_same_answers() -> None:
    answers = []
    for name in ("1001", "nobody"):
        phone = Phone(Office(), name, password="wrong")
        answers.append([without_nonce(phone.send()), without_nonce(phone.send())])
    assert answers[0] == answers[1]


def test_known_and_unknown_names_are_stopped_the_same_way() -> None:
    stories = []
    for name in ("1001", "nobody"):
        phone = Phone(Office(), name, password="wrong")
        stories.append([phone.send().status for _ in range(20)])
    assert stories[0] == stories[1]
    assert stories[0][-1] == 503


def test_a_replayed_request_is_refused_as_stale() -> None:
    office = Office()
    phone = Phone(office)
    phone.send()
    request = phone.request(phone.answer())
    assert office.registrar.receive(request, phone.flow, office.now).status == 200
    response = office.registrar.receive(request, phone.flow, office.now)
    assert response.status == 401
    assert challenges(response)[0].endswith(", stale=true")


def test_a_nonce_may_be_used_again_with_a_higher_count() -> None:
    office = Office()
    phone = Phone(office)
    assert phone.register().status == 200
    assert phone.send("Contact: <sip:1001@192.0.2.1>").status == 200


def test_an_old_nonce_is_stale_and_no_failure() -> None:
    office = Office()
    phone = Phone(office)
    phone.register()
    office.run(301)
    response = phone.send()
    assert response.status == 401
    assert challenges(response)[0].endswith(", stale=true")
    assert len(office.guard) == 0


def test_a_nonce_of_the_cloud_is_stale_and_no_failure() -> None:
    office = Office()
    phone = Phone(office)
    line = (
        f'Authorization: Digest username="1001", realm="{REALM}", nonce="made-by-the-cloud", '
        'uri="sip:example.com", response="00000000000000000000000000000000", algorithm=MD5, '
        'qop=auth, nc=00000007, cnonce="x"'
    )
    response = office.registrar.receive(phone.request(line), phone.flow, office.now)
    assert challenges(response)[0].endswith(", stale=true")
    assert len(office.guard) == 0


def test_a_nonce_given_to_one_address_is_worth_nothing_at_another() -> None:
    office = Office()
    phone = Phone(office, password="wrong")
    phone.send()
    victim = Flow("UDP", OURS, ("192.0.2.99", 5060))
    for _ in range(30):
        response = office.registrar.receive(phone.request(phone.answer()), victim, office.now)
        assert challenges(response)[0].endswith(", stale=true")
    assert len(office.guard) == 0


def test_credentials_for_another_realm_are_no_failure() -> None:
    office = Office()
    phone = Phone(office)
    line = 'Authorization: Digest username="1001", realm="else", nonce="x", uri="y", response="z"'
    response = office.registrar.receive(phone.request(line), phone.flow, office.now)
    assert (response.status, len(office.guard)) == (401, 0)
    assert "stale" not in challenges(response)[0]


def test_credentials_for_our_realm_are_found_behind_others() -> None:
    office = Office()
    phone = Phone(office)
    phone.send()
    other = 'Authorization: Digest username="1001", realm="else", nonce="x", uri="y", response="z"'
    request = phone.request(other, phone.answer())
    assert office.authentication.check(request, phone.flow, office.now) is ALICE


def test_another_scheme_is_challenged() -> None:
    office = Office()
    phone = Phone(office)
    request = phone.request("Authorization: Basic MTAwMTphcHBsZQ==")
    assert office.registrar.receive(request, phone.flow, office.now).status == 401


def test_an_algorithm_not_offered_is_refused() -> None:
    office = Office(bundle(digest_algorithms=("SHA-256",)))
    phone = Phone(office)
    response = phone.send()
    assert len(challenges(response)) == 1
    assert phone.challenge is not None
    phone.challenge = type(phone.challenge)(
        "digest", {**phone.challenge.fields, "algorithm": "MD5"}
    )
    assert phone.send().status == 401


def test_an_algorithm_somebody_has_no_hash_for_is_not_offered() -> None:
    plain = User(id="p", name="P", extension="1002", credentials=(credential("1002", "MD5"),))
    response = Phone(Office(bundle(ALICE, plain))).send()
    assert [value.partition("algorithm=")[2][:4] for value in challenges(response)] == ["MD5,"]


def test_where_no_algorithm_fits_everybody_all_are_offered() -> None:
    one = User(id="p", name="P", extension="1001", credentials=(credential("1001", "MD5"),))
    two = User(id="q", name="Q", extension="1002", credentials=(credential("1002", "SHA-256"),))
    assert len(challenges(Phone(Office(bundle(one, two))).send())) == 2


def test_signing_another_request_proves_nothing() -> None:
    office = Office()
    phone = Phone(office)
    phone.send()
    request = phone.request(phone.answer("INVITE"))
    assert office.registrar.receive(request, phone.flow, office.now).status == 401


def test_unreadable_credentials_are_a_bad_request() -> None:
    office = Office()
    phone = Phone(office)
    request = phone.request('Authorization: Digest username="1001')
    with pytest.raises(RemoteError) as caught:
        office.authentication.check(request, phone.flow, office.now)
    assert caught.value.status == 400


def test_a_user_of_the_cloud_only_is_nobody_here() -> None:
    office = Office(bundle(BOB))
    phone = Phone(office)
    assert phone.register().status == 401


def test_a_guesser_gets_503_with_the_time_to_wait() -> None:
    office = Office()
    phone = Phone(office, password="wrong")
    for _ in range(12):
        response = phone.send()
    assert (response.status, response.first("Retry-After")) == (503, "901")
    assert office.told("guard.ban")


def test_a_good_phone_elsewhere_registers_while_one_address_guesses() -> None:
    office = Office()
    thief = Phone(office, host="203.0.113.9", password="wrong")
    for _ in range(1000):
        thief.send()
    assert Phone(office).register().status == 200
    assert len(office.told("guard.ban")) == 1


def test_a_ban_spares_flows_that_proved_themselves() -> None:
    office = Office()
    good = Phone(office, host="198.51.100.1", port=1111)
    good.register()
    for number in range(300):
        guesser = Phone(office, f"u{number}", "198.51.100.1", 2222, password="wrong")
        guesser.send()
        guesser.send()
    assert office.told("guard.ban")
    newcomer = Phone(office, "1002", "198.51.100.1", 3333)
    assert newcomer.register().status == 503
    assert good.register().status == 200


def test_a_broken_phone_behind_a_nat_bans_only_itself() -> None:
    office = Office()
    Phone(office, "1001", "198.51.100.1", 1111).register()
    broken = Phone(office, "1007", "198.51.100.1", 2222, password="wrong")
    for _ in range(50):
        broken.send()
    assert broken.send().status == 503
    assert Phone(office, "1002", "198.51.100.1", 3333).register().status == 200


def test_strangers_leave_nothing_behind() -> None:
    office = Office()
    for number in range(1000):
        Phone(office, host=f"198.51.100.{number % 250}").send()
    assert (len(office.nonces), len(office.guard), office.actions) == (0, 0, [])
