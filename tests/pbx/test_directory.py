"""The directory: one user, many names (C3)."""

from __future__ import annotations

from appliance.pbx.directory import Directory
from tests.pbx.office import ALICE, BOB, REALM, bundle


def test_a_user_is_found_by_whatever_names_him() -> None:
    directory = Directory(bundle())
    assert directory.user("alice") is ALICE
    assert directory.by_extension("1001") is ALICE
    assert directory.by_number("+15551001") is ALICE
    assert [directory.by_name(name) for name in ("1001", "al", "alice")] == [ALICE] * 3
    assert directory.by_name("+15551001") is None
    assert len(directory) == 2


def test_an_address_of_record_may_also_be_a_number_or_the_login() -> None:
    login = ALICE.credentials[0].__class__(username="x7", realm=REALM, md5="0" * 32)
    user = ALICE.__class__(id="u", name="U", extension="1009", credentials=(login,))
    directory = Directory(bundle(ALICE, user))
    assert directory.by_address("+15551001") is ALICE
    assert directory.by_address("x7") is user
    assert directory.by_name("x7") is None


def test_an_extension_outranks_somebody_elses_id() -> None:
    shadow = BOB.__class__(id="1001", name="Shadow", extension="1003")
    directory = Directory(bundle(ALICE, shadow))
    assert directory.by_name("1001") is ALICE
    assert directory.user("1001") is shadow


def test_unknown_names_are_nobody() -> None:
    directory = Directory(bundle())
    assert directory.user("x") is None
    assert directory.by_name("x") is None
    assert directory.by_address("x") is None
    assert directory.account("1001", "another realm") is None


def test_capitals_count_only_where_they_tell_two_apart() -> None:
    ana = ALICE.__class__(id="a1", name="A", extension="1009", aliases=("Ana.Silva",))
    other = ALICE.__class__(id="o1", name="O", extension="1010", aliases=("JO", "x"))
    another = ALICE.__class__(id="o2", name="P", extension="1011", aliases=("jo",))
    directory = Directory(bundle(ana, other, another))
    for name in ("Ana.Silva", "ana.silva", "ANA.SILVA"):
        assert directory.by_name(name) is ana
    assert (directory.by_name("JO"), directory.by_name("jo")) == (other, another)
    assert directory.by_name("Jo") is None
