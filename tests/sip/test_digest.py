"""Digest: nonces without memory, no replay, the RFC's own examples."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip.credentials import Challenge, Credentials
from appliance.sip.digest import Algorithm, Nonces, challenge, count_of, ha1, respond, verify

MD5 = ha1("MD5", "1001", "pbx", "secret")
SHA256 = ha1("SHA-256", "1001", "pbx", "secret")


def answered(
    algorithm: Algorithm = "MD5", method: str = "REGISTER", password: str = "secret", nc: int = 1
) -> Credentials:
    [value] = challenge("pbx", "n0nce", [algorithm])
    asked = Challenge.parse(value)
    return Credentials.parse(respond(asked, "1001", password, method, "sip:pbx", nc, "c"))


def changed(credentials: Credentials, **fields: str) -> Credentials:
    return msgspec.structs.replace(credentials, **fields)


def test_the_example_of_rfc_2617() -> None:
    credentials = Credentials.parse(
        'Digest username="Mufasa", realm="testrealm@host.com", uri="/dir/index.html", qop=auth, '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", nc=00000001, cnonce="0a4f113b", '
        'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    secret = ha1("MD5", "Mufasa", "testrealm@host.com", "Circle Of Life")
    assert verify(credentials, "GET", secret, None)


def test_the_examples_of_rfc_7616() -> None:
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        asked = Challenge.parse(
            'Digest realm="http-auth@example.org", qop="auth, auth-int", '
            f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        value = respond(asked, "Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce)
        assert Credentials.parse(value).response == response
        assert Credentials.parse(value).opaque == asked.fields["opaque"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_right_password_passes_and_no_other(algorithm: Algorithm) -> None:
    assert verify(answered(algorithm), "REGISTER", MD5, SHA256)
    assert not verify(answered(algorithm, password="guess"), "REGISTER", MD5, SHA256)
    assert not verify(answered(algorithm), "INVITE", MD5, SHA256)


@pytest.mark.parametrize("field", ["nonce", "uri", "nc", "cnonce", "response", "qop"])
def test_every_field_is_signed(field: str) -> None:
    assert not verify(changed(answered(), **{field: "0"}), "REGISTER", MD5, SHA256)


def test_an_algorithm_without_a_hash_is_refused() -> None:
    assert not verify(answered("SHA-256"), "REGISTER", MD5, None)
    assert not verify(answered("MD5"), "REGISTER", None, SHA256)
    assert not verify(changed(answered(), algorithm="MD5-SESS"), "REGISTER", MD5, SHA256)
    with pytest.raises(RemoteError, match="401"):
        respond(Challenge.parse('Digest realm="a", algorithm=X'), "u", "p", "GET", "/")
    with pytest.raises(RemoteError, match="401"):
        respond(Challenge.parse("Basic"), "u", "p", "GET", "/")


def test_the_signed_uri_names_the_same_resource() -> None:
    for uri in ("sip:pbx", "SIP:PBX"):
        assert verify(answered(), "REGISTER", MD5, None, uri)
    for uri in ("sip:other", "sips:pbx", "sip:9001900@pbx", "tel:1", "nonsense"):
        assert not verify(answered(), "REGISTER", MD5, None, uri)


def test_a_client_without_qop_is_refused_unless_let_in() -> None:
    asked = Challenge.parse('Digest realm="pbx", nonce="n", algorithm=MD5')
    old = Credentials.parse(respond(asked, "1001", "secret", "REGISTER", "sip:pbx"))
    assert (old.qop, old.nc, old.cnonce, count_of(old)) == ("", "", "", 1)
    assert not verify(old, "REGISTER", MD5, None)
    assert verify(old, "REGISTER", MD5, None, without_qop=True)


def test_auth_int_signs_the_body() -> None:
    asked = Challenge.parse('Digest realm="pbx", nonce="n", qop="auth-int"')
    value = respond(asked, "1001", "secret", "MESSAGE", "sip:pbx", 1, "c", b"hello")
    credentials = Credentials.parse(value)
    assert credentials.qop == "auth-int"
    assert verify(credentials, "MESSAGE", MD5, None, body=b"hello")
    assert not verify(credentials, "MESSAGE", MD5, None, body=b"hallo")


def test_a_response_of_any_characters_only_fails() -> None:
    assert not verify(changed(answered(), response="é" * 32), "REGISTER", MD5, None)


def test_challenges_come_in_the_order_of_preference() -> None:
    first, second = challenge('p"b', "n", ["SHA-256", "MD5"], stale=True)
    asked = Challenge.parse(first)
    assert (asked.realm, asked.nonce, asked.algorithm, asked.qop, asked.stale) == (
        *('p"b', "n", "SHA-256", ["auth"], True),
    )
    assert Challenge.parse(second).algorithm == "MD5"
    assert not Challenge.parse(challenge("p", "n", ["MD5"])[0]).stale
    assert Challenge.parse(str(asked)) == asked


@pytest.mark.parametrize(("text", "count"), [("00000001", 1), ("ffffffff", 2**32 - 1), ("a", 10)])
def test_a_nonce_count_is_hexadecimal(text: str, count: int) -> None:
    assert count_of(changed(answered(), nc=text)) == count


@pytest.mark.parametrize("text", ["000000001", "x", "-1", "0x1", "١"])
def test_a_nonce_count_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        count_of(changed(answered(), nc=text))


KEY = b"k" * 32


def test_a_nonce_is_fresh_until_its_time_is_over() -> None:
    nonces = Nonces(KEY, lifetime=300)
    nonce = nonces.issue(1000.0, "t1")
    assert nonces.check(nonce, 1000.0) == nonces.check(nonce, 1300.0) == "fresh"
    assert nonces.check(nonce, 1300.1) == "stale"
    assert nonces.check(nonce, 999.0) == "stale"


def test_a_nonce_needs_no_memory_and_survives_a_restart_with_the_key() -> None:
    nonces = Nonces(KEY)
    issued = [nonces.issue(1.0, f"t{number}") for number in range(100)]
    assert len(nonces) == 0 and len(set(issued)) == 100
    assert Nonces(KEY).check(issued[0], 2.0) == "fresh"
    assert Nonces(b"other").check(issued[0], 2.0) == "forged"


@given(st.text(max_size=200))
def test_a_forged_nonce_is_told_apart(text: str) -> None:
    assert Nonces(KEY).check(text, 1000.0) == "forged"


def test_every_character_of_a_nonce_is_signed() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(1000.0, "abc")
    for at in range(len(nonce)):
        other = "1" if nonce[at] == "0" else "0"
        assert nonces.check(nonce[:at] + other + nonce[at + 1 :], 1000.0) == "forged"


def test_a_nonce_is_good_for_its_holder_alone() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(1.0, "t", "10.0.0.1")
    assert nonces.check(nonce, 1.0, "10.0.0.1") == "fresh"
    assert nonces.check(nonce, 1.0, "10.0.0.2") == nonces.check(nonce, 1.0) == "forged"


def test_a_count_is_spent_once() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(1.0, "t")
    assert [nonces.used(nonce, count) for count in (1, 1, 2, 5, 2, 4, 3, 4)] == [
        *(False, True, False, False, True, False, False, True),
    ]


def test_a_count_far_behind_is_refused() -> None:
    nonces = Nonces(KEY)
    nonce = nonces.issue(1.0, "t")
    assert not nonces.used(nonce, 100)
    assert not nonces.used(nonce, 37)
    assert nonces.used(nonce, 36)
    assert not nonces.used(nonce, 0xFFFFFFFF)
    assert nonces.used(nonce, 100)


@given(st.lists(st.integers(1, 60), max_size=60))
def test_no_count_passes_twice(counts: list[int]) -> None:
    nonces = Nonces(KEY)
    taken = [count for count in counts if not nonces.used("a" * 40, count)]
    assert sorted(taken) == sorted(set(counts))


def test_at_the_cap_the_oldest_turns_stale_and_is_never_replayed() -> None:
    nonces = Nonces(KEY, capacity=3)
    issued = [nonces.issue(number, "t") for number in range(1, 6)]
    for nonce in issued:
        assert nonces.check(nonce, 10.0) == "fresh"
        assert not nonces.used(nonce, 1)
    assert len(nonces) == 3
    assert [nonces.check(nonce, 10.0) for nonce in issued] == [
        *("stale", "stale", "fresh", "fresh", "fresh"),
    ]


def test_what_is_too_old_is_forgotten() -> None:
    nonces = Nonces(KEY, lifetime=10)
    for number in range(100):
        nonce = nonces.issue(number, "t")
        assert nonces.check(nonce, number) == "fresh"
        assert not nonces.used(nonce, 1)
    assert len(nonces) <= 13


FIELDS = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"))


@given(st.builds(Credentials, scheme=st.just("digest"), username=FIELDS, realm=FIELDS, uri=FIELDS))
def test_reading_credentials_undoes_writing_them(credentials: Credentials) -> None:
    assert Credentials.parse(str(credentials)) == credentials


def test_credentials_in_any_order_and_spelling() -> None:
    credentials = Credentials.parse(
        'dIGEST  NC = 00000001 ,qop="auth",\tUserName="a, \\"b\\"", x=y,algorithm=sha-256'
    )
    assert (credentials.scheme, credentials.nc, credentials.qop) == ("digest", "00000001", "auth")
    assert (credentials.username, credentials.algorithm) == ('a, "b"', "SHA-256")


@pytest.mark.parametrize(
    "text",
    [
        *("", "Digest", 'Digest username="a', "Digest username", 'Digest username="a",'),
        *('Digest username="a", username="b"', "Digest a=b c", 'Digest realm="a"x', "Dig(est a=b"),
        *("Digest ,", 'Digest username=a"b"', "Digest =x", "Digest a="),
    ],
)
def test_bad_credentials_are_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        Credentials.parse(text)


def test_other_schemes_show_nothing() -> None:
    assert Credentials.parse("Bearer eyJhbGciOi==") == Credentials("bearer")
